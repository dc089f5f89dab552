from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cleancut.bench.measure import Sample
from cleancut.bench.peer import Peer
from cleancut.bench.sides import Side, neutral_environ, our_side, rembg_side
from cleancut.errors import RunError


def recording(side: Side, calls: list[list[str]], *, writes: Path | None = None) -> Side:
    def run_once(argv: list[str], env: Mapping[str, str]) -> Sample:
        calls.append(argv)
        if writes:
            writes.write_bytes(b"PNG")
        return Sample(1.0, 2.0, "")

    return replace(side, run_once=run_once)


def test_both_sides_get_the_same_picture_and_the_same_network(tmp_path: Path) -> None:
    image, output = tmp_path / "in.jpg", tmp_path / "out.png"
    peer = Peer(Path("py"), Path("rembg"), {})
    calls: list[list[str]] = []
    for side in (our_side({}, tmp_path), rembg_side(peer, tmp_path)):
        recording(side, calls, writes=output).cut_picture("isnet", image, output)
    ours, theirs = calls
    assert ours[1:] == [
        "-m", "cleancut", "cut", str(image), "-o", str(output), "--model", "isnet", "--quiet",
    ]  # fmt: skip
    assert theirs == ["rembg", "i", "-m", "isnet-general-use", str(image), str(output)]


def test_a_run_without_a_picture_is_an_error_even_if_an_old_one_lies_there(tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    output.write_bytes(b"old")
    side = recording(our_side({}, tmp_path), [])
    with pytest.raises(RunError, match="no picture"):
        side.cut_picture("isnet", tmp_path / "in.jpg", output)


def test_our_side_looks_only_at_the_weights_given(tmp_path: Path) -> None:
    side = our_side({"isnet": tmp_path / "store" / "isnet.onnx"}, tmp_path / "work")
    assert side.env["CLEANCUT_MODELS"] == str(tmp_path / "store")
    assert side.env["CLEANCUT_HOME"].startswith(str(tmp_path / "work"))
    assert side.env["CLEANCUT_CACHE"].startswith(str(tmp_path / "work"))


def test_fresh_means_empty_folders_and_changes_nothing_else(tmp_path: Path) -> None:
    side = our_side({}, tmp_path)
    fresh = side.fresh(tmp_path / "new")
    assert fresh.command == side.command
    changed = {name for name in fresh.env if fresh.env[name] != side.env.get(name)}
    assert changed == {"NUMBA_CACHE_DIR", "CLEANCUT_CACHE", "PYTHONPYCACHEPREFIX"}
    assert all(fresh.env[name].startswith(str(tmp_path / "new")) for name in changed)
    kept = side.fresh(tmp_path / "new", bytecode=False)
    assert "PYTHONPYCACHEPREFIX" not in kept.env


def test_what_would_steer_a_side_is_dropped_from_the_environment() -> None:
    given = {"PATH": "/bin", "OMP_NUM_THREADS": "1", "U2NET_HOME": "/x", "CLEANCUT_HOME": "/y"}
    assert neutral_environ({**given, "PYTHONDONTWRITEBYTECODE": "1"}) == {"PATH": "/bin"}


def test_a_folder_is_counted_whatever_the_side_says(tmp_path: Path) -> None:
    images = tmp_path / "in"
    images.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (images / name).write_bytes(b"x")
    calls: list[list[str]] = []
    peer = Peer(Path("py"), Path("rembg"), {})
    for side in (our_side({}, tmp_path), rembg_side(peer, tmp_path)):
        output = tmp_path / side.name
        with pytest.raises(RunError, match="made 0 of 2"):
            recording(side, calls).cut_folder("isnet", images, output)
    ours, theirs = calls
    assert ours[2:4] == ["cleancut", "batch"]
    assert "off" in ours  # a cache would make the second run free
    assert theirs[1:] == ["p", "-m", "isnet-general-use", str(images), str(tmp_path / "rembg")]


def test_another_home_brings_its_own_weights(tmp_path: Path) -> None:
    side = our_side({"isnet": tmp_path / "a.onnx"}, tmp_path).at_home(tmp_path / "home")
    assert side.env["CLEANCUT_HOME"] == str(tmp_path / "home")
    assert "CLEANCUT_MODELS" not in side.env
