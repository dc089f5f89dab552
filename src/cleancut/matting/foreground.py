"""The subject's own colours: what a picture would show without the background shining through.

A soft pixel is a mix ``C = a F + (1 - a) B``. Put on a new background with its old colour C, it
brings the old background along as a halo; F is what belongs there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb
from cleancut.errors import BadArray
from cleancut.imaging.resize import halved
from cleancut.imaging.threads import each
from cleancut.matting.blur_fusion import REFERENCE_PIXELS, fuse

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb, Tensor

#: F and B are smooth, so they are looked for in a picture of at most this many pixels. A 12
#: megapixel picture is shrunk 8 times, a 2 megapixel one 3 times, a small one not at all.
_WORK_PIXELS = 250_000
#: Side of the tiles of the full-size picture that are worked on at once, about.
_TILE_PX = 192
#: The same for frames of a video: a third of the time, and levels off by one on average.
_QUICK_PIXELS = 60_000
#: Soft pixels are picked one by one where they are no larger a share of a picture.
_FEW = 0.15

Part = tuple[slice, slice]


def estimate_foreground(
    rgb: Rgb,
    alpha: Alpha,
    *,
    levels: int | None = None,
    clear: bool = False,
    quick: bool = False,
) -> Rgb:
    """Colours with the old background taken out of every soft pixel.

    ``rgb`` is (H, W, 3) and ``alpha`` (H, W) in [0, 1]; the result is a new array of ``rgb``'s
    type and range. Only pixels change whose alpha will be stored as neither empty nor full; the
    others keep their value bit for bit, or with ``clear`` become zero where they are empty, as by
    ``clear_hidden``. ``levels`` is the largest stored alpha: 255 or 65535, by default
    that of ``rgb``'s type (65535 for float32). Networks end in a sigmoid and never say exactly 0 or
    1, so most of a picture is "soft" by less than one step. ``quick`` is for frames of a video:
    smooth colours are looked for in a smaller picture, on one thread, and nothing is cleared.
    Raises ``BadArray`` for wrong shapes, types and values.

    Blur fusion (Forte and Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021) with
    four changes. Colours are seeded from the surest pixels, from far to near, so that a wide soft
    region takes its colour from the opaque part and not from its own mixture; where that cannot be
    its colour (a white veil beside dark hair), from what the mixing equation says on average over
    a wide surrounding. The mixing equation
    corrects B as well as F, by ``a / (a² + (1 - a)²)`` and ``(1 - a) / (a² + (1 - a)²)``: the
    smallest change that satisfies it (the paper corrects F alone, by ``a``). And F and B are
    estimated on a small picture, while the last correction uses each soft pixel at full size.
    """
    _check(rgb, alpha)
    if rgb.dtype.kind == "f" and not np.isfinite(rgb).all():
        raise BadArray("picture: holds values that are not finite", hint="replace NaN and infinity")
    source: Tensor = np.ascontiguousarray(rgb)
    alpha = np.ascontiguousarray(alpha)
    low = _half_step(rgb, levels)
    high = float(np.float32(1 - low))
    if quick:
        return _quick(source, alpha, (low, high))
    out: Tensor = np.empty_like(source) if clear else source.copy()
    steps = _steps(*alpha.shape)

    def begin(part: Part) -> bool:
        """Copy what is seen of a tile; whether it holds soft pixels."""
        if clear:
            seen = (alpha[part] >= low).view(np.uint8)
            out[part] = 0
            if cv2.countNonZero(seen) == 0:
                return False
            cv2.copyTo(source[part], seen, out[part])
        return cv2.countNonZero(cv2.inRange(alpha[part], low, high)) > 0

    tiles = _tiles(alpha.shape, steps)
    soft = [tile for tile, found in zip(tiles, each(begin, tiles), strict=True) if found]
    if soft:
        fields = _fields(source, alpha, steps, soft)
        each(lambda part: _unmix(source, alpha, fields, part, (low, high), out), soft)
    return out


def _quick(source: Tensor, alpha: Alpha, soft: tuple[float, float]) -> Rgb:
    """``estimate_foreground`` for one of many frames."""
    out: Tensor = source.copy()
    wanted = cv2.inRange(alpha, *soft)
    steps = _steps(alpha.shape[0], alpha.shape[1], _QUICK_PIXELS)
    tiles = [tile for tile in _tiles(alpha.shape, steps) if cv2.countNonZero(wanted[tile])]
    if not tiles:
        return out
    fields = _fields(source, alpha, steps, tiles)
    if cv2.countNonZero(wanted) <= _FEW * alpha.size:
        _unmix_at(source, alpha, fields, np.flatnonzero(wanted), out)
        return out
    for tile in tiles:
        _unmix(source, alpha, fields, tile, soft, out)
    return out


def clear_hidden(rgb: Rgb, alpha: Alpha, *, levels: int | None = None) -> Rgb:
    """Colours with zero wherever ``alpha`` will be stored as zero; a new array.

    ``levels`` as above. Hidden colours bloat a PNG and come back as halos when a viewer scales it.
    """
    _check(rgb, alpha)
    seen = (np.ascontiguousarray(alpha) >= _half_step(rgb, levels)).view(np.uint8)
    kept: Tensor = cv2.copyTo(np.ascontiguousarray(rgb), seen)
    return kept


def _check(rgb: Rgb, alpha: Alpha) -> None:
    check_rgb(rgb)
    check_alpha(alpha)
    if rgb.shape[:2] != alpha.shape:
        raise BadArray(
            f"picture {rgb.shape[1]}x{rgb.shape[0]} and alpha {alpha.shape[1]}x{alpha.shape[0]}"
            " differ in size",
            hint="resize the alpha to the picture first",
        )


def _half_step(rgb: Rgb, levels: int | None) -> float:
    """The least alpha that is stored as something."""
    return float(np.float32(0.5 / (levels or (255 if rgb.dtype == np.uint8 else 65535))))


def _white(image: Tensor) -> float:
    return float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0


def _steps(height: int, width: int, pixels: int = _WORK_PIXELS) -> tuple[int, int]:
    """How many rows and columns of the picture make one of the small one of ``pixels``."""
    shrink = math.ceil(math.sqrt(height * width / pixels))
    if shrink > 4:
        shrink += shrink % 2  # halving is cheap
    return min(shrink, height), min(shrink, width)


def _tiles(size: tuple[int, ...], steps: tuple[int, int]) -> list[Part]:
    """Parts of the picture that begin at whole cells of the small one."""
    rows, columns = (max(1, round(_TILE_PX / step)) * step for step in steps)
    return [
        (slice(top, min(top + rows, size[0])), slice(left, min(left + columns, size[1])))
        for top in range(0, size[0], rows)
        for left in range(0, size[1], columns)
    ]


class _Fields(NamedTuple):
    """F and B of the small picture's cells from ``top``, ``left`` on, less a rim of one cell.

    (rows, columns, 3) in the picture's levels.
    """

    foreground: Tensor
    background: Tensor
    top: int
    left: int
    steps: tuple[int, int]


def _fields(rgb: Tensor, alpha: Alpha, steps: tuple[int, int], soft: list[Part]) -> _Fields:
    small, coverage = _cells(rgb, steps), _cells(alpha, steps)
    height, width = coverage.shape
    white = _white(rgb)
    image = [np.multiply(p, 1 / white, dtype=np.float32) for p in cv2.split(small)]
    scale = math.sqrt(alpha.size / REFERENCE_PIXELS) / max(steps)
    top, left = (min(part[axis].start for part in soft) // steps[axis] for axis in (0, 1))
    ends = [max(part[axis].stop for part in soft) for axis in (0, 1)]
    bottom, right = (-(-end // step) for end, step in zip(ends, steps, strict=True))
    box = (
        slice(max(top - 1, 0), min(bottom + 1, height)),
        slice(max(left - 1, 0), min(right + 1, width)),
    )
    above, below = box[0].start - top + 1, bottom + 1 - box[0].stop
    before, after = box[1].start - left + 1, right + 1 - box[1].stop
    sides = []
    for planes in fuse(image, coverage, scale, box):
        field = cv2.merge([np.multiply(plane, np.float32(white)) for plane in planes])
        sides.append(cv2.copyMakeBorder(field, above, below, before, after, cv2.BORDER_REPLICATE))
    return _Fields(sides[0], sides[1], top, left, steps)


def _cells(image: Tensor, steps: tuple[int, int]) -> Tensor:
    """Mean of every cell of ``steps`` pixels, of the same type; a rest at the edge is cut."""
    rows, columns = image.shape[0] // steps[0], image.shape[1] // steps[1]
    whole = image[: rows * steps[0], : columns * steps[1]]
    while steps[0] % 2 == steps[1] % 2 == 0:
        whole, steps = halved(whole), (steps[0] // 2, steps[1] // 2)
    mean: Tensor = whole
    if steps != (1, 1):
        mean = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return mean


def _unmix(
    source: Tensor,
    alpha: Alpha,
    fields: _Fields,
    part: Part,
    soft: tuple[float, float],
    out: Tensor,
) -> None:
    """Write F into the soft pixels of one tile of ``out``.

    All of the tile is worked out, at a tenth of what picking a soft pixel costs.
    """
    a = alpha[part]
    mixed = source[part].astype(np.float32)
    front, behind = (_tile(field, part, fields) for field in fields[:2])
    clear = 1 - a
    push = a / (a * a + clear * clear)
    shares = cv2.merge([a, a, a])
    # F + (C - a F - (1 - a) B) push, with C - a F - (1 - a) B = (C - B) - a (F - B).
    mixed -= behind
    np.subtract(front, behind, out=behind)
    behind *= shares
    mixed -= behind
    mixed *= cv2.merge([push, push, push])
    mixed += front
    wanted = cv2.inRange(a, *soft)
    white = _white(out)
    np.clip(mixed, 0, white, out=mixed)
    if out.dtype.kind == "u":
        np.rint(mixed, out=mixed)
    cv2.copyTo(mixed.astype(out.dtype), wanted, out[part])


def _unmix_at(source: Tensor, alpha: Alpha, fields: _Fields, at: Tensor, out: Tensor) -> None:
    """The same for the pixels number ``at``, row by row, of the picture."""
    row, column = (n.astype(np.float32) for n in np.divmod(at, alpha.shape[1]))
    tall, wide = (np.float32(step) for step in fields.steps)
    # The centre of a cell lies in its middle; fields have a rim of one cell.
    y = (row + np.float32(0.5)) / tall + np.float32(0.5 - fields.top)
    x = (column + np.float32(0.5)) / wide + np.float32(0.5 - fields.left)
    front, behind = (_looked_up(field, y, x) for field in fields[:2])
    a = alpha.reshape(-1)[at][:, None]
    mixed = source.reshape(-1, 3)[at].astype(np.float32)
    clear = 1 - a
    mixed -= behind
    mixed -= a * (front - behind)
    mixed *= a / (a * a + clear * clear)
    mixed += front
    np.clip(mixed, 0, _white(out), out=mixed)
    if out.dtype.kind == "u":
        np.rint(mixed, out=mixed)
    out.reshape(-1, 3)[at] = mixed


def _looked_up(field: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Colours of ``field`` at places between its cells, bilinear, (N, 3)."""
    side = 16_384  # remap takes no longer rows
    found = [
        cv2.remap(field, x[k : k + side, None], y[k : k + side, None], cv2.INTER_LINEAR)[:, 0]
        for k in range(0, len(x), side)
    ]
    colours: Tensor = np.concatenate(found)
    return colours


def _tile(field: Tensor, part: Part, fields: _Fields) -> Tensor:
    """The part of a field that lies over a tile of the picture, bilinear."""
    rows, columns = part
    y, x = fields.steps
    top, left = rows.start // y - fields.top, columns.start // x - fields.left
    high, wide = -(-(rows.stop - rows.start) // y), -(-(columns.stop - columns.start) // x)
    # One cell more on every side: the picture's pixels lie between the cells' centres.
    cells = field[top : top + high + 2, left : left + wide + 2]
    if (y, x) == (1, 1):
        return np.ascontiguousarray(cells[1:-1, 1:-1])
    size = ((wide + 2) * x, (high + 2) * y)
    large: Tensor = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(
        large[y : y + rows.stop - rows.start, x : x + columns.stop - columns.start]
    )
