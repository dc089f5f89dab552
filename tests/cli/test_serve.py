from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cleancut.backends import gpus as cuda
from cleancut.cli import serve
from cleancut.cli.main import main
from cleancut.errors import BadOption
from cleancut.server.settings import Settings
from tests.server.live import png


def settings(*words: str, **environ: str) -> Settings:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return serve.settings_from(parser.parse_args(words), {"HOME": "/nowhere", **environ})


def test_flags_become_settings() -> None:
    found = settings(
        *("--port", "0", "--queue", "5", "--memory-limit", "2GB", "--max-body", "10MB"),
        *("--grace", "90s", "--keep", "2d", "--models", "isnet", "--models", "u2netp,modnet"),
        *("--cors", "https://a.example", "--insecure", "--no-fetch", "--no-page", "--log", "text"),
        *("--model", "isnet", "--crop", "--max-megapixels", "20", "--cache", "off"),
        *("--gpus", "0,1"),
    )
    assert found.gpus == "0,1"
    assert (found.port, found.queue, found.memory_limit) == (0, 5, 2_000_000_000)
    assert (found.max_body, found.grace_s, found.keep_s) == (10_000_000, 90, 172_800)
    assert found.models == ("isnet", "u2netp", "modnet")
    assert found.cors == ("https://a.example",)
    assert (found.insecure, found.fetch, found.log_format) == (True, False, "text")
    assert found.page is False
    assert (found.options.model, found.options.crop) == ("isnet", True)
    assert (found.max_megapixels, found.defaults.max_megapixels) == (20, 20)
    assert found.cache is None


def test_the_environment_says_the_same_and_a_flag_wins() -> None:
    found = settings(
        "--queue",
        "6",
        CLEANCUT_SERVER_QUEUE="5",
        CLEANCUT_SERVER_MAX_BODY="1MiB",
        CLEANCUT_SERVER_INSECURE="yes",
        CLEANCUT_SERVER_FETCH="no",
        CLEANCUT_SERVER_MODEL="u2netp",
        CLEANCUT_SERVER_CROP="true",
        CLEANCUT_SERVER_DATA="/srv/x",
        CLEANCUT_SERVER_CACHE="redis://h/0",
        CLEANCUT_SERVER_SECRET="s" * 40,
        CLEANCUT_SERVER_CORS="https://a.example, https://b.example",
    )
    assert (found.queue, found.max_body) == (6, 1 << 20)
    assert (found.insecure, found.fetch) == (True, False)
    assert (found.options.model, found.options.crop) == ("u2netp", True)
    assert (found.data, found.cache, found.secret) == (Path("/srv/x"), "redis://h/0", "s" * 40)
    assert found.cors == ("https://a.example", "https://b.example")


def test_every_setting_has_a_flag_or_a_reason() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    flags = {a.dest.removeprefix("serve_") for a in parser._actions}
    elsewhere = {"options", "cache_bytes", "secret"}
    assert set(Settings.names()) - flags <= elsewhere


@pytest.mark.parametrize(
    ("words", "environ", "named"),
    [
        (["--queue", "many"], {}, "--queue"),
        (["--queue", "0"], {}, "--queue"),
        (["--max-body", "huge"], {}, "--max-body"),
        (["--grace", "soon"], {}, "--grace"),
        (["--port", "70000"], {}, "--port"),
        (["--log", "xml"], {}, "--log"),
        (["--max-body", "22"], {}, "--max-body"),
        (["--public-url", "cut.example"], {}, "--public-url"),
        (["--public-url", "https://"], {}, "--public-url"),
        (["--cors", "shop.example"], {}, "--cors"),
        (["--cors", "https://shop.example/path"], {}, "--cors"),
        (["--trust-proxy", "nginx"], {}, "--trust-proxy"),
        ([], {"CLEANCUT_SERVER_QUEUE": "x"}, "CLEANCUT_SERVER_QUEUE"),
        ([], {"CLEANCUT_SERVER_INSECURE": "maybe"}, "CLEANCUT_SERVER_INSECURE"),
        ([], {"CLEANCUT_SERVER_QUALITY": "x"}, "quality"),
    ],
)
def test_what_is_not_understood_is_named(
    words: list[str], environ: dict[str, str], named: str
) -> None:
    with pytest.raises(BadOption, match=named):
        settings(*words, **environ)


def test_no_model_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--commercial-only"]) == 3
    assert "run: cleancut models pull" in capsys.readouterr().err


def test_gpus_that_are_not_there_are_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = cuda.Driver(problem="no GPU is visible here", remedy="look for one")
    monkeypatch.setattr(cuda, "driver", lambda: there)
    words = ["serve", "--port", "0", "--data", str(tmp_path), "--model", "echo", "--insecure"]
    assert main([*words, "--device", "gpu", "--gpus", "2"]) == 3
    assert "no GPU is visible here" in capsys.readouterr().err


def test_what_is_no_address_is_refused_and_addresses_are_not() -> None:
    words = ["--public-url", "http://[::1]:8080/cut", "--trust-proxy", "10.0.0.0/8,::1,127.0.0.1"]
    found = settings(*words, "--cors", "https://shop.example:8443", "--cors", "*")
    assert found.trust_proxy == ("10.0.0.0/8", "::1", "127.0.0.1")
    assert found.cors == ("https://shop.example:8443", "*")


def test_models_that_are_not_here_are_said_at_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["serve", "--model", "echo", "--port", "0", "--data", str(tmp_path)]
    assert main([*words, "--models", "echo,u2net"]) == 3
    assert "run: cleancut models pull u2net" in capsys.readouterr().err


def test_an_open_door_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["serve", "--model", "echo", "--port", "0", "--data", str(tmp_path)]
    assert main([*words, "--host", "0.0.0.0"]) == 3
    assert "cleancut keys add NAME" in capsys.readouterr().err


def test_a_missing_extra_says_the_pip_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve", "--model", "echo", "--port", "0"]) == 3
    assert "pip install 'cleancut[server]'" in capsys.readouterr().err


def test_help_imports_no_third_party_package() -> None:
    code = (
        "import sys; from cleancut.cli.main import main\n"
        "try:\n    main(['serve', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} & "
        "{'fastapi', 'uvicorn', 'starlette', 'numpy', 'cv2', 'anyio'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
    assert "curl -F image=@photo.jpg" in done.stdout


_COMMAND = (sys.executable, "-m", "cleancut", "serve", "--port", "0", "--model", "echo")


@contextmanager
def running(tmp_path: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server process with the echo model, and its address; its log goes to a file."""
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [*_COMMAND, "--data", str(tmp_path / "data"), *words],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("cleancut: ready at http"), (tmp_path / "log").read_text()
        yield process, line.split()[3]
    finally:
        process.kill()
        process.communicate()
        log.close()


def test_a_real_server_cuts_logs_and_ends_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address):
        headers = {"X-API-Key": "cc_secret", "X-Request-Id": "mine-1"}
        answer = httpx.post(
            f"{address}/v1/cutouts?keep_points=1,1",
            files={"image": ("private.png", png(64, 48))},
            headers=headers,
            timeout=60,
        )
        assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine-1")
        second = subprocess.run(
            [*_COMMAND, "--data", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 3
        assert "another server uses the data folder" in second.stderr
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = [line for line in lines if line.get("id") == "mine-1"]
    assert line["door"] == "cutouts"
    assert (line["status"], line["model"], line["cached"]) == (200, "echo", False)
    assert {"time", "ms", "bytes_in", "bytes_out", "caller", "megapixels", "queue_ms"} <= set(line)
    for word in ("private", "secret", "keep_points"):
        assert word not in log


def test_a_server_with_nothing_pulled_serves_and_says_what_is_better(tmp_path: Path) -> None:
    with running(tmp_path, "--model", "auto") as (process, address):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("cleancut: note [auto_model] cleancut-nano")
        assert line.endswith("cleancut models pull\n")
        files = {"image": ("a.png", png(64, 48))}
        answer = httpx.post(f"{address}/v1/cutouts", files=files, timeout=60)
        assert answer.status_code == 200
        rows = {row["id"]: row for row in httpx.get(f"{address}/v1/models").json()}
        assert rows["auto"]["default"]
        assert rows["cleancut-nano"]["commercial"] == "unclear"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_server_leaves_no_child_and_its_spool_is_emptied(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        httpx.get(f"{address}/healthz")
        process.kill()
        process.communicate(timeout=10)
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline, "the working process outlived the server"
            time.sleep(0.05)
    left = tmp_path / "data" / "spool" / "left-behind"
    left.write_bytes(b"x")
    with running(tmp_path) as (process, _):
        assert not left.exists()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(
                b"POST /v1/cutouts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
                b"Content-Length: 1000\r\n\r\nabc"
            )
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None, "it should wait for what is being sent"
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            process.communicate(timeout=20)
            assert time.monotonic() - began < 8
    assert process.returncode == 130
