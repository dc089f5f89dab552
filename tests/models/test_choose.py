from __future__ import annotations

from pathlib import Path

import pytest

from cleancut.catalog import auto_order, find
from cleancut.errors import (
    BadOption,
    LicenceRefused,
    UnknownModel,
    WeightsCorrupt,
    WeightsMissing,
)
from cleancut.models.choose import Choice, check, choose, lacking
from cleancut.options import Options


def _lay_down(home: Path, name: str) -> None:
    """A file of the right name; choosing looks at no bytes."""
    weight = find(name).weights[-1]
    folder = home / "cleancut" / "models" / find(name).id
    folder.mkdir(parents=True)
    (folder / weight.file).write_bytes(bytes(weight.bytes))


def _ids(choice: Choice) -> tuple[str | None, ...]:
    members = (choice.lead, choice.portrait, choice.second)
    return tuple(None if spec is None else spec.id for spec in members)


def test_with_nothing_pulled_auto_is_the_model_of_the_package_and_says_what_is_better() -> None:
    choice = choose(Options())
    assert _ids(choice) == ("cleancut-nano", None, None)
    (note,) = choice.notes
    assert note.startswith("auto_model: cleancut-nano")
    assert note.endswith("cleancut models pull")
    check(Options())


def test_auto_takes_the_best_that_is_here_and_says_when_it_is_not_the_first(home: Path) -> None:
    _lay_down(home, "modnet")
    together = choose(Options())
    assert _ids(together) == ("cleancut-nano", "modnet", None)
    assert together.notes == ("auto_model: cleancut-nano, since isnet is not pulled",)
    _lay_down(home, "u2netp")
    small = choose(Options(commercial_only=True))
    assert _ids(small) == ("u2netp", "modnet", None)
    assert small.notes == ("auto_model: u2netp, since u2net is not pulled",)
    assert choose(Options()).portrait.id == "modnet"
    _lay_down(home, "isnet")
    full = choose(Options())
    assert _ids(full) == ("isnet", "modnet", auto_order("second")[0].id)
    assert full.notes == ()


def test_a_lead_without_a_portrait_network_has_a_second_and_says_what_to_get(home: Path) -> None:
    _lay_down(home, "isnet")
    choice = choose(Options())
    assert _ids(choice) == ("isnet", None, "cleancut-nano")
    (note,) = choice.notes
    assert "isnet decides alone" in note
    assert "cleancut models pull modnet" in note


def test_whatever_was_pulled_to_lead_goes_before_the_model_of_the_package(home: Path) -> None:
    _lay_down(home, "birefnet-lite")
    assert choose(Options()).lead.id == "birefnet-lite"


def test_the_model_of_the_package_is_not_clearly_commercial(home: Path) -> None:
    with pytest.raises(WeightsMissing, match="may clearly be used commercially") as caught:
        choose(Options(commercial_only=True))
    assert caught.value.hint == "run: cleancut models pull u2netp modnet"
    with pytest.raises(LicenceRefused, match="DIS5K"):
        choose(Options(model="nano", commercial_only=True))
    _lay_down(home, "modnet")
    choice = choose(Options(commercial_only=True))
    assert _ids(choice) == ("modnet", None, None)
    (note,) = choice.notes
    assert "cleancut models pull u2net" in note


@pytest.mark.usefixtures("no_bundled")
def test_a_package_without_its_model_asks_for_a_pull(home: Path) -> None:
    with pytest.raises(WeightsMissing, match="no model is on this machine") as caught:
        choose(Options())
    assert caught.value.hint == "run: cleancut models pull isnet u2netp modnet"
    _lay_down(home, "modnet")
    assert _ids(choose(Options())) == ("modnet", None, None)


def test_what_is_lacking_is_what_a_pull_would_better(home: Path) -> None:
    def names(options: Options) -> list[str]:
        return [spec.id for spec in lacking(options)]

    assert names(Options()) == ["isnet", "u2netp", "modnet"]
    assert names(Options(commercial_only=True)) == ["u2netp", "modnet"]
    assert names(Options(model="silueta")) == ["silueta"]
    assert names(Options(model="nano")) == names(Options(model="echo")) == []
    assert names(Options(model="none.onnx")) == []
    _lay_down(home, "modnet")
    assert names(Options()) == names(Options(model="modnet")) == []


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
