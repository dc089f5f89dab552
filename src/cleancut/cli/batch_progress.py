"""How a batch goes: a bar on a terminal, a line now and then elsewhere, or JSON events."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cleancut.batch import storage
from cleancut.batch.job import Event, Finished, Notice, Progressed, Started
from cleancut.cli.main import shown

if TYPE_CHECKING:
    from cleancut.batch.choose import Choice
    from cleancut.batch.request import Summary

#: Without a terminal: a line after the first seconds, then ever more rarely.
FIRST_LINE_S, LONGEST_PAUSE_S = 5.0, 60.0


class Teller:
    """Counts what has happened and hands lines and figures on to whoever shows them."""

    def __init__(
        self,
        say: Callable[[str], None],
        show: Callable[[Teller], None],
        *,
        limit: int | None = None,
        as_json: bool = False,
        quiet: bool = False,
    ) -> None:
        self.done = self.failed = self.skipped = 0
        self._found: int | None = None
        self._elsewhere = 0
        self._limit = limit
        self.began = time.monotonic()
        self._first_at: float | None = None
        self._say = say
        self._show = show
        self._json = as_json
        self._quiet = quiet
        self._lock = threading.Lock()

    def total(self, pictures: int) -> None:
        """Now it is known how many pictures there are."""
        with self._lock:
            self._found = pictures
            self._show(self)

    def passed(self, choice: Choice) -> None:
        """One that is not to be done."""
        with self._lock:
            elsewhere = choice.do == "elsewhere"
            self._elsewhere += elsewhere
            self.skipped += not elsewhere
            self._show(self)

    def event(self, event: Event) -> None:
        """Something has happened."""
        with self._lock:
            if self._json:
                _tell_json(_as_facts(event))
            if isinstance(event, Finished):
                self._count(event)
            elif isinstance(event, Notice) and not self._quiet and not self._json:
                self._say(f"cleancut: note [{event.code}] {shown(event.text)}")
            self._show(self)

    def summary(self, summary: Summary) -> None:
        """The last event."""
        _tell_json({"event": "summary", **summary.to_dict()})

    @property
    def pictures(self) -> int | None:
        """How many there are for this run to look at, None while nobody knows."""
        if self._found is None:
            return None
        here = self._found - self._elsewhere
        return here if self._limit is None else min(here, self.skipped + self._limit)

    @property
    def rate(self) -> float:
        """Pictures a second since the first one was done; 0 while that is unknown."""
        count = self.done + self.failed
        if self._first_at is None or count < 2:
            return 0.0
        return (count - 1) / max(1e-6, time.monotonic() - self._first_at)

    @property
    def left_s(self) -> float | None:
        """Seconds to go, None while nobody knows."""
        if self.pictures is None or not self.rate:
            return None
        return max(0, self.pictures - self.done - self.failed - self.skipped) / self.rate

    def figures(self) -> str:
        """ "12 of 340, 2:22 left, 2.31/s, 2 failed", what matters most first."""
        count = self.done + self.failed + self.skipped
        alone = f"{count} picture{'' if count == 1 else 's'}"
        parts = [f"{count} of {self.pictures}" if self.pictures is not None else alone]
        if self.left_s is not None:
            parts.append(f"{clock(self.left_s)} left")
        if self.rate:
            parts.append(f"{self.rate:.2f}/s")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.skipped:
            parts.append(f"{self.skipped} of earlier runs")
        return ", ".join(parts)

    def _count(self, event: Finished) -> None:
        self._first_at = self._first_at or time.monotonic()
        error = event.outcome.error
        if error is None:
            self.done += 1
            return
        self.failed += 1
        if not self._json:
            place = shown(storage.plain(event.job.source))
            hint = f"; {error['hint']}" if error.get("hint") else ""
            self._say(
                f"cleancut: failed [{error['code']}] {place}: {shown(error['message'] + hint)}"
            )


def clock(seconds: float) -> str:
    """ "0:42", "2:05:07"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress(args: argparse.Namespace) -> Iterator[Teller]:
    """Whoever tells how it goes, as the flags want it."""
    plain = args.quiet or args.json
    if plain or not sys.stderr.isatty():
        show = (lambda _teller: None) if plain else _lines()
        yield Teller(_print, show, limit=args.limit, as_json=args.json, quiet=args.quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
    from rich.text import Text

    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def show_bar(teller: Teller) -> None:
            count = teller.done + teller.failed + teller.skipped
            bars.update(task, total=teller.pictures, completed=count, description=teller.figures())

        def say(line: str) -> None:
            bars.console.print(Text(line), soft_wrap=True)

        yield Teller(say, show_bar, limit=args.limit)


def _lines() -> Callable[[Teller], None]:
    """A line after five seconds, then ever more rarely, to one a minute."""
    pause, last = FIRST_LINE_S, time.monotonic()

    def show(teller: Teller) -> None:
        nonlocal pause, last
        now = time.monotonic()
        if now - last >= pause:
            pause, last = min(LONGEST_PAUSE_S, 1.5 * pause), now
            _print(f"cleancut: {teller.figures()}")

    return show


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _as_facts(event: Event) -> dict[str, Any]:
    if isinstance(event, Started):
        return {
            "event": "started",
            "source": storage.keyless(event.job.source),
            "target": event.job.target,
        }
    if isinstance(event, Notice):
        return {"event": "notice", "code": event.code, "text": event.text}
    if isinstance(event, Progressed):
        return {"event": "progress", "target": event.job.target, "share": event.share}
    job = event.job
    return {
        "event": "finished",
        "source": storage.keyless(job.source),
        "target": job.target,
        **event.outcome.to_dict(),
    }


def _tell_json(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)
