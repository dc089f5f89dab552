"""Shadows: the subject's own one kept as translucent black, or one made from its outline.

A shadow multiplies the background: ``C = (1 - s) B``, alike in all channels. Black at opacity ``s``
under the subject does the same to any new background, so keeping a shadow means knowing B. That is
possible where the background is plain, and only there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb, full_scale
from cleancut.errors import BadArray, BadOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb, Tensor

    Mask = NDArray[np.bool_]

#: Shadows are smooth: they are looked for in a picture whose longer side is this many pixels.
_SIDE_PX = 512
#: From this alpha on a pixel may show the subject, and tells nothing about the background.
_SEEN = 0.05
#: How far a plain background may be from a smooth surface, in 0..1.
_PLAIN = 0.05
#: Share of the background, its shadow aside, that has to be plain.
_PLAIN_SHARE = 0.8
#: Largest typical deviation of a plain background, as a share of its brightness.
_NOISE = 0.03
#: Farther from the subject than this share of the longer side nothing of its shadow is expected.
_FAR = 0.2
#: Smallest share of the picture that has to be background.
_LEAST_BACKGROUND = 0.05
#: On a darker background a shadow is not to be told from noise, in 0..1.
_LEAST_LIGHT = 0.15
#: The faintest shadow that is looked for.
_FAINTEST = 0.02
#: How far apart the channels' opacities may be: absolute, and as a share of the opacity.
_TINT, _TINT_SHARE = 0.03, 0.25
#: Half-width of what is no shadow but a line, in pixels of the shrunk picture.
_THIN_PX = 4
#: How near a shadow begins at the subject, as a share of the longer side.
_NEAR = 0.03
#: A region's share of rough pixels from which on it is an object, not a shadow.
_ROUGH_SHARE = 0.1
#: A shadow's share of pixels near the subject, at least.
_NEAR_SHARE = 0.1
#: A shadow is this dark somewhere; less is the background's own shading.
_CLEAR = 0.06
#: Darker than this, with a sharp outline, is an object that the matte misses.
_OBJECT = 0.7

#: Pixels that a shadow is put under at once.
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class FoundShadow:
    """A shadow's ``opacity``, (H, W) float32 in 0..1, and ``notes`` ("no_shadow: why")."""

    opacity: Alpha
    notes: tuple[str, ...] = ()


def keep_shadow(rgb: Rgb, alpha: Alpha) -> FoundShadow:
    """The shadow that the subject casts on a plain background.

    ``rgb`` is (H, W, 3), ``alpha`` (H, W) in [0, 1] the subject's matte. The background without the
    shadow is a smooth surface fitted to what is far from the subject and left to the rest by robust
    regression (Huber, "Robust Statistics", 1981). Darker regions count that begin at the subject,
    keep the background's tint and are smooth; under soft edges the shadow goes on, under opaque
    pixels it is 0. On busy, dark or missing backgrounds there is none, and a note that says why.
    Opacities refer to the stored (gamma-encoded) values, as viewers blend. Raises ``BadArray``.
    """
    check_rgb(rgb)
    check_alpha(alpha)
    if rgb.shape[:2] != alpha.shape:
        raise BadArray(f"picture {rgb.shape[:2]} and alpha {alpha.shape} differ in size")
    small, matte = _reduced(rgb), _reduced(alpha)
    if not np.isfinite(small).all():
        raise BadArray("picture: holds values that are not finite", hint="replace NaN and infinity")
    subject = cv2.dilate(matte, np.ones((5, 5), np.uint8)) >= _SEEN
    if not subject.any():
        return _none(alpha, "there is no subject")
    if subject.mean() > 1 - _LEAST_BACKGROUND:
        return _none(alpha, "the subject fills the picture")
    light = _lit_background(small, subject)
    opacity, noise, why = _darkening(small, light, subject)
    if why:
        return _none(alpha, why)
    opacity = _without_lines(opacity, noise, subject)
    cast = _cast(opacity, noise, subject)
    if not cast.any():
        return _none(alpha, "none stands out on this background")
    smooth = _under_subject(opacity * cast, subject)
    height, width = alpha.shape
    large: Tensor = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    large[alpha > 0.998] = 0
    return FoundShadow(large)


def drop_shadow(
    alpha: Alpha,
    *,
    opacity: float = 0.4,
    angle_deg: float = 135.0,
    distance_px: float = 0.0,
    blur_px: float = 0.0,
) -> Alpha:
    """The opacity, (H, W) in 0..1, of a shadow that the subject would cast on a wall behind it.

    ``angle_deg`` is where the light comes from, counter-clockwise from the right: 90 is above, 135
    the upper left. The shadow is the matte moved away from the light by ``distance_px``, blurred so
    that an edge fades over ``blur_px`` to either side (two standard deviations, as in CSS), times
    ``opacity``. The canvas does not grow: put the matte on a larger one first. A subject that the
    frame cuts off goes on beyond it. Raises ``BadArray``, and ``BadOption`` for impossible values.
    """
    check_alpha(alpha)
    for name, value, low, high in (
        ("opacity", opacity, 0.0, 1.0),
        ("angle_deg", angle_deg, -360.0, 360.0),
        ("distance_px", distance_px, 0.0, 1e5),
        ("blur_px", blur_px, 0.0, 1e5),
    ):
        if not low <= value <= high:
            raise BadOption(f"{name}: {value!r} is out of range", hint=f"{low:g} to {high:g}")
    height, width = alpha.shape
    sigma = blur_px / 2
    # A wide blur loses nothing where its standard deviation is still some four pixels.
    step = max(1.0, sigma / 4, max(height, width) / 30_000)
    size = (max(1, round(width / step)), max(1, round(height / step)))
    small: Tensor = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    turn = math.radians(angle_deg)
    move = np.array(
        [
            [1, 0, -math.cos(turn) * distance_px * size[0] / width],
            [0, 1, math.sin(turn) * distance_px * size[1] / height],
        ]
    )
    small = cv2.warpAffine(
        small, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if sigma > 0:
        small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REPLICATE)
    cast: Tensor = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    cast *= np.float32(opacity)
    return np.clip(cast, 0, 1, out=cast)


def under(foreground: Rgb, alpha: Alpha, shadow: Alpha) -> tuple[Rgb, Alpha]:
    """The subject over black at opacity ``shadow``: straight colours and their matte, both new.

    ``foreground`` is (H, W, 3), ``alpha`` and ``shadow`` are (H, W) in [0, 1]. By the over operator
    (Porter and Duff, 1984) the matte becomes ``a + s (1 - a)`` and colours ``a F / (a + s (1 -
    a))``. Where there is no shadow both stay bit for bit. Raises ``BadArray``.
    """
    check_rgb(foreground)
    check_alpha(alpha)
    check_alpha(shadow, "shadow")
    if not foreground.shape[:2] == alpha.shape == shadow.shape:
        raise BadArray(
            f"foreground {foreground.shape[:2]}, alpha {alpha.shape} and shadow {shadow.shape}"
            " differ in size"
        )
    colours: Tensor = np.array(foreground, order="C")
    matte = np.array(alpha, order="C")
    flat, flat_alpha, flat_shadow = colours.reshape(-1, 3), matte.reshape(-1), shadow.reshape(-1)
    for start in range(0, flat_alpha.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        where = start + np.flatnonzero((flat_shadow[part] > 0) & (flat_alpha[part] < 1))
        a = flat_alpha[where]
        both = a + flat_shadow[where] * (1 - a)
        flat_alpha[where] = both
        dimmed = flat[where] * (a / both)[:, None]
        flat[where] = np.rint(dimmed) if colours.dtype.kind == "u" else dimmed
    return colours, matte


def _none(alpha: Alpha, why: str) -> FoundShadow:
    return FoundShadow(np.zeros(alpha.shape, np.float32), (f"no_shadow: {why}",))


def _reduced(image: Tensor) -> Tensor:
    """Shrunk to ``_SIDE_PX``, float32 in 0..1; no side becomes less than a pixel."""
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Tensor = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small / np.float32(full_scale(image))


def _lit_background(rgb: Tensor, subject: Mask) -> Tensor:
    """The background as it would be without subject and shadow: (h, w, 3), smooth.

    A cubic surface by iteratively reweighted least squares. Pixels near the subject, where shadows
    are, begin with little weight; what is off the surface loses its weight, darker things first.
    """
    height, width = subject.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float64)
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], axis=-1)
    known = np.flatnonzero(~subject)
    known = known[:: max(1, known.size // 5_000)]
    basis = terms.reshape(-1, terms.shape[-1])[known]
    colours = rgb.reshape(-1, 3)[known].astype(np.float64)
    away = _distance(subject).reshape(-1)[known] / max(height, width)
    start = np.clip(away / 0.15, 0.02, 1.0)
    weight = start
    spread = 0.1
    fit = np.zeros((terms.shape[-1], 3))
    for _ in range(12):
        scaled = basis * weight[:, None]
        fit = np.linalg.solve(
            basis.T @ scaled + 1e-4 * weight.sum() * np.eye(basis.shape[1]) * _RIDGE,
            scaled.T @ colours,
        )
        off = colours - basis @ fit
        worst = np.abs(off).max(axis=1) * np.where(off.mean(axis=1) < 0, 1.5, 1.0)
        weight = start * np.clip(1 - (worst / (3 * spread)) ** 2, 0, 1) ** 2 + 1e-6
        spread = max(spread * 0.7, 0.012)
    surface: Tensor = np.clip(terms @ fit, 1e-3, 1).astype(np.float32)
    return surface


#: Which terms of the cubic surface are held back: all but the constant.
_RIDGE = np.array([0.0] + [1.0] * 9)


def _darkening(rgb: Tensor, light: Tensor, subject: Mask) -> tuple[Alpha, float, str]:
    """How much darker than lit each pixel is (0..1), the noise of that, and why it says nothing."""
    clear = ~subject
    off = rgb - light
    plain = np.abs(off).max(axis=2) < _PLAIN
    by_channel = 1 - rgb / light
    dark = by_channel.mean(axis=2)
    tint = np.abs(by_channel - dark[..., None]).max(axis=2)
    neutral = tint <= _TINT + _TINT_SHARE * np.abs(dark)
    shaded = (dark > _FAINTEST) & neutral
    far = clear & (_distance(subject) > _FAR * max(subject.shape))
    least = 0.02 * clear.sum()
    shares = [
        float(plain[known].mean())
        for known in (clear & (plain | ~shaded), far)
        if known.sum() > least
    ]
    share = min(shares, default=0.0)
    if share < _PLAIN_SHARE or (plain & clear).sum() < 0.2 * clear.sum():
        return dark, 0.0, f"the background is not plain ({share:.0%} of it is smooth)"
    if float(np.median(light[clear].mean(axis=1))) < _LEAST_LIGHT:
        return dark, 0.0, "the background is too dark to show one"
    noise = 1.4826 * float(np.median(np.abs(dark[clear & plain])))
    if noise > _NOISE:
        return dark, 0.0, "the background is textured"
    opacity = np.where(neutral & clear, np.clip(dark, 0, 0.98), 0).astype(np.float32)
    return opacity, noise, ""


def _without_lines(opacity: Alpha, noise: float, subject: Mask) -> Alpha:
    """``opacity`` without seams and cables, which lead away from the subject.

    A greyscale opening takes out what is narrow; with the subject counted in, thin shadows that lie
    along it stay.
    """
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _THIN_PX + 1, 2 * _THIN_PX + 1))
    smooth = cv2.GaussianBlur(opacity, (0, 0), 1.0)
    opened: Tensor = cv2.morphologyEx(np.maximum(smooth, subject), cv2.MORPH_OPEN, wide)
    opened += np.float32(max(_FAINTEST, 2 * noise))
    return np.minimum(opacity, opened)


def _cast(opacity: Alpha, noise: float, subject: Mask) -> Alpha:
    """Which of the darker regions are the subject's shadow: 0..1, fading out at the faint end."""
    least = max(_FAINTEST, 2 * noise)
    smooth: Tensor = cv2.GaussianBlur(opacity, (0, 0), 1.5)
    dark = (smooth > least) & ~subject
    labels: Tensor
    count, labels = cv2.connectedComponents(dark.view(np.uint8), connectivity=8)
    away = _distance(subject)
    near = dark & (away <= max(3.0, _NEAR * max(subject.shape)))
    rough = np.abs(opacity - cv2.medianBlur(opacity, 5)) > 0.025 + 2 * noise

    def shares(mask: Mask) -> NDArray[np.float64]:
        found: Tensor = np.bincount(labels[mask & dark], minlength=count)
        return found / np.maximum(sizes, 1)

    sizes = np.bincount(labels.reshape(-1), minlength=count)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in _WAYS)
    sharp = cv2.magnitude(across, down) > 0.08
    kept = (shares(near) > _NEAR_SHARE) & (shares(rough & (away > 4)) < _ROUGH_SHARE)
    kept &= (shares(opacity > _OBJECT) < 0.1) | (shares(sharp & (away > 4)) < 0.2)
    kept &= (shares(opacity <= 0) < 0.2) & (shares(smooth > max(_CLEAR, 2 * least)) > 0)
    kept[0] = False
    chosen: Tensor = kept[labels].astype(np.float32)
    chosen = cv2.GaussianBlur(cv2.dilate(chosen, np.ones((5, 5), np.uint8)), (0, 0), 1.5)
    ramp = np.clip((smooth - least / 2) / (least / 2), 0, 1)
    faded: Tensor = chosen * ramp
    return faded


_WAYS = ((1, 0), (0, 1))


def _under_subject(opacity: Alpha, subject: Mask) -> Alpha:
    """``opacity`` slightly smoothed, and continued under the subject from around it."""
    known = (~subject).astype(np.float32)
    total, weight = opacity * known, known
    out: Tensor = np.zeros_like(opacity)
    found = np.zeros_like(opacity)
    for sigma in (1.0, 3.0, 9.0, 27.0):
        top = cv2.GaussianBlur(total, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        base = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        trust = np.clip(base / 0.1, 0, 1) * (1 - found)
        out += trust * top / np.maximum(base, 1e-6)
        found += trust
    return np.clip(out, 0, 1)


def _distance(mask: Mask) -> Tensor:
    away: Tensor = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
    return away
