from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from cleancut.catalog import find
from cleancut.models.base import Prediction
from cleancut.options import Options
from cleancut.video.recurrent_matter import RecurrentMatter
from tests.video.scenes import moving_disc


class Counter:
    """A network that counts the frames since it began, in its memory and as its matte."""

    def __init__(self, ratio: float | None = None) -> None:
        self.spec, self.placement, self.ratio = find("rvm"), SimpleNamespace(), ratio

    def at_ratio(self, ratio: float | None) -> Counter:
        return Counter(ratio)

    def predict(self, rgb: Any, state: Any = None) -> Prediction:
        seen = 1 if state is None else state["seen"] + 1
        level = np.float32(seen / 10 if self.ratio is None else self.ratio)
        return Prediction(np.full(rgb.shape[:2], level), foreground=rgb, state={"seen": seen})


def answers(matter: RecurrentMatter, frames: Any, memory: Any = None) -> tuple[list[Any], Any]:
    found = []
    for frame in frames:
        some, memory = matter.step(frame, memory)
        found += some
    return found, memory


def test_the_memory_goes_from_frame_to_frame_and_ends_at_a_cut() -> None:
    shot = moving_disc(3).frames
    other = [replace(f, rgb=255 - f.rgb // 2, view=255 - f.view // 2) for f in shot]
    found, _ = answers(RecurrentMatter(Counter(), Options()), (*shot, *other))
    assert [round(float(one.alpha[0, 0]), 1) for one in found] == [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]
    assert [one.cut for one in found] == [False, False, False, True, False, False]
    assert found[0].foreground is shot[0].rgb


def test_a_memory_may_be_used_again() -> None:
    frames = moving_disc(4).frames
    matter = RecurrentMatter(Counter(), Options())
    _, memory = answers(matter, frames[:2])
    one, other = (answers(matter, frames[2:], memory)[0] for _ in "ab")
    assert [a.alpha[0, 0] for a in one] == [b.alpha[0, 0] for b in other]
    assert matter.finish(memory) == ()


def test_frames_of_another_size_begin_anew() -> None:
    (frame,) = moving_disc(1).frames
    smaller = replace(frame, rgb=frame.rgb[:60], view=frame.rgb[:60])
    found, _ = answers(RecurrentMatter(Counter(), Options()), (frame, smaller))
    assert found[1].cut
    assert found[1].alpha.shape == (60, 128)
    assert round(float(found[1].alpha[0, 0]), 1) == 0.1


def test_the_ratio_reaches_the_network_and_transparency_the_matte() -> None:
    (frame,) = moving_disc(1).frames
    half = replace(frame, alpha=np.full(frame.rgb.shape[:2], 0.5, np.float32))
    matter = RecurrentMatter(Counter(), Options(), ratio=0.5)
    (found,), _ = matter.step(half, None)
    assert np.allclose(found.alpha, 0.25)
    assert matter.names == ("rvm",)


def test_colours_of_another_view_than_the_frame_are_not_passed_on() -> None:
    (frame,) = moving_disc(1).frames
    deep = replace(frame, rgb=frame.rgb.astype(np.uint16) * 257)
    (found,), _ = RecurrentMatter(Counter(), Options()).step(deep, None)
    assert found.foreground is None
