"""Work ahead: what an iterator makes is made in a thread of its own, a few items early."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

#: How often a thread with nowhere to put an item looks whether anybody still wants it, seconds.
_LOOK_S = 0.2


class _End:
    """The last thing in a queue: why it ended, None for because it is all."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Generator[T, None, None], depth: int, name: str) -> Generator[T, None, None]:
    """The same items in the same order, made in a thread called ``name``, ``depth`` of them early.

    What ``items`` raises is raised here, after what came before it. Closing this one ends the
    thread and closes ``items`` in it; it waits for the item in work.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(max(1, depth))
    unwanted = threading.Event()

    def put(item: T | _End) -> bool:
        while not unwanted.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=_LOOK_S)
                return True
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    break
                del item  # a frame in a variable is a frame in memory
        except BaseException as caught:
            error = caught
        finally:
            try:
                items.close()
            except BaseException as caught:
                error = error or caught
            put(_End(error))

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
            del item
    finally:
        unwanted.set()
        with suppress(queue.Empty):
            while True:
                waiting.get_nowait()
        thread.join()
