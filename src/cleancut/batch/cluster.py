"""A batch on several machines: the runner of one machine, kept fed in every worker of Ray Data.

The driver draws jobs as they are needed onto a small board. One task of Ray Data reads from it and
hands a few jobs at a time to a pool of actors, each a ``Station`` that loads its network once.
Replies stream back and become events; the driver keeps the ledger. Nothing but names and facts
passes through Ray: pictures are read and written by the workers.

Ray repeats what a lost worker had not answered. The same picture gives the same bytes, so a
target that was written before its worker was lost is written again and not twice. Jobs whose
workers are lost again and again are tried once more alone, and then recorded as crashed: a picture
that takes whole nodes down does not take the run down.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from cleancut.batch import storage
from cleancut.batch.board import Board
from cleancut.batch.job import Event, Finished, Job, Notice, Outcome, Runner
from cleancut.batch.ray_session import clear_errors, connect, quiet_warnings
from cleancut.batch.station import (
    Reply,
    Station,
    ingredients,
    read_jobs,
    versions,
    write_jobs,
)
from cleancut.errors import BadOption, ClusterUnavailable, SetupError
from cleancut.extras import extra
from cleancut.options import Options

if TYPE_CHECKING:
    from cleancut.batch.worker import WorkerConfig

#: Jobs that travel together, at least; one by one they would wait for the driver.
CHUNK = 2
#: The driver gets through some 90 replies a second: with more workers each brings more.
WORKERS_A_JOB = 8
#: Calls in an actor at once, so that the next jobs are there before the last ones are done.
CALLS = 2
#: How often jobs are begun by workers that are lost, before they are given up.
ATTEMPTS = 2
#: How long the first worker may take to start, seconds; a cluster may have to grow first.
START_TIMEOUT_S = 600.0


class RayRunner:
    """Gets jobs done by ``workers`` actors of a Ray cluster.

    ``address`` is that of a cluster ("auto", "host:port"); without one a cluster on this machine
    is started and stopped again. A worker gets ``cpus_per_worker`` cores (by default as many as
    ``config.threads``, or one) and ``gpus_per_worker`` GPUs, fractions allowed; None is a fair
    share where networks are to run on a GPU, or every node has one. Weights,
    credentials and the package itself must be on the nodes. ``timeout_s`` is for one picture.
    ``make_runner`` is for tests.

    Raises ``MissingDependency`` without the extra ``ray`` and ``BadOption``.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        address: str | None = None,
        workers: int = 2,
        gpus_per_worker: float | None = None,
        cpus_per_worker: float | None = None,
        timeout_s: float | None = None,
        make_runner: Callable[[WorkerConfig], Runner] | None = None,
    ) -> None:
        if workers < 1:
            raise BadOption(f"--workers: {workers} is not enough", hint="give 1 or more")
        if gpus_per_worker is not None and gpus_per_worker < 0:
            raise BadOption(f"--gpus-per-worker: {gpus_per_worker} is negative", hint="0, 0.5, 1")
        with extra("ray"):
            import ray.data  # noqa: F401
        self._address = address
        self._wanted: dict[str, str] = {}
        self._workers = workers
        self._given_gpus = gpus_per_worker
        self._gpus = gpus_per_worker or 0.0
        self._cpus = cpus_per_worker or config.threads or 1
        if config.threads is None:
            config = replace(config, threads=max(1, int(self._cpus)))
        self._chunk = max(CHUNK, 1 + (config.threads or 1), workers // WORKERS_A_JOB)
        if config.videos:  # which take minutes each
            self._chunk = 1
        self._config = replace(config, thumbs=_seen(config.thumbs), review=_seen(config.review))
        self._make = make_runner or partial(_local_runner, timeout_s)

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Do ``jobs``, drawn in a thread of their own as the cluster gets through them.

        Nothing is started before there is a job. Raises ``ClusterUnavailable``, what ``jobs``
        raises, and what ends a run on one machine too.
        """
        rest = iter(jobs)
        for first in rest:
            with quiet_warnings():
                yield from self._run(chain([first], rest))

    def _run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        self._wanted = versions()
        with suppress(SetupError):  # the driver need not have weights, but if it has, then the same
            if not self._config.videos:  # which tell what their networks were
                self._wanted = ingredients(self._config.options)
        with connect(self._address, cpus=self._workers * self._cpus):
            if self._given_gpus is None:
                self._gpus = self._share()
            yield from self._room()
            lost: dict[str, Job] = {}
            yield from self._pass(jobs, lost, self._chunk)
            if not lost:
                return
            yield Notice(
                "workers-lost",
                f"the workers of {len(lost)} pictures were lost again and again; "
                "these pictures are tried once more, each alone",
            )
            again = list(lost.values())
            lost.clear()
            yield from self._pass(again, lost, 1)
            for job in lost.values():
                yield Finished(job, _crashed(job))

    def _share(self) -> float:
        """GPUs of each worker: one, or as small a part of one as lets all have the same."""
        import ray

        device = Options.from_mapping(json.loads(self._config.options)).device
        if device == "cpu":
            return 0.0
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        have = int(sum(node.get("GPU", 0) for node in nodes))
        # On a cluster where only some have one, those without would never get a worker.
        everywhere = all(node.get("GPU") for node in nodes if node.get("CPU"))
        if not have or (device == "auto" and not everywhere):
            return 1.0 if device == "gpu" else 0.0
        return 1 / -(-self._workers // have)

    def _room(self) -> Iterator[Notice]:
        """Wait for a place for the first worker; say if there are not enough for all."""
        import ray

        probe = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=1)(versions)
        with clear_errors():
            try:
                ray.get(probe.remote(), timeout=START_TIMEOUT_S)
            except ray.exceptions.GetTimeoutError as error:
                raise ClusterUnavailable(
                    f"no node of the cluster had room for a worker of {self._cpus:g} CPUs and "
                    f"{self._gpus:g} GPUs within {START_TIMEOUT_S:g} s",
                    hint="run: ray status",
                ) from error
            have = ray.cluster_resources()
        fits = int(have.get("CPU", 0) // self._cpus)
        if self._gpus:
            fits = min(fits, int(have.get("GPU", 0) // self._gpus))
        if fits < self._workers:
            yield Notice(
                "cluster-small",
                f"the cluster has room for {fits} of {self._workers} workers; "
                "the others start when it grows",
            )

    def _pass(self, jobs: Iterable[Job], waiting: dict[str, Job], chunk: int) -> Iterator[Event]:
        """One run of Ray Data over ``jobs``; what stays in ``waiting`` was lost."""
        board = _beside_driver(Board).remote(
            chunk * self._workers, (CALLS + 1) * chunk * self._workers
        )
        drawing = _Drawing(jobs, waiting, board)
        seen: set[str] = set()
        backends: set[str] = set()
        try:
            with clear_errors(), closing(self._replies(board, chunk)) as replies:
                drawing.start()
                local = self._address is None
                for reply in replies:
                    if reply.worker not in seen and len(seen) >= self._workers:
                        yield _LOST
                    seen.add(reply.worker)
                    for event in reply.events:
                        if isinstance(event, Notice):
                            yield event
                        elif (job := waiting.pop(event.job.id, None)) is not None:
                            if not local and not storage.is_remote(job.target):
                                local = True
                                yield _SHARED
                            yield from _other_backend(event.outcome, backends)
                            yield Finished(job, event.outcome)
                    if reply.error is not None:
                        raise reply.error
        finally:
            drawing.stop()
        if drawing.error is not None:
            with clear_errors():
                raise drawing.error

    def _replies(self, board: Any, chunk: int) -> Generator[Reply, None, None]:
        import ray.data

        source = _source(board, chunk, self._workers)
        read = ray.data.read_datasource(source, num_cpus=0, override_num_blocks=1)
        # A block a row: what is ready travels at once instead of filling a block first. Without
        # processors of its own the reading stage is not fused with the actors.
        read.context.target_max_block_size = 1
        read.context.target_min_block_size = 0
        read.context.enable_progress_bars = False
        read.context.print_on_execution_start = False
        done = read.map_batches(
            Station,
            fn_constructor_args=(
                self._make,
                self._config,
                self._wanted,
                partial(_begin, board),
                partial(_end, board),
            ),
            compute=ray.data.ActorPoolStrategy(
                size=self._workers,
                max_tasks_in_flight_per_actor=CALLS,
                max_concurrent_calls_per_actor=CALLS,
                enable_true_multi_threading=True,
            ),
            batch_size=1,
            batch_format="numpy",
            num_cpus=self._cpus,
            num_gpus=self._gpus,
        )
        batches = done.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy")
        for batch in batches:
            for text in batch["replies"]:
                yield Reply.from_json(str(text))


_LOST = Notice(
    "worker-lost", "a worker was lost; another one takes its place and repeats what it had begun"
)
_SHARED = Notice(
    "shared-folder",
    "the output is a folder, not a URL: it must be one that all nodes of the cluster share",
)


class _Drawing:
    """A thread that draws jobs onto the board and notes who waits for an answer."""

    def __init__(self, jobs: Iterable[Job], waiting: dict[str, Job], board: Any) -> None:
        self.error: BaseException | None = None
        self._jobs = jobs
        self._waiting = waiting
        self._board = board
        self._stopped = False
        self._thread = threading.Thread(target=self._draw, name="cleancut-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        import ray

        self._stopped = True
        with suppress(ray.exceptions.RayError):
            ray.kill(self._board)

    def _draw(self) -> None:
        import ray

        try:
            for job in self._jobs:
                if self._stopped:
                    return
                self._waiting[job.id] = job
                seen = replace(job, source=_seen(job.source), target=_seen(job.target))
                ray.get(self._board.put.remote(write_jobs([seen])))
        except BaseException as error:
            self.error = error
        with suppress(ray.exceptions.RayError):
            if not self._stopped:
                ray.get(self._board.put.remote(None))


def _beside_driver(actor: type) -> Any:
    """An actor on the driver's node, whose end is the run's end anyway."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(actor)


def _seen(place: str) -> str:
    """``place`` as workers see it, who stand in another folder than the driver."""
    return storage.canonical(place) if place else place


def _source(board: Any, chunk: int, workers: int) -> Any:
    """A datasource with one task, which reads the board until its end."""
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    class Jobs(Datasource):  # type: ignore[misc]
        supports_distributed_reads = False  # beside the driver

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, *_args: Any, **_kwargs: Any) -> list[Any]:
            unknown = BlockMetadata(
                num_rows=None, size_bytes=None, input_files=None, exec_stats=None
            )
            return [ReadTask(partial(_read, board, chunk, workers), unknown)]

    return Jobs()


def _read(board: Any, chunk: int, workers: int) -> Iterator[Any]:
    """Blocks of one row, which holds as many jobs as are there, up to ``chunk``."""
    import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
    import ray

    ended, drawn = False, 0
    while not ended:
        # The first jobs go out one by one, so that every worker has something to do at once.
        lines = ray.get(board.get.remote(min(chunk, 1 + drawn // (4 * workers))))
        ended = lines[-1] is None
        jobs = [job for line in lines if line is not None for job in read_jobs(line)]
        drawn += len(jobs)
        if jobs:
            yield pa.table({"jobs": [write_jobs(jobs)]})


def _begin(board: Any, name: str) -> bool:
    """Whether a worker may begin with these jobs: not if too many were lost with them."""
    import ray

    return bool(ray.get(board.begin.remote(name)) <= ATTEMPTS)


def _end(board: Any, name: str, count: int) -> None:
    board.end.remote(name, count)


def _local_runner(timeout_s: float | None, config: WorkerConfig) -> Runner:
    from cleancut.batch.gpus import local_runner
    from cleancut.batch.local import TIMEOUT_S, LocalRunner

    timeout = timeout_s or TIMEOUT_S
    if config.videos:
        return LocalRunner(config, workers=1, timeout_s=timeout)
    # Ray shows a worker its GPUs by CUDA_VISIBLE_DEVICES.
    options = Options.from_mapping(json.loads(config.options))
    return local_runner(config, options, timeout_s=timeout)


def _crashed(job: Job) -> Outcome:
    return Outcome(
        job.id,
        "failed",
        error={
            "code": "crashed",
            "kind": "bug",
            "message": "every worker that took this picture was lost",
            "hint": "try it on its own: cleancut cut",
        },
    )


def _other_backend(outcome: Outcome, backends: set[str]) -> Iterator[Notice]:
    """Say so when workers compute in different ways, whose pictures differ in the last bits."""
    backend = outcome.facts.get("backend")
    if backend and str(backend) not in backends:
        if backends:
            yield Notice(
                "mixed-backends",
                f"this run's pictures were made by {backend} and by {', '.join(sorted(backends))}, "
                "which differ in the last bits; --backend and --precision settle it",
            )
        backends.add(str(backend))
