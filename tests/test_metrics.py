from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import metrics
from cleancut.errors import BadArray

Alpha = NDArray[np.float32]
Measure = Callable[[Alpha, Alpha], float]

ERRORS: list[Measure] = [metrics.mad, metrics.mse, metrics.sad, metrics.grad, metrics.conn]
SCORES: list[Measure] = [
    metrics.weighted_f, metrics.s_measure, metrics.iou, metrics.boundary_f,
]  # fmt: skip
EVERY = [*ERRORS, *SCORES, metrics.f_curve]

PYSODMETRICS = "pysodmetrics==1.6.2"
#: Reads mattes from argv[1] (.npz) and prints what pysodmetrics says about each pair.
ASK_PYSODMETRICS = """
import json, sys
import numpy as np
import py_sod_metrics as sod

pairs = np.load(sys.argv[1])
said = []
for number in range(len(pairs) // 2):
    iou = sod.IOUHandler(with_dynamic=False, with_adaptive=False, with_binary=True)
    asked = {
        "mae": sod.MAE(), "f": sod.Fmeasure(), "wf": sod.WeightedFmeasure(),
        "s": sod.Smeasure(), "iou": sod.FmeasureV2({"iou": iou}),
    }
    for one in asked.values():
        one.step(pred=pairs[f"pred{number}"], gt=pairs[f"truth{number}"])
    told = {name: one.get_results() for name, one in asked.items()}
    said.append({
        "mae": float(told["mae"]["mae"]), "f": list(map(float, told["f"]["fm"]["curve"])),
        "wf": float(told["wf"]["wfm"]), "s": float(told["s"]["sm"]),
        "iou": float(told["iou"]["iou"]["binary"]),
    })
print(json.dumps(said))
"""


def soft_disc(height: int = 60, width: int = 80, radius: float = 18, soft: float = 5) -> Alpha:
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - 0.45 * height, x - 0.55 * width)
    return np.clip((radius - distance) / soft + 0.5, 0, 1).astype(np.float32)


def noisy(truth: Alpha, strength: float, seed: int = 1) -> Alpha:
    """The truth with smooth bumps: islands, holes and a wobbling edge."""
    noise = np.random.default_rng(seed).standard_normal(truth.shape).astype(np.float32)
    bumps = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(truth + strength * bumps / bumps.std(), 0, 1).astype(np.float32)


def constant(value: float, *shape: int) -> Alpha:
    return np.full(shape, value, np.float32)


@pytest.mark.parametrize("measure", EVERY)
def test_nothing_but_two_mattes_of_one_size_is_measured(measure: Measure) -> None:
    good = soft_disc()
    bad = [good[:-1], good.astype(np.float64), good * 2, good * np.nan, good[..., None], good[:0]]
    for broken in bad:
        for pair in ((good, broken), (broken, good)):
            with pytest.raises(BadArray):
                measure(*pair)


@pytest.mark.parametrize("measure", ERRORS)
def test_a_perfect_matte_has_no_error(measure: Measure) -> None:
    truth = noisy(soft_disc(), 0.2)
    assert measure(truth, truth.copy()) == 0.0


@pytest.mark.parametrize("measure", SCORES)
def test_a_perfect_mask_has_full_marks(measure: Measure) -> None:
    truth = np.float32(soft_disc() >= 0.5)
    assert measure(truth, truth.copy()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("measure", [*ERRORS, *SCORES])
def test_a_worse_matte_is_measured_as_worse(measure: Measure) -> None:
    truth = soft_disc()
    values = [measure(noisy(truth, strength), truth) for strength in (0.1, 0.3, 0.6)]
    assert values == sorted(values, reverse=measure in SCORES)
    assert len(set(values)) == 3


@pytest.mark.parametrize("measure", EVERY)
def test_the_mattes_are_left_as_they_were(measure: Measure) -> None:
    truth, pred = soft_disc(), noisy(soft_disc(), 0.3)
    before = truth.copy(), pred.copy()
    measure(pred, truth)
    assert np.array_equal(truth, before[0])
    assert np.array_equal(pred, before[1])


@pytest.mark.parametrize("measure", EVERY)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (3, 40)])
def test_tiny_empty_and_full_mattes_have_a_figure(measure: Measure, shape: tuple[int, int]) -> None:
    corner = constant(0, *shape)
    corner[0, 0] = 1
    mattes = [constant(0, *shape), constant(1, *shape), constant(0.5, *shape), corner]
    for pred in mattes:
        for truth in mattes:
            assert np.isfinite(measure(pred, truth)).all()


@pytest.mark.parametrize("measure", SCORES)
def test_where_there_is_no_subject_an_empty_answer_is_perfect(measure: Measure) -> None:
    empty, full = constant(0, 9, 9), constant(1, 9, 9)
    assert measure(empty, empty) == 1.0
    assert measure(full, empty) == 0.0


def test_errors_have_the_units_of_the_papers() -> None:
    pred, truth = constant(0.25, 40, 50), constant(0, 40, 50)
    assert metrics.mad(pred, truth) == pytest.approx(250)
    assert metrics.mse(pred, truth) == pytest.approx(62.5)
    assert metrics.sad(pred, truth) == pytest.approx(0.5)


def literal_slope(alpha: Alpha) -> NDArray[np.float64]:
    """Convolution with the derivative of a Gaussian, one weight after the other."""
    sigma, half = 1.4, 4  # beyond 4 pixels the Gaussian is below 0.01
    padded = np.pad(alpha.astype(np.float64), half, mode="edge")
    height, width = alpha.shape
    sums = [np.zeros(alpha.shape), np.zeros(alpha.shape)]
    for dy in range(-half, half + 1):
        for dx in range(-half, half + 1):
            bell = math.exp(-(dx * dx + dy * dy) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
            moved = padded[half + dy : half + dy + height, half + dx : half + dx + width]
            sums[0] += moved * bell * dx / sigma**2
            sums[1] += moved * bell * dy / sigma**2
    return np.sqrt(sums[0] ** 2 + sums[1] ** 2)


def test_grad_is_the_papers_formula_taken_literally() -> None:
    truth = soft_disc()
    for strength in (0.05, 0.4):
        pred = noisy(truth, strength)
        literal = ((literal_slope(pred) - literal_slope(truth)) ** 2).sum() / 1000
        assert metrics.grad(pred, truth) == pytest.approx(literal, rel=1e-4)


def largest_region(mask: NDArray[np.bool_]) -> set[tuple[int, int]]:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    best: set[tuple[int, int]] = set()
    while left:
        queue = [left.pop()]
        region = set(queue)
        while queue:
            y, x = queue.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.remove(near)
                    region.add(near)
                    queue.append(near)
        best = region if len(region) > len(best) else best
    return best


def literal_conn(pred: Alpha, truth: Alpha) -> float:
    """Pixel by pixel, with a flood fill of its own."""
    regions = [
        largest_region((pred >= np.float32(step / 10)) & (truth >= np.float32(step / 10)))
        for step in range(11)
    ]
    total = 0.0
    for y in range(pred.shape[0]):
        for x in range(pred.shape[1]):
            level = 0.0
            for step in range(1, 11):
                if (y, x) not in regions[step]:
                    break
                level = step / 10
            phis = []
            for alpha in (pred, truth):
                above = float(alpha[y, x]) - level
                phis.append(1 - above if above >= 0.15 else 1.0)
            total += abs(phis[0] - phis[1])
    return total / 1000


def test_conn_is_the_papers_formula_taken_literally() -> None:
    truth = soft_disc(40, 50, 12)
    truth[3:7, 3:9] = 0.7  # an island
    for strength in (0.1, 0.5):
        pred = noisy(truth, strength)
        assert metrics.conn(pred, truth) == pytest.approx(literal_conn(pred, truth), rel=1e-4)


def test_a_severed_limb_costs_connectivity_what_the_limb_weighs() -> None:
    truth = constant(0, 30, 60)
    truth[5:25, 2:22] = 1
    truth[14:16, 22:52] = 1
    pred = truth.copy()
    pred[:, 22] = 0
    assert metrics.sad(pred, truth) == pytest.approx(2 / 1000)
    # From the cut on, the limb is no part of what both share: truth's cut pixels are lost.
    assert metrics.conn(pred, truth) == pytest.approx(literal_conn(pred, truth))


def test_what_touches_at_a_corner_only_is_not_connected() -> None:
    truth = constant(0, 12, 12)
    truth[:6, :6] = truth[6:, 6:] = 1
    pred = truth.copy()
    pred[8:, 8:] = 0.9  # within the slack, were it connected
    assert metrics.conn(pred, truth) == pytest.approx(literal_conn(pred, truth))
    assert metrics.conn(pred, truth) == pytest.approx(16 * 0.1 / 1000)


def test_max_f_takes_one_threshold_for_the_whole_set() -> None:
    truth = np.float32(soft_disc() >= 0.5)
    faint, bold = truth * np.float32(0.2), np.maximum(truth, np.float32(0.6))
    curves = [metrics.f_curve(faint, truth), metrics.f_curve(bold, truth)]
    assert [curve.max() for curve in curves] == [1.0, 1.0]
    assert 0.5 <= metrics.max_f(curves) < 0.8
    with pytest.raises(BadArray):
        metrics.max_f([])


@pytest.mark.parametrize(("off", "score"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_a_contour_may_be_off_by_the_tolerance_and_no_further(off: int, score: float) -> None:
    truth, pred = constant(0, 150, 200), constant(0, 150, 200)  # 0.008 of 250 is 2 pixels
    truth[:, :80] = 1
    pred[:, : 80 + off] = 1
    assert metrics.boundary_f(pred, truth) == score


def literal_contour(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Pixels unlike the next one to the right, below, or diagonally; one after the other."""
    height, width = mask.shape
    found = [
        (y, x)
        for y in range(height)
        for x in range(width)
        if any(
            mask[y, x] != mask[y + dy, x + dx]
            for dy, dx in ((0, 1), (1, 0), (1, 1))
            if y + dy < height and x + dx < width
        )
    ]
    return np.array(found)


def test_boundary_f_is_the_papers_formula_taken_literally() -> None:
    truth = soft_disc(100, 121)  # 0.008 of the diagonal is 1.26 pixels, rounded up to 2
    for strength in (0.3, 0.6):
        pred = noisy(truth, strength)
        one, other = literal_contour(pred >= 0.5), literal_contour(truth >= 0.5)
        distances = np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1))
        precision = (distances.min(axis=1) <= 2).mean()
        recall = (distances.min(axis=0) <= 2).mean()
        literal = 2 * precision * recall / (precision + recall)
        assert metrics.boundary_f(pred, truth) == pytest.approx(literal, rel=1e-9)


def test_iou_counts_pixels_at_one_half() -> None:
    truth, pred = constant(0, 4, 10), constant(0, 4, 10)
    truth[:, :6], pred[:, 3:9] = 0.5, 0.9
    assert metrics.iou(pred, truth) == pytest.approx(3 / 9)


def test_an_error_of_alpha_is_invisible_on_a_background_of_the_subjects_colour() -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 255
    truth, pred = constant(1, 20, 20), constant(0.5, 20, 20)
    assert metrics.composite_error(red, pred, red, truth, (255, 0, 0)) == pytest.approx(0, abs=1e-3)
    assert metrics.composite_error(red, pred, red, truth, red) == pytest.approx(0, abs=1e-3)
    assert metrics.composite_error(red, pred, red, truth, (0, 0, 0)) == pytest.approx(500 / 3)
    assert metrics.composite_error(red, pred, red, truth, (0, 255, 0)) == pytest.approx(1000 / 3)


def test_wrong_colours_under_a_right_matte_cost_where_they_show() -> None:
    rng = np.random.default_rng(0)
    alpha = soft_disc()
    right = rng.integers(0, 65536, (*alpha.shape, 3), np.uint16)
    wrong = right.copy()
    wrong[alpha == 0] = 7
    assert metrics.composite_error(wrong, alpha, right, alpha, (9, 9, 9)) == 0.0
    wrong[alpha == 1] = 7
    assert metrics.composite_error(wrong, alpha, right, alpha, (9, 9, 9)) > 10


def test_a_composite_is_the_same_in_strips_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, pred = soft_disc(), noisy(soft_disc(), 0.3)
    photo, fg = (rng.integers(0, 256, (*truth.shape, 3), np.uint8) for _ in range(2))
    at_once = metrics.composite_error(fg, pred, fg, truth, photo)
    monkeypatch.setattr(metrics, "_STRIP", 777)
    assert metrics.composite_error(fg, pred, fg, truth, photo) == pytest.approx(at_once)


def test_a_composite_of_other_sizes_is_refused() -> None:
    alpha = soft_disc()
    fg = np.zeros((*alpha.shape, 3), np.uint8)
    for arguments in (
        (fg[:-1], alpha, fg, alpha, (0, 0, 0)),
        (fg, alpha, fg[:, 1:], alpha, (0, 0, 0)),
        (fg, alpha, fg, alpha, fg[1:]),
        (fg, alpha[1:], fg, alpha, (0, 0, 0)),
    ):
        with pytest.raises(BadArray):
            metrics.composite_error(*arguments)  # type: ignore[arg-type]


def test_a_yes_or_no_truth_is_told_from_an_exact_one() -> None:
    exact = soft_disc(300, 300, 60, soft=1.5)  # a soft rim of a pixel, like a logo's
    assert not metrics.is_binary(exact)
    assert metrics.is_binary(np.float32(exact >= 0.5))


def test_aurc_is_the_mean_risk_of_the_surest() -> None:
    # by hand: (0.1, (0.1 + 0.5) / 2, (0.1 + 0.5 + 0.3) / 3)
    assert metrics.aurc([0.5, 0.1, 0.3], [0.6, 0.9, 0.2]) == pytest.approx((0.1 + 0.3 + 0.3) / 3)
    assert metrics.aurc([0.5, 0.1, 0.3], [1, 3, 2]) < metrics.aurc([0.5, 0.1, 0.3], [3, 1, 2])


def test_a_confidence_that_says_nothing_gets_the_mean_risk_in_any_order() -> None:
    risk = [0.0, 0.0, 0.9, 0.3]
    for order in (risk, risk[::-1]):
        assert metrics.aurc(order, [0.5] * 4) == pytest.approx(0.3)


def test_flagging_the_least_sure_finds_this_share_of_the_bad() -> None:
    sure = [index / 20 for index in range(20)]
    bad = [index in (0, 5, 6, 7) for index in range(20)]
    assert metrics.recall_at_flagged(bad, sure, 0.1) == pytest.approx(1 / 4)
    assert metrics.recall_at_flagged(bad, sure, 0.4) == 1.0
    assert metrics.recall_at_flagged(bad, sure, 0.0) == 0.0
    assert metrics.recall_at_flagged([False] * 20, sure, 0.1) is None


def test_equal_confidences_at_the_limit_count_by_chance() -> None:
    bad = [True, False, False, False]
    for order in (bad, bad[::-1]):
        assert metrics.recall_at_flagged(order, [0.5] * 4, 0.5) == pytest.approx(0.5)


def test_what_cannot_be_ranked_is_refused() -> None:
    for risk, sure in (([], []), ([0.1], [0.1, 0.2]), ([0.1], [math.nan]), ([math.inf], [0.5])):
        with pytest.raises(BadArray):
            metrics.aurc(risk, sure)
    with pytest.raises(BadArray):
        metrics.recall_at_flagged([True], [0.5], 1.5)


@pytest.fixture(scope="session")
def pysodmetrics(pytestconfig: pytest.Config) -> Path:
    """A Python that has pysodmetrics, in an environment that pytest's cache keeps.

    An environment of its own, because pysodmetrics pins an older numpy.
    """
    cache = pytestconfig.cache
    assert cache is not None
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache.mkdir(f"{PYSODMETRICS.replace('==', '-')}-py{version}")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        run_clean([sys.executable, "-m", "venv", "--clear", str(folder)])
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
        run_clean([str(python), "-m", "pip", "install", *quiet, PYSODMETRICS])
        complete.touch()
    return python


def run_clean(argv: list[str]) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.peer
def test_pysodmetrics_says_the_same(pysodmetrics: Path, tmp_path: Path) -> None:
    mattes: dict[str, NDArray[np.uint8]] = {}
    for number, (height, width) in enumerate([(90, 120), (133, 71), (64, 64), (200, 310)]):
        truth = soft_disc(height, width, 0.3 * min(height, width), 2 + number)
        pred = noisy(truth, 0.15 * (number + 1), seed=number)
        pred[0, 0], pred[0, 1] = 0, 1  # it stretches what does not span 0..1
        for name, matte in (("truth", truth), ("pred", pred)):
            grey = np.rint(matte * 255).astype(np.uint8)
            grey[(grey == 127) | (grey == 128)] = 129  # one half is on no side there
            mattes[f"{name}{number}"] = grey
    np.savez(tmp_path / "mattes.npz", **mattes)  # type: ignore[arg-type]
    said = json.loads(
        run_clean([str(pysodmetrics), "-c", ASK_PYSODMETRICS, str(tmp_path / "mattes.npz")])
    )
    assert len(said) == 4
    for number, theirs in enumerate(said):
        pred, soft = (
            mattes[f"{name}{number}"].astype(np.float32) / np.float32(255)
            for name in ("pred", "truth")
        )
        truth = np.float32(soft >= 0.5)  # it knows yes-or-no truths only
        assert metrics.mad(pred, truth) == pytest.approx(1000 * theirs["mae"], rel=1e-4)
        assert metrics.iou(pred, soft) == pytest.approx(theirs["iou"], rel=1e-9)
        assert metrics.s_measure(pred, soft) == pytest.approx(theirs["s"], abs=1e-5)
        # OpenCV's nearest subject pixel is not always SciPy's.
        assert metrics.weighted_f(pred, soft) == pytest.approx(theirs["wf"], abs=1e-3)
        # It truncates k / 255 * 255, so some values fall one threshold lower.
        curve = metrics.f_curve(pred, soft)[::-1]
        assert np.abs(curve - np.array(theirs["f"])).max() < 5e-3
        assert curve.max() == pytest.approx(max(theirs["f"]), abs=1e-3)
