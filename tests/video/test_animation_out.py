from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.options import Options
from tests.video.written import INFO, LAST, PTS, back, frames, tagged, written

LASTING = np.diff([*PTS, PTS[-1] + LAST]) / 90000


@pytest.mark.parametrize(
    ("name", "quality", "time_off", "colour_off"),
    [
        ("a.apng", None, 6e-4, 0),
        ("a.png", None, 6e-4, 0),
        ("a.webp", 100, 1e-3, 0),
        ("a.webp", None, 1e-3, 3),
    ],
)
def test_animations_are_read_back_frame_by_frame(
    tmp_path: Path, name: str, quality: int | None, time_off: float, colour_off: float
) -> None:
    shown = frames()
    written(tmp_path / name, shown, cuts=(4,), options=Options(quality=quality))

    info, read = back(tmp_path / name)

    lasting = np.array([float((frame.duration or 0) * info.time_base) for frame in read])
    assert len(read) == len(shown)
    assert np.abs(np.cumsum(lasting) - np.cumsum(LASTING)).max() <= time_off
    assert info.repeats == 0
    for frame, original in zip(read, shown, strict=True):
        assert frame.alpha is not None
        assert original.alpha is not None
        assert np.abs(frame.alpha - original.alpha).max() * 255 <= 0.51
        seen = original.alpha > 0.9
        assert np.abs(frame.rgb.astype(int) - original.rgb)[seen].mean() <= colour_off


def test_gif_is_opaque_or_clear_in_good_colours(tmp_path: Path) -> None:
    shown = frames()
    notes = written(tmp_path / "a.gif", shown, cuts=(4,))

    info, read = back(tmp_path / "a.gif")

    assert notes[0].startswith("gif_hard_edges")
    assert len(read) == len(shown)
    assert info.repeats == 0
    for frame, original in zip(read, shown, strict=True):
        assert frame.alpha is not None
        assert original.alpha is not None
        assert set(np.unique(frame.alpha)) == {0.0, 1.0}
        clear = np.abs(original.alpha - 0.5) > 0.01
        assert np.array_equal((frame.alpha > 0.5)[clear], (original.alpha > 0.5)[clear])
        seen = original.alpha > 0.9
        assert np.abs(frame.rgb.astype(int) - original.rgb)[seen].mean() < 3
    lasting = sum(frame.duration or 0 for frame in read) * info.time_base
    assert float(lasting) == pytest.approx(sum(LASTING), abs=0.011)


def test_gif_leaves_frames_out_that_browsers_would_slow_down(tmp_path: Path) -> None:
    fast = replace(INFO, time_base=Fraction(1, 60), rate=Fraction(60))
    shown = [replace(f, pts=number, duration=1) for number, f in enumerate(frames())]
    notes = written(tmp_path / "a.gif", shown, info=fast)

    with Image.open(tmp_path / "a.gif") as picture:
        delays = []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            delays.append(picture.info["duration"])
    assert min(delays) >= 20
    assert sum(delays) == pytest.approx(167, abs=11)
    assert notes[1].startswith("gif_rate")


@pytest.mark.parametrize("name", ["a.gif", "a.apng", "a.webp"])
@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_repeats_are_those_of_the_source(tmp_path: Path, name: str, repeats: int) -> None:
    written(tmp_path / name, info=replace(INFO, kind="animation", repeats=repeats))

    assert back(tmp_path / name)[0].repeats == repeats


def test_opaque_animations_have_no_alpha(tmp_path: Path) -> None:
    shown = frames(alpha=False)
    written(tmp_path / "a.apng", shown, options=Options(background="red"))

    _, read = back(tmp_path / "a.apng")

    assert read[3].alpha is None
    assert np.array_equal(read[3].rgb, shown[3].rgb)


def test_deep_animations_stay_deep(tmp_path: Path) -> None:
    written(tmp_path / "a.apng", frames(2, deep=True), info=tagged(bits=10))

    assert (tmp_path / "a.apng").read_bytes()[24] == 16


def test_apng_holds_only_what_changes(tmp_path: Path) -> None:
    still = [replace(frames(1)[0], pts=pts) for pts in PTS]
    written(tmp_path / "one.apng", still[:1])
    written(tmp_path / "ten.apng", still)

    more = (tmp_path / "ten.apng").stat().st_size - (tmp_path / "one.apng").stat().st_size
    assert more < 9 * 120


@pytest.mark.parametrize("name", ["a.gif", "a.apng", "a.webp"])
def test_one_frame_is_an_animation_too(tmp_path: Path, name: str) -> None:
    written(tmp_path / name, frames(1))

    with Image.open(tmp_path / name) as picture:
        assert picture.size == (64, 48)
