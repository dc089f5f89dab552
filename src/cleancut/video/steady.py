"""Image models frame by frame, their mattes made steady along the motion of the subject.

A frame's matte becomes a mean of itself, of what was settled before, and of the mattes that follow,
each moved to where the subject is now and heard as far as the colours bear the motion out. What was
settled stands for as many frames as went into it, up to a few, as in a Kalman filter, so slips of
single frames vanish while nothing lags behind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.video.cuts import Glance, glance_at, is_cut
from cleancut.video.flow import Flow, Look, carried, chained, dense_flow, look
from cleancut.video.layers import subject_flow
from cleancut.video.looks import Lookers
from cleancut.video.mattes import Matted, own_transparency

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Tensor
    from cleancut.options import Options
    from cleancut.panel import Panel
    from cleancut.video.flow import Floats
    from cleancut.video.frame import Frame
    from cleancut.video.looks import Casting
    from cleancut.video.mattes import Matter, Memory
    from cleancut.video.options import VideoOptions

#: What was settled before stands for so many frames at most; after so many more all is as it was.
_MOST, _WARM_UP = 6.0, 12
#: Wider than this (standard deviation, of the longer side) a difference is no matter of details.
_DETAIL = 1 / 100
#: Alphas that differ by less are all the same.
_FAINT = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame, its own matte, and the subject's motion to and from its neighbours in the shot."""

    matted: Matted
    glance: Glance
    look: Look | None = None
    before: Flow | None = None
    after: Flow | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    """What is settled: the matte of the last frame that was answered, and what it stands for."""

    alpha: Alpha
    stands_for: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """Frames that wait for those after them; ``settled`` lies before the first of them."""

    waiting: tuple[_Seen, ...]
    settled: _Settled | None
    casting: Casting | None


class ImageMatter:
    """Image networks on every frame by itself; with ``steady`` their mattes are made to agree.

    ``look_ahead`` is how many of the frames that follow are heard.
    """

    def __init__(
        self, panel: Panel, options: Options, *, steady: bool = True, look_ahead: int = 1
    ) -> None:
        self._lookers = Lookers(panel, options)
        self._steady = steady
        self.look_ahead = look_ahead if steady else 0
        self.warm_up = _WARM_UP if steady else 1

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the networks that may be asked."""
        return self._lookers.names

    def step(self, frame: Frame, memory: Memory) -> tuple[tuple[Matted, ...], Memory]:
        """The mattes that are settled by one more frame; see ``Matter``."""
        shot: _Shot | None = memory
        glance = glance_at(frame.view)
        cut = shot is not None and is_cut(shot.waiting[-1].glance, glance)
        casting = None if shot is None or cut else shot.casting
        found, casting = self._lookers.look(frame.view, casting)
        matted = Matted(frame, found.alpha, confidence=found.confidence, cut=cut, notes=found.notes)
        if not self._steady:
            answer = replace(matted, alpha=own_transparency(frame, matted.alpha))
            return (answer,), _Shot((_Seen(matted, glance),), None, casting)
        seen = _Seen(matted, glance, look(frame.view))
        if shot is None or cut:
            ended = () if shot is None else self.finish(shot)
            return self._answered(ended, _Shot((seen,), None, casting))
        last, seen = _joined(shot.waiting[-1], seen)
        waiting = (*shot.waiting[:-1], last, seen)
        return self._answered((), _Shot(waiting, shot.settled, casting))

    def finish(self, memory: Memory) -> tuple[Matted, ...]:
        """The mattes of a shot that were waiting for more of it."""
        shot: _Shot | None = memory
        if shot is None or not self._steady:
            return ()
        answers: list[Matted] = []
        waiting, settled = shot.waiting, shot.settled
        if self._answers_at_once:
            waiting = waiting[1:]
        while waiting:
            answer, settled = _settle(waiting, settled)
            answers.append(answer)
            waiting = waiting[1:]
        return tuple(answers)

    @property
    def _answers_at_once(self) -> bool:
        return self.look_ahead == 0

    def _answered(
        self, ended: tuple[Matted, ...], shot: _Shot
    ) -> tuple[tuple[Matted, ...], Memory]:
        """``ended`` and what need not wait any longer; the last frame stays to be joined to."""
        if self._answers_at_once:
            answer, settled = _settle(shot.waiting[-1:], shot.settled)
            return (*ended, answer), _Shot(shot.waiting[-1:], settled, shot.casting)
        if len(shot.waiting) <= self.look_ahead:
            return ended, shot
        answer, settled = _settle(shot.waiting, shot.settled)
        return (*ended, answer), _Shot(shot.waiting[1:], settled, shot.casting)


def _joined(last: _Seen, seen: _Seen) -> tuple[_Seen, _Seen]:
    """Two frames in a row, knowing how the subject moves between them."""
    assert last.look is not None
    assert seen.look is not None
    there, back = dense_flow(last.look, seen.look)
    after = subject_flow(there, last.matted.alpha, last.look, seen.look)
    before = subject_flow(back, seen.matted.alpha, seen.look, last.look)
    return replace(last, after=after), replace(seen, before=before)


def _settle(waiting: tuple[_Seen, ...], settled: _Settled | None) -> tuple[Matted, _Settled]:
    """The first of ``waiting`` settled, by what lies before and after it."""
    first = waiting[0]
    own = first.matted.alpha
    apart, heard = np.zeros_like(own), np.ones_like(own)
    stands_for = np.ones_like(own)
    exact: Floats | None = None
    if settled is not None and first.before is not None:
        flow = first.before
        weight = carried(settled.stands_for / np.float32(_MOST), flow.offset) * np.float32(_MOST)
        weight *= _at(flow.trust, own)
        apart += weight * (carried(settled.alpha, flow.offset) - own)
        heard += weight
        stands_for += weight
        exact = flow.exact
    way = first.after
    for at, other in enumerate(waiting[1:], 1):
        if way is None:
            break
        weight = _at(way.trust, own)
        apart += weight * (carried(other.matted.alpha, way.offset) - own)
        heard += weight
        exact = way.exact if exact is None else exact
        onward = waiting[at].after
        way = None if onward is None else chained(way, onward)
    alpha = np.clip(own + _details_held(apart / heard, exact), 0, 1)
    answer = replace(first.matted, alpha=own_transparency(first.matted.frame, alpha))
    return answer, _Settled(alpha, np.minimum(stands_for, np.float32(_MOST)))


def _details_held(change: Floats, exact: Floats | None) -> Floats:
    """``change`` (H, W) as far as the motion is ``exact``, or it is no matter of details.

    Half a pixel beside the hair a mean over frames would blur it: what it takes from one side of a
    strand it gives to the other. A change that has one sign all around, such as an arm that comes
    and goes, is none of that.
    """
    if exact is None:
        return change
    sigma = max(1.0, _DETAIL * max(change.shape))
    sums: Tensor = cv2.GaussianBlur(change, (0, 0), sigma)
    sizes = cv2.GaussianBlur(np.abs(change), (0, 0), sigma)
    one_sided = np.square(sums / (sizes + np.float32(_FAINT)))
    share = _at(exact, change)
    held: Tensor = change * (share + (1 - share) * one_sided)
    return held


def _at(plane: Floats, like: Alpha) -> Floats:
    """``plane`` (h, w) at the size of ``like``."""
    larger: Tensor = cv2.resize(plane, like.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return larger


def image_matter(panel: Panel, options: Options, video: VideoOptions) -> Matter:
    """The matter for image models: made steady, unless ``video.steady`` says otherwise."""
    return ImageMatter(panel, options, steady=video.steady, look_ahead=video.look_ahead)
