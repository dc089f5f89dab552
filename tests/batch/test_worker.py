from __future__ import annotations

import io
import json
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cleancut import Engine, Guidance, Options
from cleancut.batch.budget import (
    Budget,
    affordable_megapixels,
    megapixels,
    shares,
    usual_limit,
)
from cleancut.batch.job import Job
from cleancut.batch.thumbs import SIDE_PX, thumbnail
from cleancut.batch.worker import Worker, WorkerConfig
from cleancut.errors import WeightsMissing
from tests.batch.pictures import job_for, picture

ECHO = '{"model":"echo"}'


def work(tmp_path: Path, data: bytes, **config: object) -> tuple[Job, object]:
    source = tmp_path / "source.png"
    source.write_bytes(data)
    job = job_for(source, tmp_path / "out")
    return job, Worker(WorkerConfig(options=ECHO, **config))(job)  # type: ignore[arg-type]


def test_a_configuration_survives_json_and_pickle() -> None:
    config = WorkerConfig(options='{"model":"echo","crop":true}', threads=2, review_below=0.5)
    assert WorkerConfig.from_json(config.to_json()) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_nothing_that_is_wrong_with_a_picture_is_raised(tmp_path: Path) -> None:
    worker = Worker(WorkerConfig(options='{"max_megapixels":0.05,"model":"echo"}'))
    wrong = {
        "empty.png": b"",
        "text.png": b"hello, this is no picture at all",
        "cut.png": picture()[:60],
        "huge.png": picture(height=300, width=400),
    }
    codes = {}
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        outcome = worker(job_for(tmp_path / name, tmp_path / "out"))
        assert outcome.status == "failed"
        assert outcome.error is not None
        assert outcome.error["hint"]
        codes[name] = outcome.error["code"]
    assert codes == {
        "empty.png": "unreadable-image",
        "text.png": "unreadable-image",
        "cut.png": "unreadable-image",
        "huge.png": "image-too-large",
    }
    assert (
        worker(job_for(tmp_path / "gone.png", tmp_path / "out")).error["code"] == "input-not-found"
    )  # type: ignore[index]
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_the_picture_s_failure(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    _, outcome = work(tmp_path, picture())
    assert outcome.error["code"] == "output-not-writable"  # type: ignore[attr-defined]
    assert "scope" not in outcome.error  # type: ignore[attr-defined]


def test_warming_up_raises_what_would_fail_every_picture() -> None:
    with pytest.raises(WeightsMissing):
        Worker(WorkerConfig(options='{"model":"isnet"}')).warm_up()


def test_a_second_time_comes_out_of_the_cache_with_its_thumbnail(tmp_path: Path) -> None:
    config = {"cache": str(tmp_path / "cache"), "thumbs": str(tmp_path / "thumbs")}
    job, first = work(tmp_path, picture(), **config)
    before = Path(job.target).read_bytes()
    for place in (tmp_path / "thumbs", tmp_path / "out"):
        for file in place.iterdir():
            file.unlink()
    job, second = work(tmp_path, picture(), **config)
    assert (first.cached, second.cached) == (False, True)  # type: ignore[attr-defined]
    assert Path(job.target).read_bytes() == before
    assert (tmp_path / "thumbs" / second.thumb).exists()  # type: ignore[attr-defined]


def test_outcomes_are_plain_values(tmp_path: Path) -> None:
    _, outcome = work(tmp_path, picture())
    assert json.loads(json.dumps(outcome.to_dict()))["status"] == "done"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"background": "white"},
        {"only_mask": True},
        {"format": "jpg"},
        {"crop": True},
    ],
)
def test_a_thumbnail_looks_like_the_cutout(options: dict[str, object]) -> None:
    data = picture(height=400, width=700)
    encoded = Engine(Options(model="echo", **options)).encoded(data)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(thumbnail(encoded))) as small:
        assert max(small.size) == SIDE_PX
        seen = np.asarray(small.convert("RGBA")).astype(float)
    with Image.open(io.BytesIO(encoded.data)) as whole:
        expected = np.asarray(whole.convert("RGBA").resize(small.size, Image.Resampling.BOX))
    opaque = expected[:, :, 3] > 200
    assert abs(seen[:, :, 3] - expected[:, :, 3]).mean() < 4 or "format" in options
    if "format" not in options:
        assert abs(seen[opaque] - expected[opaque]).mean() < 8


def test_thumbnails_of_16_bits_and_of_tiny_pictures() -> None:
    deep = cv2.imencode(".png", np.full((20, 3, 3), 40000, np.uint16))[1].tobytes()
    with Image.open(io.BytesIO(thumbnail(Engine(Options(model="echo")).encoded(deep)))) as small:
        assert small.size == (3, 20)


def test_the_size_is_read_from_the_header() -> None:
    pixels = np.zeros((500, 2000, 3), np.uint8)
    for suffix in (".jpg", ".png", ".webp", ".tiff", ".bmp"):
        assert megapixels(cv2.imencode(suffix, pixels)[1].tobytes()) == 1.0
    assert megapixels(b"nonsense") > 10
    assert megapixels(b"\xff\xd8\xff\xe0") > 10
    assert megapixels(b"") > 10


def test_large_pictures_wait_for_each_other_and_small_ones_do_not() -> None:
    budget = Budget(10.0)
    at_once, most, lock, waits = 0.0, 0.0, threading.Lock(), []

    def use(size: float) -> None:
        nonlocal at_once, most
        with budget.take(size, waits.append):
            with lock:
                at_once += size
                most = max(most, at_once)
            time.sleep(0.01)
            with lock:
                at_once -= size

    threads = [threading.Thread(target=use, args=(size,)) for size in (6, 6, 6, 1, 1, 3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 10
    assert waits.count(True) == waits.count(False) > 0


def test_a_picture_larger_than_everything_goes_alone() -> None:
    budget = Budget(10.0)
    with budget.take(100.0):
        told = []
        thread = threading.Thread(target=lambda: budget.take(1.0, told.append).__enter__())
        thread.start()
        thread.join(0.05)
        assert told == [True]
    thread.join(5)
    assert told == [True, False]


def test_some_megapixels_can_always_be_afforded() -> None:
    assert 12 <= affordable_megapixels() <= 200


def test_a_job_s_own_options_and_guidance_replace_the_worker_s(tmp_path: Path) -> None:
    source, mask = tmp_path / "a.png", tmp_path / "mask.png"
    source.write_bytes(picture(1))
    mask.write_bytes(picture(4))
    worker = Worker(WorkerConfig(options='{"crop":true,"model":"echo"}'))
    plain = Options(model="echo")
    mine = Options(model="echo", only_mask=True, format="webp")
    expected = {
        "default": Engine().encoded(source, options=plain.with_(crop=True)),
        "plain": Engine().encoded(source, options=plain),
        "mine": Engine().encoded(
            source, options=mine, guidance=Guidance(mask=mask, roi="5,5,40,40")
        ),
    }
    jobs = {
        "default": job_for(source, tmp_path / "1"),
        "plain": replace(job_for(source, tmp_path / "2"), options=plain.to_json()),
        "mine": replace(
            job_for(source, tmp_path / "3"),
            options=mine.to_json(),
            guidance={"mask": str(mask), "roi": "5,5,40,40"},
            durable=False,
        ),
    }
    for name, job in jobs.items():
        assert worker(Job(**json.loads(json.dumps(job.to_dict())))).status == "done"
        assert Path(job.target).read_bytes() == expected[name].data
    assert len({made.data for made in expected.values()}) == 3


def test_options_of_a_job_that_cannot_be_fail_that_job(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(picture())
    worker = Worker(WorkerConfig(options=ECHO))
    job = job_for(source, tmp_path / "out")
    for wrong in ({"options": '{"colour":"red"}'}, {"guidance": {"roi": "nowhere"}}):
        outcome = worker(replace(job, **wrong))  # type: ignore[arg-type]
        assert outcome.error is not None
        assert outcome.error["code"] == "bad-option"


def test_only_durable_results_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    source = tmp_path / "a.png"
    source.write_bytes(picture())
    worker = Worker(WorkerConfig(options=ECHO))
    (tmp_path / "out").mkdir()
    job = job_for(source, tmp_path / "out")
    assert worker(replace(job, durable=False)).status == "done"
    assert not synced
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert worker(job).status == "done"
    assert synced


def test_a_result_that_cannot_be_written_soon_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(picture())
    (tmp_path / "out" / "a.png").mkdir(parents=True)  # in the way
    job = replace(job_for(source, tmp_path / "out"), durable=False)
    outcome = Worker(WorkerConfig(options=ECHO))(job)
    assert outcome.error is not None
    assert outcome.error["code"] == "output-not-writable"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_pictures_beside_the_picture_are_in_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []
    real = Budget.take
    monkeypatch.setattr(
        Budget, "take", lambda self, mp, wait=None: (taken.append(mp), real(self, mp, wait))[1]
    )
    source, large = tmp_path / "a.png", tmp_path / "large.png"
    source.write_bytes(picture())
    large.write_bytes(picture(height=1000, width=1000))
    options = Options(model="echo", background=str(large)).to_json()
    job = replace(job_for(source, tmp_path), options=options, guidance={"mask": str(source)})
    assert Worker(WorkerConfig(options=ECHO))(job).status == "done"
    small = 48 * 64 / 1e6
    assert taken == [pytest.approx(1.0 + 2 * small)]


@pytest.mark.parametrize("where", ["job", "worker"])
def test_a_canvas_and_its_sheet_are_in_the_budget_however_small_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    taken: list[float] = []
    real = Budget.take
    monkeypatch.setattr(
        Budget, "take", lambda self, mp, wait=None: (taken.append(mp), real(self, mp, wait))[1]
    )
    source = tmp_path / "a.png"
    source.write_bytes(picture())
    large = Options(model="echo", canvas="1000x1500@300", sheet="10x15cm").to_json()
    job = replace(job_for(source, tmp_path), options=large if where == "job" else "")
    assert Worker(WorkerConfig(options=large if where == "worker" else ECHO))(job).status == "done"
    paper = 1181 * 1772 / 1e6
    assert taken == [pytest.approx(48 * 64 / 1e6 + 1.5 + paper)]


def test_a_limit_of_memory_is_shared_out() -> None:
    models, pixels = shares(2_000_000_000)
    assert 900e6 < models < 1300e6
    assert models + pixels * 1e6 * 40 < 2e9
    assert shares(100_000_000)[1] == 12.0
    assert usual_limit() >= 1 << 30


def test_a_failure_while_others_take_all_memory_is_put_down_to_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    worker = Worker(WorkerConfig(options=ECHO))
    job = job_for(broken, tmp_path / "out")
    monkeypatch.setattr("cleancut.batch.worker.is_memory_short", lambda: True)
    alone = worker(job)
    monkeypatch.setattr(worker, "_in_work", 1)  # somebody else
    crowded = worker(job)
    codes = [outcome.error and outcome.error["code"] for outcome in (alone, crowded)]
    assert codes == ["unreadable-image", "out-of-memory"]
