from __future__ import annotations

import numpy as np
import pytest

from cleancut.bench.measures import MEASURES
from cleancut.bench.score import (
    Scored,
    Truth,
    figures,
    photo_background,
    summary,
    trust,
)
from cleancut.metrics import f_curve
from tests.bench.scenes import disc

TRUTH = disc().astype(np.float32) / np.float32(255)
RGB = np.random.default_rng(0).integers(0, 256, (*TRUTH.shape, 3), np.uint8)


def scored(stem: str, iou: float, confidence: float | None, seconds: float | None = None) -> Scored:
    curve = np.full(256, iou)
    return Scored("set", stem, {"iou": iou, "mad": 1 - iou}, curve, seconds, confidence)


def test_every_measure_has_a_figure() -> None:
    found = figures(Truth.of(RGB, TRUTH), TRUTH, RGB)
    assert {measure.key for measure in MEASURES} == {*found, "max_f"}
    assert all(isinstance(value, float) for value in found.values())


def test_the_truth_with_its_own_colours_has_no_error_on_any_background() -> None:
    truth = Truth.of(RGB, TRUTH)
    perfect = figures(truth, TRUTH, truth.foreground)
    assert [perfect[key] for key in ("mad", "grad", "on_black", "on_white", "on_photo")] == [
        0.0
    ] * 5
    # A tool that hands on the picture's colours brings the old background along.
    assert figures(truth, TRUTH, RGB)["on_white"] > 0.1


def test_a_summary_is_the_mean_over_pictures_and_the_median_of_seconds() -> None:
    rows = [scored("a", 0.5, None, 1.0), scored("b", 1.0, None, 9.0), scored("c", 0.9, None, 2.0)]
    found = summary(rows)
    assert found.pictures == 3
    assert found.figures["iou"] == pytest.approx(0.8)
    assert found.seconds == 2.0
    assert summary([]).pictures == 0


def test_max_f_of_a_set_is_of_the_mean_curve() -> None:
    low, high = np.zeros(256), np.zeros(256)
    low[10], high[200] = 1.0, 1.0
    rows = [Scored("set", str(i), {"iou": 1.0}, curve) for i, curve in enumerate((low, high))]
    assert summary(rows).figures["max_f"] == 0.5
    assert f_curve(TRUTH, TRUTH).shape == (256,)


def test_trust_needs_a_confidence_of_every_result() -> None:
    sure = [scored(str(i), 0.96 - 0.05 * (i % 4), 1 - 0.1 * (i % 4)) for i in range(20)]
    worth = trust(sure)
    assert worth is not None
    assert (worth.results, worth.bad) == (20, 10)
    assert worth.aurc == pytest.approx(worth.perfect)
    assert worth.blind > worth.aurc
    assert worth.recall == worth.best == pytest.approx(0.2)
    assert trust([*sure, scored("x", 0.5, None)]) is None
    assert trust([]) is None


@pytest.mark.parametrize(("height", "width"), [(1, 1), (30, 700), (700, 30), (600, 900)])
def test_the_photo_is_of_the_size_asked_for_and_busy(height: int, width: int) -> None:
    photo = photo_background(height, width)
    assert photo.shape == (height, width, 3)
    assert photo.dtype == np.uint8
    assert np.array_equal(photo, photo_background(height, width))
    if height * width > 1:
        assert photo.std() > 20
