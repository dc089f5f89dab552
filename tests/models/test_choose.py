from __future__ import annotations

from pathlib import Path

import pytest

from cleancut.catalog import find
from cleancut.errors import (
    BadOption,
    LicenceRefused,
    UnknownModel,
    WeightsCorrupt,
    WeightsMissing,
)
from cleancut.models.choose import check, choose
from cleancut.options import Options


def _lay_down(home: Path, name: str) -> None:
    """A file of the right name; choosing looks at no bytes."""
    weight = find(name).weights[-1]
    folder = home / "cleancut" / "models" / find(name).id
    folder.mkdir(parents=True)
    (folder / weight.file).write_bytes(bytes(weight.bytes))


def test_auto_takes_the_best_that_is_here_and_says_when_it_is_not_the_first(home: Path) -> None:
    with pytest.raises(WeightsMissing, match="no model"):
        choose(Options())
    _lay_down(home, "modnet")
    _lay_down(home, "u2netp")
    alone = choose(Options())
    assert (alone.lead.id, alone.portrait.id, alone.second) == ("u2netp", "modnet", None)
    assert alone.notes == ("auto_model: u2netp, since isnet is not pulled",)
    assert choose(Options(commercial_only=True)).lead.id == "u2netp"
    _lay_down(home, "isnet")
    full = choose(Options())
    assert (full.lead.id, full.portrait.id, full.second.id) == ("isnet", "modnet", "u2netp")
    assert full.notes == ()


@pytest.mark.parametrize(("here", "missing"), [("isnet", "modnet"), ("modnet", "isnet")])
def test_auto_with_one_model_uses_it_and_says_what_to_get(
    home: Path, here: str, missing: str
) -> None:
    _lay_down(home, here)
    choice = choose(Options())
    assert (choice.lead.id, choice.portrait, choice.second) == (here, None, None)
    (note,) = choice.notes
    assert here in note
    assert f"cleancut models pull {missing}" in note


def test_names_paths_and_recipes(tmp_path: Path) -> None:
    assert choose(Options(model="U2NET_human_seg")).lead.id == "u2net-human-seg"
    net = str(tmp_path / "net.onnx")
    choice = choose(Options(model=net, recipe="size=64 mean=0.5"))
    assert choice.lead.path == Path(net)
    assert choice.lead.recipe.size == (64, 64)
    assert choice.notes == ()
    assert choose(Options(model="echo")).lead.family == "echo"


def test_what_cannot_be_chosen_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        choose(Options(model="u3net"))
    with pytest.raises(BadOption):
        choose(Options(model="custom"))
    with pytest.raises(LicenceRefused):
        choose(Options(model="bria-rmbg", commercial_only=True))
    with pytest.raises(LicenceRefused):
        choose(Options(model=str(tmp_path / "net.onnx"), commercial_only=True))


def test_weights_are_checked_without_loading_a_network(home: Path, tmp_path: Path) -> None:
    check(Options(model="echo"))
    with pytest.raises(WeightsMissing, match="isnet"):
        check(Options(model="isnet"))
    _lay_down(home, "u2netp")  # of the right name and size, with other bytes
    with pytest.raises(WeightsCorrupt, match="u2netp"):
        check(Options(model="u2netp"))
    (tmp_path / "net.onnx").write_bytes(b"not a model" * 100)
    with pytest.raises(WeightsCorrupt):
        check(Options(model=str(tmp_path / "net.onnx")))
