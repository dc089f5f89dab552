from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.guidance import Guidance
from cleancut.imaging.adopt import from_array
from cleancut.matting.guidance import Marks, crop_for, enforce, guide, marks_of

H, W = 40, 60


def _trimap() -> NDArray[np.uint8]:
    trimap = np.full((H, W), 128, np.uint8)
    trimap[:, :20], trimap[:, 40:] = 0, 255
    return trimap


def _marks(guidance: Guidance | None = None, **pictures: NDArray[Any]) -> Marks:
    read: Any = {name: from_array(array) for name, array in pictures.items()}
    return marks_of(guidance or Guidance(), H, W, **read)


def test_trimap_levels_are_definite_from_95_percent_on() -> None:
    trimap = _trimap()
    trimap[0, :4] = (12, 13, 242, 243)
    known = _marks(trimap=trimap).trimap
    assert known is not None
    assert known[0, :4].tolist() == [0, 0.5, 0.5, 1]
    assert sorted(np.unique(known)) == [0, 0.5, 1]


def test_transparent_parts_of_a_trimap_are_unknown() -> None:
    trimap = np.dstack([np.full((H, W, 3), 255, np.uint8), np.full((H, W), 255, np.uint8)])
    trimap[:10, :, :3], trimap[20:, :, 3] = 0, 0
    known = _marks(trimap=trimap).trimap
    assert known is not None
    assert known[:, 0].tolist() == [0] * 10 + [1] * 10 + [0.5] * 20


@pytest.mark.parametrize("level", [128, (0, 128), (255, 128)])
def test_a_trimap_to_solve_needs_both_kinds(level: Any) -> None:
    trimap = np.full((H, W), 128, np.uint8)
    trimap[0, :2] = level
    with pytest.raises(BadArray, match="the trimap has no") as caught:
        _marks(trimap=trimap)
    assert "white (243 to 255)" in caught.value.hint  # the levels that do count: see above
    assert "black (0 to 12)" in caught.value.hint


def test_what_the_picture_lacks_cannot_be_kept() -> None:
    seen = np.ones((H, W), np.float32)
    seen[:, :10] = 0
    for guidance in (Guidance(keep_points=[(5, 5)]), Guidance(keep_points=[(30, 5), (5, 5)])):
        with pytest.raises(BadOption, match="at 5,5, lies where the picture is transparent"):
            marks_of(guidance, H, W, seen=seen)
    assert marks_of(Guidance(keep_points=[(30, 5)], remove_points=[(5, 5)]), H, W, seen=seen).drawn


@pytest.mark.parametrize("level", [0, 255])
def test_a_trimap_without_unknown_pixels_needs_only_one_kind(level: int) -> None:
    known = _marks(trimap=np.full((H, W), level, np.uint8)).trimap
    assert known is not None
    assert (known == level / 255).all()


def test_a_coloured_trimap_is_taken_for_scribbles() -> None:
    colour = np.zeros((H, W, 3), np.uint8)
    colour[:20, :, 1] = 255
    with pytest.raises(BadArray, match="colour picture") as caught:
        _marks(trimap=colour)
    assert "--scribbles" in caught.value.hint


@pytest.mark.parametrize("name", ["trimap", "mask", "matte", "scribbles"])
def test_another_size_is_refused_with_both_sizes_and_a_command(name: str) -> None:
    with pytest.raises(BadArray, match=f"the {name} is 30 x 20 pixels.*60 x 40") as caught:
        _marks(**{name: np.zeros((20, 30), np.uint8)})
    assert "resize((60, 40))" in caught.value.hint
    with pytest.raises(BadArray, match="40 x 60 pixels") as caught:
        _marks(**{name: np.zeros((W, H), np.uint8)})
    assert "EXIF" in caught.value.hint


def test_a_mask_is_grey_or_the_alpha_of_a_cutout() -> None:
    grey = np.tile(np.arange(W, dtype=np.uint8), (H, 1))
    mask = _marks(mask=grey).mask
    assert mask is not None
    np.testing.assert_allclose(mask, grey / np.float32(255))
    cutout = np.dstack([np.full((H, W, 3), 9, np.uint8), grey])
    mask = _marks(mask=cutout).mask
    assert mask is not None
    np.testing.assert_allclose(mask, grey / np.float32(255))


@pytest.mark.parametrize("name", ["mask", "matte"])
def test_nan_in_guidance_is_refused(name: str) -> None:
    with pytest.raises(BadArray, match=r"0\.\.1"):
        _marks(**{name: np.full((H, W), np.nan, np.float32)})


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_matte_is_taken_to_the_bit(depth: type[np.unsignedinteger[Any]]) -> None:
    most = np.iinfo(depth).max
    grey = np.linspace(0, most, H * W).astype(depth).reshape(H, W)
    cutout = np.dstack([np.full((H, W, 3), 9, depth), grey])
    sheet = np.dstack([grey, grey, grey, np.full((H, W), most, depth)])  # as a canvas saves it
    for given in (grey, cutout, sheet):
        marks = _marks(matte=given)
        assert marks.matte is not None
        assert marks.given
        assert not marks.drawn
        assert np.array_equal(np.rint(marks.matte * most).astype(depth), grey)


def _painted() -> NDArray[np.uint8]:
    sheet = np.full((H, W, 3), 90, np.uint8)
    colours = [(0, 255, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (0, 200, 200)]
    for row, colour in enumerate(colours):
        sheet[row, :5] = colour
    return sheet


def test_on_a_matte_blue_counts_and_white_and_black_do_not() -> None:
    grey = np.full((H, W), 77, np.uint8)
    for sheet in (_painted(), np.dstack([_painted(), np.full((H, W), 255, np.uint8)])):
        marks = _marks(matte=grey, scribbles=sheet)
        assert marks.again is not None
        found = [np.flatnonzero(m[:, 0]).tolist() for m in (marks.keep, marks.remove, marks.again)]
        assert found == [[0], [1], [2]]
    assert _marks(scribbles=_painted()).again is None
    with pytest.raises(BadArray, match="no mark") as caught:
        _marks(scribbles=_painted()[2:3].repeat(H, 0))
    assert "--matte" in caught.value.hint
    hidden = np.dstack([_painted(), np.zeros((H, W), np.uint8)])
    with pytest.raises(BadArray, match="no mark") as caught:
        _marks(matte=grey, scribbles=hidden)
    assert "blue" in caught.value.hint


def test_a_click_goes_before_a_place_to_solve_again() -> None:
    marks = _marks(
        Guidance(keep_points=[(2, 2)], remove_points=[(4, 2)]),
        matte=np.full((H, W), 77, np.uint8),
        scribbles=_painted(),
    )
    assert marks.again is not None
    assert not (marks.again & (marks.keep | marks.remove)).any()
    assert marks.clicks is not None
    assert [int(clicked.sum()) for clicked in marks.clicks] == [1, 1]
    assert int(marks.keep.sum()) == 6


def test_strokes_on_a_matte_change_what_they_cover_and_nothing_else() -> None:
    rgb = np.zeros((H, W, 3), np.uint8)
    grey = np.linspace(0, 255, H * W).astype(np.uint8).reshape(H, W)
    marks = _marks(matte=grey, scribbles=_painted())
    assert marks.matte is not None
    guided = enforce(guide(rgb, marks.matte, marks), marks)
    assert (guided[0, :5] == 1).all()
    assert (guided[1, :5] == 0).all()
    guided[:2, :5] = marks.matte[:2, :5]
    assert np.array_equal(guided, marks.matte)


def _sheet(*, transparent: bool) -> NDArray[np.uint8]:
    sheet = np.full((H, W, 4 if transparent else 3), 90, np.uint8)
    if transparent:
        sheet[..., 3] = 0
    for row, colour in enumerate([(0, 255, 0), (255, 0, 0), (255, 255, 255), (0, 0, 0)]):
        sheet[row, :5, :3] = colour
        if transparent:
            sheet[row, :5, 3] = 255
    return sheet


def test_green_and_red_count_on_any_sheet_white_and_black_on_a_transparent_one() -> None:
    marks = _marks(scribbles=_sheet(transparent=True))
    assert np.flatnonzero(marks.keep[:, 0]).tolist() == [0, 2]
    assert np.flatnonzero(marks.remove[:, 0]).tolist() == [1, 3]
    assert marks.keep.sum() == marks.remove.sum() == 10
    marks = _marks(scribbles=_sheet(transparent=False))
    assert np.flatnonzero(marks.keep[:, 0]).tolist() == [0]
    assert np.flatnonzero(marks.remove[:, 0]).tolist() == [1]


def test_blended_rims_of_marks_are_no_marks() -> None:
    sheet = np.zeros((H, W, 3), np.uint8)
    sheet[0, 0] = (0, 255, 0)
    sheet[0, 1:4] = [(128, 128, 0), (60, 140, 70), (200, 200, 60)]  # green meets red, grey, yellow
    marks = _marks(scribbles=sheet)
    assert (marks.keep.sum(), marks.remove.sum()) == (1, 0)


def test_a_sheet_without_marks_is_refused() -> None:
    with pytest.raises(BadArray, match="hold no mark"):
        _marks(scribbles=np.full((H, W, 3), 255, np.uint8))


def test_a_click_is_a_small_disc_and_close_clicks_keep_their_pixel() -> None:
    marks = marks_of(Guidance(keep_points="1000,500", remove_points="1003,500"), 1000, 2000)
    assert 10 < marks.keep.sum() < 40
    assert marks.keep[500, 1000]
    assert marks.remove[500, 1003]
    assert not (marks.keep & marks.remove).any()


@pytest.mark.parametrize(
    ("guidance", "pictures"),
    [
        (Guidance(keep_points="5,5", remove_points="5,5"), {}),
        (Guidance(remove_points="2,0"), {"scribbles": _sheet(transparent=True)}),
        (Guidance(keep_points="2,2"), {"trimap": _trimap()}),
        (Guidance(remove_points="59,2"), {"trimap": _trimap()}),
        (Guidance(keep_points="2,2", keep_box="10,10,20,20"), {}),
        (Guidance(keep_points="2,2", roi="10,10,20,20"), {}),
        (Guidance(keep_box="0,0,9,9", roi="10,10,20,20"), {}),
    ],
)
def test_contradictions_are_refused(guidance: Guidance, pictures: dict[str, Any]) -> None:
    with pytest.raises(BadOption) as caught:
        _marks(guidance, **pictures)
    assert caught.value.hint


def test_enforce_makes_definite_pixels_exact_and_changes_nothing_else() -> None:
    alpha = np.full((H, W), 0.3, np.float32)
    marks = _marks(
        Guidance(keep_points="25,5", remove_points="26,5", roi="10,2,50,30"), trimap=_trimap()
    )
    fixed = enforce(alpha, marks)
    assert (fixed[5, 25], fixed[5, 26]) == (1, 0)
    assert (fixed[2:30, 40:50] == 1).all()
    assert (fixed[2:30, 10:20] == 0).all()
    assert fixed[:2].max() == fixed[30:].max() == fixed[:, 50:].max() == 0
    assert (fixed[10:30, 20:40] == np.float32(0.3)).all()
    assert (alpha == np.float32(0.3)).all()


def test_guide_without_marks_is_a_copy() -> None:
    alpha = np.full((H, W), 0.3, np.float32)
    same = guide(np.zeros((H, W, 3), np.uint8), alpha, _marks())
    assert same is not alpha
    np.testing.assert_array_equal(same, alpha)


def test_the_crop_has_context_inside_the_picture_or_is_all_of_it() -> None:
    assert crop_for((400, 300, 600, 500), 1000, 1000, 0.1) == (380, 280, 620, 520)
    assert crop_for((0, 0, 200, 100), 1000, 1000, 0.5) == (0, 0, 300, 200)
    assert crop_for((10, 10, 990, 990), 1000, 1000) == (0, 0, 1000, 1000)
