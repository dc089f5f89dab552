"""Image models frame by frame, their mattes made steady along the motion of the subject.

A frame's matte becomes a mean of itself, of what was settled before, and of the mattes that follow,
each moved to where the subject is now and heard as far as the colours bear the motion out. What was
settled stands for as many frames as went into it, up to a few, as in a Kalman filter, so slips of
single frames vanish while nothing lags behind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from cleancut.video.cuts import Glance, glance_at, is_cut
from cleancut.video.flow import Flow, Look, chained, dense_flow, look
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
#: Alphas that differ by less are all the same; a mean below this over a cell is nothing.
_FAINT, _EMPTY = 0.02, 1e-4
#: Beyond the frame the matte goes on as at its edge.
_NO_MAP: Any = None
_EDGE: Any = {"borderMode": cv2.BORDER_REPLICATE}


#: Rows and columns of a frame.
Part: TypeAlias = tuple[slice, slice]


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
        if self._steady:
            found, casting = self._lookers.look(frame.view, casting)
        else:
            found = self._lookers.look_once(frame.view)
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
    heard: list[tuple[Alpha, Floats | float, Flow]] = []
    if settled is not None and first.before is not None:
        heard.append((settled.alpha, settled.stands_for, first.before))
    way = first.after
    for at, other in enumerate(waiting[1:], 1):
        if way is None:
            break
        heard.append((other.matted.alpha, 1.0, way))
        onward = waiting[at].after
        way = None if onward is None else chained(way, onward)
    alpha, stands_for = own.copy(), np.ones_like(own)
    part = _somewhere([own, *(plane for plane, _, _ in heard)])
    if heard and part is not None:
        alpha[part], weight = _mean(own, heard, part)
        if heard[0][2] is first.before:
            stands_for[part] += np.minimum(weight, np.float32(_MOST - 1))
    answer = replace(first.matted, alpha=own_transparency(first.matted.frame, alpha))
    return answer, _Settled(alpha, stands_for)


def _somewhere(mattes: list[Alpha]) -> Part | None:
    """The part outside which all ``mattes`` are empty, with room for motion; None: they all are."""
    height, width = mattes[0].shape
    small = (max(1, width // 8), max(1, height // 8))
    spans = []
    # Areas, not samples: what is seen of a matte must not depend on where a strand lies.
    seen = np.max([cv2.resize(matte, small, interpolation=cv2.INTER_AREA) for matte in mattes], 0)
    for axis, size in ((1, height), (0, width)):
        there = np.flatnonzero(seen.max(axis=axis) > _EMPTY)
        if not there.size:
            return None
        cell = size / seen.shape[1 - axis]
        start, stop = (there[0] - 2) * cell, (there[-1] + 3) * cell
        spans.append(slice(max(0, math.floor(start)), min(size, math.ceil(stop))))
    return spans[0], spans[1]


def _mean(
    own: Alpha, heard: list[tuple[Alpha, Floats | float, Flow]], part: Part
) -> tuple[Alpha, Floats]:
    """``own`` in ``part`` by all that is ``heard``, and the weight of the first of them."""
    mine = own[part]
    change, weights = np.zeros_like(mine), np.ones_like(mine)
    first: Floats | None = None
    for matte, stands_for, flow in heard:
        offset, trust = (
            _cut_out(flow.offset, own.shape, part),
            _cut_out(flow.trust, own.shape, part),
        )
        x, y = offset[..., 0], offset[..., 1]
        x += np.arange(part[1].start, part[1].stop, dtype=np.float32)
        y += np.arange(part[0].start, part[0].stop, dtype=np.float32)[:, None]
        weight = trust
        if not isinstance(stands_for, float):
            weight = trust * cv2.remap(stands_for, offset, _NO_MAP, cv2.INTER_LINEAR, **_EDGE)
        moved: Tensor = cv2.remap(matte, offset, _NO_MAP, cv2.INTER_CUBIC, **_EDGE)
        moved = np.clip(moved, 0, 1, out=moved)
        moved -= mine
        moved *= weight
        change += moved
        weights += weight
        first = weight if first is None else first
    change /= weights
    assert first is not None
    exact = heard[0][2].exact
    if exact is not None:
        change *= _held(change, _cut_out(exact, own.shape, part))
    change += mine
    return np.clip(change, 0, 1, out=change), first


def _cut_out(plane: Floats, shape: tuple[int, ...], part: Part) -> Floats:
    """``part`` of ``plane`` (h, w) or (h, w, 2: offsets) enlarged to ``shape``."""
    rows, columns = plane.shape[:2]
    height, width = shape
    to_small = np.array(
        [
            [columns / width, 0, (part[1].start + 0.5) * columns / width - 0.5],
            [0, rows / height, (part[0].start + 0.5) * rows / height - 0.5],
        ],
        np.float32,
    )
    size = (part[1].stop - part[1].start, part[0].stop - part[0].start)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out: Tensor = cv2.warpAffine(plane, to_small, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    if plane.ndim == 3:
        out *= np.array([width / columns, height / rows], np.float32)
    return out


def _held(change: Floats, exact: Floats) -> Floats:
    """The share of ``change`` (H, W) that holds: all where motion is ``exact``.

    Half a pixel beside the hair a mean over frames would blur it: what it takes from one side of a
    strand it gives to the other. A change that has one sign all around, such as an arm that comes
    and goes, is none of that.
    """
    rows, columns = (max(1, side // 4) for side in change.shape)
    planes = np.dstack([change, np.abs(change)])
    small = cv2.resize(planes, (columns, rows), interpolation=cv2.INTER_AREA)
    near = cv2.GaussianBlur(small, (0, 0), max(0.5, _DETAIL * max(rows, columns)))
    one_sided = np.square(near[..., 0] / (near[..., 1] + np.float32(_FAINT)))
    share: Tensor = cv2.resize(one_sided, change.shape[::-1], interpolation=cv2.INTER_LINEAR)
    share += exact * (1 - share)
    return share


def image_matter(panel: Panel, options: Options, video: VideoOptions) -> Matter:
    """The matter for image models: made steady, unless ``video.steady`` says otherwise."""
    return ImageMatter(panel, options, steady=video.steady, look_ahead=video.look_ahead)
