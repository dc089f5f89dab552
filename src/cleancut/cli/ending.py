"""Ctrl-C and SIGTERM as an orderly end: once finishes what is in work, twice stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Ending:
    """How the run was asked to end: ``stop`` is set, ``signum`` says by which signal."""

    def __init__(self, text: str = "") -> None:
        self.stop = threading.Event()
        self.signum: int | None = None
        self._text = text

    @property
    def exit_code(self) -> int:
        """0, or what shells give a process that a signal has ended: 130 for Ctrl-C, 143."""
        return 0 if self.signum is None else 128 + self.signum

    def ask(self, signum: int, frame: object) -> None:  # noqa: ARG002
        """Set ``stop`` and say so; the second time, raise ``KeyboardInterrupt``."""
        if self.stop.is_set():
            raise KeyboardInterrupt
        self.signum = signum
        self.stop.set()
        if self._text:
            line = "\n" if sys.stderr.isatty() else ""  # after the ^C that a terminal shows
            print(f"{line}cleancut: {self._text}", file=sys.stderr, flush=True)


@contextmanager
def signals(text: str = "") -> Iterator[Ending]:
    """Ctrl-C and SIGTERM ask for an orderly end while this lasts; ``text`` is said then."""
    ending = Ending(text)
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = {name: signal.signal(name, ending.ask) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ending
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
