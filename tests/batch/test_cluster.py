"""A batch on a real Ray cluster of two workers on this machine, reading from and writing to S3."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut import Engine, Options
from cleancut.batch.job import Event, Finished, Job, Notice, Outcome, Runner
from cleancut.batch.run import BatchRequest, Summary, run_batch
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import BadOption, WeightsMissing

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

from cleancut.batch import ray_session, storage  # noqa: E402
from cleancut.batch.cluster import RayRunner  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    # Ray's and moto's own affairs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PICTURES = 40
ECHO = Options(model="echo")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A bucket of pictures on a store of this machine; its endpoint is in the environment."""
    pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        _fresh_stores()
        import s3fs

        system = s3fs.S3FileSystem()
        system.mkdir("shop")
        for number in range(PICTURES):
            system.pipe_file(f"shop/in/{number % 3}/{number:02}.png", picture(number))
        yield "s3://shop"
        _fresh_stores()
    server.stop()


def _fresh_stores() -> None:
    """File systems are kept by fsspec, with the endpoint they were made for."""
    from cleancut.batch import remote

    remote._system.cache_clear()
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def nodes(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Ray session for all tests; its workers inherit the environment as it is now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("ray-home")))
        patch.setenv("CLEANCUT_HOME", str(tmp_path_factory.mktemp("no-weights")))
        with ray_session.connect(None, cpus=2):
            ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
            yield


def picture(number: int) -> bytes:
    """A disc, elsewhere in every picture, as a PNG."""
    y, x = np.mgrid[:120, :160]
    disc = np.clip(30 - np.hypot(y - 40 - number, x - 80 + number) + 0.5, 0, 1)
    pixels = np.repeat((disc * (255 - number)).astype(np.uint8)[..., None], 3, axis=2)
    done, data = cv2.imencode(".png", pixels)
    assert done
    return data.tobytes()


class Diary:
    """A listener that keeps the events and may do something at one of them."""

    def __init__(self, act: Callable[[int], None] = lambda _finished: None) -> None:
        self.events: list[Event] = []
        self._act = act

    def total(self, pictures: int) -> None: ...

    def passed(self, choice: object) -> None: ...

    def event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Finished):
            self._act(sum(isinstance(one, Finished) for one in self.events))

    def codes(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, Notice)]


def batch(store: str, out: str, diary: Diary, runner: Runner | None = None) -> Summary:
    request = BatchRequest(inputs=[f"{store}/in"], out=out, options=ECHO, threads=1)
    return run_batch(request, diary, runner=runner)


def two_workers(out: str) -> RayRunner:
    return RayRunner(WorkerConfig(options=ECHO.to_json(), thumbs=f"{out}/.cleancut/thumbs"))


def outputs(out: str) -> dict[str, bytes]:
    return {
        found.name: storage.read(found.url)
        for found in storage.walk(out)
        if not found.name.startswith((".cleancut", "cleancut-report"))
    }


def ends(out: str) -> Counter[str]:
    """How often the ledger says of each target that it is done."""
    lines = [
        json.loads(line)
        for found in storage.walk(f"{out}/.cleancut/ledger")
        for line in storage.read(found.url).splitlines()
    ]
    return Counter(
        line["name"] for line in lines if line["e"] == "end" and line["status"] == "done"
    )


def workers_of_this_session() -> list[int]:
    """The processes of Ray's actors whose node was started by this process."""

    def parent(pid: int) -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            if b"MapWorker" in title and parent(parent(int(folder.name))) == os.getpid():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


def test_cluster_local_and_cut_give_the_same_bytes(store: str, nodes: None) -> None:
    diary = Diary()
    summary = batch(store, f"{store}/ray", diary, two_workers(f"{store}/ray"))
    assert (summary.done, summary.failed, diary.codes()) == (PICTURES, 0, [])
    assert batch(store, f"{store}/local", Diary()).done == PICTURES
    by_ray = outputs(f"{store}/ray")
    assert by_ray == outputs(f"{store}/local")
    engine = Engine(ECHO)
    for name in ("0/00.png", "1/31.png", "2/38.png"):
        assert by_ray[name] == engine.encoded(storage.read(f"{store}/in/{name}")).data
    assert set(ends(f"{store}/ray").values()) == {1}
    thumbs = list(storage.walk(f"{store}/ray/.cleancut/thumbs"))
    assert len(thumbs) == PICTURES


def test_a_second_run_does_what_is_missing_and_no_more(store: str, nodes: None) -> None:
    out = f"{store}/twice"
    assert batch(store, out, Diary()).done == PICTURES
    storage.remove(f"{out}/1/04.png")
    again = batch(store, out, Diary(), two_workers(out))
    assert (again.done, again.skipped) == (1, {"done": PICTURES - 1})
    again = batch(store, out, Diary(), two_workers(out))
    assert (again.done, again.skipped) == (0, {"done": PICTURES})


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")
def test_a_killed_worker_loses_and_doubles_nothing(store: str, nodes: None) -> None:
    killed: list[int] = []

    def kill_one(finished: int) -> None:
        if finished == 6:
            killed.append(workers_of_this_session()[0])
            os.kill(killed[0], signal.SIGKILL)

    out = f"{store}/killed"
    diary = Diary(kill_one)
    summary = batch(store, out, diary, two_workers(out))
    assert killed
    assert (summary.done, summary.failed) == (PICTURES, 0)
    counts = ends(out)
    assert len(counts) == PICTURES
    assert set(counts.values()) == {1}
    made = outputs(out)
    assert sorted(made) == sorted(counts)
    engine = Engine(ECHO)
    for name, data in made.items():
        assert data == engine.encoded(storage.read(f"{store}/in/{name}")).data


class Fragile:
    """A runner that takes its whole worker down at pictures called "poison"."""

    def __init__(self, config: WorkerConfig) -> None: ...

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        for job in jobs:
            time.sleep(0.05)
            if "poison" in job.name:
                os._exit(9)
            yield Finished(job, Outcome(job.id, "done", facts={"backend": f"on {job.name[-1]}"}))


def some_jobs(count: int, poison: int = -1) -> list[Job]:
    return [
        Job(
            id=f"{n}", source=f"s{n}", target=f"t{n}", name="poison" if n == poison else f"n{n % 2}"
        )
        for n in range(count)
    ]


def test_a_picture_that_takes_workers_down_is_recorded_and_the_others_are_done(nodes: None) -> None:
    runner = RayRunner(WorkerConfig(options=ECHO.to_json()), make_runner=Fragile)
    events = list(runner.run(some_jobs(24, poison=5)))
    finished = [event for event in events if isinstance(event, Finished)]
    failed = [event for event in finished if event.outcome.status == "failed"]
    assert sorted(int(event.job.id) for event in finished) == list(range(24))
    assert [event.job.id for event in failed] == ["5"]
    assert failed[0].outcome.error is not None
    assert failed[0].outcome.error["code"] == "crashed"
    codes = [event.code for event in events if isinstance(event, Notice)]
    # Which of the two is told depends on whether another worker began before all was lost.
    assert {"worker-lost", "workers-lost"} & set(codes)
    assert "mixed-backends" in codes


def test_jobs_are_drawn_as_they_are_needed_and_an_abandoned_run_frees_the_cluster(
    nodes: None,
) -> None:
    drawn = 0

    def endless() -> Iterator[Job]:
        nonlocal drawn
        while True:
            drawn += 1
            yield Job(id=f"{drawn}", source="s", target="t", name=f"n{drawn}")

    runner = RayRunner(WorkerConfig(options=ECHO.to_json()), make_runner=Fragile)
    events = runner.run(endless())
    answered = sum(isinstance(next(events), Finished) for _ in range(20))
    assert drawn < answered + 80
    events.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 20
    while ray.available_resources().get("CPU", 0) < 2:
        assert time.monotonic() < until, "the actors live on"
        time.sleep(0.2)


def test_an_error_of_the_plan_comes_out_of_the_run(nodes: None) -> None:
    def broken() -> Iterator[Job]:
        yield from some_jobs(2)
        raise BadOption("the list ends in the middle")

    runner = RayRunner(WorkerConfig(options=ECHO.to_json()), make_runner=Fragile)
    seen = []
    with pytest.raises(BadOption, match="ends in the middle"):
        seen.extend(runner.run(broken()))
    assert len([event for event in seen if isinstance(event, Finished)]) == 2


def test_nodes_without_weights_are_named_with_what_to_do(nodes: None) -> None:
    runner = RayRunner(WorkerConfig(options=Options(model="u2netp").to_json()))
    with pytest.raises(WeightsMissing, match=socket.gethostname()) as caught:
        list(runner.run(some_jobs(2)))
    assert "cleancut models pull u2netp" in caught.value.hint
    assert "every node" in caught.value.hint
