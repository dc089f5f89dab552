from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cleancut.errors import OutputNotWritable
from cleancut.imaging.decode import decode
from cleancut.options import Options
from cleancut.video.form import output_form
from cleancut.video.options import VideoOptions
from cleancut.video.writing import open_writer
from tests.video.written import GREEN, INFO, back, frames, tagged, written


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("out/%05d.png", ["00001.png", "00002.png"]),
        ("out/f%03d.png", ["f001.png", "f002.png"]),
        ("out/%d.webp", ["1.webp", "10.webp"]),
    ],
)
def test_pictures_of_all_parts_are_numbered_on(
    tmp_path: Path, target: str, names: list[str]
) -> None:
    written(f"{tmp_path}/{target}", cuts=(3, 7))
    found = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_file())

    assert len(found) == 10
    assert found[:2] == names


def test_older_pictures_behind_the_last_one_are_told(tmp_path: Path) -> None:
    written(f"{tmp_path}/out/%05d.png")
    (tmp_path / "out" / "00013.png").touch()

    notes = written(f"{tmp_path}/out/%05d.png", frames(8))

    assert [note for note in notes if note.startswith("older_pictures: the 2 behind 00008.png")]
    assert (tmp_path / "out" / "00010.png").exists()
    assert not any("older" in note for note in written(f"{tmp_path}/out/%05d.png"))


def test_png_pictures_are_exact(tmp_path: Path) -> None:
    shown = frames()
    written(f"{tmp_path}/out/%02d.png", shown, cuts=(4,))

    _, read = back(f"{tmp_path}/out/%02d.png")

    for frame, original in zip(read, shown, strict=True):
        assert frame.alpha is not None
        assert original.alpha is not None
        assert np.abs(frame.alpha - original.alpha).max() <= 0.5 / 255 + 1e-6
        seen = original.alpha > 0.01
        assert np.array_equal(frame.rgb[seen], original.rgb[seen])
        assert frame.rgb[original.alpha == 0].max() == 0


def test_deep_frames_become_deep_pictures(tmp_path: Path) -> None:
    shown = frames(1, deep=True)
    written(f"{tmp_path}/out/%02d.png", shown, info=tagged(bits=10))

    read = back(f"{tmp_path}/out/%02d.png")[1]

    seen = shown[0].alpha > 0.5  # type: ignore[operator]
    assert np.array_equal(read[0].rgb[seen], shown[0].rgb[seen])


def test_mattes_are_grey_pictures(tmp_path: Path) -> None:
    written(f"{tmp_path}/out/%02d.png", frames(2, alpha=False), matte_only=True)
    data = (tmp_path / "out" / "01.png").read_bytes()

    assert data[25] == 0  # PNG's colour type: grey
    assert decode(data).rgb.shape == (48, 64, 3)


def test_jpg_pictures_are_opaque(tmp_path: Path) -> None:
    written(f"{tmp_path}/out/%02d.jpg", frames(2, alpha=False), options=GREEN)

    assert (tmp_path / "out" / "02.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_an_aborted_part_leaves_nothing(tmp_path: Path) -> None:
    form = output_form("a/%d.png", VideoOptions(), Options(), INFO)
    writer = open_writer(tmp_path / "part", form, INFO, Options(), size=(64, 48))
    writer.write(frames(1)[0])
    writer.abort()

    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")

    with pytest.raises(OutputNotWritable):
        written(f"{tmp_path}/out/%02d.png")
