"""The fields of remove.bg's API, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleancut.guidance import Guidance, box_in
from cleancut.options import Options
from cleancut.server.removebg_faults import TITLES, Refused
from cleancut.server.removebg_form import AUTO_SHADOW, SIZES, read_form


def options(**fields: str) -> dict[str, Any]:
    """What differs from the options of a request without fields."""
    defaults = Options(model="echo")
    plain = read_form({}).options(defaults)
    chosen = read_form(fields).options(defaults)
    return {
        name: getattr(chosen, name)
        for name in Options.__dataclass_fields__
        if getattr(chosen, name) != getattr(plain, name)
    }


def test_without_fields_the_answer_is_a_preview_as_png() -> None:
    chosen = read_form({}).options(Options(model="echo", crop=True, shadow="drop", max_side_px=9))
    assert chosen == Options(
        model="echo", format="png", max_output_megapixels=0.25, fail_if_empty=True
    )


def test_an_empty_field_is_not_given() -> None:
    names = (
        "size",
        "type",
        "format",
        "roi",
        "crop",
        "crop_margin",
        "scale",
        "position",
        "channels",
    )
    more = ("shadow_type", "shadow_opacity", "semitransparency", "bg_color", "type_level")
    assert options(**dict.fromkeys(names + more, "")) == {}


@pytest.mark.parametrize(("size", "most"), SIZES.items())
def test_sizes_limit_the_megapixels_of_the_result(size: str, most: float) -> None:
    assert read_form({"size": size}).options(Options()).max_output_megapixels == most


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"format": "webp"}, {"format": "webp"}),
        ({"format": "jpg"}, {"format": "jpg"}),
        ({"format": "zip"}, {"format": "zip"}),
        ({"format": "zip", "channels": "alpha"}, {"format": "zip"}),
        ({"channels": "alpha"}, {"only_mask": True}),
        ({"channels": "alpha", "bg_color": "red", "shadow_type": "drop"}, {"only_mask": True}),
        ({"bg_color": "81d4fa"}, {"background": "#81d4fa", "format": "jpg"}),
        ({"bg_color": "#fff"}, {"background": "#fff", "format": "jpg"}),
        ({"bg_color": "81d4fa77"}, {"background": "#81d4fa77"}),
        ({"bg_color": "f008"}, {"background": "#f008"}),
        ({"bg_color": "green"}, {"background": "green", "format": "jpg"}),
        ({"bg_color": "red", "format": "png"}, {"background": "red"}),
        ({"crop": "true"}, {"crop": True}),
        ({"crop_margin": "30px"}, {}),
        ({"crop": "true", "crop_margin": "30px"}, {"crop": True, "margin": "30px"}),
        ({"crop": "1", "crop_margin": "10% 5%"}, {"crop": True, "margin": "10% 5%"}),
        (
            {"crop": "true", "crop_margin": "1px 2px 3% 4%"},
            {"crop": True, "margin": "1px 2px 3% 4%"},
        ),
        ({"scale": "80%"}, {"scale": "80%"}),
        ({"scale": "original", "position": "original"}, {}),
        ({"scale": "80%", "position": "original"}, {"scale": "80%", "position": "original"}),
        ({"position": "30% 70%"}, {"position": "30% 70%"}),
        ({"position": "center"}, {"position": "center"}),
        ({"semitransparency": "false"}, {}),
        ({"nonsense": "x"}, {}),
    ],
)
def test_fields_become_options(fields: dict[str, str], expected: dict[str, Any]) -> None:
    assert options(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "shadow"),
    [
        ({"shadow_type": "none"}, None),
        ({"shadow_type": "drop"}, "drop:50,135,2%,2%"),
        ({"shadow_type": "car"}, "drop:90,90,3%,1%"),
        ({"shadow_type": "3D", "shadow_opacity": "20"}, "drop:20,120,5%,5%"),
        ({"shadow_type": "auto"}, "drop:50,135,2%,2%"),
        ({"shadow_type": "auto", "type": "car"}, "drop:90,90,3%,1%"),
        ({"shadow_type": "auto", "type": "person"}, "drop:50,120,5%,5%"),
        ({"shadow_type[car]": "car", "type": "car"}, "drop:90,90,3%,1%"),
        ({"shadow_type[car]": "car", "type": "person"}, None),
        ({"shadow_type[car]": "none", "shadow_type": "drop", "type": "car"}, None),
        ({"add_shadow": "true", "type": "car"}, "drop:90,90,3%,1%"),
        ({"add_shadow": "true"}, None),
        ({"shadow_type": "drop", "shadow_opacity[other]": "7"}, "drop:7,135,2%,2%"),
        ({"shadow_opacity": "50"}, None),
    ],
)
def test_shadows(fields: dict[str, str], shadow: str | None) -> None:
    assert read_form(fields).options(Options()).shadow == shadow


@pytest.mark.parametrize("kind", AUTO_SHADOW)
def test_every_automatic_shadow_can_be_made(kind: str) -> None:
    fields = {"shadow_type": "auto"} | ({} if kind == "other" else {"type": kind})
    assert read_form(fields).options(Options()).shadow is not None


@pytest.mark.parametrize(
    ("value", "roi"),
    [
        ("0% 0% 100% 100%", {}),
        ("10% 20% 90% 80%", {"roi": "10%,20%,90%,80%"}),
        ("10px 20px 90px 80px", {"roi": "10px,20px,90px,80px"}),
        ("10 20% 90 80%", {"roi": "10px,20%,90px,80%"}),
        ("0% 0% 50px 100%", {"roi": "0%,0%,50px,100%"}),
    ],
)
def test_a_region_becomes_guidance(value: str, roi: dict[str, str]) -> None:
    assert read_form({"roi": value}).guidance() == roi


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"size": "huge"}, "invalid_size"),
        ({"size": "50mp"}, "invalid_size"),
        ({"type": "other"}, "invalid_type"),
        ({"type_level": "3"}, "invalid_type_level"),
        ({"format": "gif"}, "invalid_format"),
        ({"channels": "rgb"}, "invalid_channels"),
        ({"semitransparency": "maybe"}, "invalid_semitransparency"),
        ({"crop": "yes please"}, "invalid_crop"),
        ({"add_shadow": "2"}, "invalid_add_shadow"),
        ({"crop_margin": "51%"}, "invalid_crop_margin"),
        ({"crop_margin": "501px"}, "invalid_crop_margin"),
        ({"crop_margin": "1px 2px 3px"}, "invalid_crop_margin"),
        ({"crop_margin": "-1px"}, "invalid_crop_margin"),
        ({"crop_margin": "wide"}, "invalid_crop_margin"),
        ({"scale": "9%"}, "invalid_scale"),
        ({"scale": "101%"}, "invalid_scale"),
        ({"scale": "50px"}, "invalid_scale"),
        ({"position": "left"}, "invalid_position"),
        ({"position": "1% 2% 3%"}, "invalid_position"),
        ({"position": "101%"}, "invalid_position"),
        ({"roi": "1 2 3"}, "invalid_roi"),
        ({"roi": "a b c d"}, "invalid_roi"),
        ({"roi": "-1px 0 5 5"}, "invalid_roi"),
        ({"roi": "0% 0% 101% 100%"}, "roi_exceeds_bounds"),
        ({"roi": "50% 0% 50% 100%"}, "roi_region_empty"),
        ({"roi": "9px 0% 3px 100%"}, "roi_region_empty"),
        ({"shadow_type": "blob"}, "invalid_shadow_type"),
        ({"shadow_type[car]": "blob"}, "invalid_shadow_type"),
        ({"shadow_type[boat]": "car"}, "invalid_shadow_type"),
        ({"shadow_opacity": "101"}, "invalid_shadow_opacity"),
        ({"shadow_opacity": "50%"}, "invalid_shadow_opacity"),
        ({"shadow_opacity[car]": "-1"}, "invalid_shadow_opacity"),
        ({"bg_color": "nocolour"}, "invalid_bg_color"),
        ({"bg_color": "/etc/passwd"}, "invalid_bg_color"),
        ({"bg_color": "beach.jpg"}, "invalid_bg_color"),
        ({"bg_color": "blur:5"}, "invalid_bg_color"),
        ({"bg_color": "transparent"}, "invalid_bg_color"),
        ({"bg_color": "#12345"}, "invalid_bg_color"),
    ],
)
def test_wrong_values_have_the_codes_of_remove_bg(fields: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as caught:
        read_form(fields)
    assert caught.value.removebg == code
    assert caught.value.status == 400
    assert caught.value.body()["errors"][0]["title"] == TITLES[code]


def test_what_is_quoted_back_is_short_and_printable() -> None:
    with pytest.raises(Refused) as caught:
        read_form({"size": "\r\nX: \x00" + "y" * 5000})
    said = caught.value.message
    assert len(said) < 400
    assert said.isprintable()


NUMBERS = st.floats(0, 999_999).map(lambda value: f"{value:.6f}".rstrip("0").rstrip("."))
MEASURES = st.tuples(NUMBERS, st.sampled_from(["", "px", "%"])).map("".join)
TEXTS = st.text(max_size=30) | st.lists(MEASURES, max_size=5).map(" ".join) | st.just("#fff")
FIELDS = (
    *("size", "type", "type_level", "format", "roi", "crop", "crop_margin", "scale", "position"),
    *("channels", "add_shadow", "shadow_type", "shadow_opacity", "semitransparency", "bg_color"),
    *("shadow_type[car]", "shadow_opacity[other]", "shadow_type[", "shadow_type[]"),
)
WORDS = st.sampled_from(["auto", "true", "1", "drop", "car", "3D", "png", "zip", "alpha", "full"])


@given(st.dictionaries(st.sampled_from(FIELDS), TEXTS | WORDS | MEASURES))
def test_whatever_is_sent_is_refused_or_can_be_done(fields: dict[str, str]) -> None:
    try:
        form = read_form(fields)
        form.check_roi((640, 480))
    except Refused:
        return
    form.options(Options(model="echo"))
    guidance = Guidance(**form.guidance())  # type: ignore[arg-type]
    box_in(guidance.roi, "roi", 480, 640)


@pytest.mark.parametrize(
    ("roi", "code"),
    [
        ("0px 0px 641px 480px", "roi_exceeds_bounds"),
        ("0% 0px 100% 481px", "roi_exceeds_bounds"),
        ("90% 0% 500px 100%", "roi_region_empty"),
        ("0px 0px 640px 480px", None),
        ("1% 1% 639px 479px", None),
    ],
)
def test_regions_are_checked_against_the_picture(roi: str, code: str | None) -> None:
    form = read_form({"roi": roi})
    if code is None:
        form.check_roi((640, 480))
        return
    with pytest.raises(Refused) as caught:
        form.check_roi((640, 480))
    assert caught.value.removebg == code


@pytest.mark.parametrize(
    ("fields", "person", "kind"),
    [
        ({}, True, "person"),
        ({}, False, "other"),
        ({"type": "car"}, True, "car"),
        ({"type": "graphic"}, False, "other"),
        ({"type": "graphic", "type_level": "2"}, False, "graphics"),
        ({"type": "transportation", "type_level": "latest"}, False, "transportation"),
        ({"type_level": "none"}, True, None),
    ],
)
def test_the_type_that_is_told(fields: dict[str, str], person: bool, kind: str | None) -> None:
    assert read_form(fields).kind(is_person=person) == kind


def test_a_background_picture_makes_it_a_jpeg_and_wins() -> None:
    chosen = read_form({}).options(Options(), Path("/spool/beach"))
    assert (chosen.background, chosen.format) == ("/spool/beach", "jpg")
