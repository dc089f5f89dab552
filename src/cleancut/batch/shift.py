"""What the local runner knows of its jobs: which wait, which are in work, which are suspect."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cleancut.batch import storage
from cleancut.batch.job import Event, Finished, Job, Notice, Outcome, Progressed, Started

#: A picture that was begun this often and never ended has ended the runs that began it.
MOST_ATTEMPTS = 5


@dataclass(slots=True)
class Given:
    """A job that the child has; ``since`` is None while it waits for memory.

    ``told`` says that the world knows it was begun. A child that is still loading its network has
    begun nothing: if it never gets ready, no picture is to blame.
    """

    job: Job
    since: float | None
    told: bool


class Shift:
    """Which jobs wait, which are with the child, and how many may be there at once.

    ``limit`` is halved when memory runs out; one more may be there again after ``regain`` jobs went
    well, None for never.
    """

    def __init__(self, limit: int, *, regain: int | None = None) -> None:
        self.limit = self._most = limit
        self._regain = regain
        self._well = 0
        self.fresh: deque[Job] = deque()
        self.suspects: deque[Job] = deque()
        self.given: dict[str, Given] = {}
        self.false_starts = 0
        #: Whether there was any job at all.
        self.gave = False
        #: After an accident nothing is handed out until the child says that it is ready.
        self.careful = False
        #: Whether the one job that the child has was handed out to be tried alone.
        self.alone = False

    def has_more(self) -> bool:
        """Whether a job waits here."""
        return bool(self.fresh or self.suspects)

    def may_give(self) -> bool:
        """Whether the child may get another job now."""
        if self.suspects or self.alone:
            return not self.given
        return len(self.given) < self.limit

    def take(self) -> Job | None:
        """The next job to hand out, None if there is none to be handed out now."""
        if not self.may_give():
            return None
        if not self.suspects and self.fresh and self.fresh[0].attempts:
            # It was begun in another run that did not survive: better alone.
            self.suspects.append(self.fresh.popleft())
            return self.take()
        self.alone = bool(self.suspects)
        if self.suspects:
            return self.suspects.popleft()
        return self.fresh.popleft() if self.fresh else None

    def give(self, job: Job, *, told: bool) -> None:
        """Note that the child has ``job`` now."""
        self.gave = True
        self.given[job.id] = Given(job, time.monotonic(), told)

    def hopeless(self) -> Iterator[Job]:
        """Take out the jobs that have ended too many runs."""
        while self.fresh and self.fresh[0].attempts >= MOST_ATTEMPTS:
            yield self.fresh.popleft()

    def withdraw(self) -> list[Job]:
        """Take back all that the child has."""
        jobs = [given.job for given in self.given.values()]
        self.given.clear()
        self.alone = False
        return jobs

    def lower(self) -> bool:
        """Half as many at once from now on; whether that is fewer."""
        self._well = 0
        before, self.limit = self.limit, max(1, self.limit // 2)
        return self.limit < before

    def finish(self, outcome: Outcome) -> Iterator[Event]:
        """Note that a job is done, or try it again alone where only memory was short."""
        given = self.given.pop(outcome.id, None)
        if given is None:
            return
        alone, self.alone = self.alone, False
        code = (outcome.error or {}).get("code")
        if code == "out-of-memory" and not alone:
            lowered = self.lower()
            self.suspects.append(given.job)
            yield Notice(
                "memory",
                f"memory ran out at {storage.plain(given.job.source)}, which is tried again alone"
                + (f"; at most {self.limit} pictures at once from now on" if lowered else ""),
            )
            return
        self._well += outcome.status == "done"
        if self._regain and self._well >= self._regain and self.limit < self._most:
            self.limit, self._well = self.limit + 1, 0
        yield Finished(given.job, outcome)

    def hear(self, what: Mapping[str, str]) -> Iterator[Event]:
        """Stop or restart a job's clock: what waits for memory, or gets on, is not late."""
        for word, id_ in what.items():
            given = self.given.get(id_)
            if given is None:
                continue
            if word == "waiting":
                given.since = None
            elif word == "going":
                given.since = time.monotonic()
            elif (progress := _progress(given.job, word)) is not None:
                given.since = given.since and time.monotonic()
                yield progress

    def begin(self) -> Iterator[Event]:
        """Count from now: the time before was the network's to load."""
        for given in list(self.given.values()):
            given.since = given.since and time.monotonic()
            if not given.told:
                given.told = True
                yield Started(given.job)

    def overdue(self, timeout_s: float) -> list[Job]:
        """The jobs that have had more than ``timeout_s``."""
        now = time.monotonic()
        return [
            given.job
            for given in self.given.values()
            if given.since is not None and now - given.since >= timeout_s
        ]

    def patience(self, timeout_s: float) -> float:
        """Seconds until somebody may be late; a second at most, so that signals are heard."""
        since = [given.since for given in self.given.values() if given.since is not None]
        left = min(since, default=time.monotonic()) + timeout_s - time.monotonic()
        return min(1.0, max(0.01, left))


def _progress(job: Job, word: str) -> Progressed | None:
    """What "progress 0.351 9.2" says, the share done and the seconds left; None if it is no such.

    More words may follow.
    """
    name, *words = word.split()
    if name != "progress" or not words:
        return None
    try:
        share = min(1.0, max(0.0, float(words[0])))
        left = float(words[1]) if len(words) > 1 and words[1] != "-" else None
    except ValueError:
        return None
    return Progressed(job, share, left, tuple(words))
