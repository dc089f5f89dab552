"""A real server is killed in the middle of a job, and the next one finishes it."""

from __future__ import annotations

import http.server
import io
import json
import sqlite3
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.server.process import Running, running
from tests.server.stand_ins import until

#: Enough that a slow test process still kills the server in their midst.
COUNT = 64


def a_picture(seed: int) -> bytes:
    """A disc of its own grey on black, as PNG: 400 x 300 pixels."""
    y, x = np.mgrid[:300, :400]
    disc = (np.hypot(y - 150, x - 200) < 60 + seed) * (120 + 2 * seed)
    out = io.BytesIO()
    Image.fromarray(np.repeat(disc.astype(np.uint8)[..., None], 3, axis=2)).save(out, "PNG")
    return out.getvalue()


def client_of(server: Running) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=30)


class _Callback(http.server.BaseHTTPRequestHandler):
    heard: list[tuple[str, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append((self.headers["webhook-id"], json.loads(body)["type"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def callback() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    heard: list[tuple[str, str]] = []
    kind = type("Callback", (_Callback,), {"heard": heard})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
        server.shutdown()


def test_every_picture_of_an_accepted_job_is_done_exactly_once(
    tmp_path: Path, callback: tuple[str, list[tuple[str, str]]]
) -> None:
    url, heard = callback
    pictures = [a_picture(n) for n in range(COUNT)]
    files = [("image", (f"{n:02}.png", data, "image/png")) for n, data in enumerate(pictures)]
    words = ("--workers", "2", "--fetch-from", "127.0.0.1")
    with running(tmp_path / "data", *words) as server, client_of(server) as client:
        answer = client.post("/v1/jobs", files=files, data={"callback_url": url})
        assert answer.status_code == 202, answer.text
        job = answer.json()["id"]
        until(lambda: client.get(f"/v1/jobs/{job}").json()["progress"]["done"] >= 5, seconds=30)
        server.kill()
    with sqlite3.connect(tmp_path / "data" / "jobs" / "jobs.db") as db:
        before = dict(db.execute("SELECT n, token FROM items WHERE status = 'done'"))
        held = db.execute("SELECT COUNT(*) FROM items WHERE status = 'running'").fetchone()[0]
    db.close()
    assert 5 <= len(before) < COUNT, "it was killed too late to show anything"
    with running(tmp_path / "data", *words) as server, client_of(server) as client:
        end = time.monotonic() + 30
        while (found := client.get(f"/v1/jobs/{job}?wait=10").json())["status"] != "done":
            assert time.monotonic() < end
        assert found["progress"] == {"total": COUNT, "done": COUNT, "failed": 0}
        with zipfile.ZipFile(io.BytesIO(client.get(found["archive"]).content)) as parts:
            assert len(parts.namelist()) == COUNT
            for n in range(COUNT):  # each result is of its own picture
                with Image.open(io.BytesIO(parts.read(f"{n:02}.png"))) as cutout:
                    box = cutout.getchannel("A").point(lambda value: 255 * (value > 40)).getbbox()
                assert box is not None
                assert abs(box[2] - box[0] - 2 * (60 + n)) <= 3
        until(lambda: heard, seconds=10)
        server.stop()
    with sqlite3.connect(tmp_path / "data" / "jobs" / "jobs.db") as db:
        after = dict(db.execute("SELECT n, token FROM items WHERE status = 'done'"))
        attempts = Counter(row[0] for row in db.execute("SELECT attempts FROM items"))
    db.close()
    assert {n: after[n] for n in before} == before, "a finished picture was cut again"
    assert attempts == Counter({1: COUNT - held, 2: held}) - Counter()
    assert set(heard) == {(f"msg_{job[4:]}_done", "job.done")}
    assert not list((tmp_path / "data" / "spool").iterdir())
    assert not list((tmp_path / "data" / "jobs" / job).glob("*.in"))
    assert len(list((tmp_path / "data" / "jobs" / job).glob("*.out"))) == COUNT
