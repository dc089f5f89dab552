"""Malformed pictures through both doors: refused by name, in time, and nobody is hurt."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import httpx
import pytest

from tests.server.fuzz.conftest import MEMORY, SECONDS, SEED, Target
from tests.server.fuzz.malformed import malformed, mutants, photo

#: Answers of our own door to a picture: cut out, unreadable, too large, unheard of.
OURS = {200, 400, 413, 415}
THEIRS = {200, 400}
#: No picture of the corpus may take longer, seconds; an unlucky one waits for others.
PATIENCE_S = 10


def sent(client: httpx.Client, door: str, name: str, data: bytes) -> httpx.Response:
    began = time.monotonic()
    field = "image" if door.startswith("/v1/") else "image_file"
    answer = client.post(door, files={field: (f"{name}.png", data)})
    assert time.monotonic() - began < PATIENCE_S, f"{name} took too long"
    return answer


def judged(door: str, name: str, answer: httpx.Response, data: str) -> None:
    allowed = OURS if door.startswith("/v1/") else THEIRS
    assert answer.status_code in allowed, f"{name}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code == 200:
        assert answer.headers["content-type"].startswith("image/"), name
        assert int(answer.headers["content-length"]) > 0
        return
    told = answer.text
    assert data not in told, f"{name}: a path of the server's: {told}"
    assert "Traceback" not in told
    document = json.loads(told)
    if door.startswith("/v1/"):
        assert document["code"] != "crashed", f"{name} crashes the working process"
    else:
        assert document["errors"][0]["title"], name


@pytest.mark.parametrize("door", ["/v1/cutouts", "/v1.0/removebg"])
def test_every_malformed_picture_is_answered_by_name(target: Target, door: str) -> None:
    restarts = target.metric("cleancut_worker_restarts_total")
    with target.client() as client, ThreadPoolExecutor(4) as threads:
        names, files = zip(*malformed(), strict=True)
        answers = threads.map(lambda *file: sent(client, door, *file), names, files)
        for name, answer in zip(names, answers, strict=True):
            judged(door, name, answer, str(target.data.parent))
    target.check()
    assert target.metric("cleancut_worker_restarts_total") == restarts


@pytest.mark.parametrize("field", ["matte", "scribbles", "background_image"])
def test_every_malformed_picture_beside_a_sound_one_is_answered_by_name(
    target: Target, field: str
) -> None:
    restarts = target.metric("cleancut_worker_restarts_total")
    sound = photo("PNG")

    def ask(name: str, data: bytes) -> httpx.Response:
        files = {"image": ("a.png", sound), field: (f"{name}.png", data)}
        if field == "scribbles":
            files["matte"] = ("matte.png", sound)
        began = time.monotonic()
        answer = client.post("/v1/cutouts", files=files)
        assert time.monotonic() - began < PATIENCE_S, f"{name} took too long"
        return answer

    with target.client() as client, ThreadPoolExecutor(4) as threads:
        names, files = zip(*malformed(), strict=True)
        for name, answer in zip(names, threads.map(ask, names, files), strict=True):
            judged("/v1/cutouts", name, answer, str(target.data.parent))
    target.check()
    assert target.metric("cleancut_worker_restarts_total") == restarts


def test_sound_pictures_with_bytes_changed_do_no_harm(target: Target) -> None:
    before = target.resident()
    until = time.monotonic() + SECONDS
    doors = cycle(("/v1/cutouts", "/v1.0/removebg"))
    number = 0
    with target.client() as client:
        for name, data in mutants(SEED):
            door = next(doors)
            judged(door, name, sent(client, door, name, data), str(target.data.parent))
            number += 1
            if time.monotonic() > until:
                break
    assert number > 10
    target.check()
    assert target.resident() < before + (64 << 20)
    assert target.metric("cleancut_worker_rss_bytes") < MEMORY
