from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleancut.bench import video_peers
from cleancut.bench.peer import MARK
from cleancut.compare import peers
from cleancut.compare.peers import TOOLS, Installed, environ, installed, prepare
from cleancut.errors import MissingDependency, WeightsMissing


class FakeVenv:
    """Commands run in an environment that holds what it is told to hold."""

    def __init__(self, folder: Path, holds: dict[str, str], program: str = "rembg") -> None:
        self.holds = holds
        self.ran: list[list[str]] = []
        (folder / "bin").mkdir(parents=True)
        for name in ("python", program):
            (folder / "bin" / name).touch()

    def __call__(self, argv: list[str], timeout_s: float) -> str:
        self.ran.append(argv)
        return f"a warning\n{json.dumps(self.holds)}\n"


def network(tool: str, name: str) -> peers.Network:
    return next(one for one in TOOLS[tool].networks if one.name == name)


@pytest.fixture
def lent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights of every network: a file on this machine."""
    path = tmp_path / "ours.onnx"
    path.write_bytes(b"network")
    monkeypatch.setattr(peers, "weights_of", lambda *_: (path, "ab" * 32))
    return path


def test_a_tool_is_known_by_its_versions(tmp_path: Path) -> None:
    run = FakeVenv(tmp_path / "venv", {"rembg": "2.0.86", "numpy": "2"})
    found = installed(TOOLS["rembg"], tmp_path / "venv", run)
    assert found.versions == {"rembg": "2.0.86", "numpy": "2"}
    assert found.command == tmp_path / "venv" / "bin" / "rembg"
    assert len(run.ran) == 1


@pytest.mark.parametrize(
    ("holds", "why"),
    [({"rembg": "1.0"}, r"holds rembg 1\.0, and 2\.0\.86"), ({"numpy": "2"}, "lacks rembg")],
)
def test_another_version_or_none_is_refused(
    tmp_path: Path, holds: dict[str, str], why: str
) -> None:
    with pytest.raises(MissingDependency, match=why):
        installed(TOOLS["rembg"], tmp_path / "venv", FakeVenv(tmp_path / "venv", holds))


def test_looking_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match="is not installed"):
        installed(TOOLS["rembg"], tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_an_environment_that_somebody_else_made_is_never_changed(tmp_path: Path, tool: str) -> None:
    run = FakeVenv(tmp_path / "venv", {"torch": "2"}, TOOLS[tool].program)
    with pytest.raises(MissingDependency):
        prepare(TOOLS[tool], tmp_path / "venv", tell=lambda _: None, run=run)
    assert not [argv for argv in run.ran if "install" in argv]


def test_one_made_here_is_filled(tmp_path: Path) -> None:
    tool = TOOLS["transparent-background"]
    run = FakeVenv(tmp_path / "venv", {}, tool.program)
    (tmp_path / "venv" / MARK).touch()
    with pytest.raises(MissingDependency, match="lacks"):  # the fake installs nothing
        prepare(tool, tmp_path / "venv", tell=lambda _: None, run=run)
    assert [argv[-1] for argv in run.ran if "install" in argv] == [tool.requirement]


def test_rembg_finds_our_file_under_its_own_name_and_cannot_download(
    tmp_path: Path, lent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("U2NET_HOME", "elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    there = Installed(Path("python"), Path("rembg"), {})
    for _ in range(2):
        env = environ(
            TOOLS["rembg"], network("rembg", "isnet-general-use"), there, tmp_path / "work"
        )
    home = Path(env["U2NET_HOME"])
    assert [path.name for path in home.iterdir()] == ["isnet-general-use.onnx"]
    assert (home / "isnet-general-use.onnx").read_bytes() == b"network"
    assert env["HTTPS_PROXY"] == env["http_proxy"] == "http://127.0.0.1:9"
    assert env["NO_PROXY"] == ""
    assert "OMP_NUM_THREADS" not in env


def test_backgroundremover_gets_our_network_once(
    tmp_path: Path, lent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def lend(python: Path, folder: Path, work: Path, run: object) -> tuple[Path, float]:
        made.append(work)
        (work / "u2netp.pth").write_bytes(b"torch")
        return work / "u2netp.pth", 0.0

    monkeypatch.setattr(video_peers, "lend_weights", lend)
    there = Installed(tmp_path / "bin" / "python", Path("backgroundremover"), {})
    tool = TOOLS["backgroundremover"]
    for _ in range(2):
        env = environ(tool, network(tool.id, "u2netp"), there, tmp_path / "work")
    assert len(made) == 1
    assert Path(env["U2NETP_PATH"]).read_bytes() == b"torch"
    assert len(list((tmp_path / "work").iterdir())) == 1


def test_a_default_that_was_never_downloaded_says_how_large_it_is(tmp_path: Path) -> None:
    tool = TOOLS["transparent-background"]
    with pytest.raises(WeightsMissing, match="not downloaded its base yet") as caught:
        peers.weights_of(tool, network(tool.id, "base"))
    assert caught.value.hint.startswith("run it once: transparent-background --source")


def test_every_network_has_a_row_and_every_tool_one_default() -> None:
    for tool in TOOLS.values():
        assert sum(one.default for one in tool.networks) == 1
        assert tool.networks[0].default
        assert all(one.spec.weight_licence for one in tool.networks)
        assert all(one.lent or one.file for one in tool.networks)


def test_the_version_is_that_of_the_other_benchmarks() -> None:
    assert TOOLS["backgroundremover"].version == video_peers.VERSION
    assert TOOLS["backgroundremover"].requirement == video_peers.REQUIREMENT
