from __future__ import annotations

from typing import Any

import pytest

from cleancut.errors import BadOption, ImageTooLarge
from cleancut.options import Options

ID = {"canvas": "35x45mm"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"head": "70%"}, "--canvas"),
        ({"sheet": "a4"}, "--canvas"),
        (ID | {"max_side_px": 100}, "--max-side"),
        (ID | {"max_output_megapixels": 1.0}, "--max-output-megapixels"),
        (ID | {"head": "70%", "crop": True}, "--crop"),
        (ID | {"head": "70%", "scale": "80%"}, "--scale"),
        (ID | {"head": "70%", "position": "center"}, "--position"),
        (ID | {"sheet": "a4", "only_mask": True}, "--only-mask"),
        (ID | {"sheet": "a4", "format": "zip"}, "--format zip"),
        (ID | {"sheet": "a4", "format": "psd"}, "--format psd"),
        ({"only_mask": True, "format": "zip"}, "--format zip"),
        ({"only_mask": True, "format": "psd"}, "--format psd"),
        ({"only_mask": True, "shadow": "drop"}, "--shadow"),
        ({"canvas": 2000}, "text"),
        ({"canvas": ""}, "--canvas"),
    ],
)
def test_what_does_not_go_together_is_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadOption) as caught:
        Options.from_mapping(values)
    assert named in str(caught.value.message)
    assert caught.value.hint


@pytest.mark.parametrize(
    "values", [{"canvas": "100000x100000"}, {"canvas": "35x45mm", "sheet": "a3@2000"}]
)
def test_pages_beyond_the_limit_are_refused_before_any_work(values: dict[str, Any]) -> None:
    if "sheet" in values:
        values = {"canvas": "35x45mm@2000", "sheet": "a3"}
    with pytest.raises(ImageTooLarge, match="megapixels"):
        Options.from_mapping(values)


def test_a_small_limit_for_sources_leaves_room_for_a_page() -> None:
    assert Options(canvas="35x45mm", sheet="a4", max_megapixels=1).sheet == "a4"
    with pytest.raises(ImageTooLarge):
        Options(canvas="6000x5000", max_megapixels=1)
    assert Options(canvas="6000x5000", max_megapixels=30).canvas


def test_a_mask_may_have_a_canvas() -> None:
    assert Options(canvas="35x45mm", only_mask=True).only_mask
