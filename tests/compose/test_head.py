from __future__ import annotations

import numpy as np
import pytest

from cleancut.compose.canvas import head_move
from cleancut.compose.head import fit_notes, head_box, only_face, pose, turned
from cleancut.errors import ManyPeople, NoPerson
from cleancut.face import Face
from cleancut.options import parse_canvas, parse_head
from tests.portraits import CHIN, CROWN, Person, drawn

HAT = -200


def face_of(person: Person, score: float = 0.95, nose: float = 0.0) -> Face:
    return Face(
        score=score,
        left_eye=person.at(-30, -12),
        right_eye=person.at(30, -12),
        nose=person.at(nose, 26),
        mouth=person.at(0, 52),
        chin=person.at(0, CHIN),
        forehead=person.at(0, -80),
        left_cheek=person.at(-72, 0),
        right_cheek=person.at(72, 0),
    )


def codes(notes: tuple[str, ...]) -> list[str]:
    return [note.partition(":")[0] for note in notes]


def test_a_head_reaches_from_the_hair_to_the_chin() -> None:
    person = Person(320, 260)
    _, alpha = drawn([person])
    box = head_box(alpha, face_of(person))
    assert abs(box.top - (260 + CROWN)) <= 3
    assert box.bottom == 260 + CHIN
    assert (box.left + box.right) / 2 == 320


def test_a_hat_counts_as_hair() -> None:
    person = Person(320, 300, hat=True)
    _, alpha = drawn([person])
    assert abs(head_box(alpha, face_of(person)).top - (300 + HAT)) <= 3


def test_single_strands_and_a_lamp_above_do_not_count() -> None:
    person = Person(320, 300)
    _, alpha = drawn([person])
    alpha[100:160, 318:322] = 1  # a strand of hair that stands up
    alpha[20:60, 250:390] = 1  # a lamp that was taken for a part of the subject
    assert abs(head_box(alpha, face_of(person)).top - (300 + CROWN)) <= 3


def test_a_raised_arm_does_not_make_the_head_higher_than_heads_are() -> None:
    person = Person(320, 400)
    _, alpha = drawn([person])
    alpha[:400, 280:380] = 1
    top = head_box(alpha, face_of(person)).top
    assert 400 - 80 - 1.2 * 178 - 1 <= top < 400 + CROWN


def test_a_face_at_the_edge_of_the_picture_gives_a_box_within_it() -> None:
    person = Person(-100, -200)
    alpha = np.ones((50, 60), np.float32)
    box = head_box(alpha, face_of(person))
    assert box.width >= 1
    assert box.height >= 1
    assert 0 <= box.left < box.right <= 60


def test_a_subject_without_a_face_is_an_error() -> None:
    with pytest.raises(NoPerson, match="no face was found"):
        only_face([], np.ones((64, 64), np.float32))


def test_a_face_that_was_cut_away_or_is_unsure_does_not_count() -> None:
    person = Person(320, 260)
    _, alpha = drawn([person])
    face = face_of(person)
    assert only_face([face], alpha) == face
    with pytest.raises(NoPerson):
        only_face([face], np.zeros_like(alpha))
    with pytest.raises(NoPerson):
        only_face([face_of(person, score=0.83)], alpha)
    outside = face_of(Person(-500, 260))
    with pytest.raises(NoPerson):
        only_face([outside], alpha)


def test_two_people_are_an_error_that_counts_them() -> None:
    people = [Person(200, 260, 0.6), Person(460, 260, 0.6)]
    _, alpha = drawn(people)
    with pytest.raises(ManyPeople, match="2 people"):
        only_face([face_of(person) for person in people], alpha)


def test_a_second_face_counts_even_where_it_is_less_sure() -> None:
    people = [Person(200, 260, 0.6), Person(460, 260, 0.6)]
    _, alpha = drawn(people)
    with pytest.raises(ManyPeople):
        only_face([face_of(people[0]), face_of(people[1], score=0.78)], alpha)


def test_a_face_on_a_shirt_does_not_count() -> None:
    person, printed = Person(320, 200), Person(320, 480, 0.3)
    _, alpha = drawn([person])
    assert only_face([face_of(person), face_of(printed)], alpha) == face_of(person)


@pytest.mark.parametrize("lean", [-9.0, 4.0, 14.0])
def test_level_eyes_are_level_afterwards(lean: float) -> None:
    person = Person(320, 300, 1.0, lean)
    rgb, alpha = drawn([person])
    face = face_of(person)
    posed = pose(rgb, alpha, [face])
    (note,) = posed.notes
    assert note.startswith(f"levelled: turned by {abs(lean):.1f} degrees")
    assert posed.turn == (pytest.approx(lean), face.centre)
    x, y = face.centre
    expected, matte = drawn([Person(x, y - 9)])  # the middle of chin and forehead stays
    inside = (posed.alpha[:500] > 0.99) & (matte[:500] > 0.99)
    off = np.abs(posed.foreground[:500].astype(int) - expected[:500])[inside]
    assert float(off.mean()) < 3
    assert abs(posed.head.top - (y - 9 + CROWN)) <= 3
    assert abs(posed.head.bottom - (y - 9 + CHIN)) <= 1


def test_a_head_that_leans_much_is_left_so_and_noted() -> None:
    person = Person(320, 300, 1.0, 20.0)
    rgb, alpha = drawn([person])
    posed = pose(rgb, alpha, [face_of(person)])
    assert codes(posed.notes) == ["head_tilted"]
    assert posed.foreground is rgb


def test_a_straight_head_is_not_resampled() -> None:
    person = Person(320, 300, 1.0, 0.5)
    rgb, alpha = drawn([person])
    posed = pose(rgb, alpha, [face_of(person)])
    assert posed.foreground is rgb
    assert posed.alpha is alpha
    assert posed.also(rgb) is rgb
    assert posed.notes == ()


def test_a_face_that_looks_aside_is_noted() -> None:
    person = Person(320, 300)
    rgb, alpha = drawn([person])
    assert codes(pose(rgb, alpha, [face_of(person, nose=30)]).notes) == ["head_turned"]


@pytest.mark.parametrize(
    ("x", "y", "where"), [(320, 120, "above"), (60, 300, "on the left"), (590, 300, "on the right")]
)
def test_a_head_that_the_picture_cuts_is_noted(x: int, y: int, where: str) -> None:
    person = Person(x, y)
    rgb, alpha = drawn([person])
    (note,) = pose(rgb, alpha, [face_of(person)]).notes
    assert note.startswith("head_cut")
    assert where in note


def test_turning_lets_no_hidden_colour_bleed_in() -> None:
    rgb = np.zeros((80, 80, 3), np.uint8)
    rgb[..., 1] = 255  # a green background that is cut away
    alpha = np.zeros((80, 80), np.float32)
    alpha[20:60, 20:60] = 1
    rgb[20:60, 20:60] = (200, 40, 90)
    colours, matte = turned(rgb, alpha, 10, (40, 40))
    seen = matte > 0.02
    assert np.abs(colours[seen].astype(int) - (200, 40, 90)).max() <= 1
    assert colours[matte == 0].max() == 0
    assert 0 <= matte.min() <= matte.max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_turning_keeps_depth_and_size(dtype: type) -> None:
    rgb = np.full((31, 47, 3), 100, dtype)
    colours, matte = turned(rgb, np.ones((31, 47), np.float32), 3, (20, 15))
    assert (colours.shape, colours.dtype, matte.shape) == (rgb.shape, rgb.dtype, (31, 47))


def test_a_body_that_ends_above_the_canvas_is_noted() -> None:
    person = Person(320, 260)
    rgb, alpha = drawn([person])
    canvas, wanted = parse_canvas("400x500"), parse_head("30%,8%")
    assert canvas is not None
    assert wanted is not None
    move = head_move(pose(rgb, alpha, [face_of(person)]).head, canvas, wanted)
    (note,) = fit_notes(alpha, move, canvas)
    assert note.startswith("short_body: the picture ends ")
    close = head_move(head_box(alpha, face_of(person)), canvas, parse_head("74%,8%"))
    assert fit_notes(alpha, close, canvas) == ()
    assert fit_notes(np.zeros((9, 9), np.float32), move, canvas) == ()
