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
    Options,
    flag,
    parse_background,
    parse_margin,
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
        {"background": "#12345678"},
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
    assert parse_margin("12") == parse_margin("12px") == Margin(pixels=12)
    assert parse_margin("5%") == Margin(share=0.05)


def test_backgrounds() -> None:
    assert parse_background(None) is None
    assert parse_background("transparent") is None
    assert parse_background("#fff") == parse_background("white") == Background(colour=(255,) * 3)
    assert parse_background("rgb(1, 2, 3)") == Background(colour=(1, 2, 3))
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
