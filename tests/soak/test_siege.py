"""Many more clients than can be served: refusals are orderly, answers right, memory flat."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from statistics import median

import pytest

from cleancut.bench.load import ask, multipart, press
from tests.batch.pictures import picture
from tests.server.process import SOAK_S, running

pytestmark = pytest.mark.slow

#: Formats and edges, so that answers can be confused if anything is.
FIELDS: list[dict[str, str]] = [{}, {"format": "webp"}, {"only_mask": "true"}, {"crop": "true"}]


def test_two_hundred_clients_get_right_answers_or_an_orderly_refusal(tmp_path: Path) -> None:
    requests = [
        multipart(f"{n}-{m}", "/v1/cutouts", fields, "image", picture(n, height=240, width=320))
        for n in range(4)
        for m, fields in enumerate(FIELDS)
    ]
    with running(tmp_path / "data", "--queue", "12") as live:
        right = {}
        for one in requests:
            answer, body = ask(live.port, one)
            assert answer.status == 200, body[:300]
            right[one.name] = answer.sha256
        sizes: list[float] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.1):
                sizes.append(live.memory_mb())

        watcher = threading.Thread(target=watch)
        watcher.start()
        load = press(live.port, requests, clients=200, seconds=SOAK_S)
        ended.set()
        watcher.join()
        assert set(load.by_status) <= {200, 429}, load.by_status
        assert load.by_status[429] > 0, "nobody was refused: the queue is not bounded"
        assert load.by_status[200] > 20
        wrong = [a.name for a in load.answers if a.status == 200 and a.sha256 != right[a.name]]
        assert not wrong
        early, late = median(sizes[len(sizes) // 4 : len(sizes) // 2]), median(sizes[-10:])
        # The share is measured by `cleancut bench server`; this sees what is never given back.
        assert late < early + 40, f"{early:.0f} -> {late:.0f} MB"
        until = time.monotonic() + 10
        while live.spooled() and time.monotonic() < until:
            time.sleep(0.05)
        assert live.spooled() == []
        assert live.stop() == 0


def test_a_refusal_says_when_to_come_back_in_the_terms_of_the_door(tmp_path: Path) -> None:
    import concurrent.futures

    import httpx

    data = picture(1, height=900, width=1200)
    with running(tmp_path / "data", "--queue", "1", "--workers", "1") as live:

        def post(door: str, field: str) -> httpx.Response:
            return httpx.post(f"{live.url}{door}", files={field: ("a.png", data)}, timeout=60)

        doors = [
            ("/v1.0/removebg", "image_file"),
            ("/v1/cutouts", "image"),
            ("/api/remove", "file"),
        ]
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            answers = list(pool.map(lambda n: (doors[n % 3][0], post(*doors[n % 3])), range(60)))
    refused = {door: a for door, a in answers if a.status_code == 429}
    assert set(refused) == {door for door, _ in doors}
    for answer in refused.values():
        assert int(answer.headers["Retry-After"]) >= 1
    assert refused["/v1.0/removebg"].json()["errors"][0]["title"] == "Rate limit exceeded"
    assert refused["/v1/cutouts"].json()["code"] == "busy"
    assert "detail" in refused["/api/remove"].json()
