"""Run a network alone with several pictures at a time, and print its speed; a script.

    child_batches.py MODEL DEVICE PRECISION SECONDS

Every batch size that the graph takes is tried, with one run and with two under way, for SECONDS
each. Nothing but the network is in it: its input lies on the device already, where its answer stays
(IO binding, with ONNX Runtime). So this is what no pipeline around the same network can beat.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from cleancut.backends.faults import failed_run
from cleancut.catalog import find
from cleancut.errors import OutOfMemory
from cleancut.models.load import Placing, open_session

SIZES = (1, 2, 4, 8, 16, 32)


def rate(run: Callable[[], object], at_once: int, seconds: float) -> float:
    """Runs a second, with ``at_once`` of them under way; the first of each is not counted."""

    def work(until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            run()
            count += 1
        return count

    with ThreadPoolExecutor(at_once) as pool:
        for first in [pool.submit(run) for _ in range(at_once)]:
            first.result()
        started = time.perf_counter()
        runs = sum(pool.map(work, [started + seconds] * at_once))
        return runs / (time.perf_counter() - started)


def bound_run(session: Any, size: tuple[int, ...]) -> Callable[[], object]:
    """One run over noise of ``size``, on the device where the runtime can be told so.

    It raises ``OutOfMemory``.
    """
    name = next(iter(session.inputs))
    noise = np.random.default_rng(0).random(size, np.float32)
    if session.placement.backend != "ort":
        return lambda: session.run({name: noise})
    from cleancut.backends import bound

    # What is computed does not matter to a GPU, and its memory cannot be written from here.
    here = session.memory == "cpu"
    feed = bound.Place(size, noise.ctypes.data, noise) if here else bound.room(size, session.memory)
    results = dict.fromkeys(session.outputs)

    def run() -> object:
        try:
            return bound.run(session.native, {name: feed}, results, session.memory)
        except Exception as error:
            raise failed_run(error, "ONNX Runtime") from error

    return run


def main(model: str, device: str, precision: str, seconds: str) -> None:
    """Print pictures a second by batch size, and where the network ran."""
    placing = Placing(device=device, precision=precision)  # type: ignore[arg-type]
    session = open_session(find(model), placing)
    shape = next(iter(session.inputs.values()))
    found: dict[str, float] = {}
    stopped = "" if shape[0] is None else "the graph takes one picture at a time"
    for size in SIZES if shape[0] is None else (shape[0],):
        one = (size, *(side or 320 for side in shape[1:]))
        try:
            run = bound_run(session, one)
            best = max(rate(run, at_once, float(seconds)) for at_once in (1, 2))
        except OutOfMemory:
            stopped = f"{size} pictures at a time do not fit into the memory"
            break
        found[str(size)] = size * best
    where = session.placement
    told = {"per_s": found, "device": where.device, "provider": where.provider}
    print(json.dumps({**told, "runs_on": str(where), "stopped": stopped}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
