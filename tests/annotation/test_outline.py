import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.annotation.outline import Annotation, Ring, annotate, joined
from cleancut.errors import BadArray, BadOption


def block(*places: tuple[int, int, int, int], height: int = 60, width: int = 80) -> NDArray:
    """A matte that is 1 in the boxes (left, top, right, bottom)."""
    alpha = np.zeros((height, width), np.float32)
    for left, top, right, bottom in places:
        alpha[top:bottom, left:right] = 1
    return alpha


def area_of(ring: Ring) -> float:
    return float(cv2.contourArea(np.array(ring, np.float32), oriented=True))


def test_outlines_run_along_the_edges_of_pixels() -> None:
    found = annotate(block((10, 20, 31, 45)), tolerance_px=0)
    assert (found.width, found.height) == (80, 60)
    assert found.box == (10, 20, 31, 45)
    assert found.area == 21 * 25
    assert set(found.parts[0].outer) == {(10, 20), (31, 20), (31, 45), (10, 45)}
    assert found.runs is None


def test_a_subject_that_fills_the_picture_ends_at_its_edges() -> None:
    found = annotate(np.ones((30, 40), np.float32))
    assert found.box == (0, 0, 40, 30)
    assert set(found.parts[0].outer) == {(0, 0), (40, 0), (40, 30), (0, 30)}


def test_holes_belong_to_their_island_and_turn_the_other_way() -> None:
    alpha = block((5, 5, 35, 55), (45, 10, 75, 50))
    alpha[20:30, 50:60] = 0
    found = annotate(alpha, tolerance_px=0)
    assert [len(part.holes) for part in found.parts] == [0, 1]  # the larger first
    outer, hole = found.parts[1].outer, found.parts[1].holes[0]
    assert area_of(outer) * area_of(hole) < 0
    # A corner of a hole may be cut by half a pixel.
    assert abs(area_of(hole)) == pytest.approx(100, abs=1)
    assert found.area == int((alpha >= 0.5).sum())
    assert found.runs is not None
    assert sum(found.runs) == alpha.size
    assert sum(found.runs[1::2]) == found.area


def test_an_island_in_a_hole_is_an_island() -> None:
    alpha = block((5, 5, 55, 55))
    alpha[15:45, 15:45] = 0
    alpha[25:35, 25:35] = 1
    found = annotate(alpha)
    assert len(found.parts) == 2
    assert [len(part.holes) for part in found.parts] == [1, 0]


def test_specks_are_left_out_of_everything() -> None:
    alpha = block((10, 10, 40, 40), (60, 2, 62, 4))
    alpha[20, 20] = 0
    found = annotate(alpha)
    assert len(found.parts) == 1
    assert found.parts[0].holes == ()
    assert found.box == (10, 10, 40, 40)
    assert found.area == 900
    assert len(annotate(alpha, speck_px=1).parts) == 2


def test_an_empty_matte_has_no_parts() -> None:
    assert annotate(np.full((9, 7), 0.49, np.float32)) == Annotation(7, 9)
    assert annotate(block((3, 3, 5, 5))) == Annotation(80, 60)  # a speck alone


def test_simplifying_keeps_to_the_tolerance() -> None:
    rows, columns = np.mgrid[:400, :400]
    alpha = (np.hypot(rows - 200, columns - 200) < 150).astype(np.float32)
    exact, rough = annotate(alpha, tolerance_px=0), annotate(alpha, tolerance_px=2)
    assert len(rough.parts[0].outer) < len(exact.parts[0].outer) / 4
    line = np.array(exact.parts[0].outer, np.float32)
    apart = [abs(cv2.pointPolygonTest(line, point, True)) for point in rough.parts[0].outer]
    assert max(apart) < 2
    assert area_of(rough.parts[0].outer) == pytest.approx(area_of(line.tolist()), rel=0.01)


def test_a_bridge_joins_rings_without_area() -> None:
    alpha = block((5, 5, 35, 55), (45, 10, 75, 50))
    alpha[20:30, 50:60] = 0
    found = annotate(alpha, tolerance_px=0)
    rings = [ring for part in found.parts for ring in (part.outer, *part.holes)]
    whole = joined(rings)
    assert len(whole) == sum(map(len, rings)) + 2 * (len(rings) - 1)
    assert abs(area_of(whole)) == pytest.approx(found.area, abs=2)


def test_bad_arguments() -> None:
    with pytest.raises(BadOption, match="tolerance"):
        annotate(block((1, 1, 9, 9)), tolerance_px=-1)
    with pytest.raises(BadArray):
        annotate(np.zeros((4, 4, 3), np.float32))
