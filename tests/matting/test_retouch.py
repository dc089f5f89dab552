from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.matting import retouch
from cleancut.matting.retouch import REACH_PX, solve_again
from tests.matting.scenes import Scene, hairy_alpha, scene

H, W = 300, 420


@pytest.fixture(scope="module")
def hair() -> Scene:
    return scene(hairy_alpha(H, W))


def _stroke(*points: tuple[int, int], width: int = 40) -> NDArray[np.bool_]:
    sheet = np.zeros((H, W), np.uint8)
    cv2.polylines(sheet, [np.array(points, np.int32)], False, 1, width)
    return sheet > 0


def _error(alpha: NDArray[np.float32], truth: Scene, mark: NDArray[np.bool_]) -> float:
    return float(np.abs(alpha - truth.alpha)[mark].mean())


def test_strands_come_back_where_they_were_rubbed_out(hair: Scene) -> None:
    mark = _stroke((290, 110), (300, 190), width=50)
    bald = hair.alpha.copy()
    bald[mark & (cv2.erode(hair.alpha, np.ones((9, 9), np.uint8)) < 0.9)] = 0
    solved = solve_again(hair.rgb, bald, mark)
    assert not solved.notes
    assert _error(solved.alpha, hair, mark) < 0.25 * _error(bald, hair, mark)
    assert np.array_equal(solved.alpha[~mark], bald[~mark])


def test_soft_surroundings_are_boundary_values_as_they_are(hair: Scene) -> None:
    halved = hair.alpha * np.float32(0.5)
    mark = _stroke((290, 110), (300, 190))
    solved = solve_again(hair.rgb, halved, mark).alpha
    assert np.array_equal(solved[~mark], halved[~mark])
    assert float(solved[mark].max()) < 0.6


@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_where_nothing_around_differs_the_answer_is_that(level: float, hair: Scene) -> None:
    flat = np.full((H, W), level, np.float32)
    mark = _stroke((100, 100), (300, 200))
    flat[mark] = 0.5
    assert (solve_again(hair.rgb, flat, mark).alpha == np.float32(level)).all()


def test_no_holes_where_the_surroundings_are_nearly_whole(hair: Scene) -> None:
    alpha = np.full((H, W), 0.98, np.float32)
    alpha[:, ::2] = 1
    alpha[:, -30:] = 0  # there is background to take colours from
    mark = _stroke((60, 60), (200, 220))
    assert float(solve_again(hair.rgb, alpha, mark).alpha[mark].min()) > 0.9


def test_what_lies_beyond_the_reach_has_no_say(hair: Scene) -> None:
    mark = _stroke((285, 120), (300, 170), width=24)
    rows, columns = np.nonzero(mark)
    part = (
        slice(max(rows.min() - REACH_PX, 0), rows.max() + REACH_PX + 1),
        slice(max(columns.min() - REACH_PX, 0), columns.max() + REACH_PX + 1),
    )
    whole = solve_again(hair.rgb, hair.alpha, mark).alpha
    cropped = solve_again(hair.rgb[part], hair.alpha[part], mark[part]).alpha
    assert whole[part].shape != whole.shape
    assert np.abs(cropped - whole[part]).max() < 1 / 255


def test_marks_apart_are_solved_as_if_each_were_alone(hair: Scene) -> None:
    one, other = (
        _stroke((290, 110), (300, 190), width=20),
        _stroke((120, 110), (130, 190), width=20),
    )
    both = solve_again(hair.rgb, hair.alpha, one | other).alpha
    alone = solve_again(hair.rgb, hair.alpha, one).alpha
    assert np.abs(both - alone)[one].max() < 0.05
    assert np.array_equal(both[~(one | other)], hair.alpha[~(one | other)])


def test_no_mark_changes_nothing_and_nothing_but_marks_is_told(hair: Scene) -> None:
    nothing, all_of_it = np.zeros((H, W), np.bool_), np.ones((H, W), np.bool_)
    assert np.array_equal(solve_again(hair.rgb, hair.alpha, nothing).alpha, hair.alpha)
    solved = solve_again(hair.rgb, hair.alpha, all_of_it)
    assert np.array_equal(solved.alpha, hair.alpha)
    assert solved.notes[0].startswith("retouch_gave_up: ")


def test_hundreds_of_specks_are_solved_in_one_go(
    hair: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    solved = retouch._solved
    monkeypatch.setattr(retouch, "_solved", lambda *args: calls.append(1) or solved(*args))
    specks = np.zeros((H, W), np.bool_)
    specks[5::20, 5::20] = True
    alpha = solve_again(hair.rgb, hair.alpha, specks).alpha
    assert len(calls) == 1
    assert np.array_equal(alpha[~specks], hair.alpha[~specks])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (3, 3), (5, 40)])
def test_tiny_pictures_are_solved_or_left(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for kind in (np.uint8, np.uint16):
        rgb = rng.integers(0, 255, (*shape, 3)).astype(kind)
        alpha = rng.random(shape).astype(np.float32)
        mark = rng.random(shape) > 0.5
        solved = solve_again(rgb, alpha, mark).alpha
        assert np.isfinite(solved).all()
        assert 0 <= float(solved.min()) <= float(solved.max()) <= 1
        assert np.array_equal(solved[~mark], alpha[~mark])


@pytest.mark.parametrize("core", [2, 12])
@pytest.mark.parametrize("keeps", [True, False])
def test_the_rim_of_a_brush_on_one_surface_is_a_plain_fall_off(core: int, keeps: bool) -> None:
    """Noise and texture are no edge: what is as far from the brush's core is as opaque."""
    rng = np.random.default_rng(2)
    rgb = np.clip(128 + rng.normal(0, 20, (200, 200, 3)), 0, 255).astype(np.uint8)
    rgb[::7] = 60
    y, x = np.mgrid[:200, :200]
    away = np.hypot(y - 100, x - 100)
    rim = (away > core) & (away < 40)
    inside = away <= core
    alpha = np.where(inside == keeps, np.float32(1), np.float32(0))
    solved = solve_again(rgb, alpha, rim, core=inside).alpha
    solved = solved if keeps else 1 - solved
    rings = [solved[(away >= near) & (away < near + 1)] for near in range(core + 2, 38)]
    assert max(float(ring.std()) for ring in rings) < 0.03
    middle = [float(np.median(ring)) for ring in rings]
    assert middle == sorted(middle, reverse=True)
    assert middle[0] > 0.95
    assert middle[-1] < 0.05


def test_the_rim_of_a_brush_finds_an_edge_that_there_is(hair: Scene) -> None:
    """What a stroke in the background takes away ends where the subject begins."""
    fringe = np.maximum(hair.alpha, _stroke((290, 110), (300, 190), width=60).astype(np.float32))
    far = cv2.distanceTransform((hair.alpha < 0.02).astype(np.uint8), cv2.DIST_L2, 5)
    stroke = _stroke((290, 110), (300, 190), width=60)
    core = stroke & (far > 6)
    rim = stroke & ~core
    fringe[core] = 0
    solved = solve_again(hair.rgb, fringe, rim, core=core).alpha
    assert _error(solved, hair, rim) < 0.5 * _error(fringe, hair, rim)


def test_marks_away_from_the_core_are_no_rim(hair: Scene) -> None:
    mark = _stroke((290, 110), (300, 190), width=20)
    core = _stroke((60, 60), (80, 80), width=10)
    alone = solve_again(hair.rgb, hair.alpha, mark).alpha
    assert np.array_equal(solve_again(hair.rgb, hair.alpha, mark, core=core).alpha, alone)
