from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray
from cleancut.matting.binarise import binarise


def _by_definition(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Opening by a plus and a Gaussian of sigma 2 cut at 8 pixels, written out."""

    def plus(plane: NDArray[np.float64], best: np.ufunc) -> NDArray[np.float64]:
        p = np.pad(plane, 1, mode="symmetric")
        parts = (p[1:-1, 1:-1], p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:])
        return best.reduce(np.stack(parts), axis=0)

    opened = plus(plus(level, np.minimum), np.maximum)
    bell = np.exp(-(np.arange(-8.0, 9.0) ** 2) / 8)
    bell /= bell.sum()
    padded = np.pad(opened, 8, mode="symmetric")
    high, wide = level.shape
    rows = sum(w * padded[i : i + high] for i, w in enumerate(bell))
    blurred = sum(w * rows[:, i : i + wide] for i, w in enumerate(bell))
    return np.where(blurred < 127, 0.0, 1.0)


@pytest.mark.parametrize("size", [(90, 120), (31, 8), (5, 6)])
def test_it_is_rembgs_post_process_mask(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    rough = cv2.GaussianBlur(rng.random(size).astype(np.float32), (0, 0), 1.5)
    level = np.rint(np.clip((rough - 0.4) * 5, 0, 1) * 255)
    wanted = _by_definition(level)
    found = binarise((level / 255).astype(np.float32))
    assert found.dtype == np.float32
    assert (found == wanted).all()


def test_specks_go_and_the_body_stays() -> None:
    alpha = np.zeros((60, 60), np.float32)
    alpha[20:45, 20:45] = 0.9
    alpha[5, 5] = alpha[6, 5] = 1
    before = alpha.copy()
    found = binarise(alpha)
    assert not found[:12].any()
    assert found[24:40, 24:40].all()
    assert set(np.unique(found)) == {0, 1}
    assert (alpha == before).all()


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(BadArray):
        binarise(np.full((4, 4), np.nan, np.float32))
