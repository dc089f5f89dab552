from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cleancut.matting.laplacian import STENCIL, laplacian
from cleancut.matting.multigrid import Band, Multigrid, solve

from .scenes import hairy_alpha, scene


def _matrix(band: Band) -> NDArray[np.float32]:
    units = np.eye(band.own.size, dtype=np.float32)
    return np.stack([band.times(band.slots(unit))[band.own] for unit in units])


def _hair(height: int, width: int) -> Band:
    s = scene(hairy_alpha(height, width))
    weights = laplacian(s.rgb, s.soft, 1e-6)
    weights[STENCIL.index((0, 0))] += np.float32(1e-4)
    return Band(weights, s.soft)


def test_the_band_multiplies_like_its_dense_matrix() -> None:
    band = _hair(40, 48)
    inner = band.inner_weights().reshape(25, -1)[:, band.own]
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
    assert band.own.size > 400
    units = np.eye(band.own.size, dtype=np.float32)
    inverse = np.stack([precondition(band.slots(unit))[band.own] for unit in units])
    assert np.abs(inverse - inverse.T).max() < 1e-4 * np.abs(inverse).max()
    assert np.linalg.eigvalsh((inverse + inverse.T).astype(np.float64)).min() > 0


def test_it_takes_a_fraction_of_the_steps_of_plain_gradients() -> None:
    band = _hair(260, 300)
    wanted = band.slots(np.random.default_rng(0).random(band.own.size).astype(np.float32))
    right_side = band.times(wanted)
    found = solve(band, right_side, np.zeros_like(wanted), tolerance=1e-3, max_iterations=500)
    assert found.residual <= 1e-3
    assert found.iterations < 60


def test_what_is_outside_the_band_pulls_on_it() -> None:
    band = _hair(40, 48)
    plane = np.where(band.mask, 0, np.float32(1)).astype(np.float32)
    everything = band.times(band.slots(np.ones(band.own.size, np.float32))) + band.pull(plane)
    # The Laplacian of a constant is zero.
    assert np.abs(everything[band.own] - 1e-4).max() < 1e-5


def test_slots_beside_the_mask_stay_zero() -> None:
    band = _hair(40, 48)
    beside = np.setdiff1d(np.arange(band.count), band.own)
    assert beside.size > 0
    values = band.slots(np.ones(band.own.size, np.float32))
    for slots in (values, band.times(values), Multigrid(band)(values)):
        assert not slots[beside].any()
