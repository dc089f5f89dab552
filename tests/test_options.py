from __future__ import annotations

import argparse
import dataclasses
import json
import typing
from pathlib import Path

import pytest

from cleancut.cli.flags import add_option_flags
from cleancut.engine import OptionChanges
from cleancut.errors import BadOption
from cleancut.options import (
    SECTIONS,
    Background,
    Margin,
    Margins,
    Options,
    Placing,
    flag,
    parse_background,
    parse_margin,
    parse_placing,
)


def test_defaults_are_valid_and_have_empty_json() -> None:
    assert Options().to_json() == "{}"


@pytest.mark.parametrize(
    "values",
    [
        {"quality": 0},
        {"quality": 101},
        {"quality": True},
        {"max_side_px": 0},
        {"max_megapixels": float("nan")},
        {"margin": "wide"},
        {"margin": "-3"},
        {"background": "nocolour"},
        {"background": "blur:x"},
        {"background": "blur:99%"},
        {"background": "#1234567"},
        {"background": "rgb(300, 0, 0)"},
        {"alpha_matting": "240"},
        {"alpha_matting": "256,10,10"},
        {"alpha_matting": "240,10,1001"},
        {"alpha_matting": "240,10,-1"},
        {"alpha_matting": 240},
        {"binarise": "yes"},
        {"backend": "tensorflow"},
        {"format": "bmp"},
        {"model": ""},
        {"recipe": "size=320"},
        {"only_mask": True, "background": "white"},
        {"model": None},
        {"model": 3},
        {"background": (255, 0, 0)},
        {"background": "blur:"},
        {"recipe": 5},
        {"crop": "no"},
        {"max_side_px": 99.5},
        {"quality": "high"},
        {"max_megapixels": None},
        {"refine": "slow"},
        {"threshold": 0},
        {"threshold": 128},
        {"threshold": float("nan")},
        {"threshold": "0.5"},
        {"feather": "soft"},
        {"grow": "-2"},
        {"shrink": "30%"},
        {"grow": "1", "shrink": "1"},
        {"min_area": "101%"},
        {"fill_holes": 1},
        {"shadow": "below"},
        {"shadow": True},
        {"only_mask": True, "shadow": "keep"},
        {"only_mask": True, "format": "zip"},
        {"margin": ""},
        {"margin": "1 2 3"},
        {"margin": "1 2 3 4 5"},
        {"margin": "5 % 1"},
        {"scale": "80"},
        {"scale": "9%"},
        {"scale": "101%"},
        {"scale": 80},
        {"scale": ""},
        {"position": "30"},
        {"position": "101%"},
        {"position": "-1%"},
        {"position": "left"},
        {"position": ""},
        {"position": "10% 20% 30%"},
        {"position": "original center"},
        {"position": 0.5},
        {"max_output_megapixels": 0},
        {"max_output_megapixels": True},
        {"max_output_megapixels": float("inf")},
    ],
)
def test_impossible_values_are_refused(values: dict[str, typing.Any]) -> None:
    with pytest.raises(BadOption):
        Options(**values)


def test_a_path_object_is_taken_where_a_path_may_stand() -> None:
    options = Options(model=Path("my.onnx"), background=Path("beach.jpg"))  # type: ignore[arg-type]
    assert (options.model, options.background) == ("my.onnx", "beach.jpg")


def test_an_unknown_name_is_never_ignored() -> None:
    with pytest.raises(BadOption, match="colour"):
        Options.from_mapping({"colour": "red"})


def test_canonical_json_is_sorted_and_holds_only_changes() -> None:
    text = Options(model="u2netp", crop=True, background="white").to_json()
    assert text == '{"background":"white","crop":true,"model":"u2netp"}'
    assert Options.from_mapping(json.loads(text)) == Options(
        background="white", crop=True, model="u2netp"
    )


def test_a_changed_copy_is_validated_again() -> None:
    with pytest.raises(BadOption):
        Options().with_(quality=1000)
    assert Options().with_(crop=True).crop


def test_margins() -> None:
    for text in ("12", "12px", " 12 px "):
        assert parse_margin(text) == Margins.even(Margin(pixels=12))
    assert parse_margin("5%") == Margins.even(Margin(share=0.05))
    ten, twenty = Margin(pixels=10), Margin(share=0.2)
    assert parse_margin("10 20%") == Margins(ten, twenty, ten, twenty)
    assert parse_margin("1 2px 3% 4") == Margins(
        Margin(1), Margin(2), Margin(share=0.03), Margin(4)
    )


@pytest.mark.parametrize(
    ("scale", "position", "placing"),
    [
        (None, None, None),
        ("original", None, None),
        (None, "original", None),
        ("original", "original", None),
        ("80%", None, Placing(0.8, 0.5, 0.5)),
        ("80%", "original", Placing(0.8)),
        ("10%", "0% 100%", Placing(0.1, 0.0, 1.0)),
        (None, "center", Placing(None, 0.5, 0.5)),
        (None, "30%", Placing(None, 0.3, 0.3)),
        (None, " center  7.5% ", Placing(None, 0.5, 0.075)),
    ],
)
def test_scale_and_position(
    scale: str | None, position: str | None, placing: Placing | None
) -> None:
    assert parse_placing(scale, position) == placing


def test_backgrounds() -> None:
    assert parse_background(None) is None
    assert parse_background("transparent") is None
    assert parse_background("#fff") == parse_background("white") == Background(colour=(255,) * 3)
    assert parse_background("rgb(1, 2, 3)") == Background(colour=(1, 2, 3))
    assert parse_background("#12345600") == Background(colour=(0x12, 0x34, 0x56), opacity=0.0)
    assert parse_background("blur") == Background(blur_share=0.02)
    assert parse_background("blur:20") == Background(blur_px=20.0)
    assert parse_background("blur:3%") == Background(blur_share=0.03)
    assert parse_background("dir/beach.jpg") == Background(path="dir/beach.jpg")
    for path in ("blurred.jpg", "blur.png", "blur/beach.jpg"):  # pictures, not a kind of blur
        assert parse_background(path) == Background(path=path)


def test_flags_drop_the_unit() -> None:
    assert flag("max_side_px") == "--max-side"
    assert flag("keep_hidden_rgb") == "--keep-hidden-rgb"


def test_every_field_has_a_help_text() -> None:
    assert all(field.metadata.get("help") for field in dataclasses.fields(Options))


def test_every_field_is_in_a_section_and_the_sections_are_in_order() -> None:
    order = [field.metadata["section"] for field in dataclasses.fields(Options)]
    assert list(dict.fromkeys(order)) == list(SECTIONS)
    assert order == sorted(order, key=list(SECTIONS).index)


def test_help_groups_the_flags_by_section() -> None:
    parser = argparse.ArgumentParser()
    add_option_flags(parser)
    text = parser.format_help()
    for name in SECTIONS:
        assert f"\n{name}:\n" in text
    assert text.index("\nedges:") < text.index("--feather WIDTH  ") < text.index("\nbackground:")


def test_keyword_arguments_of_the_engine_are_the_options() -> None:
    hints = typing.get_type_hints(Options)
    names = {field.name for field in dataclasses.fields(Options)}
    assert OptionChanges.__annotations__.keys() == names == hints.keys()
