from __future__ import annotations

import pytest

from cleancut.face import POINTS, Face


def face(**changes: tuple[float, float]) -> Face:
    points = {
        "left_eye": (40.0, 50.0),
        "right_eye": (60.0, 50.0),
        "nose": (50.0, 62.0),
        "mouth": (50.0, 74.0),
        "chin": (50.0, 90.0),
        "forehead": (50.0, 30.0),
        "left_cheek": (30.0, 60.0),
        "right_cheek": (70.0, 60.0),
    }
    return Face(score=0.9, **{**points, **changes})


def test_a_face_knows_its_height_middle_and_lean() -> None:
    assert face().height == 60
    assert face().centre == (50, 60)
    assert face().roll_deg == 0
    assert face(right_eye=(60.0, 70.0)).roll_deg == pytest.approx(45)
    assert face(right_eye=(60.0, 30.0)).roll_deg == pytest.approx(-45)


def test_yaw_says_to_which_cheek_the_nose_has_moved() -> None:
    assert face().yaw == pytest.approx(0)
    assert face(nose=(35.0, 60.0)).yaw < -0.5
    assert face(nose=(65.0, 60.0)).yaw > 0.5
    assert face(left_cheek=(50.0, 62.0), right_cheek=(50.0, 62.0)).yaw == 0


def test_scaling_moves_every_point_and_no_score() -> None:
    large = face().scaled(3)
    assert large.score == 0.9
    for name in POINTS:
        x, y = getattr(face(), name)
        assert getattr(large, name) == (3 * x, 3 * y)
