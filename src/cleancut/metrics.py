"""How far a matte is from the truth, and how well a confidence predicts that.

``pred`` and ``truth`` are (H, W) float32 in 0..1 of one size; every function raises ``BadArray``
for anything else (NaN too). Measures of segmentation take a truth of 0.5 and above as the subject.
Where there is no subject, an empty answer is perfect and any other worth nothing, so that no
measure is ever NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.arrays import check_alpha, check_rgb, full_scale, strips
from cleancut.errors import BadArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Alpha, Rgb

    Mask = NDArray[np.bool_]
    Curve = NDArray[np.float64]

#: Share of pixels between 0.02 and 0.98 up to which a truth counts as yes-or-no.
_BINARY_SHARE = 1e-4
_GRAD_SIGMA = 1.4
_GRAD_CUT = 1e-2
_CONN_STEPS = 10
_CONN_SLACK = 0.15
#: DAVIS: how far a contour may be off and still match, as a share of the picture's diagonal.
_BOUNDARY_SHARE = 0.008
#: A picture is composited about this many pixels at a time.
_STRIP = 1 << 20
_EPS = float(np.finfo(np.float64).eps)


def mad(pred: Alpha, truth: Alpha) -> float:
    """Mean absolute difference x 1000 over the whole picture (MAE x 1000)."""
    _check(pred, truth)
    return 1000.0 * _mean(np.abs(pred - truth))


def mse(pred: Alpha, truth: Alpha) -> float:
    """Mean squared error x 1000 over the whole picture."""
    _check(pred, truth)
    return 1000.0 * _mean(np.square(pred - truth))


def sad(pred: Alpha, truth: Alpha) -> float:
    """Sum of absolute differences over the whole picture, in thousands; grows with its area.

    Papers with a trimap sum over the unknown band only: not comparable.
    """
    _check(pred, truth)
    return float(np.abs(pred - truth).sum(dtype=np.float64)) / 1000.0


def grad(pred: Alpha, truth: Alpha) -> float:
    """Sum of squared differences of the gradient's length, in thousands; grows with the area.

    Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting" (CVPR 2009):
    first-order Gaussian derivatives, sigma 1.4. The Gaussian's sum is 1, so a step from 0 to 1 has
    a slope of 0.285 a pixel; code that scales the filters to unit energy gives 96.6 times as much.
    """
    _check(pred, truth)
    difference = _slope(pred) - _slope(truth)
    return float(np.square(difference).sum(dtype=np.float64)) / 1000.0


def conn(pred: Alpha, truth: Alpha) -> float:
    """Connectivity error over the whole picture, in thousands; grows with the area.

    Rhemann et al. (CVPR 2009): a pixel's level is the last of the thresholds 0, 0.1, .. 1 at which
    it belongs to the largest 4-connected region that both mattes share. What a matte has above its
    level, from 0.15 on, counts as unconnected; the measure sums the differences.
    """
    _check(pred, truth)
    level = np.ones(pred.shape, np.float32)
    both = np.minimum(pred, truth)
    inside = np.ones(pred.shape, np.bool_)
    for step in range(1, _CONN_STEPS + 1):
        region = _largest_region(both >= np.float32(step / _CONN_STEPS))
        level[inside & ~region] = (step - 1) / _CONN_STEPS
        inside &= region
    difference = np.abs(_connectedness(pred, level) - _connectedness(truth, level))
    return float(difference.sum(dtype=np.float64)) / 1000.0


def f_curve(pred: Alpha, truth: Alpha) -> Curve:
    """F-measure (beta² = 0.3) at the thresholds 0, 1/255, .. 1: (256,) float64.

    Achanta et al., "Frequency-tuned Salient Region Detection" (CVPR 2009). ``max_f`` turns the
    curves of a set into its figure.
    """
    subject = _subject(pred, truth)
    levels = np.rint(pred * 255).astype(np.uint8)
    hits = np.bincount(levels[subject], minlength=256)[::-1].cumsum()[::-1]
    found = np.bincount(levels.ravel(), minlength=256)[::-1].cumsum()[::-1]
    size = int(subject.sum())
    if size == 0:
        return np.asarray(found == 0, np.float64)
    # F = (1 + b2) P R / (b2 P + R) with P = hits / found and R = hits / size.
    curve: Curve = 1.3 * hits / (0.3 * size + found)
    return curve


def max_f(curves: Sequence[Curve]) -> float:
    """The maximum of the mean of ``f_curve`` over a set: one threshold for all its pictures.

    Raises ``BadArray`` for an empty set.
    """
    if not curves:
        raise BadArray("no curve to take the maximum of")
    return float(np.mean(np.stack(curves), axis=0).max())


def weighted_f(pred: Alpha, truth: Alpha) -> float:
    """Weighted F-measure (beta² = 1), 0..1.

    Margolin, Zelnik-Manor, Tal, "How to Evaluate Foreground Maps?" (CVPR 2014): errors near others
    of the subject weigh less (7 x 7 Gaussian, sigma 5), false alarms weigh more with their distance
    from the subject. The nearest subject pixel is OpenCV's (5 x 5 chamfer), its distance is exact.
    """
    subject = _subject(pred, truth)
    if not subject.any():
        return float(not pred.any())
    error = np.abs(pred - subject)
    outside = (~subject).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(labels.max()) + 1, np.float32)
    of_label[labels[subject]] = error[subject]
    nearest = of_label[labels]  # the error itself inside the subject
    smooth = cv2.GaussianBlur(nearest, (7, 7), 5, borderType=cv2.BORDER_CONSTANT)
    inside = float(np.minimum(error, smooth)[subject].sum(dtype=np.float64))
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    weight = 2.0 - np.exp2(distance / -5.0)  # exp(ln(0.5) / 5 * distance)
    alarms = float((error * weight)[~subject].sum(dtype=np.float64))
    size = float(subject.sum())
    recall = 1.0 - inside / size
    precision = (size - inside) / (size - inside + alarms + _EPS)
    return 2.0 * recall * precision / (recall + precision + _EPS)


def s_measure(pred: Alpha, truth: Alpha) -> float:
    """Structure measure, 0..1: half of it over subject and background, half over four regions.

    Fan et al., "Structure-measure: A New Way to Evaluate Foreground Maps" (ICCV 2017), alpha 0.5;
    the regions meet in the subject's centroid.
    """
    subject = _subject(pred, truth)
    share = float(subject.mean())
    if share in (0.0, 1.0):
        return 1.0 - abs(_mean(pred) - share)
    by_object = share * _likeness(pred[subject]) + (1.0 - share) * _likeness(1.0 - pred[~subject])
    rows, columns = np.nonzero(subject)
    row, column = round(float(rows.mean())) + 1, round(float(columns.mean())) + 1
    by_region = 0.0
    for part in (np.s_[:row, :column], np.s_[:row, column:], np.s_[row:, :column],
                 np.s_[row:, column:]):  # fmt: skip
        if subject[part].size:
            by_region += subject[part].size * _structure(pred[part], subject[part])
    return max(0.0, 0.5 * by_object + 0.5 * by_region / subject.size)


def iou(pred: Alpha, truth: Alpha) -> float:
    """Intersection over union of both at 0.5 (the J of DAVIS), 0..1; 1 where both are empty."""
    subject = _subject(pred, truth)
    found = pred >= 0.5
    union = int((found | subject).sum())
    return int((found & subject).sum()) / union if union else 1.0


def boundary_f(pred: Alpha, truth: Alpha) -> float:
    """F-measure of the contours at 0.5, 0..1.

    Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation"
    (CVPR 2016): a contour pixel matches if the other contour is at most 0.008 of the picture's
    diagonal away, rounded up to whole pixels.
    """
    masks = _subject(truth, pred), _subject(pred, truth)
    edges = [contour(mask) for mask in masks]
    counts = [int(edge.sum()) for edge in edges]
    if 0 in counts:  # empty or full
        return float(np.array_equal(*masks))
    reach = math.ceil(_BOUNDARY_SHARE * math.hypot(*pred.shape))
    precision, recall = (
        int((distance_to(edges[1 - side])[edges[side]] <= reach).sum()) / counts[side]
        for side in (0, 1)
    )
    return 2.0 * precision * recall / (precision + recall) if precision + recall else 0.0


def composite_error(
    fg_pred: Rgb,
    alpha_pred: Alpha,
    fg_true: Rgb,
    alpha_true: Alpha,
    background: Rgb | tuple[int, int, int],
) -> float:
    """Mean absolute difference x 1000 of both cutouts put on a background, in sRGB values 0..1.

    Foregrounds are straight colours, (H, W, 3); ``background`` is a colour of 0..255 or a picture
    of the same size. This is what a viewer sees of matte and colours together: an error of alpha
    is invisible where subject and background look alike.
    """
    _check(alpha_pred, alpha_true)
    for name, rgb in (("foreground", fg_pred), ("true foreground", fg_true)):
        check_rgb(rgb, name)
        if rgb.shape[:2] != alpha_true.shape:
            raise BadArray(f"{name} and alpha differ in size", hint="resize one of them first")
    if not isinstance(background, tuple) and check_rgb(background).shape != fg_true.shape:
        raise BadArray("background and picture differ in size", hint="resize one of them first")
    total = 0.0
    for rows in strips(alpha_true, _STRIP):
        soft, true = alpha_pred[rows, :, None], alpha_true[rows, :, None]
        mixed = _unit(fg_pred[rows]) * soft - _unit(fg_true[rows]) * true
        if isinstance(background, tuple):
            behind = np.array(background, np.float32) / np.float32(255)
        else:
            behind = _unit(background[rows])
        total += float(np.abs(mixed + (true - soft) * behind).sum(dtype=np.float64))
    return 1000.0 * total / (3 * alpha_true.size)


def is_binary(truth: Alpha) -> bool:
    """Whether a truth says only yes or no: at most one pixel in 10 000 lies in 0.02..0.98.

    Such a truth cannot judge hair or fur: score it with ``iou`` and ``boundary_f``.
    """
    check_alpha(truth, "truth")
    return bool(((truth > 0.02) & (truth < 0.98)).mean() <= _BINARY_SHARE)


def aurc(risk: Sequence[float], confidence: Sequence[float]) -> float:
    """Area under the risk-coverage curve: the mean risk of the surest k results, over all k.

    Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation" (ICLR 2019). Less is better; a
    confidence that says nothing gives the mean risk. Equal confidences count in every order alike.
    Raises ``BadArray`` for empty, unequally long or not finite input.
    """
    risks, sure = _ranked(risk, confidence)
    # Equals share their mean: the expectation over their orders.
    _, group = np.unique(-sure, return_inverse=True)
    tied = (np.bincount(group, risks) / np.bincount(group))[group]
    ordered = tied[np.argsort(-sure, kind="stable")]
    return float((ordered.cumsum() / np.arange(1, len(ordered) + 1)).mean())


def recall_at_flagged(
    bad: Sequence[bool], confidence: Sequence[float], share: float = 0.1
) -> float | None:
    """The share of bad results among the least sure ``share`` of all (rounded up); None if none is.

    What a person finds who looks through the flagged ones only. It cannot exceed flagged / bad.
    Where equal confidences straddle the limit, the expectation over their orders. Raises
    ``BadArray`` as ``aurc`` does.
    """
    wrong, sure = _ranked([float(flag) for flag in bad], confidence)
    if not 0.0 <= share <= 1.0:
        raise BadArray(f"a share of {share} cannot be flagged", hint="give 0 to 1")
    if not wrong.any():
        return None
    flagged = math.ceil(share * len(wrong) - 1e-9)
    if flagged == 0:
        return 0.0
    limit = np.sort(sure)[flagged - 1]
    below, at = sure < limit, sure == limit
    found = wrong[below].sum() + wrong[at].mean() * (flagged - below.sum())
    return float(found / wrong.sum())


def _check(pred: Alpha, truth: Alpha) -> None:
    check_alpha(pred, "pred")
    check_alpha(truth, "truth")
    if pred.shape != truth.shape:
        raise BadArray(
            f"matte {pred.shape[1]}x{pred.shape[0]} and truth {truth.shape[1]}x{truth.shape[0]}"
            " differ in size",
            hint="score a matte at the size of the picture",
        )


def _subject(pred: Alpha, truth: Alpha) -> Mask:
    _check(pred, truth)
    return truth >= 0.5


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean(dtype=np.float64))


def _slope(alpha: Alpha) -> NDArray[np.float32]:
    half = math.ceil(
        _GRAD_SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * _GRAD_SIGMA * _GRAD_CUT))
    )
    x = np.arange(-half, half + 1)
    bell = np.exp(-(x**2) / (2 * _GRAD_SIGMA**2)) / (_GRAD_SIGMA * math.sqrt(2 * math.pi))
    ramp = -x * bell / _GRAD_SIGMA**2
    edge = cv2.BORDER_REPLICATE
    along_x = cv2.sepFilter2D(alpha, cv2.CV_32F, ramp, bell, borderType=edge)
    along_y = cv2.sepFilter2D(alpha, cv2.CV_32F, bell, ramp, borderType=edge)
    length: NDArray[np.float32] = np.hypot(along_x, along_y)
    return length


def _largest_region(mask: Mask) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if len(stats) == 1:
        return mask  # nothing but background
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def _connectedness(alpha: Alpha, level: NDArray[np.float32]) -> NDArray[np.float32]:
    above = alpha - level
    above[above < np.float32(_CONN_SLACK)] = 0.0
    return np.float32(1.0) - above


def _likeness(values: NDArray[np.float32]) -> float:
    mean = _mean(values)
    spread = float(values.std(ddof=1, dtype=np.float64)) if values.size > 1 else 0.0
    return 2.0 * mean / (mean**2 + 1.0 + spread + _EPS)


def _structure(pred: Alpha, subject: Mask) -> float:
    """The structural similarity of one region."""
    x, y = _mean(pred), _mean(subject)
    off_x, off_y = pred.astype(np.float64) - x, subject - y
    samples = max(pred.size - 1, 1)
    spread = (np.square(off_x).sum() + np.square(off_y).sum()) / samples
    above = 4.0 * x * y * float((off_x * off_y).sum()) / samples
    below = (x**2 + y**2) * float(spread)
    if above == 0.0:
        return float(below == 0.0)
    return above / (below + _EPS)


def contour(mask: Mask) -> Mask:
    """The pixels of (H, W) that differ from the one to the right, below, or both."""
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1] |= mask[:-1] ^ mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge


def distance_to(mask: Mask) -> NDArray[np.float32]:
    """Pixels from each place of (H, W) to the nearest that is set; huge where none is."""
    outside = (~mask).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def _unit(rgb: Rgb) -> NDArray[np.float32]:
    return rgb.astype(np.float32) / np.float32(full_scale(rgb))


def _ranked(values: Sequence[float], confidence: Sequence[float]) -> tuple[Curve, Curve]:
    risks, sure = np.asarray(values, np.float64), np.asarray(confidence, np.float64)
    if risks.ndim != 1 or risks.shape != sure.shape or risks.size == 0:
        raise BadArray(f"{risks.size} values and {sure.size} confidences cannot be ranked")
    if not (np.isfinite(risks).all() and np.isfinite(sure).all()):
        raise BadArray("values and confidences must be finite")
    return risks, sure
