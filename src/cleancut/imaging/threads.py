"""Strips and tiles of one picture on several threads.

As many as OpenCV has been given (``cv2.setNumThreads``): whoever cuts many pictures at once says so
there, and nothing below starts threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")
_MOST = 8


def each(work: Callable[[_Item], _Found], items: Sequence[_Item]) -> list[_Found]:
    """``work`` done for every one of ``items``, in parallel where that is allowed; in order."""
    threads = min(len(items), cv2.getNumThreads(), _MOST)
    if threads <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads, thread_name_prefix="cleancut") as pool:
        return list(pool.map(work, items))


@contextmanager
def few_threads(jobs: int) -> Iterator[None]:
    """Let OpenCV have its share of the cores only, while several jobs run in this process."""
    before = cv2.getNumThreads()
    if jobs > 1:
        cv2.setNumThreads(max(1, before // jobs))
    try:
        yield
    finally:
        if jobs > 1:
            cv2.setNumThreads(before)
