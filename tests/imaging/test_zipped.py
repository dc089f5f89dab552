from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from cleancut.errors import BadOption
from cleancut.imaging.decode import decode
from cleancut.imaging.encode import encode, encode_mask, format_from_suffix
from cleancut.imaging.zipped import read_zip, write_zip
from tests.imaging.conftest import adobe_rgb


def _picture() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    y, x = np.mgrid[:40, :60]
    rgb = np.stack([4 * x, 6 * y, 100 + 0 * x], axis=2).astype(np.uint8)
    return rgb, (x / 59).astype(np.float32)


def test_a_zip_holds_the_colours_as_jpeg_and_the_matte_as_png() -> None:
    rgb, alpha = _picture()
    data = encode(rgb, alpha, format="zip", icc=adobe_rgb(), dpi=(300, 300))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    colour, matte = (decode(file) for file in read_zip(data))
    assert (colour.format, matte.format) == ("jpeg", "png")
    assert colour.icc == adobe_rgb()
    assert colour.dpi == pytest.approx((300, 300), abs=0.1)
    assert np.abs(colour.rgb.astype(int) - rgb).max() <= 12
    assert (matte.rgb[..., 0] == np.rint(alpha * 255)).all()


def test_the_same_cutout_is_the_same_bytes() -> None:
    rgb, alpha = _picture()
    assert encode(rgb, alpha, format="zip") == encode(rgb, alpha, format="zip")
    assert write_zip(b"a", b"b") == write_zip(b"a", b"b")


def test_quality_is_the_jpegs_and_compress_the_pngs() -> None:
    rgb, alpha = _picture()
    low, high = (encode(rgb, alpha, format="zip", quality=q) for q in (20, 95))
    assert len(low) < len(high)
    assert read_zip(low)[1] == read_zip(high)[1]


def test_without_a_matte_everything_is_opaque_and_a_matte_alone_is_refused() -> None:
    rgb, alpha = _picture()
    assert (decode(read_zip(encode(rgb, format="zip"))[1]).rgb == 255).all()
    with pytest.raises(BadOption):
        encode_mask(alpha, format="zip")


def test_the_suffix_names_it() -> None:
    assert format_from_suffix("a/b.ZIP") == "zip"


def test_other_archives_are_refused() -> None:
    with pytest.raises(ValueError, match="ZIP"):
        read_zip(b"PK\x03\x04 but no more")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("color.jpg", b"0" * 1000)
        archive.writestr("alpha.png", b"")
    with pytest.raises(ValueError, match="ZIP"):
        read_zip(out.getvalue())
