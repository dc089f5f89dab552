"""Whole batches from and to an object store, on one machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut import Engine, Options
from cleancut.batch import storage
from cleancut.batch.request import BatchRequest, Deaf, Summary
from cleancut.batch.run import run_batch

pytestmark = [
    # moto's and botocore's own affairs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ECHO = Options(model="echo")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An empty bucket on a store of this machine; its endpoint is in the environment."""
    s3fs = pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    from cleancut.batch import remote

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # File systems are kept, with the endpoint they were made for.
        remote._system.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("market")
        yield "s3://market"
        remote._system.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def picture(number: int) -> bytes:
    """A disc, elsewhere in every picture, as a PNG."""
    y, x = np.mgrid[:60, :80]
    disc = np.clip(20 - np.hypot(y - 25 - number, x - 40) + 0.5, 0, 1) * 255
    done, data = cv2.imencode(".png", np.repeat(disc.astype(np.uint8)[..., None], 3, axis=2))
    assert done
    return bytes(data)


@pytest.fixture(scope="module")
def photos(store: str) -> str:
    for number in range(8):
        storage.write(f"{store}/photos/{'ab'[number % 2]}/{number} ü.png", picture(number))
    storage.write(f"{store}/photos/a/broken.png", b"\x89PNG\r\n\x1a\n but no more")
    return f"{store}/photos"


def batch(source: str, out: str, shard: tuple[int, int] | None = None) -> Summary:
    request = BatchRequest(inputs=[source], out=out, options=ECHO, threads=1, shard=shard)
    return run_batch(request, Deaf())


def pictures_in(out: str) -> dict[str, bytes]:
    return {
        found.name: storage.read(found.url)
        for found in storage.walk(out)
        if not found.name.startswith((".cleancut", "cleancut-report"))
    }


def test_from_store_to_store_gives_the_bytes_of_cut_once_each(store: str, photos: str) -> None:
    out = f"{store}/cutouts"
    summary = batch(photos, out)
    assert (summary.done, summary.failed) == (8, 1)
    engine = Engine(ECHO)
    assert pictures_in(out) == {
        f"{'ab'[number % 2]}/{number} ü.png": engine.encoded(picture(number)).data
        for number in range(8)
    }
    report = json.loads(storage.read(f"{out}/cleancut-report.json"))
    assert "very-secret" not in json.dumps(report)
    again = batch(photos, out)
    assert (again.done, again.failed) == (0, 0)
    assert again.skipped == {"done": 8, "failed": 1}


def test_from_store_to_disk_gives_the_same(store: str, photos: str, tmp_path: Path) -> None:
    assert batch(photos, str(tmp_path)).done == 8
    by_disk = pictures_in(str(tmp_path))
    engine = Engine(ECHO)
    assert by_disk["b/3 ü.png"] == engine.encoded(picture(3)).data
    assert len(by_disk) == 8


def test_shards_of_one_store_do_everything_once(store: str, photos: str) -> None:
    out = f"{store}/shards"
    runs = [batch(photos, out, (number, 2)) for number in (1, 2)]
    assert sum(run.done for run in runs) == 8
    assert sum(run.failed for run in runs) == 1
    assert len(pictures_in(out)) == 8
    alone = batch(photos, out)
    assert (alone.done, alone.failed) == (0, 0), "one ledger knows of the others"
