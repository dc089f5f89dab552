"""Which of the planned pictures are done now: the ledger's word, and what the user asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cleancut.batch.job import Job
from cleancut.batch.ledger import Ledger
from cleancut.errors import BadOption

#: At most so many names are kept in the ledger ahead of the work, with one sync of the disk.
AHEAD = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """A picture and what becomes of it in this run.

    ``do`` is "todo", "done" (nothing to do), "failed" (failed before and left alone) or
    "elsewhere" (another shard's). ``reason`` is ``Ledger.reason``'s, or "retry". ``planned`` is
    the name it would have had where that was taken, else "".
    """

    job: Job
    do: Literal["todo", "done", "failed", "elsewhere"]
    reason: str
    planned: str = ""


def choose(
    jobs: Iterable[Job],
    ledger: Ledger,
    *,
    shard: tuple[int, int] | None = None,
    retry_failed: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    ahead: int = AHEAD,
) -> Iterator[Choice]:
    """Go through ``jobs`` in their order and say what is to be done about each.

    After ``limit`` pictures to do, nothing more is drawn. Names of pictures to do are durable in
    the ledger before they are given out, unless ``dry_run``; ``ahead`` = 1 gives each one out as
    soon as it is drawn (for watching).
    """
    if limit is not None and limit < 1:
        raise BadOption(f"--limit: {limit} is out of range", hint="a whole number from 1 up")
    waiting: list[Choice] = []
    window, todo, waiting_todo = 1, 0, 0
    for planned in jobs:
        choice = _choice(planned, ledger, shard, retry_failed, overwrite)
        waiting.append(choice)
        if choice.do == "todo":
            todo, waiting_todo = todo + 1, waiting_todo + 1
        full = waiting_todo >= min(window, ahead) or len(waiting) >= 16 * ahead
        if full or todo == limit:
            yield from _given_out(waiting, ledger, dry_run)
            window, waiting, waiting_todo = 2 * window, [], 0
        if todo == limit:
            return
    yield from _given_out(waiting, ledger, dry_run)


def _choice(
    planned: Job,
    ledger: Ledger,
    shard: tuple[int, int] | None,
    retry_failed: bool,
    overwrite: bool,
) -> Choice:
    if shard is not None and not in_shard(planned, shard):
        return Choice(planned, "elsewhere", "elsewhere")
    job = ledger.settle(planned, overwrite=overwrite)
    reason: str = ledger.reason(job)
    renamed = planned.name if job.name != planned.name else ""
    if reason == "done":
        return Choice(job, "done", reason, renamed)
    if reason == "failed":
        if not retry_failed:
            return Choice(job, "failed", reason, renamed)
        reason = "retry"
    return Choice(job, "todo", reason, renamed)


def _given_out(choices: list[Choice], ledger: Ledger, dry_run: bool) -> Iterator[Choice]:
    if not dry_run:
        ledger.assigned(*(choice.job for choice in choices if choice.do == "todo"))
    yield from choices


def in_shard(job: Job, shard: tuple[int, int]) -> bool:
    """Whether ``job`` belongs to shard (i, n), i from 1; it stays there when others are added."""
    return int(job.id, 16) % shard[1] == shard[0] - 1


def parse_shard(text: str) -> tuple[int, int]:
    """ "3/8" as (3, 8): the third of eight shards, counted from 1. Raises ``BadOption``."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    if match is None:
        raise BadOption(
            f"--shard: {text!r:.50} is not like 1/8", hint="1/8 to 8/8 for eight shards"
        )
    index, total = int(match[1]), int(match[2])
    if not 1 <= index <= total:
        raise BadOption(
            f"--shard: {text.strip()} is out of range",
            hint=f"shards are counted from 1: 1/{max(total, 1)} to {max(total, 1)}/{max(total, 1)}",
        )
    return index, total
