from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from cleancut.server.telemetry import door_of, request_id, set_up_logs
from tests.server.live import client, png
from tests.server.stand_ins import FACTS, FakePool

FILE = {"image": ("cat.png", png(), "image/png")}


@pytest.mark.parametrize("offered", ["abc", "A-b_c.9", "x" * 64])
def test_a_sane_request_id_is_kept(offered: str) -> None:
    assert request_id(offered) == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a\nb", "<script>", "é"])
def test_any_other_is_replaced(offered: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", request_id(offered))


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/v1/cutouts", "cutouts"),
        ("/v1/jobs/job_1/items/0", "jobs"),
        ("/v1.0/removebg", "removebg"),
        ("/api/removebg", "removebg"),
        ("/api/account", "removebg"),
        ("/v1/webhook-secret", "jobs"),
        ("/api/remove", "rembg"),
        ("/readyz", "health"),
        ("/v1/cutoutsx", "other"),
        ("/../etc/passwd", "other"),
    ],
)
def test_doors_are_a_few_names(path: str, door: str) -> None:
    assert door_of({"path": path}) == door


def test_metrics_tell_requests_pictures_and_the_pool(tmp_path: Path) -> None:
    with client(tmp_path) as ask:
        ask.post("/v1/cutouts", files=FILE)
        ask.post("/v1/cutouts")
        ask.get("/nothing/" + "x" * 50)
        answer = ask.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    for line in (
        'cleancut_requests_total{door="cutouts",method="POST",status="200"} 1.0',
        'cleancut_requests_total{door="cutouts",method="POST",status="400"} 1.0',
        'cleancut_requests_total{door="other",method="GET",status="404"} 1.0',
        'cleancut_stage_seconds_total{stage="model"} 0.002',
        'cleancut_pictures_total{cache="miss",model="echo"} 1.0',
        "cleancut_queue_depth 2.0",
        "cleancut_queue_patient 3.0",
        "cleancut_in_work 1.0",
        "cleancut_worker_restarts_total 4.0",
        "cleancut_worker_rss_bytes 5000.0",
        'cleancut_model_bytes{backend="numpy",model="echo",precision="f32"} 1000.0',
        "cleancut_ready 1.0",
    ):
        assert line in lines


def test_a_request_is_one_line_without_its_contents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [(log, log.handlers, log.level) for log in map(logging.getLogger, _LOGS)]
    write = set_up_logs("json")
    try:
        with client(tmp_path) as ask:
            ask.post(
                "/v1/cutouts?margin=7%25",
                files={"image": ("private.png", png())},
                data={"keep_points": "11%,13%"},
                headers={"X-API-Key": "cc_secret", "X-Request-Id": "this-one"},
            )
    finally:
        write()
        for log, handlers, level in before:
            log.handlers, log.propagate = handlers, True
            log.setLevel(level)
    text = capsys.readouterr().err
    (line,) = [json.loads(line) for line in text.splitlines()]
    assert line["id"] == "this-one"
    assert line["caller"] == "anonymous"
    assert line["bytes_out"] == len(png())
    for word in ("private", "secret", "11%", "7%", "margin"):
        assert word not in text


_LOGS = ("cleancut", "uvicorn")


def test_ready_says_why_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cleancut.errors import InferenceFailed

    pool = FakePool()
    with client(tmp_path, pool) as ask:
        assert ask.get("/readyz").json() == {"status": "ready"}
        pool.problem = InferenceFailed("it failed in /root/secret")
        answer = ask.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["inference-failed: the network cannot be run"]
        pool.problem = None
        full: Any = type("Usage", (), {"free": 1000})()
        monkeypatch.setattr("cleancut.server.services.shutil.disk_usage", lambda place: full)
        assert ask.get("/readyz").json()["reasons"] == ["the disk is nearly full"]
        assert ask.get("/healthz").status_code == 200


def test_a_store_that_is_away_makes_nobody_unready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleancut.errors import StorageFailed
    from cleancut.server.quota import Quota

    gone = StorageFailed("no answer from redis://secret")
    with client(tmp_path, FakePool()) as ask:
        monkeypatch.setattr(Quota, "trouble", lambda quota: gone)
        answer = ask.get("/readyz")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ready",
            "degraded": ["storage-failed: usage cannot be written down"],
        }


def test_queue_time_is_what_no_stage_explains() -> None:
    from cleancut.server.cutting import Told

    told = Told()
    told.read(FACTS, 10.0)
    assert told.queue_ms == 7.0
    assert told.megapixels == pytest.approx(12e-6)
