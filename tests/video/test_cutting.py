from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import cleancut
from cleancut.errors import BadArray, BadOption
from cleancut.options import Options
from cleancut.video.cutting import cut
from cleancut.video.frame import Frame
from cleancut.video.mattes import Matted
from cleancut.video.reading import open_video

from . import moving


def pictures(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    return list(moving.pictures(count, height, width))


@dataclass(frozen=True)
class Waiting:
    """Alpha is the mean level of all frames so far; answers come ``look_ahead`` frames later."""

    look_ahead: int = 0
    warm_up: int = 0
    names: tuple[str, ...] = ("waiting",)

    def step(self, frame: Frame, memory: Any) -> tuple[tuple[Matted, ...], Any]:
        total, count, held = memory or (0.0, 0, ())
        total, count = total + float(frame.view.mean()), count + 1
        level = np.float32(total / count / 255)
        held = (*held, Matted(frame, np.full(frame.rgb.shape[:2], level, np.float32)))
        ready, held = held[: -self.look_ahead or None], held[len(held) - self.look_ahead :]
        return ready, (total, count, held)

    def finish(self, memory: Any) -> tuple[Matted, ...]:
        return tuple(memory[2])


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(look_ahead: int) -> None:
        from cleancut.video import choose

        matter = Waiting(look_ahead)
        monkeypatch.setattr(choose, "choose_matter", lambda *_: (matter, ()))

    return use


def _marks(frames: Any) -> list[tuple[int, float]]:
    return [(frame.number, float(frame.alpha[0, 0])) for frame in frames]


def test_one_comes_out_for_one_in_and_no_frame_is_read_before_it_is_needed() -> None:
    read: list[int] = []

    def source() -> Iterator[np.ndarray]:
        for number, picture in enumerate(pictures(4)):
            read.append(number)
            yield picture

    for expected, frame in enumerate(cut(source(), model="echo", engine="image", steady=False)):
        assert read == list(range(expected + 1))
        assert frame.number == expected
        assert frame.alpha.shape == (48, 64)
        assert frame.alpha.dtype == np.float32
    assert read == [0, 1, 2, 3]


def test_importing_the_room_loads_no_third_party_package_and_names_resolve() -> None:
    from cleancut import video

    assert video.cut is cut
    assert cleancut.video is video
    for name in video.__all__:
        assert getattr(video, name) is not None
    with pytest.raises(AttributeError):
        video.surprise  # noqa: B018


@pytest.mark.parametrize("look_ahead", [0, 2])
@pytest.mark.parametrize("split", [1, 3, 6])
def test_going_on_from_a_state_is_as_one_run(waiting: Any, look_ahead: int, split: int) -> None:
    waiting(look_ahead)
    frames = pictures(8)
    whole = _marks(cut(frames))
    first = list(cut(frames[:split]))
    more = _marks(cut(frames[split:], state=first[-1].state))
    assert _marks(first) + more == whole
    again = _marks(cut(frames[split:], state=first[-1].state))
    assert again == more


@pytest.mark.parametrize("look_ahead", [0, 2])
def test_one_may_stop_in_the_middle_and_go_on_with_the_same_iterator(
    waiting: Any, look_ahead: int
) -> None:
    waiting(look_ahead)
    whole = _marks(cut(pictures(8)))
    frames = iter(pictures(8))
    running = cut(frames)
    begun = [next(running) for _ in range(3)]
    rest = _marks(cut(frames, state=begun[-1].state))
    assert _marks(begun) + rest == whole


def test_real_mattes_go_on_from_a_state_pixel_for_pixel() -> None:
    frames = pictures(6)
    how: dict[str, Any] = {"model": "echo", "engine": "image"}
    whole = [frame.rgba for frame in cut(frames, **how)]
    first = list(cut(frames[:3], **how))
    parts = [*first, *cut(frames[3:], state=first[-1].state)]
    assert all((frame.rgba == full).all() for frame, full in zip(parts, whole, strict=True))


def test_every_kind_of_frame_is_taken(disc: np.ndarray) -> None:
    rgba = np.dstack([disc, np.full(disc.shape[:2], 128, np.uint8)])
    kinds: list[Any] = [disc, disc.astype(np.uint16) * 257, disc / 255, Image.fromarray(disc), rgba]
    alphas = [next(cut([kind], model="echo")).alpha for kind in kinds]
    for alpha in alphas[1:4]:
        assert np.abs(alpha - alphas[0]).max() < 0.02
    assert np.abs(alphas[4] - alphas[0] * 128 / 255).max() < 0.02


def test_sizes_may_change_on_the_way() -> None:
    frames = [*pictures(2), *pictures(2, 60, 80)]
    shapes = [frame.alpha.shape for frame in cut(frames, model="echo")]
    assert shapes == [(48, 64), (48, 64), (60, 80), (60, 80)]


def test_opencv_frames_come_back_in_opencvs_order() -> None:
    picture = pictures(1)[0]
    plain = next(cut([picture], model="echo"))
    turned = next(cut([cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)], model="echo", bgr=True))
    assert (turned.rgb == plain.rgb).all()
    assert (turned.over("#ff8000")[..., ::-1] == plain.over("#ff8000")).all()
    assert (turned.bgra[..., [2, 1, 0, 3]] == plain.rgba).all()


def test_a_cutout_is_put_on_anything(disc: np.ndarray, tmp_path: Any) -> None:
    frame = next(cut([disc], model="echo"))
    assert (frame.over("lime")[0, 0] == (0, 255, 0)).all()
    assert (frame.over((1, 2, 3))[0, 0] == (1, 2, 3)).all()
    page = np.full((20, 20, 3), 77, np.uint8)
    assert (frame.over(page)[0, 0] == 77).all()
    assert (frame.over(Image.fromarray(page))[0, 0] == 77).all()
    Image.fromarray(page).save(tmp_path / "page.png")
    assert (frame.over(str(tmp_path / "page.png"))[0, 0] == 77).all()
    assert (frame.over("blur")[0, 0] == 0).all()
    page[:] = 99
    assert (frame.over(page)[0, 0] == 99).all()
    for wrong in ("transparent", "#ff000080", (1, 2), (1, 2, 300), "rubbish"):
        with pytest.raises(BadOption):
            frame.over(wrong)  # type: ignore[arg-type]


def test_rgba_is_straight_and_clear_where_nothing_shows(disc: np.ndarray) -> None:
    frame = next(cut([disc], model="echo"))
    assert frame.rgba.shape == (96, 128, 4)
    assert frame.rgba.dtype == np.uint8
    assert not frame.rgba[0, 0].any()
    assert (frame.rgba[48, 64] == 255).all()


def test_options_are_checked_at_once() -> None:
    with pytest.raises(BadOption, match="background"):
        cut([], background="white")
    with pytest.raises(BadOption, match="pictures"):
        cut([], canvas="20x20")
    with pytest.raises(BadOption):
        cut([], look_ahead=99)
    with pytest.raises(BadOption):
        cut([], state="x")  # type: ignore[arg-type]


def test_a_state_keeps_its_options(waiting: Any) -> None:
    waiting(0)
    frame = next(cut(pictures(1), feather="2"))
    assert next(cut(pictures(1), state=frame.state)).state.options == Options(feather="2")
    next(cut(pictures(1), state=frame.state, feather="2"))
    with pytest.raises(BadOption, match="other options"):
        cut(pictures(1), state=frame.state, feather="3")


@pytest.mark.parametrize(
    ("frames", "said", "hint"),
    [
        ("talk.mp4", "name of a file", "open_video"),
        (Path("talk.mp4"), "name of a file", "open_video"),
        (np.zeros((48, 64, 3), np.uint8), "one picture", "a list of pictures"),
        (Image.new("RGB", (64, 48)), "a Image", "a list of pictures"),
        (cv2.VideoCapture(), "a VideoCapture", "docstring"),
        (None, "a NoneType", "a list of pictures"),
    ],
)
def test_what_holds_no_frames_is_told_from_frames(frames: Any, said: str, hint: str) -> None:
    with pytest.raises(BadOption, match=said) as caught:
        cut(frames)
    assert hint in caught.value.hint


def test_the_frames_of_a_video_and_a_stack_of_arrays_are_taken(tmp_path: Path) -> None:
    moving.clip(tmp_path / "a.mp4", 4)
    with open_video(tmp_path / "a.mp4") as video:
        made = list(cut(video.frames(), model="echo"))
    assert [frame.number for frame in made] == [0, 1, 2, 3]
    same = cut(np.stack([frame.rgb for frame in made]), model="echo")
    for one, other in zip(made, same, strict=True):
        np.testing.assert_array_equal(one.rgba, other.rgba)


def test_no_frames_are_no_answers_and_wrong_ones_are_typed_errors() -> None:
    assert list(cut([])) == []
    with pytest.raises(BadArray):
        list(cut([np.zeros((4, 4, 7), np.uint8)], model="echo"))
