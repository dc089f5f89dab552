from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.video_accuracy import ALONE, STEADY, matted, measure, to_markdown
from cleancut.cli.main import main
from cleancut.options import Options
from cleancut.video.frame import Frame
from cleancut.video.mattes import Matted, Memory
from cleancut.video.options import VideoOptions
from tests.video.scenes import moving_disc


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    scene = moving_disc(4)
    for kind in ("image", "alpha"):
        (tmp_path / "disc" / kind).mkdir(parents=True)
    for frame, truth in zip(scene.frames, scene.truths, strict=True):
        cv2.imwrite(str(tmp_path / f"disc/image/{frame.pts:05}.png"), frame.rgb[..., ::-1])
        cv2.imwrite(str(tmp_path / f"disc/alpha/{frame.pts:05}.png"), np.rint(255 * truth))
    return tmp_path


def test_both_ways_are_scored_on_the_same_frames(clips: Path) -> None:
    told: list[str] = []
    rows = measure(clips, ["echo"], Options(), VideoOptions(), tell=told.append, limit=3)
    assert [(row.clip, row.model, row.how) for row in rows] == [
        ("disc", "echo", ALONE),
        ("disc", "echo", STEADY),
    ]
    assert all(row.mad > 0 and row.dtssd > 0 and row.seconds > 0 for row in rows)
    assert told == ["disc: echo, frame by frame", "disc: echo, steadied"]
    text = to_markdown(rows)
    assert text.count("mean of 1") == 2
    assert "- echo: steadied by frame by frame, of the means: MAD" in text


def test_the_command_prints_the_table_and_writes_the_figures(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "figures.json"
    words = ["bench", "steady", str(clips), "-m", "echo", "--limit", "2", "--json", str(target)]
    assert main(words) == 0
    assert "| disc | echo | steadied |" in capsys.readouterr().out
    assert len(json.loads(target.read_text())) == 2


class Counting:
    """A matter whose matte says how many frames it remembers."""

    look_ahead = warm_up = 0
    names = ("counting",)

    def step(self, frame: Frame, memory: Memory) -> tuple[tuple[Matted, ...], Memory]:
        seen = (memory or 0) + 1
        return (Matted(frame, np.full(frame.rgb.shape[:2], seen, np.float32)),), seen

    def finish(self, memory: Memory) -> tuple[Matted, ...]:
        return ()


def test_a_matter_that_must_forget_sees_every_frame_as_its_first() -> None:
    frames = moving_disc(3).frames
    kept, seconds = matted(Counting(), frames)
    assert [float(matte.max()) for matte in kept] == [1.0, 2.0, 3.0]
    assert seconds >= 0
    forgot, _ = matted(Counting(), frames, forget=True)
    assert [float(matte.max()) for matte in forgot] == [1.0, 1.0, 1.0]
