from __future__ import annotations

import cv2
import numpy as np

from cleancut.matting.backdrop import find_backdrop
from cleancut.matting.strokes import Strokes, find_strokes

from .drawings import garment, lettering

PAGE = (240, 236, 225)


def strokes(rgb: np.ndarray) -> Strokes:
    backdrop = find_backdrop(rgb)
    assert backdrop is not None
    return find_strokes(rgb, [(slice(None), slice(None))], backdrop)


def test_letters_are_strokes_of_one_ink() -> None:
    seen = strokes(lettering((20, 20, 120), PAGE).rgb)
    assert seen.inked > 0.98
    assert seen.stray == seen.halo == seen.thick == 0


def test_shadow_is_of_no_ink() -> None:
    d = lettering((20, 20, 120), PAGE)
    shadow = np.roll(cv2.GaussianBlur(d.alpha, (0, 0), 6), (12, 12), (0, 1))[..., None]
    behind = np.float32(PAGE) * (1 - 0.5 * shadow)
    alpha = d.alpha[..., None]
    rgb = np.rint(alpha * d.foreground + (1 - alpha) * behind).astype(np.uint8)
    assert strokes(rgb).stray > 0.15


def test_cloth_is_thick() -> None:
    assert strokes(garment(90)).thick > 0.2


def test_empty_page_is_the_worst() -> None:
    assert strokes(np.full((60, 60, 3), 200, np.uint8)) == Strokes(0, 1, 1, 1)
