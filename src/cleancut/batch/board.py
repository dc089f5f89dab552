"""The jobs that a cluster has not begun yet, and how often those that it has were begun."""

from __future__ import annotations

import asyncio
from collections import Counter


class Board:
    """An actor beside the driver: ``size`` lines wait here at most, each of them a job.

    No more than ``out`` jobs are with the cluster at a time: by itself Ray would take in as many as
    memory allows, and a run that is asked to stop would have to finish them. The methods are called
    from all over the cluster.
    """

    def __init__(self, size: int, out: int) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(size)
        self._begun: Counter[str] = Counter()
        self._most_out = out
        self._out = 0
        self._changed = asyncio.Condition()

    async def put(self, line: str | None) -> None:
        """Add a line, waiting for room; None is the end."""
        await self._lines.put(line)

    async def get(self, most: int) -> list[str | None]:
        """Wait for a line and take it, with those that are there too: ``most`` of them at most."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._out < self._most_out)
        lines = [await self._lines.get()]
        while lines[-1] is not None and len(lines) < most and not self._lines.empty():
            lines.append(self._lines.get_nowait())
        self._out += len(lines)
        return lines

    async def begin(self, name: str) -> int:
        """Note that a worker begins with jobs, ``name``; how often that has happened."""
        self._begun[name] += 1
        return self._begun[name]

    async def end(self, name: str, count: int) -> None:
        """Forget the ``count`` jobs, which are done or given up."""
        del self._begun[name]
        async with self._changed:
            self._out -= count
            self._changed.notify_all()
