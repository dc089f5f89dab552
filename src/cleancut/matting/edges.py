"""A matte's edge as the user wants it: hard, wider, narrower or faded.

Strands of hair are the reason why this is more than a dilation and a blur: whatever is thinner than
a few pixels is left as thin, and as opaque, as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha
from cleancut.errors import BadOption
from cleancut.matting.islands import fill_holes as _filled
from cleancut.matting.islands import keep_largest as _largest
from cleancut.matting.islands import remove_islands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Tensor

    Plane = NDArray[np.uint16]

#: Fainter pixels are outside of the box that is worked on, and stay as they are.
FAINT = 0.02
#: Where the edge that is feathered begins.
_RIM = 0.1
_TOP = 65535
#: Half-width in pixels below which a strand counts as hair, by the subject's longer side.
_STRAND_PX = 1.5
_STRAND_SHARE = 1 / 1000
_STRAND_MOST_PX = 4.0
#: Larger discs are made of smaller ones.
_DISC_PX = 4.0
#: Widths that a feather may have are looked up in a matte of at most this many pixels.
_WORK_PIXELS = 1_000_000


def adjust_edges(
    alpha: Alpha,
    *,
    threshold: float | None = None,
    min_area_px: float = 0.0,
    keep_largest: bool = False,
    fill_holes: bool = False,
    grow_px: float = 0.0,
    feather_px: float = 0.0,
) -> Alpha:
    """The matte with its edge changed, in the order of the arguments; a new array.

    ``alpha`` is (H, W) in [0, 1]. Whatever is off changes nothing, bit for bit. The picture's frame
    is no edge: a subject that it cuts off is neither shrunk nor faded there.

    - ``threshold`` (0..1): a yes-or-no mask, 1 from this level on. With a feather it is the level's
      contour without stairs that is feathered; without, every pixel of the result is 0 or 1.
    - ``min_area_px``, ``keep_largest``, ``fill_holes``: see ``matting.islands``.
    - ``grow_px`` moves the edge outwards, or inwards where it is negative; fractions count.
      Strands thinner than some 3 pixels (more in a large picture) do not grow, and nothing is so
      thin that shrinking takes it away.
    - ``feather_px`` fades the edge out over this width, on its inner side: no pixel becomes more
      opaque, so nothing of the old background appears. The rim of parts narrower than twice the
      width is narrower too, so that their middle stays opaque; strands stay as they are.

    Raises ``BadArray``, and ``BadOption`` for numbers that are not finite or out of range.
    """
    check_alpha(alpha)
    _check(threshold, min_area_px, grow_px, feather_px)
    out = alpha.copy()
    if not (threshold or min_area_px or keep_largest or fill_holes or grow_px or feather_px):
        return out
    if threshold is not None and feather_px == 0:
        out = (alpha >= np.float32(threshold)).astype(np.float32)
    box = _box(out, math.ceil(max(grow_px, 0)) + 4)
    if box is None:
        return out
    part = out[box]
    if threshold is not None and feather_px > 0:
        part = _contour(part, threshold)
    if min_area_px > 0:
        part = remove_islands(part, min_area_px)
    if keep_largest:
        part = _largest(part)
    if fill_holes:
        part = _filled(part)
    if grow_px:
        part = grow(part, grow_px) if grow_px > 0 else shrink(part, -grow_px)
    if threshold is not None and feather_px == 0:
        part = (part >= 0.5).astype(np.float32)
    if feather_px > 0:
        part = feather(part, feather_px)
    out[box] = part
    return out


def grow(alpha: Alpha, width_px: float) -> Alpha:
    """``alpha`` with its edge ``width_px`` farther out; strands stay as thin as they are.

    Greyscale dilation by a disc of whatever survives a greyscale opening by a strand's width
    (Serra, "Image Analysis and Mathematical Morphology", 1982). Never below ``alpha``.
    """
    plane = _plane(alpha)
    body = _opened(plane, _strand_px(alpha))
    grown = _unit(_dilated(body, width_px))
    return np.maximum(alpha, grown, out=grown)


def shrink(alpha: Alpha, width_px: float) -> Alpha:
    """``alpha`` with its edge ``width_px`` farther in, less where the subject is thin.

    Greyscale erosion by a disc. What it would take away altogether (the residue of the opening) is
    eroded by half of that, at most 2 pixels, and what would still vanish by half a pixel: a strand
    or a chair's leg becomes narrower and never disappears. Never above ``alpha``.
    """
    plane = _plane(alpha)
    out = _eroded(plane, width_px)
    step, eroded = width_px, out
    for finer in (min(width_px / 2, 2.0), 0.5):
        if finer >= step:
            break
        lost = plane - np.minimum(plane, _dilated(eroded, step))
        step, eroded = finer, _eroded(plane, finer)
        out = np.maximum(out, np.minimum(eroded, lost))
    return _unit(np.minimum(out, plane))


def feather(alpha: Alpha, width_px: float) -> Alpha:
    """``alpha`` fading out towards its edge over ``width_px``, on the inner side.

    The profile is the smoothstep ``3 x² - 2 x³``, which is within 2 % of a Gaussian's integral over
    four standard deviations, of the distance to the contour. Where the subject is narrower than
    twice the width, the local thickness takes the width's place (Hildebrand and Rüegsegger, "A new
    method for the model-independent assessment of thickness", 1997). Never above ``alpha``.
    """
    depth: Tensor = cv2.distanceTransform((alpha >= _RIM).view(np.uint8), cv2.DIST_L2, 5)
    room: Tensor
    room, size = _room(alpha, width_px)
    smooth = max(0.5, width_px / size / 2)
    room = cv2.GaussianBlur(room, (0, 0), smooth, borderType=cv2.BORDER_REPLICATE)
    width = _enlarged(room * np.float32(size), alpha)
    # A quarter pixel keeps the quotient finite, and 1 where there is nothing to feather.
    depth -= np.float32(0.25)
    np.clip(depth, 0.25, width_px + 1, out=depth)
    # It was counted in whole pixels, so it has stairs.
    cv2.GaussianBlur(depth, (3, 3), 0.8, dst=depth)
    width += np.float32(0.25)
    depth /= width
    np.minimum(depth, 1, out=depth)
    profile: Tensor = 3 - 2 * depth
    profile *= depth
    profile *= depth
    profile *= alpha
    return np.minimum(profile, alpha, out=profile)


def _room(alpha: Alpha, most_px: float) -> tuple[Alpha, float]:
    """Radius of the widest disc that fits into the subject over each pixel; 0 outside of it.

    Looked for up to ``most_px`` and in a smaller picture: the radii are in its pixels, and the
    second value is their size.
    """
    height, columns = alpha.shape
    step = max(1.0, most_px / 6, math.sqrt(alpha.size / _WORK_PIXELS))
    size = (max(1, round(columns / step)), max(1, round(height / step)))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    mask = small >= 0.5
    inside = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5)
    room = np.zeros(mask.shape, np.float32)
    radii = [most_px / step]
    while radii[-1] > 2:
        radii.append(radii[-1] / 1.6)
    for radius in reversed(radii):
        centres = inside >= radius
        if not centres.any():
            break
        away = cv2.distanceTransform((~centres).view(np.uint8), cv2.DIST_L2, 5)
        room[mask & (away < radius + 0.5)] = radius
    return room, step


def _enlarged(plane: Tensor, like: Alpha) -> Tensor:
    height, width = like.shape
    large: Tensor = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
    return large


def _contour(alpha: Alpha, level: float) -> Alpha:
    """The contour at ``level`` as an antialiased mask: its distance by the slope, in pixels."""
    across = cv2.Sobel(alpha, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(alpha, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    slope: Tensor = cv2.magnitude(across, down)
    np.maximum(slope, np.float32(1e-4), out=slope)
    sharp: Tensor = alpha - np.float32(level)
    sharp /= slope
    sharp += np.float32(0.5)
    return np.clip(sharp, 0, 1, out=sharp)


def _strand_px(alpha: Alpha) -> float:
    longer = float(max(alpha.shape))
    return min(max(_STRAND_PX, longer * _STRAND_SHARE), _STRAND_MOST_PX)


def _plane(alpha: Alpha) -> Plane:
    """``alpha`` in 16 bits, rounded down so that what is made of it never exceeds it."""
    plane: Plane = (alpha * np.float32(_TOP)).astype(np.uint16)
    return plane


def _unit(plane: Plane) -> Alpha:
    alpha: Alpha = plane.astype(np.float32)
    alpha *= np.float32(1 / _TOP)
    return alpha


def _opened(plane: Plane, radius: float) -> Plane:
    return _dilated(_eroded(plane, radius), radius)


def _eroded(plane: Plane, radius: float) -> Plane:
    eroded: Plane = _TOP - _dilated(_TOP - plane, radius)
    return eroded


def _dilated(plane: Plane, radius: float) -> Plane:
    """Greyscale dilation by a disc; between whole radii the values are interpolated.

    A large disc is a small one moved around on circles: the cost grows with the logarithm.
    """
    circles = []
    while radius > _DISC_PX:
        circles.append(int(radius // 2))
        radius -= circles[-1]
    whole = math.floor(radius)
    out: Tensor = cv2.dilate(plane, _disc(whole)) if whole else plane
    share = radius - whole
    if share > 1e-3:
        more = cv2.dilate(plane, _disc(whole + 1))
        out = out + _scaled(more - out, share)
    for circle in reversed(circles):
        out = cv2.dilate(out, _circle(circle))
    return out


def _scaled(plane: Tensor, share: float) -> Plane:
    scaled: Plane = (plane * np.float32(share)).astype(np.uint16)
    return scaled


def _disc(radius: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc: NDArray[np.uint8] = (np.hypot(y, x) <= radius + 0.3).astype(np.uint8)
    return disc


def _circle(radius: int) -> NDArray[np.uint8]:
    points = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
    turn = np.arange(16) * (np.pi / 8)
    y, x = (np.rint(radius * part(turn)).astype(int) for part in (np.sin, np.cos))
    points[radius + y, radius + x] = 1
    return points


def _box(alpha: Alpha, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns of everything that is not faint, with a margin inside the picture."""
    seen = alpha >= FAINT
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if rows.size == 0:
        return None
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _check(threshold: float | None, area: float, grow_px: float, feather_px: float) -> None:
    if threshold is not None and not 0 < threshold <= 1:
        raise BadOption(f"threshold: {threshold!r} is out of range", hint="above 0, to 1")
    for name, value, low, high in (
        ("min_area_px", area, 0.0, math.inf),
        ("grow_px", grow_px, -100_000.0, 100_000.0),
        ("feather_px", feather_px, 0.0, 100_000.0),
    ):
        if not low <= value <= high:
            raise BadOption(f"{name}: {value!r} is out of range", hint="give a width in pixels")
