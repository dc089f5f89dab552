"""A folder into which pictures are dropped: each is taken when it has stopped growing.

Asking again and again works on every system and on network drives, where notifications do not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cleancut.batch.inputs import Inputs, LeftOut
from cleancut.batch.job import Job
from cleancut.batch.names import digest
from cleancut.batch.plan import plan
from cleancut.errors import BadOption, CleancutError

#: A file is taken when size and time have stood still for this long.
SETTLE_S = 2.0
_INTERVAL_S = 0.5


@dataclass(slots=True)
class _Seen:
    version: int
    since: float
    given: bool = False


def watch(
    inputs: Inputs,
    out: str,
    *,
    suffix: str,
    stop: threading.Event,
    settle: float = SETTLE_S,
    exclude: Sequence[str] = (),
    reserved: Sequence[str] = (),
    clock: Callable[[], float] = time.monotonic,
    trouble: Callable[[CleancutError], None] | None = None,
) -> Iterator[Job]:
    """Jobs for new and changed pictures in the folders of ``inputs``, until ``stop`` is set.

    A picture comes when its size and time have not changed for ``settle`` seconds and it is not
    empty, and again when it changes later. What was done in an earlier run is told by the ledger.
    Other arguments as ``plan``'s. A folder that cannot be read for a while (a drive that is
    unplugged) is asked again; ``trouble`` hears of it once. Raises ``BadOption`` if there is no
    folder among the inputs.
    """
    if not inputs.trees:
        raise BadOption(
            "--watch needs a folder", hint="like: cleancut batch incoming/ -o out/ --watch"
        )
    seen: dict[int, _Seen] = {}
    troubled = False
    while not stop.is_set():
        began = clock()
        present: set[int] = set()
        try:
            for job in plan(
                inputs, out, suffix=suffix, exclude=exclude, reserved=reserved, left_out=LeftOut()
            ):
                key = int(job.id, 16)
                present.add(key)
                if _ready(seen, key, job, clock(), settle):
                    yield job
                if stop.is_set():
                    return
            troubled = False
            for key in seen.keys() - present:
                del seen[key]
        except CleancutError as error:
            if trouble is not None and not troubled:
                trouble(error)
            troubled = True
        # A folder that takes long to read is asked less often.
        stop.wait(max(min(_INTERVAL_S, settle / 2), 4 * (clock() - began)))


def _ready(seen: dict[int, _Seen], key: int, job: Job, now: float, settle: float) -> bool:
    version = int(digest(job.version), 16)
    known = seen.get(key)
    if known is None or known.version != version:
        known = seen[key] = _Seen(version, now)
    if known.given or not job.size or not job.version:
        return False
    if now - known.since < settle:
        return False
    known.given = True
    return True
