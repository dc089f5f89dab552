"""What is done: an append-only file of JSON lines beside the output, believed after any crash.

``OUT/.cleancut/ledger.jsonl`` (``ledger-3-of-8.jsonl`` of a shard; segments of that name on an
object store). Lines are ``run`` (version, settings), ``assign`` (a picture gets its name: durable
before it is begun), ``start``, ``end`` (how it went, with all facts of the report) and ``notice``.
The last line about a picture holds. All ledgers of the folder are read, one is written.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal

from cleancut import __version__
from cleancut.batch import names, storage
from cleancut.batch.job import Event, Finished, Job, Notice, Started
from cleancut.batch.journal import MANY_SEGMENTS, LocalJournal, RemoteJournal, check_plain
from cleancut.batch.table import (
    ASSIGNED,
    CHUNK_BYTES,
    DONE,
    FAILED,
    Table,
    encoded,
    kept_lines,
    line_at,
    lines_that_matter,
    live_bytes,
    number,
    parsed,
)
from cleancut.errors import OutputNotWritable

#: Raised when lines change so that older versions would misread them.
FORMAT = 1
FOLDER = ".cleancut"
THUMBS = f"{FOLDER}/thumbs"
_COMPACT_BYTES = 1 << 20
_MAX_NOTICES = 1000

State = Literal["todo", "done", "failed"]
#: Why a picture is to be done, or not: see ``Ledger.reason``.
Reason = Literal[
    "new", "unfinished", "changed", "other-options", "output-missing", "done", "failed"
]


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts: pictures in the ledger by state, and what this run did."""

    done: int = 0
    failed: int = 0
    unfinished: int = 0
    run_done: int = 0
    run_failed: int = 0
    run_cached: int = 0
    damaged_lines: int = 0


class Ledger:
    """The ledgers of one output folder; made by ``Ledger.open``, used in a ``with`` block."""

    def __init__(self, out: str, settings: Mapping[str, Any], *, writes: bool) -> None:
        self.out = out
        self.settings = dict(settings)
        self.fingerprint = names.digest(json.dumps(self.settings, sort_keys=True, default=str))
        self.notices: list[dict[str, str]] = []
        self._writes = writes
        self._run = {"done": 0, "failed": 0, "cached": 0}
        self._listed: tuple[str, set[str]] | None = None
        self._journal: LocalJournal | RemoteJournal | None = None
        self._given: dict[int, str] = {}
        self._forget()

    def _forget(self) -> None:
        """The table of pictures, empty: a column a fact, a row a picture."""
        self._files: list[str] = []
        self._table = Table()
        self.damaged = 0

    @classmethod
    def open(
        cls,
        out: str,
        *,
        shard: tuple[int, int] | None = None,
        settings: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ) -> Ledger:
        """Read what is known of ``out``, and become its writer unless ``read_only``.

        ``shard`` is (i, n), i from 1. ``settings`` are whatever changes the pixels of an output:
        the options and the digests of the weights. Raises ``OutputNotWritable`` if another run
        writes to ``out``, if the folder cannot be written, or if a newer cleancut wrote it.
        """
        ledger = cls(out, settings or {}, writes=not read_only)
        name = f"ledger-{shard[0]}-of-{shard[1]}" if shard else "ledger"
        folder = storage.join(out, FOLDER)
        try:
            if storage.is_remote(out):
                ledger._journal = RemoteJournal(storage.join(folder, "ledger"), name)
                ledger._journal.open()
            elif ledger._writes:
                ledger._journal = LocalJournal(storage.join(folder, f"{name}.jsonl"))
                ledger._journal.open()
            notes = ledger._journal.notes if ledger._journal else ()
            ledger.notices += [{"code": "ledger", "text": note} for note in notes]
            ledger._load_all(folder)
            if ledger._writes:
                ledger._compact(folder)
                ledger._append(ledger._header())
        except BaseException:
            ledger.close()
            raise
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Make everything durable and let the next run in; may be called twice."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def settle(self, job: Job, *, overwrite: bool = False) -> Job:
        """``job`` with the name it was given before, or with one that is free.

        A file at the target that no ledger knows is somebody else's: it stays and the job gets
        another name, unless ``overwrite``. ``attempts`` are filled in.
        """
        row = self._table.find(job.id)
        if row is not None and self._is_another(job, row):
            # Two folders of one name have shared this output: the second is told by its place.
            job = replace(job, id=names.digest(storage.canonical(job.source)))
            row = self._table.find(job.id)
        if row is not None:
            kept = self._kept_name(job, row)
            if kept is not None:
                return self._named(job, kept, self._table.attempts[row])
        for name in names.alternatives(job.name, job.id):
            key = number(names.fold(name))
            owner, made, *_ = self._table.former.get(key, (None, False))
            own = row is not None and owner == row
            if (key in self._table.taken and not own) or self._given.get(key, job.id) != job.id:
                continue
            if (own and made) or overwrite or not self._is_there(name):
                self._given[key] = job.id
                return self._named(job, name, 0)
        raise OutputNotWritable(
            f"{job.name}: no free name is left for it", hint="choose another output folder"
        )

    def state(self, job: Job) -> State:
        """What is to be done about a settled job; "done" only if its output is still there."""
        reason = self.reason(job)
        if reason == "done":
            return "done"
        return "failed" if reason == "failed" else "todo"

    def reason(self, job: Job) -> Reason:
        """Why the settled ``job`` is to be done, or why not ("done", "failed").

        "changed": the source has another size, time or tag; "other-options": settings differ;
        "unfinished": begun or planned, not ended; "output-missing": somebody removed it.
        """
        row = self._table.find(job.id)
        if row is None:
            return "new"
        if self._table.status[row] == ASSIGNED:
            return "unfinished"
        if self._table.version[row] != number(job.version):
            return "changed"
        if self._table.print_[row] != int(self.fingerprint, 16):
            return "other-options"
        if self._table.name[row] != number(names.fold(job.name)):
            return "unfinished"
        if self._table.status[row] == FAILED:
            return "failed"
        return "done" if self._is_there(job.name) else "output-missing"

    def assigned(self, *jobs: Job) -> None:
        """Keep the names of settled jobs, durably, before any of them is begun."""
        if not jobs:
            return
        now = round(time.time(), 2)
        self._append(*({"e": "assign", **_identity(job), "t": now} for job in jobs))
        for job in jobs:
            self._given.pop(number(names.fold(job.name)), None)
        if self._journal is not None:
            self._journal.sync(now=True)

    def record(self, event: Event) -> None:
        """Write down what happened."""
        if isinstance(event, Started):
            self._append({"e": "start", "id": event.job.id})
        elif isinstance(event, Finished):
            self._finished(event)
        elif isinstance(event, Notice):
            line = {"e": "notice", "code": event.code, "text": event.text}
            if len(self.notices) < _MAX_NOTICES:
                self.notices.append({"code": event.code, "text": event.text})
            self._append(line)
        if self._journal is not None:
            self._journal.sync()

    def _finished(self, event: Finished) -> None:
        outcome = event.outcome
        facts = outcome.to_dict()
        facts.pop("id")
        facts.pop("status")
        identity = _identity(event.job)
        line = {"e": "end", **identity, "fp": self.fingerprint, "t": round(time.time(), 2)}
        line["status"] = outcome.status
        line |= {"seconds": facts.pop("seconds"), **facts, "ok": 1}
        self._append(line)
        self._run[outcome.status] += 1
        self._run["cached"] += outcome.cached
        if outcome.status == "done" and self._listed is not None:
            folder, _, name = event.job.name.rpartition("/")
            if folder == self._listed[0]:
                self._listed[1].add(name)

    def summary(self) -> Summary:
        """How many are done, failed and neither."""
        return Summary(
            done=self._table.status.count(DONE),
            failed=self._table.status.count(FAILED),
            unfinished=self._table.status.count(ASSIGNED),
            run_done=self._run["done"],
            run_failed=self._run["failed"],
            run_cached=self._run["cached"],
            damaged_lines=self.damaged,
        )

    def records(self) -> Iterator[dict[str, Any]]:
        """The last line of every picture that ended, in the order of the file."""
        for at, path in enumerate(self._files):
            table = self._table
            ended = [row for row in table.rows_of(at) if table.status[row] != ASSIGNED]
            if not ended:
                continue
            with open(path, "rb") as file:  # noqa: PTH123
                for row in ended:
                    line = parsed(line_at(file, table.offset[row]))
                    if line is not None:
                        yield line
                    else:
                        self.damaged += 1

    # -- reading ---------------------------------------------------------------------------------

    def _load_all(self, folder: str) -> None:
        """Read every ledger, the own one last."""
        self._forget()
        journal = self._journal
        if isinstance(journal, RemoteJournal):
            paths = [journal.others, journal.path]
        else:
            found = (storage.join(folder, name) for name in sorted(storage.listing(folder)))
            paths = [
                path
                for path in found
                if storage.base_name(path).startswith("ledger") and path.endswith(".jsonl")
            ]
            own = journal.path if journal is not None else ""
            paths.sort(key=lambda path: path == own)
        for path in paths:
            try:
                self._load(path)
            except OSError as error:
                raise OutputNotWritable(
                    f"the ledger {path} cannot be read: {error.strerror}",
                    hint="check its permissions, or choose another output folder",
                ) from error

    def _load(self, path: str) -> None:
        self._files.append(path)
        at = 0
        check_plain(path)
        with open(path, "rb") as file:  # noqa: PTH123
            while chunk := file.readlines(CHUNK_BYTES):
                offsets = list(itertools.accumulate(map(len, chunk), initial=at))
                for which, line in lines_that_matter(chunk):
                    if line is not None:
                        self._apply(line, len(self._files) - 1, offsets[which])
                    else:
                        self.damaged += chunk[which].strip() != b""
                at = offsets[-1]

    def _apply(self, line: Mapping[str, Any], file: int, at: int) -> None:
        kind = line.get("e")
        try:
            if kind in ("assign", "start", "end"):
                self._table.apply(line, file, at)
            elif kind == "run" and line["format"] > FORMAT:
                raise OutputNotWritable(
                    f"{self.out} holds a ledger of cleancut {line.get('cleancut')}, which is newer",
                    hint="run: pip install --upgrade cleancut",
                )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.damaged += 1

    # -- asking ----------------------------------------------------------------------------------

    def _is_another(self, job: Job, row: int) -> bool:
        """Whether the id belongs to a picture elsewhere that is not this one moved."""
        table = self._table
        elsewhere = table.source[row] != number(storage.keyless(job.source))
        return elsewhere and table.version[row] != number(job.version)

    def _kept_name(self, job: Job, row: int) -> str | None:
        """The name given before; None if the output's format has changed since."""
        if self._table.name[row] == number(names.fold(job.name)):
            return job.name
        with open(self._files[self._table.file[row]], "rb") as file:  # noqa: PTH123
            line = parsed(line_at(file, self._table.offset[row]))
        name = line.get("name") if line else None
        if not isinstance(name, str) or names.split(name)[1] != names.split(job.name)[1]:
            return None
        # A ledger is a file like any other: what it says must still lie below the output.
        return name if all(names.safe(part) == part for part in name.split("/")) else None

    def _named(self, job: Job, name: str, attempts: int) -> Job:
        target = job.target if name == job.name else storage.join(self.out, name)
        return replace(job, name=name, target=target, attempts=attempts)

    def _is_there(self, name: str) -> bool:
        """Whether anything is called so in the output; a store is asked once a folder."""
        if not storage.is_remote(self.out):
            return storage.exists(storage.join(self.out, name))
        folder, _, own = name.rpartition("/")
        if self._listed is None or self._listed[0] != folder:
            self._listed = folder, storage.listing(storage.join(self.out, folder))
        return own in self._listed[1]

    # -- writing ---------------------------------------------------------------------------------

    def _append(self, *lines: Mapping[str, Any]) -> None:
        if self._journal is None or not self._writes:
            raise ValueError("the ledger is not open for writing")
        written = [encoded(line) for line in lines]
        at = self._journal.append(b"".join(written))
        for line, raw in zip(lines, written, strict=True):
            self._apply(line, len(self._files) - 1, at)
            at += len(raw)

    def _header(self) -> dict[str, Any]:
        return {
            "e": "run",
            "format": FORMAT,
            "cleancut": __version__,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "fp": self.fingerprint,
            "settings": self.settings,
        }

    def _compact(self, folder: str) -> None:
        """Leave one line a picture in the own ledger, if it has grown much beyond that."""
        journal = self._journal
        assert journal is not None
        rows = self._table.rows_of(len(self._files) - 1)
        if isinstance(journal, RemoteJournal):
            grown = len(journal.segments) > MANY_SEGMENTS
        else:
            live = live_bytes(self._table, self._files[-1], rows)
            grown = os.stat(journal.path).st_size > _COMPACT_BYTES + 2 * live  # noqa: PTH116
        if grown:
            journal.replace(kept_lines(self._table, self._files[-1], rows))
            self._load_all(folder)


def _identity(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "source": storage.keyless(job.source),
        "version": job.version,
        "path": job.path,
    }
