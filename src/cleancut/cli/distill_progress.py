"""How a training goes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cleancut.cli.batch_progress import FIRST_LINE_S, LONGEST_PAUSE_S, clock

if TYPE_CHECKING:
    from cleancut.distill.log import Step

#: How slowly the loss that is shown follows that of the steps, which jumps.
_SLOW = 0.95


class Pace:
    """What is known so far: the loss as a sliding mean, steps a second, time left."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done = self.skipped = 0
        self._first: tuple[int, float] | None = None
        self._loss: float | None = None
        self._now: Step | None = None

    def add(self, step: Step) -> None:
        """A step is done."""
        self._first = self._first or (step.step, step.seconds)
        self._now, self.done = step, step.step
        self.skipped += step.skipped
        if not step.skipped:
            before = step.loss if self._loss is None else self._loss
            self._loss = _SLOW * before + (1 - _SLOW) * step.loss

    def figures(self) -> str:
        """ "120 of 6000 steps, 1:22:05 left, loss 0.412, rate 2.0e-04, 1.21 steps a second"."""
        if self._now is None or self._first is None:
            return "starting"
        parts = [f"{self.done} of {self.steps} steps"]
        steps, seconds = (
            self._now.step - self._first[0],
            self._now.seconds - self._first[1],
        )
        if steps and seconds > 0:
            parts.append(f"{clock((self.steps - self.done) * seconds / steps)} left")
        if self._loss is not None:
            parts.append(f"loss {self._loss:.3f}")
        parts.append(f"rate {self._now.rate:.1e}")
        if steps and seconds > 0:
            parts.append(f"{steps / seconds:.2f} steps a second")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        return ", ".join(parts)


@contextmanager
def training(steps: int, *, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """Whoever shows how a run of ``steps`` goes."""
    pace = Pace(steps)
    if quiet or not sys.stderr.isatty():
        yield (lambda _step: None) if quiet else _lines(pace)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(pace.figures(), total=steps)

        def show(step: Step) -> None:
            pace.add(step)
            bars.update(task, completed=pace.done, description=pace.figures())

        yield show


def _lines(pace: Pace) -> Callable[[Step], None]:
    """A line after five seconds, then ever more rarely, to one a minute."""
    pause, last = FIRST_LINE_S, time.monotonic()

    def show(step: Step) -> None:
        nonlocal pause, last
        pace.add(step)
        at = time.monotonic()
        if at - last >= pause:
            pause, last = min(LONGEST_PAUSE_S, 1.5 * pause), at
            print(f"cleancut: {pace.figures()}", file=sys.stderr, flush=True)

    return show
