"""Finding faces: two small networks that are part of the package.

BlazeFace proposes faces with their eyes, nose and mouth (Bazarevsky et al. 2019,
arXiv:1907.05047; MediaPipe's 256-pixel variant), Face Mesh says whether one is a face, and where
its chin, forehead and cheeks are (Kartynnik et al. 2019, arXiv:1907.06724). Every proposal is
looked at again, upright and at the best size: a dog or a pattern looks like a face once, seldom
twice. ``face_nets/README.md`` says where the networks are from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.backends.ort import open_session
from cleancut.errors import WeightsCorrupt, WeightsMissing
from cleancut.face import Face
from cleancut.imaging.resize import fit
from cleancut.weights.digest import sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb
    from cleancut.backends.base import Session

    Floats = NDArray[np.float32]
    Bytes = NDArray[np.uint8]

FOLDER = Path(__file__).parent / "face_nets"
#: sha256 by file.
SUMS = {
    "find.onnx": "661f9e386248de398c7e6d7a8af051b5c0ab470529087d6b9d0b5fe60b360ffb",
    "landmarks.onnx": "3193160e2176a15850b604c1cc607ac84ed9b1b518d52ff0014dc4f0f0748370",
}
#: Points of the mesh that are kept: eye corners, nose, lips, chin, forehead, cheeks.
LANDMARKS = (33, 133, 362, 263, 1, 13, 14, 152, 10, 234, 454)

#: Longest side of what is looked at, in pixels.
VIEW_PX = 1280
_FIND_PX, _MESH_PX = 256, 192
#: Cells on a side and anchors in each, by level; an anchor is the middle of its cell.
_GRIDS = ((16, 2), (8, 6))
#: The picture fills so much of each view: a face that fills the picture is too large in the first.
_VIEWS = (1.0, 0.5)
#: What a first look must say, both looks on average, and the mesh.
_FIRST, _BOTH, _MESH = 0.5, 0.75, 0.9
_SAME_IOU = 0.3
_MOST = 12
#: Of a view's side, a face in the second look; and what the mesh sees, in sides of the face.
_SECOND_SHARE, _MESH_ROOM = 0.25, 1.5


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A box by its middle and side, the viewer's left and right eye, in the view's pixels."""

    score: float
    middle: Floats
    side: float
    eyes: Floats

    @property
    def angle(self) -> float:
        """Of the line through the eyes, in radians; positive is clockwise."""
        across = self.eyes[1] - self.eyes[0]
        return math.atan2(float(across[1]), float(across[0]))


class FaceFinder:
    """Finds the faces of people; keeps no state and may be called from many threads at once."""

    def __init__(self, find: Session, mesh: Session) -> None:
        self._find = find
        self._mesh = mesh
        self._anchors = _anchors()

    def find(self, rgb: Rgb) -> tuple[Face, ...]:
        """The faces in (H, W, 3) sRGB pixels of any depth, the largest first, in its pixels.

        Faces from about a fifteenth of the picture's longer side up. Raises ``InferenceFailed``.
        """
        view, scale = _view(rgb)
        proposals: list[_Proposal] = []
        for share in _VIEWS:
            proposals += self._look(view, share)
        faces = [self._face(view, proposal, scale) for proposal in _distinct(proposals)[:_MOST]]
        found = _apart([face for face in faces if face is not None])
        return tuple(sorted(found, key=lambda face: -face.height))

    def _look(self, view: Bytes, share: float) -> list[_Proposal]:
        """What the network proposes where ``view`` fills ``share`` of its input."""
        zoom = share * _FIND_PX / max(view.shape[:2])
        small = _resized(view, zoom)
        height, width = small.shape[:2]
        top, left = (_FIND_PX - height) // 2, (_FIND_PX - width) // 2
        seen = np.zeros((_FIND_PX, _FIND_PX, 3), np.uint8)
        seen[top : top + height, left : left + width] = small
        points, scores = self._proposed(seen)
        points[:, [0, *range(2, 8)]] -= np.array([left, top], np.float32)
        points /= zoom
        return [_proposal(points[at], float(scores[at])) for at in np.flatnonzero(scores >= _FIRST)]

    def _proposed(self, seen: Bytes) -> tuple[Floats, Floats]:
        """Middle, size and six points of every anchor's box, (896, 8, 2) pixels; scores (896,)."""
        feed = seen[None] * np.float32(2 / 255) - np.float32(1)
        answer = self._find.run(dict.fromkeys(self._find.inputs, feed))
        by_width = {values.shape[-1]: values for values in answer.values()}
        points = by_width[16][0].reshape(-1, 8, 2).astype(np.float32)
        points[:, [0, *range(2, 8)]] += self._anchors[:, None] * np.float32(_FIND_PX)
        return points, _sigmoid(by_width[1][0, :, 0])

    def _face(self, view: Bytes, proposal: _Proposal, scale: float) -> Face | None:
        """The face that is proposed, if it is one, in the pixels of the picture."""
        second = self._second(view, proposal)
        score = (proposal.score + second) / 2
        if score < _BOTH:
            return None
        side = _MESH_ROOM * proposal.side
        seen, back = _upright(view, proposal.middle, side, proposal.angle, _MESH_PX)
        answer = self._mesh.run(dict.fromkeys(self._mesh.inputs, seen[None] * np.float32(1 / 255)))
        flat = sorted(
            (values.ravel() for values in answer.values()), key=lambda values: values.size
        )
        if float(_sigmoid(flat[0])[0]) < _MESH:
            return None
        points = flat[1].reshape(-1, 2).astype(np.float64) @ back[:, :2].T + back[:, 2]
        return _as_face(score, points / scale)

    def _second(self, view: Bytes, proposal: _Proposal) -> float:
        """How sure the network is of the same face, upright and at the size that it likes."""
        side = proposal.side / _SECOND_SHARE
        seen, _ = _upright(view, proposal.middle, side, proposal.angle, _FIND_PX)
        points, scores = self._proposed(seen)
        away = np.abs(points[:, 0] - _FIND_PX / 2).max(axis=1)
        return float(scores[away < 0.3 * _SECOND_SHARE * _FIND_PX].max(initial=0.0))


@cache
def load_faces(threads: int | None = None) -> FaceFinder:
    """The finder, its networks verified and on the processor; loaded once.

    Raises ``WeightsMissing`` and ``WeightsCorrupt`` where the installation is damaged.
    """
    find, mesh = (_session(name, threads) for name in SUMS)
    return FaceFinder(find, mesh)


def _session(name: str, threads: int | None) -> Session:
    path = FOLDER / name
    again = "reinstall: pip install --force-reinstall --no-deps cleancut"
    try:
        found = sha256_of(path)
    except OSError as error:
        raise WeightsMissing(f"the face networks' file {name} is missing", hint=again) from error
    if found != SUMS[name]:
        raise WeightsCorrupt(f"the face networks' file {name} is damaged", hint=again)
    return open_session(path, device="cpu", threads=threads)


def _view(rgb: Rgb) -> tuple[Bytes, float]:
    """``rgb`` at 8 bits, no larger than is needed, and its scale."""
    scale = min(1.0, VIEW_PX / max(rgb.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    small: Any = rgb if scale == 1 else fit(rgb, height, width, spare=1.0)
    if small.dtype == np.uint8:
        return small, scale
    return cv2.convertScaleAbs(small, alpha=255 / full_scale(rgb)), scale


def _around(view: Bytes, middle: Floats, side: float) -> tuple[Bytes, Floats]:
    """The part of ``view`` that a turned square of this side can reach, and where it begins."""
    height, width = view.shape[:2]
    reach = side / math.sqrt(2) + 2
    x, y = (float(at) for at in middle)
    left, top = (max(0, math.floor(at - reach)) for at in (x, y))
    left, top = min(left, width - 1), min(top, height - 1)
    right, bottom = (max(1, math.ceil(at + reach)) for at in (x, y))
    near = view[top : max(top + 1, bottom), left : max(left + 1, right)]
    return near, np.array([left, top], np.float32)


def _resized(pixels: Any, scale: float) -> Any:
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return pixels if scale == 1 else cv2.resize(pixels, (width, height), interpolation=how)


def _upright(
    view: Bytes, middle: Floats, side: float, angle: float, size: int
) -> tuple[Bytes, NDArray[np.float64]]:
    """A square of ``view`` turned back by ``angle``, (size, size, 3), and the way back, 2 x 3."""
    zoom = size / side
    shrink = min(1.0, 2 * zoom)  # no finer detail than twice what is seen: nothing flickers
    near, corner = _around(view, middle, side)
    source = _resized(near, shrink)
    turn = zoom * np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    shift = size / 2 - turn @ middle
    there = np.hstack([turn / shrink, (shift + turn @ corner)[:, None]])
    seen: Any = cv2.warpAffine(source, there, (size, size), flags=cv2.INTER_LINEAR)
    back = np.linalg.inv(turn)
    return seen, np.hstack([back, (-back @ shift)[:, None]])


def _anchors() -> Floats:
    """(896, 2) middles of the anchors' cells, x and y in 0..1."""
    rows = []
    for cells, each in _GRIDS:
        y, x = np.divmod(np.arange(cells * cells).repeat(each), cells)
        rows.append((np.stack([x, y], axis=1) + 0.5) / cells)
    return np.concatenate(rows).astype(np.float32)


def _sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(values.astype(np.float64), -80, 80)))


def _proposal(points: Floats, score: float) -> _Proposal:
    return _Proposal(score, points[0], max(1.0, float(points[1].max())), points[2:4])


def _distinct(proposals: list[_Proposal]) -> list[_Proposal]:
    """One proposal a face, the surest first: the mean of those that overlap, weighed by score."""
    left = sorted(proposals, key=lambda proposal: -proposal.score)
    kept = []
    while left:
        first = left[0]
        same = [other for other in left if _overlap(first, other) > _SAME_IOU or other is first]
        left = [other for other in left if not any(other is one for one in same)]
        weight = np.array([one.score for one in same], np.float32)
        weight /= weight.sum()
        kept.append(
            _Proposal(
                first.score,
                np.einsum("n,nd->d", weight, np.stack([one.middle for one in same])),
                float(weight @ np.array([one.side for one in same], np.float32)),
                np.einsum("n,npd->pd", weight, np.stack([one.eyes for one in same])),
            )
        )
    return kept


def _overlap(one: _Proposal, other: _Proposal) -> float:
    """Intersection over union of two squares."""
    reach = (one.side + other.side) / 2 - np.abs(one.middle - other.middle)
    width, height = (min(float(room), one.side, other.side) if room > 0 else 0.0 for room in reach)
    both = width * height
    return both / (one.side**2 + other.side**2 - both)


def _as_face(score: float, points: NDArray[np.float64]) -> Face:
    def mean(*names: int) -> tuple[float, float]:
        x, y = points[[LANDMARKS.index(name) for name in names]].mean(axis=0)
        return float(x), float(y)

    return Face(
        score=score,
        left_eye=mean(33, 133),
        right_eye=mean(362, 263),
        nose=mean(1),
        mouth=mean(13, 14),
        chin=mean(152),
        forehead=mean(10),
        left_cheek=mean(234),
        right_cheek=mean(454),
    )


def _apart(faces: list[Face]) -> list[Face]:
    """Without a second find of the same face: the surest of those that lie in one another."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(
            math.dist(face.centre, other.centre) > 0.5 * max(face.height, other.height)
            for other in kept
        ):
            kept.append(face)
    return kept
