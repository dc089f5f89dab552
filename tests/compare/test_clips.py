from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.video_accuracy import ALONE, STEADY
from cleancut.compare import clips as module
from cleancut.compare.clips import ClipPlan, clip_folders, measure_clips
from cleancut.compare.comparison import System
from cleancut.errors import BadOption
from tests.video.scenes import moving_disc

ECHO = System(id="echo", title="echo", kind="ours", tool="cleancut", model="echo")
RAW = System(id="echo:raw", title="echo", kind="ours", tool="cleancut", model="echo", raw=True)
PEER = System(id="rembg:x", title="rembg", kind="peer", tool="rembg", model="x")
GONE = System(id="gone", title="gone", kind="ours", tool="cleancut", model="gone")
AWAY = System(
    id="isnet", title="IS-Net", kind="ours", tool="cleancut", model="isnet", reason="not pulled"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A set of clips with a soft and a yes-or-no one, and a set of single pictures."""
    scene = moving_disc(4)
    for name, hard in (("soft", False), ("hard", True)):
        for frame, truth in zip(scene.frames, scene.truths, strict=True):
            kept = np.where(truth >= 0.5, 255, 0) if hard else np.rint(255 * truth)
            for kind, pixels in (("image", frame.rgb[..., ::-1]), ("alpha", kept)):
                target = tmp_path / "films" / name / kind / f"{frame.pts:05}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(target), pixels)
    for kind in ("image", "alpha"):
        (tmp_path / "stills" / kind).mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_clips_are_told_from_sets_of_single_pictures(data: Path) -> None:
    assert clip_folders(data) == (data / "films",)


def test_our_systems_that_run_are_scored_in_both_ways(data: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = measure_clips(
        [data / "films"],
        [ECHO, RAW, PEER, AWAY],
        plan=ClipPlan(frames=3),
        tell=lambda _: None,
        step=lambda done, total, _: steps.append((done, total)),
    )
    assert [(row.system, row.clip, row.how) for row in found.scores] == [
        ("echo", "hard", ALONE),
        ("echo", "hard", STEADY),
        ("echo", "soft", ALONE),
        ("echo", "soft", STEADY),
    ]
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert found.complete
    assert found.skipped == []
    hard, soft = found.scores[0], found.scores[2]
    assert hard.binary
    assert set(hard.figures) == {"iou", "wobble"}
    assert set(soft.figures) == {"mad", "mse", "grad", "dtssd", "iou", "wobble"}
    assert soft.figures["mad"] > 0
    assert soft.seconds is not None
    assert soft.seconds > 0


def test_an_unknown_model_costs_a_line_and_not_the_others(data: Path) -> None:
    found = measure_clips(
        [data / "films"], [GONE, ECHO], plan=ClipPlan(frames=2), tell=lambda _: None
    )
    assert len(found.scores) == 4
    assert len(found.skipped) == 1
    assert "gone" in found.skipped[0]


def test_after_an_interruption_there_is_what_was_done(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = module.score_clip, []

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_clip", interrupted)
    found = measure_clips([data / "films"], [ECHO], plan=ClipPlan(frames=2), tell=lambda _: None)
    assert not found.complete
    assert len(found.scores) == 2


def test_when_the_time_is_up_the_rest_is_told(data: Path) -> None:
    plan = ClipPlan(frames=2, limit_s=-1)
    found = measure_clips([data / "films"], [ECHO], plan=plan, tell=lambda _: None)
    assert found.scores == []
    assert found.skipped == [
        "video: hard: the time was up",
        "video: soft: the time was up",
    ]


def test_a_clip_that_cannot_be_read_costs_a_line_and_not_the_others(data: Path) -> None:
    (data / "films" / "hard" / "alpha" / "00001.png").write_bytes(b"no picture")
    found = measure_clips([data / "films"], [ECHO], plan=ClipPlan(frames=3), tell=lambda _: None)
    assert {row.clip for row in found.scores} == {"soft"}
    assert len(found.skipped) == 1
    assert "hard" in found.skipped[0]


def test_one_frame_shows_no_steadiness() -> None:
    with pytest.raises(BadOption):
        ClipPlan(frames=1)
