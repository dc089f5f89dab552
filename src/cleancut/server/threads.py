"""Threads for what blocks, so many for each kind: none of them keeps the others waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

T = TypeVar("T")

#: For disks, caches and keys: a part of every request, and over at once.
BRIEF = 16
#: URLs that are fetched at the same time for clients who wait.
FETCHES = 16
#: Requests that look at the store of jobs at the same time.
JOB_LOOKS = 8
#: Jobs that are accepted at the same time: their pictures are hashed and made durable, which lasts.
JOBS_ACCEPTED = 4


class Threads:
    """How many threads each kind of lasting work may have; one for each application."""

    def __init__(self) -> None:
        self.fetches = CapacityLimiter(FETCHES)
        self.job_looks = CapacityLimiter(JOB_LOOKS)
        self.jobs_accepted = CapacityLimiter(JOBS_ACCEPTED)


async def in_thread(
    work: Callable[..., T], *args: object, limiter: CapacityLimiter | None = None
) -> T:
    """``work(*args)`` in a thread: one of ``limiter``'s, or of those for what is brief."""
    return await anyio.to_thread.run_sync(work, *args, limiter=limiter)
