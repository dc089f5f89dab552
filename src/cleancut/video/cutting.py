"""``cleancut.video.cut``: frames from anywhere in, mattes out, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut import sources
from cleancut.compose.background import over
from cleancut.engine import shared
from cleancut.errors import BadOption
from cleancut.imaging.color import to_srgb
from cleancut.imaging.encode import quantise
from cleancut.matting.foreground import clear_hidden, estimate_foreground
from cleancut.options import OptionChanges, Options, parse_background
from cleancut.pipeline import edged
from cleancut.video.behind import Behind, Still, open_behind
from cleancut.video.frame import USUAL_RATE, Frame, VideoInfo
from cleancut.video.mattes import Matted
from cleancut.video.options import EngineChoice, VideoOptions, check_for_video

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray
    from PIL.Image import Image
    from typing_extensions import Unpack

    from cleancut.arrays import Alpha, Rgb
    from cleancut.engine import Engine
    from cleancut.video.mattes import Matter, Memory

    #: (H, W, 3) or (H, W, 4), uint8, uint16 or float in 0..1, straight; a PIL image; a video's
    Source: TypeAlias = NDArray[Any] | Image | Frame
    #: A colour by name, or as (R, G, B) in 0..255; "blur"; an image file; a picture
    Backdrop: TypeAlias = str | tuple[int, int, int] | NDArray[Any] | Image

#: Backgrounds that stay fitted.
_KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class CutState:
    """Where ``cut`` stands after a frame; nothing in it is changed by going on from it.

    ``waiting`` are mattes that were ready with that frame, ``given`` how many of those to come
    were given out already, when the frames had ended.
    """

    matter: Matter
    options: Options
    video: VideoOptions
    memory: Memory
    number: int
    waiting: tuple[Matted, ...] = ()
    given: int = 0


class CutFrame:
    """One frame, cut out. What costs time is made when it is asked for, and kept."""

    def __init__(self, matted: Matted, state: CutState, *, bgr: bool, backs: Backs) -> None:
        self._matted = matted
        self._bgr = bgr
        self._backs = backs
        #: Hand it to ``cut`` to go on behind this frame.
        self.state = state

    @property
    def number(self) -> int:
        """Which frame it is, from 0; it goes on counting where a state was handed in."""
        return self._matted.frame.pts

    @property
    def rgb(self) -> Rgb:
        """The frame as it came, (H, W, 3) RGB, uint8 or uint16."""
        return self._matted.frame.rgb

    @cached_property
    def alpha(self) -> Alpha:
        """The matte, (H, W) float32 in 0..1, with its edge as the options ask for."""
        return edged(self.rgb, self._matted.alpha, self.state.options)

    @cached_property
    def foreground(self) -> Rgb:
        """The subject's straight colours, (H, W, 3) RGB of the type of ``rgb``."""
        if not self.state.options.decontaminate:
            return self.rgb
        if self._matted.foreground is not None and self.alpha is self._matted.alpha:
            return self._matted.foreground
        return estimate_foreground(self.rgb, self.alpha, quick=True)

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """The cutout, (H, W, 4) RGBA, straight; black where it is fully transparent."""
        return _four(self.foreground, self.alpha, cv2.COLOR_RGB2RGBA)

    @property
    def bgra(self) -> NDArray[np.uint8]:
        """The same in OpenCV's order."""
        return _four(self.foreground, self.alpha, cv2.COLOR_RGB2BGRA)

    @property
    def confidence(self) -> float | None:
        """How sure the networks are, 0..1; None where nobody judged."""
        return self._matted.confidence

    @property
    def cut(self) -> bool:
        """Whether a new shot begins here."""
        return self._matted.cut

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth telling about this frame, "code: text" each."""
        return self._matted.notes

    def over(self, background: Backdrop) -> Rgb:
        """The cutout on a background, (H, W, 3) of the type of ``rgb``, in the order of the input.

        ``background`` is a colour ("white", "#00b140" or (R, G, B)), "blur" or "blur:20", an image
        file, or a picture, which is scaled to cover the frame; an array in the order of the input.
        Raises ``BadOption``, ``BadArray``, ``InputNotFound`` and the errors of reading a picture.
        """
        behind = self._backs.find(background, self._bgr, self.state.options.max_megapixels)
        back = behind.at(self.rgb, self.alpha, 0.0, None)
        made = over(self.foreground, self.alpha, back)
        if not self._bgr:
            return made
        turned: Any = cv2.cvtColor(made, cv2.COLOR_RGB2BGR)
        answer: Rgb = turned
        return answer


class Backs:
    """Backgrounds that were asked for before, fitted."""

    def __init__(self) -> None:
        self._kept: dict[object, tuple[object, Behind]] = {}

    def find(self, background: Backdrop, bgr: bool, max_megapixels: float) -> Behind:
        """The background that a caller means. Errors as in ``CutFrame.over``."""
        key = background if isinstance(background, str | tuple) else id(background)
        if isinstance(background, np.ndarray):  # a caller's array may have been drawn on since
            return _picture(background, bgr, max_megapixels)
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            # The picture is held on to, so that its id stays its own.
            self._kept[key] = background, _behind(background, bgr, max_megapixels)
        return self._kept[key][1]


def cut(
    frames: Iterable[Source],
    *,
    engine: EngineChoice = "auto",
    steady: bool = True,
    look_ahead: int = 0,
    ratio: float | None = None,
    bgr: bool = False,
    state: CutState | None = None,
    options: Options | None = None,
    using: Engine | None = None,
    **changes: Unpack[OptionChanges],
) -> Iterator[CutFrame]:
    """Cut out frame after frame of anything that can be iterated over; one out for one in.

    ``frames`` are arrays (H, W, 3) or (H, W, 4), uint8, uint16 or float in 0..1, RGB unless ``bgr``
    says otherwise, PIL images, or the frames of ``open_video``. Where their size changes a new shot
    begins. With ``look_ahead`` each answer comes so many frames later, and is steadier for it.
    ``engine``, ``steady`` and ``ratio`` are those of ``VideoOptions``; ``changes`` are fields of
    ``Options``, like ``model="modnet"``; ``using`` is a warm ``Engine``, the shared one by default.

    Every frame has a ``state``: ``cut(more, state=frame.state)`` goes on behind it and gives the
    same pixels as one run would have, but for the last ``look_ahead`` frames of an iterable that
    ended, which had less to look ahead to. Options are then those of the state.

    >>> import cv2
    >>> from cleancut.video import cut
    >>> def camera(number=0):
    ...     device = cv2.VideoCapture(number)
    ...     while (found := device.read())[0]:
    ...         yield found[1]
    >>> for frame in cut(camera(), bgr=True):  # doctest: +SKIP
    ...     cv2.imshow("cutout", frame.over("blur"))
    ...     if cv2.waitKey(1) == 27:
    ...         break

    Raises ``BadOption`` at once, and while frames are asked for ``BadArray``, ``ImageTooLarge`` and
    what networks raise.
    """
    chosen = (options or Options()).with_(**changes)
    video = VideoOptions(engine=engine, steady=steady, look_ahead=look_ahead, ratio=ratio)
    check_for_video(chosen, video)
    if chosen.background is not None:
        raise BadOption("background is not for cut()", hint="use frame.over('white') on each frame")
    if state is not None:
        if not isinstance(state, CutState):
            raise BadOption("state is not that of a frame", hint="hand in frame.state")
        told = options is not None or bool(changes) or video != VideoOptions(look_ahead=0)
        if told and (chosen, video) != (state.options, state.video):
            raise BadOption(
                "state was made with other options", hint="leave them out: the state has them"
            )
    return _cut(_each_of(frames), state, chosen, video, bgr, using)


def _each_of(frames: Iterable[Source]) -> Iterator[Source]:
    """The frames one by one. Raises ``BadOption`` for what only looks as if it held frames."""
    if isinstance(frames, str | bytes | PathLike):
        raise BadOption(
            "frames is the name of a file, not frames",
            hint="use cleancut.video.open_video(name).frames()",
        )
    one = isinstance(frames, np.ndarray) and (
        frames.ndim < 3 or (frames.ndim == 3 and frames.shape[2] in (3, 4))
    )
    if one or not isinstance(frames, Iterable):
        raise BadOption(
            f"frames: {'one picture' if one else f'a {type(frames).__name__}'} is not many frames",
            hint="hand in a list of pictures or a generator; cut's docstring shows one",
        )
    return iter(frames)


def _cut(
    frames: Iterator[Source],
    state: CutState | None,
    options: Options,
    video: VideoOptions,
    bgr: bool,
    using: Engine | None,
) -> Iterator[CutFrame]:
    backs = Backs()
    if state is None:
        first = next(frames, None)
        if first is None:
            return
        frame = frame_of(first, 0, bgr=bgr, max_megapixels=options.max_megapixels)
        matter = _matter(using or shared(), options, video, frame)
        answers, memory = matter.step(frame, None)
        state = CutState(matter, options, video, memory, 1, answers)
    while True:
        for place, matted in enumerate(state.waiting, 1):
            after = replace(state, waiting=state.waiting[place:])
            yield CutFrame(matted, after, bgr=bgr, backs=backs)
        state = replace(state, waiting=())
        source = next(frames, None)
        if source is None:
            break
        frame = frame_of(source, state.number, bgr=bgr, max_megapixels=state.options.max_megapixels)
        answers, memory = state.matter.step(frame, state.memory)
        fresh = answers[state.given :]
        left = max(0, state.given - len(answers))
        state = replace(state, memory=memory, number=state.number + 1, waiting=fresh, given=left)
    for place, matted in enumerate(state.matter.finish(state.memory), 1):
        if place > state.given:
            yield CutFrame(matted, replace(state, given=place), bgr=bgr, backs=backs)


def frame_of(source: Source, number: int, *, bgr: bool, max_megapixels: float) -> Frame:
    """A caller's picture as frame ``number``. Raises what ``sources.read`` raises."""
    if isinstance(source, Frame):
        return replace(source, pts=number, duration=None)
    picture = sources.read(source, bgr=bgr, max_megapixels=max_megapixels)
    view: Any = picture.rgb
    if picture.icc is not None or view.dtype != np.uint8:
        view = quantise(to_srgb(picture.rgb, picture.icc), 8)
    return Frame(number, picture.rgb, view, picture.alpha)


def counted_info(frame: Frame) -> VideoInfo:
    """What is known about frames that come one by one, from the first of them."""
    height, width = frame.rgb.shape[:2]
    return VideoInfo(
        kind="pipe",
        width=width,
        height=height,
        time_base=1 / USUAL_RATE,  # frames have numbers instead of times
        bits=8 * frame.rgb.dtype.itemsize,
        has_alpha=frame.alpha is not None,
    )


def _matter(engine: Engine, options: Options, video: VideoOptions, frame: Frame) -> Matter:
    from cleancut.video.choose import choose_matter

    matter, _ = choose_matter(engine, options, video, counted_info(frame), [frame])
    return matter


def _four(rgb: Rgb, alpha: Alpha, code: int) -> NDArray[np.uint8]:
    shown: Any = clear_hidden(rgb, alpha, levels=255)
    four: Any = cv2.cvtColor(quantise(shown, 8), code)
    four[..., 3] = quantise(alpha, 8)
    answer: NDArray[np.uint8] = four
    return answer


def _behind(background: Any, bgr: bool, max_megapixels: float) -> Behind:
    if isinstance(background, tuple):
        numbers = [part for part in background if isinstance(part, int) and 0 <= part <= 255]
        if not len(numbers) == len(background) == 3:
            raise BadOption(
                f"background: {background!r} is not a colour", hint="(R, G, B), 0 to 255 each"
            )
        return Still(np.array([[numbers]], np.uint8))
    if not isinstance(background, str):
        return _picture(background, bgr, max_megapixels)
    wanted = parse_background(background)
    if wanted is None or wanted.opacity < 1:
        raise BadOption(
            f"background: {background!r} lets through", hint="use frame.rgba, or an opaque colour"
        )
    from cleancut.video.behind import Moving

    behind = open_behind(Options(background=background, max_megapixels=max_megapixels))
    assert behind is not None
    if isinstance(behind, Moving):
        behind.close()
        raise BadOption(
            f"background: {background} is a video, and frames here have no time",
            hint="hand in one picture of it for each frame",
        )
    return behind


def _picture(background: Any, bgr: bool, max_megapixels: float) -> Behind:
    frame = frame_of(background, 0, bgr=bgr, max_megapixels=max_megapixels)
    return Still(frame.view)
