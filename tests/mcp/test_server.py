"""The server as agents use it: the SDK's own client, real stdio, the network in the package."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import numpy as np
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult
from PIL import Image

from cleancut.cli.main import main
from cleancut.mcp import server as serving
from cleancut.mcp.call import Call
from cleancut.mcp.roots import Roots
from cleancut.mcp.server import Settings
from cleancut.mcp.tools import Answer
from cleancut.server.form import CHOSEN, GUIDES
from tests.batch.pictures import folder_of, picture
from tests.server.process import free_port

COMMAND = [sys.executable, "-m", "cleancut", "mcp"]


def talk(root: Path, work: Callable[[Client], Awaitable[None]], *words: str) -> None:
    """Do ``work`` with a client of a server of its own, which is a process."""
    told = [*COMMAND[1:], "--root", str(root), *words]
    server = StdioServerParameters(command=COMMAND[0], args=told, env={**os.environ})
    _talk(stdio_client(server), work)


def talk_here(root: Path, work: Callable[[Client], Awaitable[None]], *words: str) -> None:
    """The same with a server in this process, which the command line has set up."""
    asked: list[Settings] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "serve", asked.append)
        assert main(["mcp", "--root", str(root), *words]) == 0
    _talk(serving.create_server(asked[0]), work)


def _talk(server: Any, work: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        with anyio.fail_after(120):
            async with Client(server) as client:
                await work(client)

    anyio.run(run)


def words(result: CallToolResult) -> str:
    return str(result.content[0].text)  # type: ignore[union-attr]


def pixels(content: Any) -> np.ndarray[Any, Any]:
    return np.array(Image.open(io.BytesIO(base64.b64decode(content.data))))


def code(result: CallToolResult) -> str:
    assert result.is_error
    return str(result.structured_content["error"]["code"])


def test_tools_have_the_options_of_the_http_api(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"cutout", "inspect", "batch", "models"}
        for name in ("cutout", "inspect", "batch"):
            assert set(CHOSEN) <= set(tools[name].input_schema["properties"])
        assert set(GUIDES) <= set(tools["cutout"].input_schema["properties"])
        assert "max_megapixels" not in tools["cutout"].input_schema["properties"]
        hints = {name: tool.annotations.read_only_hint for name, tool in tools.items()}
        assert hints == {"cutout": False, "inspect": True, "batch": False, "models": True}
        replaces = {name for name, tool in tools.items() if tool.annotations.destructive_hint}
        assert replaces == {"cutout", "batch"}  # asked to overwrite, they do
        assert str(tmp_path) in (client.instructions or "")
        about = await client.call_tool("models", {"use": "ecommerce"})
        facts = about.structured_content
        rows = {row["id"]: row for row in facts["models"]}
        assert rows["cleancut-nano"]["pulled"]
        assert not rows["isnet"]["pulled"]
        assert rows["isnet"]["recommended"]
        assert rows["bria-rmbg-2.0"]["commercial"] == "no"
        assert facts["auto"] == ["cleancut-nano"]
        assert "isnet" in facts["missing"]
        assert facts["advice"]["picks"]
        only = await client.call_tool("models", {"commercial_only": True})
        assert code(only) == "weights-missing"  # the one in the package is no clear yes

    talk_here(tmp_path, work)


def test_a_picture_is_cut_shown_and_never_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(height=480, width=640))

    async def work(client: Client) -> None:
        looked = await client.call_tool("inspect", {"path": "a.png", "threshold": 0.4})
        assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]
        done = await client.call_tool("cutout", {"path": "a.png", "threshold": 0.4})
        facts = done.structured_content
        out = tmp_path / "a.cutout.png"
        assert facts["output"] == str(out)
        assert facts["box"] == looked.structured_content["box"]
        assert facts["licences"][0] == {
            "model": "cleancut-nano", "licence": "Apache-2.0", "commercial": "unclear",
        }  # fmt: skip
        assert "auto_model" in [warning["code"] for warning in facts["warnings"]]
        assert "ask the user" in words(done)
        cut = np.array(Image.open(out))
        assert cut.shape == (480, 640, 4)
        assert cut[240, 320, 3] == 255
        assert cut[5, 5, 3] == 0
        shown = pixels(done.content[1])
        assert shown.shape == (384, 512, 3)
        assert shown[4, 4].min() > 240  # a light cell of the board
        assert 190 < shown[4, 20].mean() < 218  # a dark one
        assert abs(shown[192, 256].astype(int) - [220, 230, 240]).max() < 12
        before = out.read_bytes()
        again = await client.call_tool("cutout", {"path": "a.png", "max_side_px": 64})
        assert code(again) == "output-not-writable"
        assert out.read_bytes() == before
        small = {"path": "a.png", "max_side_px": "64", "overwrite": True, "background": "white"}
        assert not (await client.call_tool("cutout", small)).is_error
        assert np.array(Image.open(out)).shape == (48, 64, 3)
        itself = {"path": "a.png", "output": "a.png", "overwrite": True}
        assert code(await client.call_tool("cutout", itself)) == "output-not-writable"
        sent = base64.b64encode(picture(height=48, width=64)).decode()
        inline = await client.call_tool("cutout", {"image_b64": sent, "format": "webp"})
        assert pixels(inline.content[2]).shape == (48, 64, 4)
        assert inline.structured_content["output"] is None

    talk_here(tmp_path, work)


def test_bad_calls_are_answers_with_code_and_next_step(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(picture())
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.png").write_bytes(picture())
    (root / "broken.png").write_bytes(picture()[:60])
    (root / "way.png").symlink_to(outside)
    (root / "shelf").mkdir()
    (root / "shelf" / "way.png").symlink_to(outside)

    async def work(client: Client) -> None:
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("cutout", {}, "bad-option"),
            ("cutout", {"path": "a.png", "image_b64": "AA=="}, "bad-option"),
            ("cutout", {"path": 3}, "bad-option"),
            ("cutout", {"image_b64": "no base64!"}, "bad-option"),
            ("cutout", {"image_b64": "AAAA"}, "unreadable-image"),
            ("cutout", {"path": "b.png"}, "input-not-found"),
            ("cutout", {"path": "b" * 5000}, "bad-option"),
            ("cutout", {"path": "~nobody-of-this-name/b.png"}, "bad-option"),
            ("cutout", {"path": "broken.png"}, "unreadable-image"),
            ("cutout", {"path": "../secret.png"}, "path-refused"),
            ("cutout", {"path": "way.png"}, "path-refused"),
            ("cutout", {"path": "a.png", "background": str(outside)}, "path-refused"),
            ("cutout", {"path": "a.png", "trimap": str(outside)}, "path-refused"),
            ("cutout", {"path": "a.png", "model": "/etc/net.onnx"}, "path-refused"),
            ("cutout", {"path": "a.png", "output": "../x.png"}, "path-refused"),
            ("cutout", {"path": "a.png", "output": "x.gif"}, "unsupported-format"),
            ("cutout", {"path": "a.png", "max_megapixels": 9000}, "bad-option"),
            ("cutout", {"path": "a.png", "quality": 700}, "bad-option"),
            ("cutout", {"path": "a.png", "model": "isnet"}, "weights-missing"),
            ("cutout", {"path": "a.png", "preset": "nowhere"}, "bad-option"),
            ("batch", {"folder": "."}, "bad-option"),
            ("batch", {"folder": ".", "output": "out", "export": "voc"}, "bad-option"),
            ("batch", {"folder": "a.png", "output": "out"}, "input-not-found"),
            ("batch", {"folder": "..", "output": "out"}, "path-refused"),
            ("batch", {"folder": "shelf", "output": "out"}, "path-refused"),
            ("batch", {"folder": "s3://bucket/x", "output": "out"}, "path-refused"),
            ("models", {"path": "a.png"}, "bad-option"),
            ("nothing", {}, "bad-option"),
        ]
        for name, arguments, wanted in wrong:
            result = await client.call_tool(name, arguments)
            assert (arguments, code(result)) == (arguments, wanted)
            assert words(result).startswith(f"error [{wanted}] ")
        assert not (root / "out").exists()

    talk_here(root, work, "--max-megapixels", "1")


def test_a_call_that_is_cancelled_gives_its_turn_back(tmp_path: Path) -> None:
    """The one at work when it has ended; one that waited does nothing when its turn has come."""
    turn, begun, end = threading.Lock(), threading.Event(), threading.Event()
    calls = [Call({}, Roots.of([str(tmp_path)])) for _ in range(2)]
    worked: list[Call] = []

    def work(call: Call) -> Answer:
        worked.append(call)
        begun.set()
        assert end.wait(20)
        return Answer({}, "")

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(serving._done, work, calls[0], turn)
            assert await anyio.to_thread.run_sync(begun.wait, 20)
            group.start_soon(serving._done, work, calls[1], turn)
            await anyio.sleep(0.1)
            group.cancel_scope.cancel()
        assert all(call.stop.is_set() for call in calls)
        assert turn.locked()  # the thread is still at work
        end.set()

    anyio.run(run)
    assert turn.acquire(timeout=20)
    assert worked == calls[:1]


def test_two_cutouts_and_a_batch_at_once_each_get_their_answer(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    folder_of(tmp_path / "in", 3)
    asked = [
        ("batch", {"folder": "in", "output": "out", "model": "echo"}),
        ("cutout", {"path": "a.png", "output": "1.png"}),
        ("cutout", {"path": "a.png", "output": "2.png"}),
    ]

    async def work(client: Client) -> None:
        async def one(name: str, arguments: dict[str, Any]) -> None:
            facts = (await client.call_tool(name, arguments)).structured_content
            assert facts["output"] == str(tmp_path / arguments["output"])

        async with anyio.create_task_group() as group:
            for name, arguments in asked:
                group.start_soon(one, name, arguments)

    talk_here(tmp_path, work)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


def test_a_batch_tells_progress_and_failures_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.mcp.server._TELL_S", 0.01)
    folder_of(tmp_path / "in", 5)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    told: list[tuple[float, float | None]] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total))

    async def work(client: Client) -> None:
        asked = {"folder": "in", "output": "out", "model": "echo", "limit": 2}
        first = await client.call_tool("batch", asked)
        facts = first.structured_content
        assert (facts["done"], facts["failed"]) == (1, 1)
        assert [row["code"] for row in facts["failures"]] == ["unreadable-image"]
        assert facts["failures"][0]["picture"] == "broken.jpg"
        del asked["limit"]
        second = await client.call_tool("batch", asked, progress_callback=heard)
        facts = second.structured_content
        assert facts["skipped"] == {"done": 1, "failed": 1}
        assert facts["done"] == 4
        assert "retry_failed" in words(second)
        assert len(list((tmp_path / "out").rglob("*.png"))) == 5
        third = await client.call_tool("batch", asked)
        assert third.structured_content["done"] == 0
        coco = await client.call_tool("batch", {**asked, "output": "out2", "export": "coco"})
        assert not coco.is_error
        found = json.loads((tmp_path / "out2" / "annotations.coco.json").read_bytes())
        assert len(found["images"]) == 5

    talk_here(tmp_path, work)
    assert told
    assert told == sorted(told)
    assert told[-1][1] == 6


def test_a_cancelled_batch_stops_and_can_be_resumed(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 30, height=240, width=320)
    out = tmp_path / "out"
    asked = {"folder": "in", "output": "out", "refine": "best"}

    async def work(client: Client) -> None:
        with anyio.CancelScope() as scope:

            async def heard(done: float, total: float | None, message: str | None) -> None:
                scope.cancel()

            await client.call_tool("batch", asked, progress_callback=heard)
        assert scope.cancelled_caught
        while not (report := list(out.glob("cleancut-report.json"))):
            await anyio.sleep(0.1)  # what was in work is finished
        done = len(list(out.rglob("*.png")))
        assert report
        assert 0 < done < 30
        await anyio.sleep(1)
        assert len(list(out.rglob("*.png"))) == done
        rest = await client.call_tool("batch", {**asked, "limit": 1})
        assert rest.structured_content["done"] == 1
        assert rest.structured_content["skipped"]["done"] >= 1

    talk(tmp_path, work)


def test_what_is_commercial_only_for_everybody_stays_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())

    async def work(client: Client) -> None:
        asked = {"path": "a.png", "commercial_only": False, "model": "cleancut-nano"}
        assert code(await client.call_tool("cutout", asked)) == "licence-refused"

    talk_here(tmp_path, work, "--commercial-only")


def test_over_http_only_this_machine_is_served(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    port = free_port()
    command = [*COMMAND, "--root", str(tmp_path), "--http", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}/mcp"
    large = base64.b64encode(bytes(6 << 20)).decode()

    async def ask() -> None:
        async with Client(url) as client:
            done = await client.call_tool("cutout", {"path": "a.png"})
            assert not done.is_error
            # More than the SDK takes in one message by itself.
            assert code(await client.call_tool("inspect", {"image_b64": large})) == (
                "unreadable-image"
            )

    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        anyio.run(ask)
        for name, value, refused in (
            ("Origin", "https://evil.example", 403),
            ("Host", "evil.example", 421),
            ("Host", f"evil.example:{port}", 421),
        ):
            assert httpx.post(url, json={}, headers={name: value}).status_code == refused
    finally:
        server.terminate()
        assert server.wait(20) in (0, -15, 143)
        assert server.stderr is not None
        server.stderr.close()
    assert (tmp_path / "a.cutout.png").exists()


def test_a_port_that_is_taken_is_told_with_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["mcp", "--root", str(tmp_path), "--http", str(port)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port} cannot be listened on" in line
    assert f"--http {port + 1}" in line
