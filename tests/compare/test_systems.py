from __future__ import annotations

from pathlib import Path

import pytest

from cleancut.compare import systems as module
from cleancut.compare.comparison import System
from cleancut.compare.peers import Installed
from cleancut.compare.systems import systems
from cleancut.errors import (
    BadOption,
    MissingDependency,
    UnknownModel,
    WeightsCorrupt,
    WeightsMissing,
)

ARTICLES = {
    "Rembg (U²-Net)",
    "Briarmask (DeepLabV3+ portraits)",
    "Briarmask, if BRIA RMBG is meant",
    "MODNet",
    "Robust Video Matting",
    "DeepLabV3+ (MobileNet)",
}


def by_id(**more: Path | None) -> dict[str, System]:
    return {system.id: system for system in systems(peers=more)}


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every tool is installed wherever it is looked for; the list says where that was."""
    asked: list[Path] = []

    def installed(tool: object, folder: Path) -> Installed:
        asked.append(folder)
        return Installed(Path("python"), Path("tool"), {})

    monkeypatch.setattr(module, "installed", installed)
    return asked


def test_the_articles_systems_all_have_a_row_in_their_order() -> None:
    found = by_id()
    assert {system.article for system in found.values()} - {""} == ARTICLES
    assert [id_ for id_ in found if not id_.endswith(":raw")] == [
        *("u2netp", "u2net", "deeplabv3plus-portrait", "bria-rmbg-2.0", "bria-rmbg-1.4"),
        *("modnet", "rvm", "deeplabv3plus", "isnet", "auto", "cleancut-nano"),
    ]


def test_what_ships_in_the_package_runs_and_has_a_digest_a_size_and_a_licence() -> None:
    found = by_id()
    portrait = found["deeplabv3plus-portrait"]
    assert portrait.reason == ""
    assert len(portrait.weights) == 64
    assert portrait.weights_mb == pytest.approx(3.88, abs=0.01)
    assert (portrait.licence, portrait.commercial) == ("Apache-2.0", "unclear")
    assert found["auto"].weights == found["cleancut-nano"].weights
    assert found["auto"].note == "asks cleancut-nano as the picture needs"


def test_what_is_not_here_says_what_to_type_its_size_and_its_licence() -> None:
    found = by_id()
    assert found["u2net"].reason == (
        "its weights are not here (176 MB, Apache-2.0); run: cleancut models pull u2net"
    )
    assert "if that licence suits you, run: cleancut models pull bria-rmbg-2.0" in (
        found["bria-rmbg-2.0"].reason
    )
    assert "non-commercial" in found["bria-rmbg-2.0"].reason
    assert found["bria-rmbg-2.0"].commercial == "no"
    assert "GPL-3.0" in found["rvm"].reason
    assert found["u2net"].weights_mb == 176.0
    assert str(Path.home()) not in "".join(system.reason for system in found.values())


def test_a_network_alone_is_listed_where_it_can_run() -> None:
    raw = [system for system in by_id().values() if system.raw]
    assert [system.id for system in raw] == ["deeplabv3plus-portrait:raw", "cleancut-nano:raw"]
    assert raw[0].title == "DeepLabV3+ portraits, network alone"


def test_damaged_weights_are_a_reason_too(home: Path) -> None:
    path = home / "cleancut" / "models" / "modnet" / "modnet.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert by_id()["modnet"].reason.startswith("its weights are damaged; run: ")
    with pytest.raises(WeightsCorrupt):
        systems(["modnet"])


def test_names_aliases_and_raw_in_any_order_each_once() -> None:
    found = systems(["nano:raw", "auto", "Cleancut_Nano", "nano:raw", "echo"])
    assert [one.id for one in found] == ["cleancut-nano:raw", "auto", "cleancut-nano", "echo"]
    assert found[0].raw
    assert not found[2].raw
    assert found[3].weights == ""


def test_a_file_of_the_users_takes_part_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"weights")
    found = systems([str(tmp_path / "mine.onnx"), f"{tmp_path / 'mine.onnx'}:raw"])
    assert [one.id for one in found] == ["mine.onnx", "mine.onnx:raw"]
    assert found[0].model == str(tmp_path / "mine.onnx")
    assert found[0].licence == "yours to know"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.onnx").write_bytes(b"others")
    with pytest.raises(BadOption, match=r"two models are called mine\.onnx"):
        systems([str(tmp_path / "mine.onnx"), str(tmp_path / "other" / "mine.onnx")])


def test_what_is_named_and_not_here_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        systems(["u2net:raw"])
    assert caught.value.hint == "run: cleancut models pull u2net"
    with pytest.raises(WeightsMissing, match="no such file"):
        systems([str(tmp_path / "gone.onnx")])


def test_auto_without_any_network_says_so(no_bundled: None) -> None:
    assert "cleancut models pull" in by_id()["auto"].reason
    with pytest.raises(WeightsMissing):
        systems(["auto"])


@pytest.mark.parametrize(
    ("name", "guess"),
    [("modnat", "modnet"), ("rembg:u2nett", "rembg:"), ("backgroundremove", "backgroundremover")],
)
def test_a_slip_of_the_keys_gets_the_nearest_names(name: str, guess: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        systems([name])
    assert guess in caught.value.message + caught.value.hint


def test_a_tool_that_is_left_out_has_a_line_and_one_not_spoken_of_has_none() -> None:
    found = systems(peers={"rembg": None})
    assert [one.reason for one in found if one.kind == "peer"] == ["left out, as asked"]
    assert not [one for one in systems() if one.kind == "peer"]
    with pytest.raises(UnknownModel):
        systems(peers={"photoshop": None})


def test_a_tool_that_is_not_installed_has_one_line_that_says_how(tmp_path: Path) -> None:
    rows = [one for one in systems(peers={"rembg": tmp_path / "no"}) if one.kind == "peer"]
    assert len(rows) == 1
    assert "run: cleancut bench compare --install-peers" in rows[0].reason
    assert str(tmp_path) not in rows[0].reason


def test_of_a_tool_the_default_comes_first_even_if_it_cannot_run(
    present: list[Path], tmp_path: Path
) -> None:
    rows = [one for one in systems(peers={"rembg": tmp_path}) if one.kind == "peer"]
    assert [one.id for one in rows] == [
        *("rembg:bria-rmbg", "rembg:u2net", "rembg:isnet-general-use", "rembg:u2netp")
    ]
    assert "(its default)" in rows[0].title
    assert "cleancut models pull bria-rmbg-2.0" in rows[0].reason
    assert "not its default" in rows[3].note
    assert {one.article for one in rows} == {"", "Rembg (U²-Net)"}


def test_a_tools_own_download_is_found_and_never_made(
    present: list[Path], tmp_path: Path, home: Path
) -> None:
    peers = {"backgroundremover": tmp_path}
    before = next(
        one for one in systems(peers=peers) if one.model == "u2net" and one.kind == "peer"
    )
    assert "run it once: backgroundremover -i" in before.reason
    (home / ".u2net").mkdir()
    (home / ".u2net" / "u2net.pth").write_bytes(b"torch")
    after = next(one for one in systems(peers=peers) if one.model == "u2net" and one.kind == "peer")
    assert after.reason == ""
    assert len(after.weights) == 64


def test_a_tool_by_name_means_its_default_and_must_be_there(
    present: list[Path], tmp_path: Path, home: Path
) -> None:
    with pytest.raises(MissingDependency, match="no environment for rembg is given"):
        systems(["rembg:u2netp"])
    with pytest.raises(WeightsMissing):
        systems(["rembg"], peers={"rembg": tmp_path})
    (home / ".u2net").mkdir()
    (home / ".u2net" / "u2net.pth").write_bytes(b"torch")
    found = systems(["BackgroundRemover"], peers={"backgroundremover": tmp_path})
    assert [one.id for one in found] == ["backgroundremover:u2net"]
