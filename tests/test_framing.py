from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import cutout
from cleancut.compose.crop import subject_box
from cleancut.result import Result


def photo(height: int = 120, width: int = 200, *, deep: bool = False) -> NDArray[Any]:
    """A bright soft ball on black; the echo model takes brightness for the matte."""
    y, x = np.mgrid[:height, :width]
    ball = np.clip((30 - np.hypot(y - 60, x - 70)) / 3 + 0.5, 0, 1)[..., None]
    pixels = ball * (250, 240, 230)
    return (pixels * 257).astype(np.uint16) if deep else pixels.astype(np.uint8)


def cut(source: Any = None, **values: Any) -> Result:
    return cutout(photo() if source is None else source, model="echo", **values)


def opened(result: Result, kind: Any) -> Image.Image:
    image = Image.open(io.BytesIO(result.encode(kind)))
    image.load()
    return image


@pytest.mark.parametrize("size", ["300x500", "50x40", "7x3", "1x1", "1001x7", "35x45mm@200"])
@pytest.mark.parametrize("more", [{}, {"crop": True, "margin": "10%"}, {"scale": "80%"}])
def test_the_output_has_exactly_the_canvass_size(size: str, more: dict[str, Any]) -> None:
    result = cut(canvas=size, **more)
    wanted = (276, 354) if "mm" in size else tuple(int(side) for side in size.split("x"))
    assert result.image.size == wanted
    assert result.mask.size == wanted
    assert result.to_dict()["output_size"] == list(wanted)


def test_the_subject_is_fitted_by_its_box_and_lies_in_the_middle() -> None:
    box = cut(canvas="400x600", scale="80%").box
    assert box is not None
    assert box.width == pytest.approx(320, abs=4)
    assert box.left + box.right == pytest.approx(400, abs=4)
    assert box.top + box.bottom == pytest.approx(600, abs=4)
    low = cut(canvas="400x600", scale="80%", position="50% 100%").box
    assert low is not None
    assert low.bottom == pytest.approx(600, abs=3)


def test_a_crop_is_fitted_with_its_margin() -> None:
    box = cut(canvas="300x300", crop=True, margin="25%").box
    assert box is not None
    assert box.width == pytest.approx(200, abs=4)  # a half more than itself around it


def test_a_transparent_canvas_stays_transparent_and_jpeg_is_white() -> None:
    result = cut(canvas="300x300")
    assert result.image.mode == "RGBA"
    assert result.alpha[0].max() == 0
    corner = opened(result, "jpg").getpixel((2, 2))
    assert corner == (255, 255, 255)


def test_backgrounds_fill_the_canvas(tmp_path: Any) -> None:
    red = cut(canvas="300x500", background="#f00").composite
    assert red is not None
    assert (red[[0, -1], :] == (255, 0, 0)).all()
    path = tmp_path / "beach.png"
    Image.fromarray(np.full((10, 90, 3), (9, 99, 199), np.uint8)).save(path)
    beach = cut(canvas="300x500", background=str(path)).composite
    assert beach is not None
    assert (beach[[0, -1], :] == (9, 99, 199)).all()
    bright = np.clip(photo().astype(int) + 40, 0, 255).astype(np.uint8)
    soft = cut(bright, canvas="300x500", background="blur:5").composite
    assert soft is not None
    assert soft[[0, -1], :].min() > 20  # no line of it is left black
    half = cut(canvas="300x500", background="#ff000080")
    assert half.alpha[0, 0] == pytest.approx(0.5, abs=0.01)


def test_a_blurred_background_lies_where_it_was() -> None:
    source = photo()
    source[:, 150:] = (90, 0, 0)  # dark for the model, red on the right
    result = cut(source, canvas="400x240", background="blur:2")
    assert result.composite is not None
    assert result.composite[120, 390, 0] > 80
    assert result.composite[120, 270, 0] < 10


def test_sixteen_bits_stay_sixteen() -> None:
    result = cut(photo(deep=True), canvas="300x300", background="#204060")
    assert result.composite is not None
    assert result.composite.dtype == np.uint16
    sheet = cut(photo(deep=True), canvas="20x20mm@100", sheet="9x9cm")
    assert sheet.foreground.dtype == np.uint16
    assert int(sheet.foreground[0, 0, 0]) == 65535


def test_nothing_hidden_bleeds_into_the_edge() -> None:
    source = photo()
    result = cut(source, canvas="900x900", scale="90%")
    edge = (result.alpha > 0.2) & (result.alpha < 0.8)
    assert edge.any()
    assert result.foreground[edge].min() > 150  # the ball's colour, none of the dark around it


def test_a_made_shadow_falls_on_the_canvas() -> None:
    plain = cut(canvas="600x600", scale="60%")
    cast = cut(canvas="600x600", scale="60%", shadow="drop:60,135,5%,10%")
    assert cast.alpha.sum() > plain.alpha.sum() * 1.02
    assert cast.alpha[0].max() == 0  # it ends within the canvas: no hard line at an old edge


def test_only_mask_is_framed_too() -> None:
    mask = opened(cut(canvas="300x200@100", only_mask=True), "png")
    assert (mask.mode, mask.size) == ("L", (300, 200))
    assert mask.info["dpi"] == pytest.approx((100, 100), abs=0.02)


def test_without_a_subject_the_picture_is_fitted() -> None:
    dark = np.zeros((50, 80, 3), np.uint8)
    result = cut(dark, canvas="90x90", scale="80%", crop=True)
    assert result.image.size == (90, 90)
    assert any(note.startswith("no_subject") for note in result.notes)
    assert cut(dark, canvas="20x20mm@100", sheet="9x9cm").image.size == (354, 354)


def test_much_enlarging_is_told() -> None:
    assert any(note.startswith("enlarged: ") for note in cut(canvas="900x900").notes)
    assert not any(note.startswith("enlarged") for note in cut(canvas="290x290").notes)


def test_the_whole_picture_at_its_own_size_is_untouched() -> None:
    plain, placed = cut(), cut(canvas="200x120")
    assert (plain.alpha == placed.alpha).all()
    assert (plain.foreground == placed.foreground).all()


@pytest.mark.parametrize("kind", ["png", "jpg", "tiff"])
def test_the_dpi_is_in_the_file_and_in_its_exif(kind: str) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 72.0, 72.0, 3
    held = io.BytesIO()
    Image.fromarray(photo()).save(held, "JPEG", dpi=(72, 72), exif=exif)
    made = opened(cut(held.getvalue(), canvas="35x45mm@240"), kind)
    assert made.info["dpi"] == pytest.approx((240, 240), abs=0.02)
    told = made.getexif()
    if 0x011A in told:
        assert float(told[0x011A]) == pytest.approx(240)
        assert told[0x0128] == 2
    stripped = opened(cut(held.getvalue(), canvas="35x45mm@240", strip=True), kind)
    assert stripped.info["dpi"] == pytest.approx((240, 240), abs=0.02)


def test_a_canvas_without_dpi_leaves_the_pictures() -> None:
    held = io.BytesIO()
    Image.fromarray(photo()).save(held, "PNG", dpi=(123, 123))
    assert cut(held.getvalue(), canvas="50x50").dpi == pytest.approx((123, 123), abs=0.1)


def test_a_sheet_is_a_white_page_of_equal_copies() -> None:
    result = cut(canvas="20x20mm@100", sheet="9x9cm", background="#00f")
    page = result.composite
    assert page is not None
    assert page.shape == (354, 354, 3)
    assert result.image.mode == "RGB"
    assert result.alpha.min() == 1
    assert result.box is None
    assert result.dpi == (100, 100)
    blue = (page == (0, 0, 255)).all(axis=2)
    columns = np.flatnonzero(np.diff(np.r_[0, blue[blue.any(axis=1).argmax()].astype(int)]) == 1)
    assert len(columns) == 4
    assert any(note == "sheet: 16 copies of 20 x 20 mm on 9 x 9 cm" for note in result.notes)


def test_a_sheet_of_transparent_photos_is_white() -> None:
    page = cut(canvas="20x20mm@100", sheet="9x9cm").composite
    assert page is not None
    assert (page[0, 0] == 255).all()
    assert subject_box((page < 250).any(axis=2).astype(np.float32)) is not None
