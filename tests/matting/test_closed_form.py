from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.matting import closed_form
from cleancut.matting.closed_form import solve
from cleancut.matting.laplacian import STENCIL, laplacian

from .scenes import hairy_alpha, scene

EPSILON = 1e-3


def _dense_laplacian(rgb: NDArray[np.float64], epsilon: float) -> NDArray[np.float64]:
    """Levin et al. 2008, equation 12, pair by pair."""
    height, width, _ = rgb.shape
    matrix = np.zeros((height * width, height * width))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            places = [(y + dy) * width + x + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            colours = rgb.reshape(-1, 3)[places]
            offset = colours - colours.mean(axis=0)
            spread = offset.T @ offset / 9 + epsilon / 9 * np.eye(3)
            block = np.eye(9) - (1 + offset @ np.linalg.inv(spread) @ offset.T) / 9
            matrix[np.ix_(places, places)] += block
    return matrix


def _tiny(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    rgb = rng.random((9, 11, 3)).astype(np.float32)
    unknown = np.zeros((9, 11), bool)
    unknown[0:7, 3:9] = True
    unknown[8, 10] = True
    return rgb, unknown


def _band(alpha: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    soft = ((alpha > 0) & (alpha < 1)).astype(np.uint8)
    wide = cv2.dilate(soft, np.ones((reach, reach), np.uint8)) > 0
    return np.where(wide, 0.5, alpha).astype(np.float32)


@pytest.mark.parametrize("chunk", [1 << 15, 7])
def test_the_stencil_is_the_papers_matrix(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleancut.matting.laplacian._CHUNK", chunk)
    rgb, unknown = _tiny()
    dense = _dense_laplacian(rgb.astype(np.float64), EPSILON)
    weights = laplacian(rgb, unknown, EPSILON)
    found = np.zeros_like(dense)
    for n, pixel in enumerate(np.flatnonzero(unknown)):
        y, x = divmod(int(pixel), 11)
        for (dy, dx), weight in zip(STENCIL, weights[:, n], strict=True):
            if 0 <= y + dy < 9 and 0 <= x + dx < 11:
                found[pixel, (y + dy) * 11 + x + dx] = weight
            else:
                assert weight == 0
    rows = unknown.reshape(-1)
    assert np.abs(found[rows] - dense[rows]).max() < 1e-5


def test_windows_without_any_contrast_are_no_problem() -> None:
    rgb = np.full((9, 11, 3), 128, np.uint8)
    weights = laplacian(rgb, np.ones((9, 11), bool), EPSILON)
    assert np.isfinite(weights).all()
    assert np.abs(weights.sum(axis=0)).max() < 1e-5


@pytest.mark.parametrize("pull", [0.0, 0.05])
def test_the_solution_is_that_of_the_dense_system(pull: float) -> None:
    rgb, unknown = _tiny(1)
    known = np.broadcast_to((np.arange(11) > 5).astype(np.float32), (9, 11))
    trimap = np.where(unknown, np.float32(0.5), known)
    guess = np.random.default_rng(2).random((9, 11)).astype(np.float32)
    weight = np.full((9, 11), pull, np.float32)
    u = unknown.reshape(-1)
    dense = _dense_laplacian(rgb.astype(np.float64), EPSILON) + (pull + 1e-6) * np.eye(99)
    right = (pull + 1e-6) * guess.reshape(-1)[u] - dense[u][:, ~u] @ trimap.reshape(-1)[~u]
    wanted = np.linalg.solve(dense[u][:, u], right)
    found = solve(
        rgb, trimap, guess=guess, weight=weight, epsilon=EPSILON, tolerance=1e-6, stretch=0
    )
    assert found.converged
    assert np.abs(found.alpha.reshape(-1)[u] - np.clip(wanted, 0, 1)).max() < 2e-3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_hair_is_found_in_the_band(dtype: type) -> None:
    s = scene(hairy_alpha(260, 300))
    top = np.iinfo(dtype).max if dtype != np.float32 else 1
    rgb = (s.rgb * (top / 255)).astype(dtype)
    trimap = _band(s.alpha, 9)
    before = trimap.copy()
    unknown = trimap == 0.5
    found = solve(rgb, trimap)
    assert found.converged
    assert (trimap == before).all()
    assert (found.alpha[~unknown] == trimap[~unknown]).all()
    assert found.alpha.dtype == np.float32
    assert found.alpha.min() >= 0
    assert found.alpha.max() <= 1
    assert np.abs(found.alpha - s.alpha)[unknown].mean() < 0.03


def test_stretching_takes_the_haze_off_the_band() -> None:
    s = scene(hairy_alpha(260, 300))
    trimap = _band(s.alpha, 21)
    hazy, clear = (solve(s.rgb, trimap, stretch=level).alpha for level in (0, 0.03))
    empty = (trimap == 0.5) & (s.alpha == 0)
    assert clear[empty].mean() < hazy[empty].mean()
    assert np.abs(clear - s.alpha).mean() < np.abs(hazy - s.alpha).mean()


def test_a_band_too_large_for_full_size_is_carried_up(monkeypatch: pytest.MonkeyPatch) -> None:
    s = scene(hairy_alpha(260, 300))
    trimap = _band(s.alpha, 9)
    unknown = trimap == 0.5

    def error(alpha: NDArray[np.float32]) -> float:
        return float(np.abs(alpha - s.alpha)[unknown].mean())

    whole = solve(s.rgb, trimap)
    monkeypatch.setattr(closed_form, "_MOST_UNKNOWNS", 10_000)
    carried = solve(s.rgb, trimap)
    assert carried.converged
    assert (carried.alpha != whole.alpha).any()
    assert error(carried.alpha) < 2 * error(whole.alpha) + 0.01


def test_a_strong_weight_keeps_the_guess_and_none_forgets_it() -> None:
    s = scene(hairy_alpha(120, 140))
    trimap = _band(s.alpha, 9)
    unknown = trimap == 0.5
    guess = np.full(s.alpha.shape, 0.7, np.float32)
    held = solve(s.rgb, trimap, guess=guess, weight=np.ones_like(guess), stretch=0).alpha
    free = solve(s.rgb, trimap, guess=guess).alpha
    assert np.abs(held - 0.7)[unknown].mean() < 0.3
    assert np.abs(free - s.alpha)[unknown].mean() < 0.05


def test_what_does_not_converge_is_the_guess_and_says_so() -> None:
    s = scene(hairy_alpha(120, 140))
    trimap = _band(s.alpha, 9)
    guess = cv2.GaussianBlur(s.alpha, (0, 0), 2).clip(0, 1)
    found = solve(s.rgb, trimap, guess=guess, tolerance=1e-9, max_iterations=2)
    assert not found.converged
    unknown = trimap == 0.5
    assert (found.alpha[unknown] == guess[unknown]).all()
    assert (found.alpha[~unknown] == trimap[~unknown]).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 50), (300, 300)])
def test_with_nothing_known_the_guess_comes_back(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    guess = np.full(size, 0.25, np.float32)
    found = solve(rgb, np.full(size, 0.5, np.float32), guess=guess)
    assert not found.converged
    assert (found.alpha == guess).all()


def test_with_nothing_unknown_there_is_nothing_to_do() -> None:
    rgb = np.zeros((30, 40, 3), np.uint8)
    trimap = np.eye(30, 40, dtype=np.float32)
    found = solve(rgb, trimap)
    assert found.converged
    assert found.iterations == 0
    assert (found.alpha == trimap).all()


@pytest.mark.parametrize("size", [(1, 60), (60, 1), (2, 2), (3, 3), (5, 4000)])
def test_odd_sizes_keep_what_is_known(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*size, 3), np.uint8)
    trimap = rng.choice(np.float32([0, 0.5, 1]), size)
    trimap[0, 0] = 1
    found = solve(rgb, trimap).alpha
    assert (found[trimap != 0.5] == trimap[trimap != 0.5]).all()
    assert np.isfinite(found).all()


def test_an_unknown_region_inside_the_background_becomes_background() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    trimap = np.zeros((120, 120), np.float32)
    trimap[20:100, 20:100] = 0.5
    found = solve(rgb, trimap, tolerance=1e-5)
    assert found.converged
    assert found.alpha.max() < 1e-2


def test_bad_input_is_refused() -> None:
    rgb, trimap = np.zeros((9, 9, 3), np.float32), np.full((9, 9), 0.5, np.float32)
    with pytest.raises(BadArray, match="differ in size"):
        solve(rgb, trimap[:5])
    with pytest.raises(BadArray, match="guess"):
        solve(rgb, trimap, guess=trimap * 4)
    with pytest.raises(BadArray, match="weight"):
        solve(rgb, trimap, weight=trimap * np.float32(np.nan))
    for wrong in ({"max_iterations": 0}, {"stretch": 0.5}, {"epsilon": 0}):
        with pytest.raises(BadOption):
            solve(rgb, trimap, **wrong)
    rgb[0, 0] = np.inf
    with pytest.raises(BadArray, match="finite"):
        solve(rgb, trimap)
