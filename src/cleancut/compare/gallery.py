"""The same pictures across systems: whole, enlarged where hair is, and where each is wrong.

Small WebP pictures; cutouts keep their transparency, so that the page decides what stands behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import full_scale
from cleancut.bench.thumbs import error_map
from cleancut.compare.comparison import GROUPS, RAW
from cleancut.errors import CleancutError
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes
from cleancut.imaging.pairs import read_matte, read_truth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb
    from cleancut.compare.answers import Answers
    from cleancut.compare.comparison import PictureScore, System
    from cleancut.compare.pictures import Shot

#: Longest side of a whole picture on the page and side of an enlarged crop, in pixels.
SIDE, CROP = 256, 240
#: A crop shows this share of the picture's shorter side, at least so many pixels.
_SHARE, _LEAST = 0.22, 96
#: Pictures, and systems of each, that a gallery holds.
MOST_PICTURES, MOST_SYSTEMS = 12, 14
#: Lossy colours; the alpha of WebP is exact.
_QUALITY = 68
#: Grid on which crops are looked for, in pixels.
_COARSE = 384
#: The true soft band.
_SOFT = 0.04, 0.96

#: Told before each picture that is drawn: how many are done, how many there are, its name.
Step = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Tile:
    """One system's answer: WebP bytes of the cutout, of the crop and of the error map.

    ``error`` is None where there is no truth; ``figures`` are those of this picture alone.
    """

    system: str
    whole: bytes
    crop: bytes
    error: bytes | None
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One picture: as it came, its truth, and a tile a system.

    ``why`` says why this picture was chosen, ``missing`` which systems gave no answer.
    """

    name: str
    group: str
    why: str
    size: tuple[int, int]
    whole: bytes
    crop: bytes
    truth_whole: bytes | None
    truth_crop: bytes | None
    tiles: tuple[Tile, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """What the page shows of pictures; ``skipped`` has a line for each that could not be drawn.

    ``complete`` is False if it was interrupted.
    """

    exhibits: tuple[Exhibit, ...] = ()
    skipped: tuple[str, ...] = ()
    complete: bool = True


def gallery(
    shots: Sequence[Shot],
    systems: Sequence[System],
    answers: Answers,
    *,
    scores: Sequence[PictureScore] = (),
    most: int = MOST_PICTURES,
    step: Step | None = None,
) -> Gallery:
    """Up to ``most`` telling pictures of ``shots`` with the answers of ``systems``.

    ``scores`` tell which pictures are telling; without any, the first of each group are shown. A
    picture that cannot be read becomes a line of ``skipped``.
    """
    shown = [system for system in systems if not system.reason]
    shown = sorted(shown, key=lambda system: system.raw)[:MOST_SYSTEMS]
    shown.sort(key=list(systems).index)
    exhibits: list[Exhibit] = []
    skipped: list[str] = []
    picked = choose(shots, scores, most=most)
    for number, (shot, why) in enumerate(picked):
        if step is not None:
            step(number, len(picked), shot.name)
        try:
            exhibits.append(_exhibit(shot, why, shown, answers, scores))
        except CleancutError as error:
            skipped.append(f"{shot.name}: {error.message}")
    return Gallery(tuple(exhibits), tuple(skipped))


def choose(
    shots: Sequence[Shot], scores: Sequence[PictureScore], *, most: int
) -> list[tuple[Shot, str]]:
    """The pictures on which systems differ most and why, in the order of groups.

    In turns over the groups; within one, alternately by the whole error, by hair and by agreement
    (where there is no truth). Networks alone do not count, since everyone's differ from the rest.
    """
    spread = _spreads(scores)
    waiting: dict[str, list[tuple[Shot, str]]] = {}
    for group in GROUPS:
        own = [shot for shot in shots if shot.group == group]
        if own:
            waiting[group] = _ranked(own, spread)
    picked: list[tuple[Shot, str]] = []
    while len(picked) < most and any(waiting.values()):
        for queue in waiting.values():
            if queue and len(picked) < most:
                picked.append(queue.pop(0))
    place = {group: number for number, group in enumerate(GROUPS)}
    return sorted(picked, key=lambda item: place[item[0].group])


_WHYS = {
    "hair": "systems differ most in its hair and soft edges",
    "mad": "systems differ most on it",
    "agreement": "systems agree least on it",
}


def _ranked(
    shots: Sequence[Shot], spread: Mapping[tuple[str, str], float]
) -> list[tuple[Shot, str]]:
    queues = {
        key: sorted(
            (shot for shot in shots if (key, shot.name) in spread),
            key=lambda shot: (-spread[key, shot.name], shot.name),
        )
        for key in _WHYS
    }
    ranked: list[tuple[Shot, str]] = []
    taken: set[str] = set()
    while any(queues.values()):
        for key, queue in queues.items():
            while queue and queue[0].name in taken:
                queue.pop(0)
            if queue:
                taken.add(queue[0].name)
                ranked.append((queue.pop(0), _WHYS[key]))
    return ranked + [(shot, "") for shot in shots if shot.name not in taken]


def _spreads(scores: Sequence[PictureScore]) -> dict[tuple[str, str], float]:
    """By measure and picture, the middle half's range of the systems' figures.

    Not the whole range: one network that is blind to a subject would choose every picture.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        if score.system.endswith(RAW):
            continue
        own: dict[str, float] = {
            key: score.figures[key] for key in ("hair", "mad") if key in score.figures
        }
        if not own and score.agreement is not None:
            own = {"agreement": score.agreement}
        for key, value in own.items():
            values.setdefault((key, f"{score.set}/{score.stem}"), []).append(value)
    return {
        key: float(np.subtract(*np.percentile(found, (75, 25))))
        for key, found in values.items()
        if len(found) > 1
    }


def _exhibit(
    shot: Shot,
    why: str,
    systems: Sequence[System],
    answers: Answers,
    scores: Sequence[PictureScore],
) -> Exhibit:
    rgb = decode(read_bytes(shot.image)).rgb
    truth = None if shot.alpha is None else read_truth(shot.alpha)
    found: dict[str, tuple[Alpha, Rgb]] = {}
    for system in systems:
        answer = answers.of(system, shot)
        if answer is not None and answer.path is not None:
            with suppress(CleancutError):  # gone or of a wrong size: among the missing
                found[system.id] = read_matte(answer.path, rgb)
    box = telling_box(rgb.shape[:2], truth, [alpha for alpha, _ in found.values()])
    figures = {row.system: row.figures for row in scores if f"{row.set}/{row.stem}" == shot.name}
    unit = _unit(rgb)
    return Exhibit(
        name=shot.name,
        group=shot.group,
        why=why,
        size=_size(*rgb.shape[:2]),
        whole=_webp(_framed(unit, box)),
        crop=_webp(_cropped(unit, None, box)),
        truth_whole=None if truth is None else _webp(_whole(unit, truth)),
        truth_crop=None if truth is None else _webp(_cropped(unit, truth, box)),
        tiles=tuple(
            _tile(id_, alpha, colours, truth, box, figures.get(id_, {}))
            for id_, (alpha, colours) in found.items()
        ),
        missing=tuple(system.id for system in systems if system.id not in found),
    )


def telling_box(
    shape: tuple[int, int], truth: Alpha | None, mattes: Sequence[Alpha]
) -> tuple[int, int, int]:
    """Top, left and side in pixels of the square worth enlarging in a picture of ``shape`` (H, W).

    Where the truth's soft band is densest; where the truth is yes-or-no, or there is none, where
    the ``mattes`` (H, W) differ most along its outline, or along that of their median.
    """
    height, width = shape
    side = min(height, width, max(_LEAST, round(_SHARE * min(height, width))))
    soft = None if truth is None else ((truth > _SOFT[0]) & (truth < _SOFT[1])).astype(np.float32)
    if soft is not None and soft.mean() > 0.001:
        coarse = _coarse(soft)
    else:
        small = [_coarse(matte) for matte in mattes] or [_coarse(np.ones(shape, np.float32))]
        whole = np.median(small, axis=0) if truth is None else _coarse(truth)
        outline = cv2.morphologyEx(whole.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3)))
        # A little everywhere: with one matte only, nobody differs.
        coarse = outline * (0.05 + np.std(small, axis=0, dtype=np.float32))
    scale = coarse.shape[0] / height, coarse.shape[1] / width
    window = max(1, round(side * scale[1])), max(1, round(side * scale[0]))
    sums = cv2.boxFilter(
        coarse, cv2.CV_32F, window, normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    row, column = np.unravel_index(int(np.argmax(sums)), sums.shape)
    top = round(row / scale[0] - side / 2)
    left = round(column / scale[1] - side / 2)
    return max(0, min(top, height - side)), max(0, min(left, width - side)), side


def _tile(
    system: str,
    alpha: Alpha,
    colours: Rgb,
    truth: Alpha | None,
    box: tuple[int, int, int],
    figures: Mapping[str, float],
) -> Tile:
    unit = _unit(colours)
    error = None
    if truth is not None:
        width, height = _size(*alpha.shape)
        error = _webp(error_map(truth, alpha, (height, width)))
    return Tile(
        system, _webp(_whole(unit, alpha)), _webp(_cropped(unit, alpha, box)), error, figures
    )


def _coarse(plane: NDArray[Any]) -> NDArray[np.float32]:
    height, width = plane.shape
    scale = min(1.0, _COARSE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32
    )


def _size(height: int, width: int) -> tuple[int, int]:
    """Width and height of the whole picture on the page."""
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _unit(rgb: Rgb) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / np.float32(full_scale(rgb))


def _whole(rgb: NDArray[np.float32], alpha: Alpha | None) -> NDArray[np.float32]:
    return _scaled(rgb, alpha, _size(*rgb.shape[:2]), cv2.INTER_AREA)


def _framed(rgb: NDArray[np.float32], box: tuple[int, int, int]) -> NDArray[np.float32]:
    """The whole picture with the place of the crop drawn in: white on black, seen on everything."""
    small = np.ascontiguousarray(_whole(rgb, None))
    scale = small.shape[1] / rgb.shape[1]
    top, left, side = (round(value * scale) for value in box)
    for colour, thickness in (((0.0, 0.0, 0.0), 4), ((1.0, 1.0, 1.0), 2)):
        cv2.rectangle(small, (left, top), (left + side, top + side), colour, thickness)
    return small


def _cropped(
    rgb: NDArray[np.float32], alpha: Alpha | None, box: tuple[int, int, int]
) -> NDArray[np.float32]:
    top, left, side = box
    part = slice(top, top + side), slice(left, left + side)
    how = cv2.INTER_AREA if side > CROP else cv2.INTER_LINEAR
    return _scaled(rgb[part], None if alpha is None else alpha[part], (CROP, CROP), how)


def _scaled(
    rgb: NDArray[np.float32], alpha: Alpha | None, size: tuple[int, int], how: int
) -> NDArray[np.float32]:
    """(H, W, 3) or, with ``alpha``, (H, W, 4) straight: colours weigh by what shows of them."""
    if alpha is None:
        return np.asarray(cv2.resize(rgb, size, interpolation=how))
    matte = np.asarray(cv2.resize(alpha, size, interpolation=how))
    visible = np.asarray(cv2.resize(rgb * alpha[..., None], size, interpolation=how))
    straight = visible / np.maximum(matte, 1 / 512)[..., None]
    return np.dstack([straight, matte]).astype(np.float32)


def _webp(pixels: NDArray[np.float32]) -> bytes:
    whole = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    to = cv2.COLOR_RGBA2BGRA if whole.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]
    return cv2.imencode(".webp", cv2.cvtColor(whole, to), options)[1].tobytes()
