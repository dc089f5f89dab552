"""Solve trimaps, or refine a matte, in one warm process; print seconds as JSON; a script.

Runs under the interpreter of either side, so it imports only that side's packages.

    child_matting.py solve pymatting|cleancut FOLDER ROUNDS
    child_matting.py refine fast|best FOLDER ROUNDS

FOLDER holds what to work on as NAME.npz: ``rgb`` uint8 with ``trimap`` (float32), or with ``matte``
(float32); alphas go to FOLDER/SIDE/NAME.npy.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def solver(side: str) -> Callable[[Any, Any], Any]:
    """A function of (rgb uint8, trimap float32) that gives alpha."""
    if side == "cleancut":
        from cleancut.matting.closed_form import solve

        return lambda rgb, trimap: solve(rgb, trimap).alpha
    estimate: Any = importlib.import_module("pymatting").estimate_alpha_cf
    return lambda rgb, trimap: estimate(rgb / 255.0, trimap.astype("float64"))


def refiner(level: Any) -> Callable[[Any, Any], Any]:
    """A function of (rgb uint8, matte float32) that gives alpha."""
    from cleancut.matting.refine import refine

    return lambda rgb, matte: refine(rgb, matte, level=level).alpha


def peak_mb() -> float | None:
    """The most memory this process ever held, in MB (10^6 bytes); None where it is not told."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(task: str, side: str, folder: Path, rounds: int) -> None:
    """Print {"seconds": {NAME: [...]}, "failed": {NAME: why}, "peak_mb"}."""
    import numpy as np

    warnings.simplefilter("ignore")
    call = solver(side) if task == "solve" else refiner(side)
    seconds: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    (folder / side).mkdir(exist_ok=True)
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as given:
            arguments = given["rgb"], given["trimap" if task == "solve" else "matte"]
        try:
            alpha = call(*arguments)  # not counted: compiles, fills caches
            for _ in range(rounds):
                started = time.perf_counter()
                alpha = call(*arguments)
                seconds.setdefault(path.stem, []).append(time.perf_counter() - started)
        except Exception as error:  # one picture that a side cannot do is a finding, not the end
            failed[path.stem] = f"{type(error).__name__}: {error}"[:120]
            continue
        np.save(folder / side / f"{path.stem}.npy", np.asarray(alpha, np.float32))
    print()  # solvers may have printed without ending their line
    print(json.dumps({"seconds": seconds, "failed": failed, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
