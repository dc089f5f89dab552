"""Cut one picture many times in one process and print the times as JSON; a script.

Runs under the interpreter of either side; each branch imports only its own side.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: u2netp's recipe as rembg writes it, for running its network alone.
_MEAN, _STD, _SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (320, 320)


def times_of(call: Callable[[], object], count: int) -> list[float]:
    """Seconds of ``count`` calls after one that is not counted."""
    seconds = []
    for _ in range(count + 1):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def with_cleancut(model: str, data: bytes, count: int) -> dict[str, Any]:
    """Ours: bytes in, PNG bytes out, with the stages of each call."""
    from cleancut.catalog import find
    from cleancut.engine import Engine
    from cleancut.models.load import Placing, open_session
    from cleancut.models.recipe import prepare
    from cleancut.options import Options

    engine = Engine(Options(model=model))
    stages: dict[str, list[float]] = {}
    size = 0

    def call() -> None:
        nonlocal size
        result = engine.cutout(data)
        started = time.perf_counter()
        size = len(result.encode("png"))
        encode_ms = 1000 * (time.perf_counter() - started)
        for stage, ms in {**result.timings, "encode": encode_ms}.items():
            stages.setdefault(stage, []).append(ms)

    seconds = times_of(call, count)
    spec = find(model)
    session = open_session(spec, Placing())
    feed, _ = prepare(engine.read(data).rgb, spec.recipe)
    feeds = {next(iter(session.inputs)): feed}
    return {
        "seconds": seconds,
        "net_s": times_of(lambda: session.run(feeds), count),
        "stages_ms": {name: statistics.median(values[1:]) for name, values in stages.items()},
        "runs_on": str(session.placement),
        "png_bytes": size,
    }


def with_rembg(model: str, data: bytes, count: int) -> dict[str, Any]:
    """Theirs: ``remove`` with one session, as its documentation recommends for many pictures."""
    import io

    from PIL import Image

    from rembg import new_session, remove

    session = new_session(model)
    size = 0

    def call() -> None:
        nonlocal size
        size = len(remove(data, session=session))

    seconds = times_of(call, count)
    feeds = session.normalize(Image.open(io.BytesIO(data)), _MEAN, _STD, _SIZE)
    net = session.inner_session
    return {
        "seconds": seconds,
        "net_s": times_of(lambda: net.run(None, feeds), count),
        "stages_ms": {},
        "runs_on": net.get_providers()[0],
        "png_bytes": size,
    }


def main(side: str, model: str, image: str, count: str) -> None:
    """Print the times of ``side`` ("rembg" or "cleancut")."""
    cut = with_rembg if side == "rembg" else with_cleancut
    print(json.dumps(cut(model, Path(image).read_bytes(), int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:5])
