from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cleancut.distill.config import (
    Data,
    TrainConfig,
    check_config,
    config_text,
    find_config,
    load_config,
    shipped_configs,
)
from cleancut.errors import BadOption


def _load(tmp_path: Path, text: str) -> TrainConfig:
    path = tmp_path / "c.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


def test_a_configuration_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    data = Data(weights={"in": 2.0, 'o"dd.na me': 0.5}, people=("ccp",))
    config = TrainConfig(name="größe 😀", sizes=(64, 96), rate=1e-5, data=data)
    assert _load(tmp_path, config_text(config)) == config


def test_whole_numbers_are_taken_for_numbers(tmp_path: Path) -> None:
    config = _load(tmp_path, "clip = 2\n[data.weights]\nin = 3\n")
    assert (config.clip, config.data.weights) == (2.0, {"in": 3.0})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ("[data]\nshares = 3", "shares is a table"),
        ("data = 1", "data is a table"),
        ("[data.shares]\nphotos = 1", "unknown key 'photos'"),
        ('rate = "fast"', "rate = 'fast' is not a number"),
        ("rate = inf", "is not a number"),
        ("steps = 2.5", "is not a whole number"),
        ("batch = true", "is not a whole number"),
        ("sizes = 64", "is not a list"),
        ("name = 3", "is not a text"),
        ("[data.weights]\nin = 'x'", "is not a number"),
        ('kind = "vit"', "kind = 'vit'"),
        ('[data]\nsubject = "cat"', "data.subject = 'cat'"),
        ("size = 65", "size 65"),
        ("sizes = [64, 4096]", "size 4096"),
        ("steps = 0", "steps = 0"),
        ("rate = -1", "rate = -1"),
        ("ema = 1", "ema = 1"),
        ("[losses]\nl1 = -2", "losses.l1 = -2"),
        ("[losses]\nl1 = 0\nbce = 0\nlaplacian = 0", "all of losses are 0"),
        ("[data]\ncrop = 0", "data.crop = 0"),
        ("[data.weights]\nin = -1", "data.weights.in = -1"),
        ("a = [", "not valid TOML"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        _load(tmp_path, text)
    assert said in caught.value.message


def test_shares_may_not_all_be_zero() -> None:
    shares = replace(Data().shares, photo=0, composite=0, portrait=0, drawn=0, empty=0)
    with pytest.raises(BadOption, match=r"data\.shares are 0"):
        check_config(TrainConfig(data=Data(shares=shares)), "here")


def test_shipped_configurations_are_found_by_name_and_valid() -> None:
    assert "nano" in shipped_configs()
    for name in shipped_configs():
        load_config(find_config(name))


@pytest.mark.parametrize("name", ["nan", "../configs/nano", ""])
def test_an_unknown_name_says_which_there_are(name: str) -> None:
    with pytest.raises(BadOption) as caught:
        find_config(name)
    assert "nano" in caught.value.hint


def test_files_that_are_missing_or_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="no such file"):
        load_config(tmp_path / "c.toml")
    (tmp_path / "l.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(BadOption, match="larger than"):
        load_config(tmp_path / "l.toml")
