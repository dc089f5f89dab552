"""Progress of downloads on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int | None, str], None]
#: Seconds between two lines where there is no terminal.
LINE_EVERY_S = 5.0


@contextmanager
def byte_progress() -> Iterator[Report]:
    """A callback ``(done bytes, total bytes or None, label)`` that shows how far a download is."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, int] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def show(done: int, total: int | None, label: str) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)  # type: ignore[arg-type]

        yield show


def _lines() -> Report:
    last_at, last_label = 0.0, ""

    def show(done: int, total: int | None, label: str) -> None:
        nonlocal last_at, last_label
        now = time.monotonic()
        if label == last_label and now - last_at < LINE_EVERY_S:
            return
        last_at, last_label = now, label
        of = f" of {total / 1e6:.0f}" if total else ""
        size = f": {done / 1e6:.0f}{of} MB" if done or total else ""
        print(f"{label}{size}", file=sys.stderr, flush=True)

    return show


@contextmanager
def item_progress() -> Iterator[Callable[[int, int, str], None]]:
    """A callback ``(done, total, label)`` that shows how many items are done, as above."""
    if not sys.stderr.isatty():
        yield _item_lines()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    from cleancut.cli.main import shown

    columns = (BarColumn(), MofNCompleteColumn(), Left(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)

        def show(done: int, total: int, label: str) -> None:
            bars.update(task, completed=done, total=total, description=escape(shown(label)))

        yield show


def _item_lines() -> Callable[[int, int, str], None]:
    from cleancut.cli.main import shown

    last_at = time.monotonic()

    def show(done: int, total: int, label: str) -> None:
        nonlocal last_at
        now = time.monotonic()
        if now - last_at >= LINE_EVERY_S:
            last_at = now
            print(f"{done} of {total}: {shown(label)}", file=sys.stderr, flush=True)

    return show
