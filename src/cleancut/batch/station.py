"""What stands in every worker of a cluster: a local runner that is kept fed.

The cluster hands over a few jobs at a time, as JSON, and takes their events back the same way. In
between is the same supervisor and child process as on one machine, so a picture that crashes its
process costs the child and not the worker.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cleancut.batch.job import Event, Finished, Job, Notice, Outcome, Runner, error_from
from cleancut.errors import CleancutError, ClusterUnavailable

if TYPE_CHECKING:
    from cleancut.batch.worker import WorkerConfig

Batch = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker says about the jobs it was handed.

    ``worker`` is new for every process, so that a lost one is noticed. ``error`` ends the run.
    """

    worker: str
    events: tuple[Finished | Notice, ...] = ()
    error: CleancutError | None = None

    def to_json(self) -> str:
        """One line of text."""
        events = [
            {"notice": [event.code, event.text]}
            if isinstance(event, Notice)
            else {"job": event.job.to_dict(), "outcome": event.outcome.to_dict()}
            for event in self.events
        ]
        error = self.error and [self.error.code, self.error.message, self.error.hint]
        return json.dumps({"worker": self.worker, "events": events, "error": error})

    @classmethod
    def from_json(cls, text: str) -> Reply:
        """The reply that ``to_json`` wrote."""
        values = json.loads(text)
        events = tuple(
            Notice(*event["notice"])
            if "notice" in event
            else Finished(Job(**event["job"]), Outcome(**event["outcome"]))
            for event in values["events"]
        )
        return cls(values["worker"], events, _error(values["error"]))


def write_jobs(jobs: Sequence[Job]) -> str:
    """Jobs as one line of text."""
    return json.dumps([job.to_dict() for job in jobs])


def read_jobs(text: str) -> list[Job]:
    """The jobs that ``write_jobs`` wrote."""
    return [Job(**values) for values in json.loads(text)]


def versions() -> dict[str, str]:
    """The versions of cleancut and of its pipeline."""
    from cleancut.version import PIPELINE_VERSION, __version__

    return {"cleancut": __version__, "pipeline": str(PIPELINE_VERSION)}


def ingredients(options: str) -> dict[str, str]:
    """What driver and workers must have in common to write the same bytes, by name.

    That is ``versions()`` and the sha256 of the weights that ``options`` (JSON) ask for. Raises
    ``WeightsMissing`` and what else keeps a network from being found.
    """
    from cleancut.models.choose import choose
    from cleancut.options import Options
    from cleancut.weights.resolve import resolve

    choice = choose(Options.from_mapping(json.loads(options)))
    rows = (choice.lead, choice.portrait, choice.second)
    weights = {
        f"weights of {row.id}": resolve(row).sha256
        for row in rows
        if row is not None and row.family != "echo"
    }
    return versions() | weights


class Station:
    """One worker of a cluster, made once and then called with jobs from several threads.

    ``make_runner`` gives the runner that does the work; ``wanted`` are the driver's ingredients.
    ``begin`` is asked before jobs are begun, with the first one's id, and ``end`` told after, with
    their number: jobs that may not be begun again are left without an answer. Nothing is raised:
    what is wrong is in the reply.
    """

    def __init__(
        self,
        make_runner: Callable[[WorkerConfig], Runner],
        config: WorkerConfig,
        wanted: Mapping[str, str],
        begin: Callable[[str], bool] = lambda _name: True,
        end: Callable[[str, int], None] = lambda _name, _count: None,
    ) -> None:
        self._begin = begin
        self._end = end
        self._id = uuid.uuid4().hex
        self._make_runner = make_runner
        self._config = config
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._waiting: dict[str, queue.SimpleQueue[Finished | CleancutError]] = {}
        self._notices: list[Notice] = []
        self._error = _mismatch(config, wanted)
        if self._error is None:
            threading.Thread(target=self._work, name="cleancut-station", daemon=True).start()

    def __call__(self, batch: Batch) -> Iterator[dict[str, list[str]]]:
        """Answer every line of jobs in ``batch["jobs"]`` by one reply in ``"replies"``."""
        for text in batch["jobs"]:
            jobs = read_jobs(str(text))
            reply = self._answer(jobs) if self._begin(jobs[0].id) else Reply(self._id)
            self._end(jobs[0].id, len(jobs))
            yield {"replies": [reply.to_json()]}

    def _answer(self, jobs: Sequence[Job]) -> Reply:
        answers: queue.SimpleQueue[Finished | CleancutError] = queue.SimpleQueue()
        with self._lock:
            if self._error is not None:
                return Reply(self._id, error=self._error)
            self._waiting.update((job.id, answers) for job in jobs)
        for job in jobs:
            self._jobs.put(job)
        finished: list[Finished | Notice] = []
        error = None
        for _ in jobs:
            answer = answers.get()
            if isinstance(answer, CleancutError):
                error = answer
                break
            finished.append(answer)
        with self._lock:
            notices, self._notices = self._notices, []
        return Reply(self._id, (*notices, *finished), error)

    def _work(self) -> None:
        try:
            for event in self._make_runner(self._config).run(iter(self._jobs.get, None)):
                self._note(event)
            error: CleancutError = CleancutError("the runner of a cluster's worker ended by itself")
        except CleancutError as caught:
            error = caught
        except Exception as caught:
            error = CleancutError(f"{type(caught).__name__} in a cluster's worker: {caught}")
        with self._lock:
            self._error = error
            waiting, self._waiting = self._waiting, {}
        for answers in waiting.values():
            answers.put(error)

    def _note(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Notice):
                self._notices.append(event)
            answers = self._waiting.pop(event.job.id, None) if isinstance(event, Finished) else None
        if answers is not None and isinstance(event, Finished):
            answers.put(event)


def _mismatch(config: WorkerConfig, wanted: Mapping[str, str]) -> CleancutError | None:
    """Why this worker may not take part, None if it may."""
    where = f"a worker of the cluster, {socket.gethostname()}"
    try:
        here = versions() if config.videos else ingredients(config.options)
    except CleancutError as error:
        return type(error)(f"{where}: {error.message}", hint=f"on every node, {error.hint}")
    for name, value in wanted.items():
        if here.get(name) != value:
            hint = f"run: pip install 'cleancut=={wanted['cleancut']}' on every node"
            if "weights" in name:
                hint = "run on every node: cleancut models verify"
            return ClusterUnavailable(
                f"{where}, has {name} {here.get(name, 'missing'):.12}, the driver has {value:.12}",
                hint=hint,
            )
    return None


def _error(values: Iterable[str] | None) -> CleancutError | None:
    if values is None:
        return None
    return error_from(*values)
