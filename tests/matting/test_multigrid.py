from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cleancut.matting.laplacian import STENCIL, laplacian
from cleancut.matting.multigrid import Band, Multigrid, solve

from .scenes import hairy_alpha, scene


def _matrix(band: Band) -> NDArray[np.float32]:
    return np.stack([band.times(unit) for unit in np.eye(band.weights.shape[1], dtype=np.float32)])


def _hair(height: int, width: int) -> Band:
    s = scene(hairy_alpha(height, width))
    weights = laplacian(s.rgb, s.soft, 1e-6)
    weights[STENCIL.index((0, 0))] += np.float32(1e-4)
    return Band(weights, s.soft, STENCIL)


def test_the_band_multiplies_like_its_dense_matrix() -> None:
    band = _hair(40, 48)
    inner = band.inner_weights()
    size = inner.shape[1]
    number = np.full(band.mask.shape, -1)
    number[band.mask] = np.arange(size)
    number = np.pad(number, 2, constant_values=-1)
    dense = np.zeros((size, size + 1), np.float32)
    for row, (dy, dx) in enumerate(STENCIL):
        at = number[2 + dy : 42 + dy, 2 + dx : 50 + dx][band.mask]
        dense[np.arange(size), at] += inner[row]
    assert np.abs(_matrix(band).T - dense[:, :size]).max() < 1e-6


def test_the_preconditioner_is_symmetric_and_positive() -> None:
    band = _hair(60, 70)
    precondition = Multigrid(band)
    assert band.weights.shape[1] > 400
    inverse = np.stack([precondition(u) for u in np.eye(band.weights.shape[1], dtype=np.float32)])
    assert np.abs(inverse - inverse.T).max() < 1e-4 * np.abs(inverse).max()
    assert np.linalg.eigvalsh((inverse + inverse.T).astype(np.float64)).min() > 0


def test_it_takes_a_fraction_of_the_steps_of_plain_gradients() -> None:
    band = _hair(260, 300)
    wanted = np.random.default_rng(0).random(band.weights.shape[1]).astype(np.float32)
    right_side = band.times(wanted)
    found = solve(band, right_side, np.zeros_like(wanted), tolerance=1e-3, max_iterations=500)
    assert found.residual <= 1e-3
    assert found.iterations < 60


def test_what_is_outside_the_band_pulls_on_it() -> None:
    band = _hair(40, 48)
    plane = np.where(band.mask, 0, np.float32(1)).astype(np.float32)
    everything = band.times(np.ones(band.weights.shape[1], np.float32)) + band.pull(plane)
    assert np.abs(everything - 1e-4).max() < 1e-5  # the Laplacian of a constant is zero
