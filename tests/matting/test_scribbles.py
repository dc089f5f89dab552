from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray
from cleancut.guidance import Guidance
from cleancut.matting.guidance import guide, marks_of
from cleancut.matting.scribbles import follow

H, W = 240, 360
SUBJECT, OTHER = (110, 120, 55), (270, 120, 45)


def _disc(centre: tuple[int, int, int]) -> NDArray[np.float32]:
    sheet = np.zeros((H, W), np.uint8)
    cv2.circle(sheet, centre[:2], centre[2], 255, -1, cv2.LINE_AA)
    return sheet.astype(np.float32) / 255


def _photo() -> NDArray[np.uint8]:
    """An orange and a blue disc on a mottled grey-green ground."""
    rng = np.random.default_rng(4)
    rough = rng.random((12, 18, 3)).astype(np.float32)
    photo = np.float32((95, 120, 90)) + 30 * cv2.resize(rough, (W, H))
    for disc, colour in ((_disc(SUBJECT), (225, 120, 40)), (_disc(OTHER), (50, 80, 200))):
        photo = photo + disc[..., None] * (np.float32(colour) - photo)
    return np.rint(photo).astype(np.uint8)


def _guided(alpha: NDArray[np.float32], scale: int = 1, **points: str) -> NDArray[np.float32]:
    marks = marks_of(Guidance(**points), *alpha.shape)  # type: ignore[arg-type]
    photo = _photo()
    if scale > 1:
        photo = np.repeat(np.repeat(photo, scale, 0), scale, 1)
    return guide(photo, alpha, marks)


def _overlap(alpha: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    a, t = alpha >= 0.5, truth >= 0.5
    return float((a & t).sum() / (a | t).sum())


def test_a_click_removes_the_wrong_object_and_leaves_the_subject_untouched() -> None:
    alpha = np.maximum(_disc(SUBJECT), _disc(OTHER))
    guided = _guided(alpha, remove_points="265,125")
    assert guided[_disc(OTHER) > 0].max() < 0.05, "all of it goes with its rim, not a dot"
    np.testing.assert_array_equal(guided[:, :180], alpha[:, :180])


def test_a_click_removes_a_whole_separate_piece_whatever_is_painted_on_it() -> None:
    """One motley of two things, both of which the network is sure of."""
    piece = _disc(OTHER)
    motley = _photo()
    for x in range(225, 320, 14):
        motley[:, x : x + 7][piece[:, x : x + 7] > 0] = (240, 230, 40)
    alpha = np.maximum(_disc((110, 120, 75)), piece)
    marks = marks_of(Guidance(remove_points="270,120"), H, W)
    guided = guide(motley, alpha, marks)
    assert (guided[piece > 0] >= 0.5).mean() < 0.05
    np.testing.assert_array_equal(guided[:, :190], alpha[:, :190])
    # ... but not the subject itself, for a click on the larger of two
    kept = guide(motley, alpha, marks_of(Guidance(remove_points="110,120"), H, W))
    np.testing.assert_array_equal(kept[:, 230:], alpha[:, 230:])


def test_a_click_brings_a_lost_object_back_up_to_its_edge() -> None:
    truth = np.maximum(_disc(SUBJECT), _disc(OTHER))
    guided = _guided(_disc(SUBJECT), keep_points="75%,50%")
    assert _overlap(guided, truth) > 0.97
    np.testing.assert_array_equal(guided[:, :180], truth[:, :180])


def test_a_click_brings_back_the_missing_half_of_the_subject() -> None:
    truth = _disc(SUBJECT)
    half = truth.copy()
    half[:, 100:] = 0
    assert _overlap(_guided(half, keep_points="130,120"), truth) > 0.95


def test_marks_of_the_other_kind_protect_what_is_nearer_to_them() -> None:
    alpha = _disc(SUBJECT)
    alone = _guided(alpha, remove_points="135,120")
    assert alone.max() < 0.05, "one even thing goes as a whole"
    shared = _guided(alpha, keep_points="85,120", remove_points="135,120")
    assert shared[110:130, 65:95].min() > 0.95
    assert shared[110:130, 125:150].max() < 0.05
    lost = _guided(np.zeros_like(alpha), keep_points="85,120", remove_points="135,120")
    assert lost[110:130, 65:90].min() > 0.9
    assert lost[110:130, 125:150].max() < 0.05


def test_a_click_on_what_is_right_already_changes_nothing() -> None:
    alpha = _disc(SUBJECT)
    np.testing.assert_array_equal(_guided(alpha, keep_points="110,120"), alpha)
    np.testing.assert_array_equal(_guided(alpha, remove_points="300,20"), alpha)


def test_the_result_does_not_depend_on_the_size_of_the_picture() -> None:
    alpha = np.maximum(_disc(SUBJECT), _disc(OTHER))
    large = _guided(np.repeat(np.repeat(alpha, 4, 0), 4, 1), 4, remove_points="75%,50%")
    small = cv2.resize(large, (W, H), interpolation=cv2.INTER_AREA)
    assert np.abs(small - _guided(alpha, remove_points="75%,50%")).mean() < 0.005


def test_a_stroke_works_like_a_click() -> None:
    alpha = np.maximum(_disc(SUBJECT), _disc(OTHER))
    remove = np.zeros((H, W), np.bool_)
    remove[118:122, 200:300] = True  # starts in the background, ends in the object
    guided = follow(_photo(), alpha, np.zeros_like(remove), remove)
    assert guided[:, 200:].max() < 0.05, "no holes"
    np.testing.assert_array_equal(guided[:, :180], alpha[:, :180])


def test_pixels_under_marks_are_exact() -> None:
    alpha = np.full((H, W), 0.5, np.float32)
    guided = _guided(alpha, keep_points="110,120", remove_points="20,20")
    assert (guided[120, 110], guided[20, 20]) == (1, 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 5), (9, 2000)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_any_shape_and_level_gives_a_matte(shape: tuple[int, int], level: float) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    alpha = np.full(shape, level, np.float32)
    for points in (Guidance(keep_points="50%,50%"), Guidance(remove_points="0,0")):
        guided = guide(rgb, alpha, marks_of(points, *shape))
        assert guided.shape == shape
        assert guided.min() >= 0
        assert guided.max() <= 1


def test_sixteen_bits_and_floats_count_like_eight() -> None:
    alpha = np.maximum(_disc(SUBJECT), _disc(OTHER))
    marks = marks_of(Guidance(remove_points="270,120"), H, W)
    eight = guide(_photo(), alpha, marks)
    sixteen = guide(_photo().astype(np.uint16) * 257, alpha, marks)
    floats = guide(_photo().astype(np.float32) / 255, alpha, marks)
    assert np.abs(eight - sixteen).max() < 0.02
    assert np.abs(eight - floats).max() < 0.02


def test_many_marks_are_all_followed_and_nan_pixels_do_no_harm() -> None:
    alpha = np.maximum(_disc(SUBJECT), _disc(OTHER))
    dots = ";".join(f"{x},{y}" for x in range(5, 60, 9) for y in range(5, 60, 9)) + ";270,120"
    assert _overlap(_guided(alpha, remove_points=dots), _disc(SUBJECT)) > 0.97
    broken = _photo().astype(np.float32) / 255
    broken[10:20, 10:20] = np.nan
    assert np.isfinite(
        guide(broken, alpha, marks_of(Guidance(remove_points="270,120"), H, W))
    ).all()


def test_a_broken_matte_is_refused() -> None:
    nothing = np.zeros((H, W), np.bool_)
    with pytest.raises(BadArray):
        follow(_photo(), np.full((H, W), np.nan, np.float32), nothing, nothing)
