from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from cleancut.errors import BadOption, ImageTooLarge
from cleancut.options import Options
from cleancut.server.form import CHOSEN, offered, options_from, value_of
from cleancut.server.openapi import option_rows
from cleancut.server.settings import OPERATOR_ONLY, Settings

ECHO = Settings(options=Options(model="echo"))


def test_every_option_is_the_clients_or_the_operators() -> None:
    assert set(CHOSEN) | OPERATOR_ONLY == {field.name for field in fields(Options)}
    assert [row["name"] for row in option_rows()] == list(CHOSEN)


def test_options_are_described_as_a_client_can_say_them() -> None:
    said = {row["name"]: row["help"] for row in option_rows()}
    for name, help_ in said.items():
        for word in ("--", ".onnx", " path", "image file", "suffix", "cleancut ", "'s -", "%%"):
            assert word not in help_, name
    assert "background_image" in said["background"]
    assert "with feather its contour" in said["threshold"]


def test_nothing_said_is_the_servers_defaults() -> None:
    settings = Settings(options=Options(model="echo", crop=True), max_megapixels=12)
    found = options_from({"margin": "", "crop": ""}, settings)
    assert found == Options(model="echo", crop=True, max_megapixels=12)


@pytest.mark.parametrize("name", CHOSEN)
def test_every_default_can_be_said(name: str) -> None:
    default = getattr(Options(), name)
    if default is None:
        return
    text = str(default).lower() if isinstance(default, bool) else str(default)
    assert value_of(name, text) == default


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("quality", "1_0"),
        ("quality", " 7"),
        ("quality", "٧"),
        ("quality", "7.0"),
        ("quality", "9" * 5000),
        ("threshold", "nan"),
        ("threshold", "inf"),
        ("threshold", "1e-1"),
        ("crop", "maybe"),
        ("crop", "2"),
    ],
)
def test_odd_spellings_are_refused(name: str, text: str) -> None:
    with pytest.raises(BadOption, match=name):
        value_of(name, text)


def test_the_operators_list_is_all_that_is_offered() -> None:
    settings = Settings(options=Options(model="echo"), models=("isnet", "u2netp"))
    assert offered(settings) == ["echo", "isnet", "u2netp"]
    with pytest.raises(BadOption, match="not offered"):
        options_from({"model": "auto"}, settings)
    assert options_from({"model": "echo"}, settings).model == "echo"


def test_what_ships_with_the_package_is_offered_before_any_pull() -> None:
    settings = Settings(options=Options(model="echo"))
    assert offered(settings)[:3] == ["echo", "auto", "cleancut-nano"]
    assert options_from({"model": "nano"}, settings).model == "cleancut-nano"
    assert options_from({"model": "auto"}, settings).model == "auto"


def test_a_file_of_the_operators_is_not_named(tmp_path: Path) -> None:
    path = str(tmp_path / "secret.onnx")
    settings = Settings(options=Options(model=path, recipe="size=320"))
    assert path not in offered(settings)
    with pytest.raises(BadOption) as caught:
        options_from({"model": path}, settings)
    assert "secret" not in caught.value.hint
    assert options_from({"crop": "true"}, settings).recipe == "size=320"


def test_networks_that_are_not_there_are_a_wrong_option() -> None:
    with pytest.raises(BadOption, match="not offered"):
        options_from({"precision": "int8"}, Settings(options=Options(model="auto")))


def test_a_preset_stands_for_options_and_those_given_win() -> None:
    found = options_from({"preset": "ebay", "background": "#eee", "crop": ""}, ECHO)
    assert (found.canvas, found.scale, found.background) == ("1600x1600", "85%", "#eee")
    sheet = options_from({"preset": "us+4x6in"}, ECHO)
    assert (sheet.canvas, sheet.sheet) == ("2x2in", "4x6in")
    assert options_from({"preset": ""}, ECHO) == options_from({}, ECHO)


def test_an_unknown_preset_is_refused_in_a_clients_words() -> None:
    with pytest.raises(BadOption) as caught:
        options_from({"preset": "x" * 500}, ECHO)
    assert caught.value.hint == "see /v1/presets"
    assert len(caught.value.message) < 120


def test_a_page_beyond_the_servers_limit_is_refused_at_once() -> None:
    settings = Settings(options=Options(model="echo"), max_megapixels=30)
    assert options_from({"canvas": "6000x5000"}, settings).canvas == "6000x5000"
    with pytest.raises(ImageTooLarge):
        options_from({"canvas": "6000x5001"}, settings)
