from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cleancut.errors import BadOption
from cleancut.guidance import MAX_POINTS, Guidance, box_in, points_in


def test_nothing_said_is_empty_and_anything_said_is_not() -> None:
    assert Guidance().is_empty()
    assert Guidance(keep_points=()).is_empty()
    array = np.zeros((2, 2), np.uint8)
    for name, value in [
        ("trimap", array),
        ("mask", b""),
        ("matte", b""),
        ("scribbles", "a.png"),
        ("keep_points", "1,2"),
        ("remove_points", [(1, 2)]),
        ("keep_box", "0,0,5,5"),
        ("roi", (0, 0, 5, 5)),
    ]:
        given: Any = {name: value}
        assert not Guidance(**given).is_empty(), name


@pytest.mark.parametrize(
    ("value", "pixels"),
    [
        ("10,20", ((10, 20),)),
        (" 10 , 20.9 ; 50%,100% ;", ((10, 20), (100, 99))),
        ("10px,0", ((10, 0),)),
        ([(10, 20)], ((10, 20),)),
        (((10.9, "50%"),), ((10, 50),)),
        (np.array([[3, 4], [5, 6]]), ((3, 4), (5, 6))),
        ("200,100", ((199, 99),)),  # the frame itself
        (None, ()),
    ],
)
def test_points_in_pixels_and_percent(value: Any, pixels: Any) -> None:
    assert points_in(value, "keep_points", 100, 200) == pixels


@pytest.mark.parametrize(
    "value",
    [
        *("", ";", "10", "10,20,30", "a,b", "1e400,2", "nan,1", "10 20", "1,2;" * (MAX_POINTS + 1)),
        *(7, [1, 2], [(1,)], [(None, 1)], [(True, 1)], [(float("nan"), 1)], [(10**400, 1)]),
    ],
)
def test_points_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(BadOption, match="--remove-points") as caught:
        Guidance(remove_points=value)
    assert caught.value.hint
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", ["201,5", "5,101", "-1,5", "101%,5"])
def test_a_point_outside_the_picture_is_named_with_its_size(value: str) -> None:
    with pytest.raises(BadOption, match=f"{value} lies outside the picture.*200 x 100"):
        points_in(value, "keep_points", 100, 200)


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("10,20,60,70", (10, 20, 60, 70)),
        ("10%,0%,100%,50%", (20, 0, 200, 50)),
        ((-5, -5, 500, 500), (0, 0, 200, 100)),
        ("10.5,20.5,10.9,20.9", (10, 20, 11, 21)),
        (None, None),
    ],
)
def test_boxes_cover_whole_pixels_inside_the_picture(value: Any, span: Any) -> None:
    assert box_in(value, "roi", 100, 200) == span


@pytest.mark.parametrize("value", ["1,2,3", "5,5,5,9", "9,0,5,9", (1, 2, 3, 4, 5), "a,b,c,d", 3])
def test_boxes_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(BadOption, match="--keep-box"):
        Guidance(keep_box=value)


@pytest.mark.parametrize("value", ["300,5,400,9", "-9,-9,0,0", "90%,5,100,9"])
def test_a_box_that_holds_no_pixel_is_refused(value: str) -> None:
    with pytest.raises(BadOption, match="200 x 100"):
        box_in(value, "roi", 100, 200)


def test_points_that_can_be_read_once_only_are_kept() -> None:
    pairs: Any = zip([1], [2], strict=True)
    guidance = Guidance(keep_points=pairs, roi=iter((0, 0, 5, 5)))  # type: ignore[arg-type]
    assert not guidance.is_empty()
    assert points_in(guidance.keep_points, "keep_points", 10, 10) == ((1, 2),)
    assert box_in(guidance.roi, "roi", 10, 10) == (0, 0, 5, 5)


def test_a_trimap_beside_a_mask_is_refused_instead_of_ignoring_one() -> None:
    with pytest.raises(BadOption, match="--trimap and --mask") as caught:
        Guidance(trimap="t.png", mask="m.png")
    assert "leave one" in caught.value.hint
    for name in ("trimap", "mask"):
        given: Any = {name: "other.png", "matte": "m.png"}
        with pytest.raises(BadOption, match=f"--{name} and --matte"):
            Guidance(**given)
    with pytest.raises(BadOption, match="--trimap and --mask and --matte"):
        Guidance(trimap="t.png", mask="m.png", matte="a.png")


def test_importing_guidance_loads_no_third_party_module() -> None:
    code = (
        "import sys, cleancut.guidance; print([m for m in ('numpy', 'cv2', 'PIL')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
