from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.video_truth import TrueClip, find_clips, scored
from cleancut.errors import InputNotFound, RunError


def clips_in(folder: Path, names: tuple[str, ...] = ("one", "two"), frames: int = 3) -> None:
    for name in names:
        for kind in ("image", "alpha"):
            (folder / name / kind).mkdir(parents=True)
        for number in range(frames):
            matte = np.zeros((6, 8), np.uint8)
            matte[:, number : number + 4] = 255
            for kind in ("image", "alpha"):
                cv2.imwrite(str(folder / name / kind / f"{number:05}.png"), matte)


def copied(shift: int) -> object:
    def matting(clip: TrueClip, folder: Path) -> None:
        for pair in clip.pairs:
            matte = cv2.imread(str(pair.alpha), cv2.IMREAD_GRAYSCALE)
            assert matte is not None
            cv2.imwrite(str(folder / pair.alpha.name), np.roll(matte, shift, axis=1))

    return matting


def test_clips_are_in_order_and_their_frames_too(tmp_path: Path) -> None:
    clips_in(tmp_path)
    found = find_clips(tmp_path)
    assert [clip.name for clip in found] == ["one", "two"]
    assert [pair.stem for pair in found[0].pairs] == ["00000", "00001", "00002"]
    with pytest.raises(InputNotFound):
        find_clips(tmp_path / "one" / "image")


def test_the_truth_itself_scores_nothing_and_a_shifted_one_does(tmp_path: Path) -> None:
    clips_in(tmp_path / "clips")
    clips = find_clips(tmp_path / "clips")
    for name in ("right", "wrong"):
        (tmp_path / name).mkdir()
    assert scored(clips, copied(0), tmp_path / "right") == (0.0, 0.0)  # type: ignore[arg-type]
    found = scored(clips, copied(2), tmp_path / "wrong")  # type: ignore[arg-type]
    assert isinstance(found, tuple)
    assert found[0] > 100
    assert found[1] > 10


def test_missing_mattes_and_failures_are_told(tmp_path: Path) -> None:
    clips_in(tmp_path / "clips", ("one",))
    clips = find_clips(tmp_path / "clips")
    for name in ("none", "failed"):
        (tmp_path / name).mkdir()
    assert scored(clips, lambda clip, folder: None, tmp_path / "none") == (
        "one: 0 mattes of 3 frames"
    )

    def failing(clip: TrueClip, folder: Path) -> None:
        raise RunError("it burnt")

    assert scored(clips, failing, tmp_path / "failed") == "one: it burnt"
