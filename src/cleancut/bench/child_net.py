"""Run a network alone, as often as a folder has pictures, and print its speed; a script.

Two runs are under way at a time, then one: whichever is faster is what the machine can do. Nothing
but the network is in it, so this is what no pipeline around the same network can beat.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cleancut.catalog import find
from cleancut.models.load import Placing, open_session


def main(model: str, precision: str, count: str) -> None:
    """Print seconds a picture and where the network ran."""
    spec = find(model)
    session = open_session(spec, Placing(precision=precision))  # type: ignore[arg-type]
    name, shape = next(iter(session.inputs.items()))
    size = tuple(side or 1 for side in shape)
    feeds = {name: np.random.default_rng(0).random(size, np.float32)}
    best = []
    for at_once in (1, 2):
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(session.run, [feeds] * at_once))
            started = time.perf_counter()
            list(pool.map(session.run, [feeds] * int(count)))
            best.append((time.perf_counter() - started) / int(count))
    print(json.dumps({"seconds": min(best), "runs_on": str(session.placement)}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
