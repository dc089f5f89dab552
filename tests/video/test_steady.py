from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cleancut.metrics import mad
from cleancut.options import Options
from cleancut.panel import single
from cleancut.video.mattes import Matted
from cleancut.video.metrics import dtssd
from cleancut.video.options import VideoOptions
from cleancut.video.steady import ImageMatter, image_matter
from tests.video.scenes import Guesser, Scene, moving_disc, texture

PLAIN = Options(model="echo", refine="off")


def all_of(matter: ImageMatter, frames: Any, memory: Any = None) -> list[Matted]:
    answers: list[Matted] = []
    for frame in frames:
        found, memory = matter.step(frame, memory)
        answers += found
    return answers + list(matter.finish(memory))


def steadied(scene: Scene, guesser: Guesser, **how: Any) -> list[Matted]:
    return all_of(ImageMatter(single(guesser), PLAIN, **how), scene.frames)


def error(answers: list[Matted], scene: Scene) -> tuple[float, float]:
    mattes = [answer.alpha for answer in answers]
    mean = np.mean([mad(a, t) for a, t in zip(mattes, scene.truths, strict=True)])
    return float(mean), dtssd(mattes, scene.truths)


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
def test_flicker_is_halved_and_the_error_is_smaller_too(look_ahead: int) -> None:
    scene = moving_disc(14)
    guesser = Guesser(scene, slip=0.3)
    alone = error(steadied(scene, guesser, steady=False), scene)
    together = error(steadied(scene, guesser, look_ahead=look_ahead), scene)
    assert together[0] < 0.95 * alone[0]
    assert together[1] < 0.5 * alone[1]


def test_a_perfect_matte_of_fast_motion_is_not_smeared() -> None:
    scene = moving_disc(10, speed=6)
    off, flicker = error(steadied(scene, Guesser(scene), look_ahead=1), scene)
    assert off < 1.5
    assert flicker < 2.5


def test_the_slip_of_one_frame_is_put_right_by_its_neighbours() -> None:
    scene = moving_disc(9)
    guesser = Guesser(scene, lost=(5,))
    alone = steadied(scene, guesser, steady=False)[5].alpha
    matte = steadied(scene, guesser, look_ahead=1)[5].alpha
    assert mad(matte, scene.truths[5]) < 0.35 * mad(alone, scene.truths[5])


def test_what_appears_is_there_at_once() -> None:
    scene = moving_disc(8)
    ground = texture(1, 40, 120, 96, 384).astype(np.uint8)
    grounds = [np.ascontiguousarray(ground[:, 60 + k : 188 + k]) for k in range(8)]
    empty = np.zeros_like(scene.truths[0])
    frames = tuple(
        replace(frame, rgb=ground, view=ground) if frame.pts < 4 else frame
        for frame, ground in zip(scene.frames, grounds, strict=True)
    )
    truths = tuple(empty if k < 4 else truth for k, truth in enumerate(scene.truths))
    shown = Scene(frames, truths)
    answers = steadied(shown, Guesser(shown), look_ahead=1)
    assert answers[3].alpha.max() < 0.5
    assert mad(answers[3].alpha, truths[3]) < 12
    assert mad(answers[4].alpha, truths[4]) < 12


def test_every_frame_is_answered_once_and_no_later_than_promised() -> None:
    scene = moving_disc(7)
    matter = ImageMatter(single(Guesser(scene)), PLAIN, look_ahead=2)
    memory, seen = None, []
    for number, frame in enumerate(scene.frames):
        found, memory = matter.step(frame, memory)
        seen += [answer.frame.pts for answer in found]
        assert len(seen) == max(0, number + 1 - matter.look_ahead)
    seen += [answer.frame.pts for answer in matter.finish(memory)]
    assert seen == list(range(7))
    assert matter.warm_up <= 16


def test_going_on_from_a_memory_gives_the_same_pixels_and_leaves_it_alone() -> None:
    scene = moving_disc(8)
    matter = ImageMatter(single(Guesser(scene, slip=0.3)), PLAIN, look_ahead=1)
    whole = all_of(matter, scene.frames)
    memory = None
    for frame in scene.frames[:5]:
        _, memory = matter.step(frame, memory)
    before = pickle.dumps(memory)
    again = all_of(matter, scene.frames[5:], memory)
    assert pickle.dumps(memory) == before
    for one, other in zip(whole[4:], again, strict=True):
        assert np.array_equal(one.alpha, other.alpha)


def test_after_the_warm_up_a_part_is_as_it_is_within_the_whole() -> None:
    scene = moving_disc(22, speed=1)
    matter = ImageMatter(single(Guesser(scene, slip=0.3)), PLAIN, look_ahead=1)
    whole = all_of(matter, scene.frames)
    part = all_of(matter, scene.frames[22 - 8 - matter.warm_up :])
    for one, other in zip(whole[-8:], part[-8:], strict=True):
        assert float(np.abs(one.alpha - other.alpha).mean()) < 1e-3


@pytest.mark.parametrize("look_ahead", [0, 2])
def test_nothing_goes_over_a_cut(look_ahead: int) -> None:
    scene = moving_disc(3)
    other = moving_disc(3, first=3)
    frames = []
    for frame in other.frames:
        turned = np.ascontiguousarray(255 - frame.view[:, ::-1, ::-1] // 2)
        frames.append(replace(frame, rgb=turned, view=turned))
    after = Scene(tuple(frames), tuple(np.ascontiguousarray(t[:, ::-1]) for t in other.truths))
    both = Scene(scene.frames + after.frames, scene.truths + after.truths)
    guesser = Guesser(both, slip=0.3)
    answers = steadied(both, guesser, look_ahead=look_ahead)
    alone = steadied(after, guesser, look_ahead=look_ahead)
    assert [answer.cut for answer in answers] == [False] * 3 + [True] + [False] * 2
    assert [answer.frame.pts for answer in answers] == list(range(6))
    for one, same in zip(answers[3:], alone, strict=True):
        assert np.array_equal(one.alpha, same.alpha)


def test_the_transparency_of_the_source_is_kept_but_not_multiplied_into_later_frames() -> None:
    scene = moving_disc(5)
    half = np.full(scene.truths[0].shape, 0.5, np.float32)
    veiled = tuple(replace(frame, alpha=half) for frame in scene.frames)
    guesser = Guesser(scene)
    plain = steadied(scene, guesser)
    through = all_of(ImageMatter(single(guesser), PLAIN), veiled)
    for one, other in zip(plain, through, strict=True):
        assert np.allclose(other.alpha, one.alpha * 0.5)


def test_an_empty_clip_and_a_clip_of_one_frame_end_well() -> None:
    scene = moving_disc(1)
    matter = ImageMatter(single(Guesser(scene)), PLAIN, look_ahead=3)
    assert matter.finish(None) == ()
    (answer,) = all_of(matter, scene.frames)
    assert np.array_equal(answer.alpha, scene.truths[0])
    assert answer.confidence is not None


def test_options_decide_about_steadiness_and_looking_ahead() -> None:
    panel = single(Guesser(moving_disc(1)))
    matter = image_matter(panel, PLAIN, VideoOptions(look_ahead=3))
    assert (matter.look_ahead, matter.names) == (3, ("echo",))
    assert image_matter(panel, PLAIN, VideoOptions(steady=False, look_ahead=3)).look_ahead == 0
