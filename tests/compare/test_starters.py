from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cleancut import __version__
from cleancut.compare import starters
from cleancut.compare.comparison import System
from cleancut.compare.peers import TOOLS, Installed
from cleancut.compare.starters import Starter, software, starter
from cleancut.compare.systems import systems
from cleancut.errors import MissingDependency, UnknownModel


def peer(tool: str, model: str) -> System:
    return System(id=f"{tool}:{model}", title=tool, kind="peer", tool=tool, model=model)


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tool is installed, and its weights are lent."""
    there = Installed(Path("/venv/python"), Path("/venv/tool"), {"tool": "1"})
    monkeypatch.setattr(starters, "installed", lambda *_: there)
    monkeypatch.setattr(starters, "environ", lambda *_: {"LENT": "yes"})


def of(tool: str, model: str, tmp_path: Path) -> Starter:
    return starter(peer(tool, model), tmp_path, peers={tool: tmp_path})


def test_ours_is_the_command_line_without_its_cache(tmp_path: Path) -> None:
    found = starter(systems(["echo"])[0], tmp_path)
    image, output = tmp_path / "a {b}.jpg", tmp_path / "c.png"
    assert found.cut(image, output) == [
        *(sys.executable, "-m", "cleancut", "cut", str(image), "-o", str(output)),
        *("--model", "echo", "--cache", "off", "--quiet"),
    ]
    assert found.written(image, output) == output
    assert found.versions["cleancut"] == __version__


def test_the_network_alone_is_asked_for_the_same_way_on_both_paths(tmp_path: Path) -> None:
    found = starter(systems(["echo:raw"])[0], tmp_path, options={"device": "cpu"})
    said = found.cut(tmp_path / "a.jpg", tmp_path / "b.png")
    assert said[-5:] == ["--refine", "off", "--no-decontaminate", "--device", "cpu"]
    assert found.child(tmp_path / "jobs")[-2] == (
        '{"decontaminate": false, "device": "cpu", "refine": "off"}'
    )


def test_ours_keeps_its_folders_and_loses_what_steers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("CLEANCUT_MODELS", "mine")
    monkeypatch.setenv("CLEANCUT_RESULT_CACHE", "kept")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    env = starter(systems(["echo"])[0], tmp_path).env
    assert env["CLEANCUT_HOME"] == str(home / "cleancut")
    assert env["CLEANCUT_MODELS"] == "mine"
    assert not {"OMP_NUM_THREADS", "CLEANCUT_RESULT_CACHE"} & set(env)


@pytest.mark.parametrize(
    ("tool", "model", "words"),
    [
        ("rembg", "u2netp", ["i", "-m", "u2netp", "{i}", "{o}"]),
        ("backgroundremover", "u2netp", ["-m", "u2netp", "-i", "{i}", "-o", "{o}"]),
        ("transparent-background", "base", ["-m", "base", "-s", "{i}", "-d", "{d}"]),
    ],
)
def test_every_tool_is_started_as_its_users_do(
    present: None, tmp_path: Path, tool: str, model: str, words: list[str]
) -> None:
    image, output = tmp_path / "a.jpg", tmp_path / "out" / "b.png"
    fields = {"i": image, "o": output, "d": output.parent}
    found = of(tool, model, tmp_path)
    assert found.cut(image, output) == ["/venv/tool", *(word.format(**fields) for word in words)]
    left = "a_rgba.png" if tool == "transparent-background" else "b.png"
    assert found.written(image, output) == output.with_name(left)
    assert found.env == {"LENT": "yes"}
    assert found.child(tmp_path / "j")[:2] == ["/venv/python", "-P"]
    assert found.child(tmp_path / "j")[3:] == [tool, model, "{}", str(tmp_path / "j")]


def test_a_tool_without_an_environment_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="no environment for rembg"):
        starter(peer("rembg", "u2netp"), tmp_path)


def test_what_decides_the_answers_changes_the_identity(
    present: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, raw = (starter(system, tmp_path) for system in systems(["echo", "echo:raw"]))
    assert plain.identity() != raw.identity()
    seen = [of("rembg", "u2netp", tmp_path).identity()]
    there = Installed(Path("/venv/python"), Path("/venv/tool"), {"tool": "2"})
    monkeypatch.setattr(starters, "installed", lambda *_: there)
    seen.append(of("rembg", "u2netp", tmp_path).identity())
    monkeypatch.setattr(starters, "cpu_limit", lambda: 99)
    seen.append(of("rembg", "u2netp", tmp_path).identity())
    assert seen[0] != seen[1] != seen[2] != seen[0]


def test_the_children_know_every_tool() -> None:
    from cleancut.compare.child import TOOLS as ABLE

    assert set(ABLE) == {"cleancut", *TOOLS}


def test_versions_of_ours_and_of_what_is_left_out() -> None:
    assert software("cleancut")["cleancut"] == __version__
    assert "onnxruntime" in software("cleancut")
    assert software("rembg") == {}


@pytest.mark.usefixtures("present")
def test_rows_that_others_wrote_start_nothing(tmp_path: Path) -> None:
    for tool, model in (("evil", "u2netp"), ("rembg", "$(id)")):
        with pytest.raises(UnknownModel):
            starter(peer(tool, model), tmp_path, peers={tool: tmp_path})


def test_braces_in_the_folders_of_a_tool_are_left_alone(tmp_path: Path) -> None:
    one = Starter(
        system=peer("rembg", "u2netp"),
        python="p",
        env={},
        words=("/a {b}/{}/rembg", "i", "-m", "{model}", "{image}", "{output}"),
    )
    image, output = tmp_path / "{model}.jpg", tmp_path / "o.png"
    said = one.cut(image, output)
    assert said == ["/a {b}/{}/rembg", "i", "-m", "u2netp", str(image), str(output)]
