from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cleancut.bench.measure import Sample
from cleancut.compare.downloads import download_bytes
from cleancut.compare.tools import tool
from cleancut.errors import RunError

CHILD: dict[str, Any] = {"version": "2.0.86", "source": "", "requires": []}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index that tells the size of /big.whl, and nothing about another file."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if self.path != "/big.whl":
                self.send_error(405)
                return
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class FakePip:
    def __init__(self, *urls: str, refuses_wheels_only: bool = False) -> None:
        self.urls = urls
        self.refuses_wheels_only = refuses_wheels_only
        self.seen: list[list[str]] = []

    def __call__(self, argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
        self.seen.append(list(argv))
        if "install" in argv:
            if self.refuses_wheels_only and "--only-binary=:all:" in argv:
                raise RunError("pip install failed: ERROR: no wheel")
            rows = [
                {"metadata": {"name": f"p{at}", "version": "1"}, "download_info": {"url": url}}
                for at, url in enumerate(self.urls)
            ]
            Path(argv[argv.index("--report") + 1]).write_text(json.dumps({"install": rows}))
        elif "download" in argv:
            folder = Path(argv[argv.index("--dest") + 1])
            folder.mkdir(exist_ok=True)
            (folder / "fetched.whl").write_bytes(b"x" * 77)
        elif "wheel" in argv:
            folder = Path(argv[argv.index("--wheel-dir") + 1])
            folder.mkdir()
            (folder / "own.whl").write_bytes(b"x" * 5)
        return Sample(0.1, None, "")


def test_sizes_are_asked_for_and_only_fetched_where_nobody_says(index: str, tmp_path: Path) -> None:
    pip = FakePip(f"{index}/big.whl", f"{index}/silent.whl", "file:///local.whl")
    total, how = download_bytes(tool("rembg"), CHILD, Path("py"), tmp_path, pip)
    assert total == 1_000_000 + 77 + 77
    assert "3 archives" in how
    assert index not in how
    assert "rembg[cpu,cli]==2.0.86" in pip.seen[0]


def test_an_editable_installation_is_asked_for_what_it_requires_and_built(
    index: str, tmp_path: Path
) -> None:
    pip = FakePip(f"{index}/big.whl")
    child = {**CHILD, "source": "/src", "requires": ["numpy>=1"]}
    total, how = download_bytes(tool("cleancut"), child, Path("py"), tmp_path, pip)
    assert total == 1_000_005
    assert "its own wheel" in how
    assert pip.seen[0][-1] == "numpy>=1"
    assert pip.seen[-1][-1] == "/src"


def test_a_package_without_a_wheel_is_asked_for_again(index: str, tmp_path: Path) -> None:
    pip = FakePip(f"{index}/big.whl", refuses_wheels_only=True)
    total, _ = download_bytes(tool("rembg"), CHILD, Path("py"), tmp_path, pip)
    assert total == 1_000_000


def test_what_pip_refuses_is_said(tmp_path: Path) -> None:
    def refuses(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
        raise RunError("pip failed: ERROR: no such option: --report")

    with pytest.raises(RunError, match="--report"):
        download_bytes(tool("rembg"), CHILD, Path("py"), tmp_path, refuses)


def test_an_index_with_its_password_in_the_path_is_not_named(tmp_path: Path) -> None:
    def refuses(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
        raise RunError(f"pip failed: ERROR: 403 for https://host/s3cret/{'x' * 200}/simple/rembg/")

    with pytest.raises(RunError) as caught:
        download_bytes(tool("rembg"), CHILD, Path("py"), tmp_path, refuses)
    assert caught.value.message.endswith("ERROR: 403 for (an address)")


@pytest.mark.parametrize("report", ["", "[]", '{"install": [{}]}', '{"install": 3}'])
def test_a_report_that_is_none_is_refused(report: str, tmp_path: Path) -> None:
    def writes(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
        Path(argv[argv.index("--report") + 1]).write_text(report)
        return Sample(0.1, None, "")

    with pytest.raises(RunError, match="report"):
        download_bytes(tool("rembg"), CHILD, Path("py"), tmp_path, writes)
