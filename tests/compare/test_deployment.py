from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.measure import Sample
from cleancut.compare.deployment import deployment
from cleancut.compare.places import Place
from cleancut.errors import BadOption, RunError

CHILD = {
    "version": "2.0.86",
    "licence": "MIT",
    "source": "",
    "requires": [],
    "bytes": {"rembg": 1_000_000, "numba": 4_500_000},
    "versions": {"rembg": "2.0.86", "numba": "1.0"},
    "missing": [],
    "unlisted": [],
}
HELP = """Commands:
  i  for a file as input
  p  for a folder as input
  s  for a http server
"""


def quiet(line: str) -> None:
    pass


class FakeTool:
    """Stands in for rembg's commands; ``weights`` says whether it can cut without a network."""

    def __init__(self, weights: bool = False, *, opaque: bool = False, **child: object) -> None:
        self.weights = weights
        self.opaque = opaque
        self.child = {**CHILD, **child}
        self.seen: list[tuple[list[str], dict[str, str]]] = []
        self.cuts = 0

    def __call__(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
        self.seen.append((list(argv), dict(env)))
        line = " ".join(argv)
        if "child_deployment" in line:
            if "[]" in argv:
                return Sample(0.1, None, json.dumps({**self.child, "bytes": {"rembg": 1_000_000}}))
            return Sample(0.1, None, json.dumps(self.child))
        if "--help" in argv:
            return Sample(0.1, None, "--no-ui  disable the Gradio UI" if " s " in line else HELP)
        if "new_session" in line:
            return Sample(0.1, None, "warning\nbria-rmbg\n")
        if "rembg.remove" in line:
            return Sample(0.1, None, "callable True\n")
        if argv[-2:] == ["-c", "pass"]:
            return Sample(0.1, None, "")
        return self.cut(list(argv), env)

    def cut(self, argv: list[str], env: Mapping[str, str]) -> Sample:
        target = Path(argv[-1])
        if not self.weights or "U2NET_HOME" not in env:
            raise RunError(f"{argv[0]} i failed: no host /a/home/models/net.onnx is there")
        self.cuts += 1
        if target.suffix != ".png":
            target = target / "disc.png"
        if target.exists():
            return Sample(0.1, None, "")
        rgba = np.full((8, 8, 4), 255, np.uint8)
        if not self.opaque:
            rgba[:4, :, 3] = 0
        assert cv2.imwrite(str(target), rgba)
        return Sample(0.1, None, "")


def rembg(lent: Mapping[str, str] | None = None) -> dict[str, Place | None]:
    return {"rembg": Place(tool="rembg", python=Path("/venv/bin/python"), lent=lent or {})}


def test_sizes_features_and_first_run_are_what_the_probes_found(tmp_path: Path) -> None:
    run = FakeTool(weights=True)
    (row,) = deployment(rembg({"U2NET_HOME": "/lent"}), tmp_path, tell=quiet, run=run)
    assert (row.tool, row.version, row.licence) == ("rembg", "2.0.86", "MIT")
    assert (row.install_mb, row.packages, row.download_mb) == (5.5, 2, None)
    assert row.default_model == "bria-rmbg"
    # Its own command runs without what was lent; the question about working offline runs with it.
    assert row.first_run_offline is False
    assert row.needs_gpu is False
    assert row.features == {
        "batch": True,
        "api": True,
        "web-ui": True,
        "video": False,
        "python": True,
        "offline": True,
        "resume": True,
        "cache": False,
    }


def test_every_answer_says_how_it_was_found_and_names_no_folder(tmp_path: Path) -> None:
    run = FakeTool(weights=True)
    (row,) = deployment(rembg({"U2NET_HOME": "/lent"}), tmp_path, tell=quiet, run=run)
    known = {"install_mb", "licence", "default_model", "default_weights_mb", "first_run_offline"}
    assert known | {"needs_gpu"} | set(row.features) == set(row.how)
    assert row.how["batch"] == "rembg --help"
    assert "rembg without extras: 1 MB" in row.how["install_mb"]
    assert "net.onnx" in row.how["first_run_offline"]
    for text in row.how.values():
        assert str(tmp_path) not in text
        assert "/venv" not in text
        assert "/a/home" not in text


def test_without_weights_to_lend_nothing_is_claimed(tmp_path: Path) -> None:
    (row,) = deployment(rembg(), tmp_path, tell=quiet, run=FakeTool())
    assert "offline" not in row.features
    assert "resume" not in row.features
    assert row.needs_gpu is None
    assert row.how["resume"] == "not tried: none of its weights are here"


def test_a_picture_with_nothing_cut_away_is_no_cutout(tmp_path: Path) -> None:
    run = FakeTool(weights=True, opaque=True)
    (row,) = deployment(rembg({"U2NET_HOME": "/lent"}), tmp_path, tell=quiet, run=run)
    assert row.features["offline"] is False
    assert "nothing was cut" in row.how["offline"]


def test_a_file_that_is_written_anew_was_not_kept(tmp_path: Path) -> None:
    class Forgetful(FakeTool):
        def cut(self, argv: list[str], env: Mapping[str, str]) -> Sample:
            for old in Path(argv[-1]).parent.rglob("disc.png"):
                old.unlink()
            return super().cut(argv, env)

    (row,) = deployment(rembg({"U2NET_HOME": "/l"}), tmp_path, tell=quiet, run=Forgetful(True))
    assert row.features["resume"] is False


def test_a_failing_probe_leaves_its_feature_unknown(tmp_path: Path) -> None:
    class Broken(FakeTool):
        def __call__(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
            if "--help" in argv:
                raise RunError("/home/anna/venv/bin/rembg --help failed: No module named 'gradio'")
            return super().__call__(argv, env, timeout_s)

    (row,) = deployment(rembg(), tmp_path, tell=quiet, run=Broken())
    assert row.features == {"python": True}
    assert row.how["api"].endswith("failed: No module named 'gradio'")
    assert "venv" not in "".join(row.how.values()), "reports are sent to others"


def test_sizes_that_cannot_be_found_stay_unknown(tmp_path: Path) -> None:
    class Silent(FakeTool):
        def __call__(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
            if "child_deployment" in " ".join(argv):
                raise RunError("no such interpreter")
            return super().__call__(argv, env, timeout_s)

    (row,) = deployment(rembg(), tmp_path, tell=quiet, run=Silent())
    assert (row.install_mb, row.packages, row.version) == (None, None, "")
    assert "no such interpreter" in row.how["install_mb"]


def test_what_is_not_counted_is_said(tmp_path: Path) -> None:
    run = FakeTool(missing=["torch"], unlisted=["cv"], versions={"numba": "1.0+cpu"})
    (row,) = deployment(rembg(), tmp_path, tell=quiet, run=run)
    assert "not counted: torch" in row.how["install_mb"]
    assert "not counted: cv" in row.how["install_mb"]
    assert "numba 1.0+cpu" in row.how["install_mb"]


def test_commands_run_with_an_empty_home_no_network_and_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("U2NET_HOME", "/mine")
    monkeypatch.setenv("U2NETP_PATH", "/mine")
    monkeypatch.setenv("NO_PROXY", "*")
    run = FakeTool()
    deployment(rembg(), tmp_path, tell=quiet, run=run)
    homes = set()
    for _, env in run.seen:
        assert not {"U2NET_HOME", "U2NETP_PATH", "NO_PROXY"} & set(env)
        assert env["HTTPS_PROXY"] == "http://127.0.0.1:9"
        assert env["CUDA_VISIBLE_DEVICES"] == "-1"
        homes.add(env["HOME"])
    assert all(home.startswith(str(tmp_path)) for home in homes)
    assert len(homes) > 3


def test_one_command_is_run_once_whoever_asks(tmp_path: Path) -> None:
    run = FakeTool()
    deployment(rembg(), tmp_path, tell=quiet, run=run)
    assert sum(argv[-1] == "--help" and "s" not in argv for argv, _ in run.seen) == 1


def test_nothing_is_left_in_the_work_folder(tmp_path: Path) -> None:
    deployment(rembg(), tmp_path / "work", tell=quiet, run=FakeTool())
    assert list((tmp_path / "work").iterdir()) == []


def test_of_a_tool_that_is_not_installed_only_documents_speak(tmp_path: Path) -> None:
    (row,) = deployment({"transparent-background": None}, tmp_path, tell=quiet)
    assert (row.install_mb, row.packages, row.features) == (None, None, {})
    assert row.first_run_offline is None
    assert row.how["install_mb"] == "not installed here"
    assert row.default_weights_mb == pytest.approx(367.52)
    assert re.search("InSPyReNet", row.how["default_weights_mb"])


def test_an_unknown_tool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="scissors"):
        deployment({"scissors": None}, tmp_path, tell=quiet)
