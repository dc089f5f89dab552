from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import edge_metrics
from cleancut.edge_metrics import TrueEdges, blur, hardness, jaggedness, soft_band_mad
from cleancut.errors import BadArray

Alpha = NDArray[np.float32]


def disc(height: int = 240, width: int = 320, radius: float = 85, soft: float = 1) -> Alpha:
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - 0.48 * height, x - 0.52 * width)
    return np.asarray(np.clip((radius - distance) / soft + 0.5, 0, 1), np.float32)


def hairy() -> Alpha:
    """A disc with hair on its upper half, drawn four times as large."""
    rng = np.random.default_rng(0)
    canvas = np.zeros((960, 1280), np.uint8)
    middle = np.array([660, 560])
    cv2.circle(canvas, (660, 560), 300, 255, -1)
    for _ in range(500):
        angle = rng.uniform(np.pi, 2 * np.pi)
        points = [middle + 295 * np.array([np.cos(angle), np.sin(angle)])]
        way = angle + rng.normal(0, 0.5)
        for _ in range(8):
            way += rng.normal(0, 0.25)
            points.append(points[-1] + 20 * np.array([np.cos(way), np.sin(way)]))
        line = [np.array(points).astype(np.int32)]
        cv2.polylines(canvas, line, False, int(rng.integers(120, 255)), int(rng.integers(2, 7)))
    small = cv2.resize(canvas, (320, 240), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def enlarged(truth: Alpha, times: int) -> Alpha:
    """A yes-or-no matte of a smaller size, its pixels repeated."""
    height, width = truth.shape
    small = cv2.resize(truth, (width // times, height // times), interpolation=cv2.INTER_AREA)
    mask = (small >= 0.5).astype(np.float32)
    return np.asarray(np.kron(mask, np.ones((times, times))), np.float32)


def blurred(truth: Alpha, sigma: float) -> Alpha:
    return np.asarray(cv2.GaussianBlur(truth, (0, 0), sigma), np.float32)


def noisy(truth: Alpha, sigma: float) -> Alpha:
    """Noise where the edge is soft after some blur, as of a network that is not sure."""
    near = blurred(truth, 2)
    noise = np.random.default_rng(1).normal(0, sigma, truth.shape) * 4 * near * (1 - near)
    return np.clip(truth + noise, 0, 1).astype(np.float32)


DISC, HAIRY = disc(), hairy()
DISC_EDGES, HAIRY_EDGES = TrueEdges.of(DISC), TrueEdges.of(HAIRY)


def jagged(alpha: Alpha, edges: TrueEdges = DISC_EDGES) -> float:
    value = jaggedness(alpha, edges)
    assert value is not None
    return value


def test_the_truth_itself_is_perfect() -> None:
    assert soft_band_mad(HAIRY, HAIRY_EDGES) == 0
    assert hardness(HAIRY, HAIRY_EDGES) == 0
    assert jaggedness(DISC, DISC_EDGES) == 0
    assert blur(DISC, DISC_EDGES) == pytest.approx(1, abs=1e-5)


def test_hair_is_told_from_plain_edges_however_these_are_anti_aliased() -> None:
    assert HAIRY_EDGES.hair is not None
    assert DISC_EDGES.hair is None
    assert soft_band_mad(DISC, DISC_EDGES) is None
    assert hardness(DISC, DISC_EDGES) is None


def test_where_all_is_hair_nothing_is_said_of_clean_edges() -> None:
    assert HAIRY_EDGES.clean is None
    assert jaggedness(HAIRY, HAIRY_EDGES) is None
    assert blur(HAIRY, HAIRY_EDGES) is None


def test_the_mad_of_hair_counts_nothing_else() -> None:
    spoilt = HAIRY.copy()
    spoilt[-20:, :20] = 1  # far from any hair
    assert soft_band_mad(spoilt, HAIRY_EDGES) == 0
    assert HAIRY_EDGES.hair is not None
    half = np.where(HAIRY_EDGES.hair, HAIRY / 2, HAIRY).astype(np.float32)
    expected = 1000 * float(HAIRY[HAIRY_EDGES.hair].mean()) / 2
    assert soft_band_mad(half, HAIRY_EDGES) == pytest.approx(expected, rel=1e-4)


def test_a_yes_or_no_answer_for_hair_is_all_hard_and_a_blurred_one_is_not() -> None:
    assert hardness((HAIRY >= 0.5).astype(np.float32), HAIRY_EDGES) == 100
    soft = hardness(blurred(HAIRY, 2), HAIRY_EDGES)
    assert soft is not None
    assert soft < 5


def test_jaggedness_grows_with_the_steps_that_an_eye_sees() -> None:
    found = [
        jagged(DISC),
        jagged(noisy(DISC, 0.1)),
        jagged((DISC >= 0.5).astype(np.float32)),
        jagged(enlarged(DISC, 2)),
        jagged(enlarged(DISC, 4)),
    ]
    assert found == sorted(found)
    assert found[0] == 0
    assert found[1] > 0.3
    assert 2 < found[2] < 6
    assert found[4] > 15


@pytest.mark.parametrize("sigma", [1, 4])
def test_a_blurred_edge_is_not_jagged_but_blurred(sigma: float) -> None:
    soft = blurred(DISC, sigma)
    assert jagged(soft) < 0.1
    # An edge blurred so has the energy 1 / (2 sigma sqrt(pi)) a pixel of outline; the truth's, one
    # pixel wide, looks two pixels wide.
    width = blur(soft, DISC_EDGES)
    assert width == pytest.approx(sigma * np.sqrt(np.pi), rel=0.1)


def test_blur_is_the_ratio_of_widths() -> None:
    edges = TrueEdges.of(disc(480, 640, 170, soft=4))
    assert blur(disc(480, 640, 170, soft=8), edges) == pytest.approx(2, rel=0.15)
    assert blur(disc(480, 640, 170, soft=2), edges) == 1


def test_an_edge_that_is_off_is_wrong_but_not_jagged() -> None:
    assert jagged(np.roll(DISC, 2, axis=1)) < 0.1
    assert jagged(disc(radius=87)) < 0.1


def test_true_detail_is_not_jagged() -> None:
    truth = enlarged(DISC, 4)
    edges = TrueEdges.of(truth)
    assert jagged(truth, edges) == 0
    assert jagged(np.roll(truth, 1, axis=0), edges) < jagged(truth) / 10


@pytest.mark.parametrize("times", [2, 3])
def test_a_picture_and_its_enlargement_are_alike(times: int) -> None:
    def larger(alpha: Alpha) -> Alpha:
        size = alpha.shape[1] * times, alpha.shape[0] * times
        return np.clip(cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC), 0, 1)

    answer = enlarged(DISC, 4)
    edges = TrueEdges.of(larger(DISC))
    assert jagged(larger(answer), edges) == pytest.approx(jagged(answer), rel=0.25)


def test_nothing_is_said_of_edges_that_were_not_found() -> None:
    nothing, everything = np.zeros_like(DISC), np.ones_like(DISC)
    for answer in (nothing, everything, np.roll(DISC, 100, axis=1)):
        assert jaggedness(answer, DISC_EDGES) is None
        assert blur(answer, DISC_EDGES) is None


@pytest.mark.parametrize("value", [0, 1, 0.5])
def test_a_truth_without_edges_has_none(value: float) -> None:
    truth = np.full((40, 50), value, np.float32)
    edges = TrueEdges.of(truth)
    assert edges.clean is None
    assert jaggedness(truth, edges) is None
    assert blur(truth, edges) is None
    assert soft_band_mad(truth, edges) in (None, 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_tiny_truths_are_answered(shape: tuple[int, int]) -> None:
    truth = np.zeros(shape, np.float32)
    truth.flat[0] = 1
    edges = TrueEdges.of(truth)
    for measure in (soft_band_mad, hardness, jaggedness, blur):
        value = measure(truth, edges)
        assert value is None or np.isfinite(value)


@pytest.mark.parametrize("name", ["soft_band_mad", "hardness", "jaggedness", "blur"])
def test_answers_that_are_no_mattes_of_that_size_are_refused(name: str) -> None:
    measure = getattr(edge_metrics, name)
    with pytest.raises(BadArray, match="differ in size"):
        measure(DISC[1:], DISC_EDGES)
    with pytest.raises(BadArray):
        measure(np.full_like(DISC, np.nan), DISC_EDGES)
