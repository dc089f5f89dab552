"""The process that does the work: jobs come in as lines of JSON, what came of them goes out.

``python -m cleancut.batch.child``. The first line is the worker's configuration, the others are
``{"job": ...}``, and ``{"end": true}`` is the last. Answers are ``{"ready": true}`` when the
network is loaded, ``{"setup": error}`` if it cannot be, ``{"waiting": id}`` and ``{"going": id}``
around a wait for memory, ``{"models": [...]}`` when others are loaded than before,
``{"finished": outcome}``, and ``{"worn": true}`` when another process should go on. Without its
parent it ends at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from cleancut.errors import CleancutError

if TYPE_CHECKING:
    from cleancut.batch.job import Job, Outcome
    from cleancut.batch.worker import Tell, WorkerConfig
    from cleancut.models.shelf import LoadedModel

_PR_SET_PDEATHSIG = 1


class Work(Protocol):
    """What ``serve`` needs of a worker; a ``worn`` one should be replaced."""

    worn: bool

    def warm_up(self) -> None:
        """Load what the first job needs."""
        ...

    def __call__(self, job: Job, tell: Tell | None = None) -> Outcome:
        """Do one job."""
        ...

    def loaded(self) -> tuple[LoadedModel, ...]:
        """The models in memory."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def main() -> int:
    """Serve the parent until it has no more jobs."""
    return serve(_worker)


def serve(make: Callable[[WorkerConfig], Work]) -> int:
    """Read jobs from stdin, do them, and end the process; stray prints to stdout go to stderr."""
    _outlive_nobody()
    wire = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lines = sys.stdin.buffer
    # OpenCV logs to stderr what it does not like about a file; outcomes say it.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    from cleancut.batch.worker import WorkerConfig

    head = json.loads(lines.readline())
    session = _Session(wire)
    try:
        worker = make(WorkerConfig(**head["config"]))
    except CleancutError as error:
        session.refuse(error)
        return 1
    session.run(worker, lines, int(head["at_once"]))
    worker.close()
    # All is written and told. Taking networks and an interpreter apart would take 0.1 s more.
    os._exit(0)


def _worker(config: WorkerConfig) -> Work:
    # One thread a picture, several pictures: threads inside one would only get in each other's way.
    import cv2

    cv2.setNumThreads(1)
    from cleancut.batch.worker import Worker

    return Worker(config)


class _Session:
    """A reading thread, which is the main one, and one thread for each picture at once."""

    def __init__(self, wire: BinaryIO) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._loaded: tuple[LoadedModel, ...] = ()

    def run(self, worker: Work, lines: BinaryIO, at_once: int) -> None:
        threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"cleancut-job-{n}")
            for n in range(at_once)
        ]
        for thread in [threading.Thread(target=self._warm_up, args=(worker,)), *threads]:
            thread.daemon = True
            thread.start()
        self._read(lines)
        for thread in threads:
            thread.join()

    def _read(self, lines: BinaryIO) -> None:
        from cleancut.batch.job import Job

        for line in lines:
            message = json.loads(line)
            if "job" in message:
                self._jobs.put(Job(**message["job"]))
            elif "end" in message:
                self._jobs.put(None)
                return
        os._exit(1)  # the parent is gone, and nobody would hear of what is done now

    def _warm_up(self, worker: Work) -> None:
        try:
            worker.warm_up()
        except CleancutError as error:
            self.refuse(error)
            os._exit(1)
        except Exception as error:
            self.refuse(CleancutError(f"unexpected {type(error).__name__}: {error}"))
            os._exit(1)
        self._say({"ready": True})
        self._tell_models(worker)
        self._ready.set()

    def _work(self, worker: Work) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                outcome = worker(job, lambda word, id_=job.id: self._say({word: id_}))  # type: ignore[misc]
                # What fails every picture is told once, by the warm-up.
                self._ready.wait()
                self._tell_models(worker)
                self._say({"finished": outcome.to_dict()})
                if worker.worn:
                    self._say({"worn": True})
            except MemoryError:
                os._exit(1)  # not even enough to say so; the parent finds out which picture it was
            del outcome, job
        self._jobs.put(None)  # for the next thread

    def _tell_models(self, worker: Work) -> None:
        loaded = tuple(sorted(worker.loaded(), key=lambda one: (one.name, one.precision)))
        if loaded != self._loaded:
            self._loaded = loaded
            self._say({"models": [one.to_dict() for one in loaded]})

    def refuse(self, error: CleancutError) -> None:
        """Say why no job can be done here."""
        from cleancut.batch.job import error_facts

        self._say({"setup": error_facts(error)})

    def _say(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                self._wire.write(line)
            except OSError:
                os._exit(1)  # the parent is gone


def _outlive_nobody() -> None:
    """Ctrl-C and SIGTERM are the parent's to answer; when it dies, so does this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        # The closed pipe tells as well, but not while native code holds the interpreter's lock.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
