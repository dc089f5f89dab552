"""Cut a folder of pictures in one go and print when each was done; a script.

    child_stream.py SIDE MODEL FOLDER OUT DEVICE PRECISION

Runs under the interpreter of either side; each branch imports only its own. JPEGs in, PNGs out, as
each side does a folder: ours through ``batch``, theirs picture by picture with one session, which
is what ``rembg p`` does. Prints ``done``, the seconds at which each was finished, and ``device``.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def with_cleancut(model: str, folder: Path, out: Path, device: str, precision: str) -> Any:
    """Ours, on the first GPU only: what is compared is one."""
    from cleancut.backends.gpus import driver

    words = ["batch", str(folder), "-o", str(out), "--model", model, "--device", device]
    words += ["--precision", precision, "--cache", "off", "--json"]
    if device == "gpu" and driver().gpus:
        words += ["--gpus", "1"]
    done, where = [], ""
    argv = [sys.executable, "-P", "-m", "cleancut", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as batch:
        assert batch.stdout is not None
        for line in batch.stdout:
            event = json.loads(line)
            if event["event"] == "finished" and event["status"] == "done":
                done.append(time.perf_counter())
                where = str(event["facts"].get("backend", ""))
    if batch.returncode:
        raise SystemExit(batch.returncode)
    return {"done": done, "device": "gpu" if " gpu " in where else "cpu", "runs_on": where}


def with_rembg(model: str, folder: Path, out: Path, device: str, _precision: str) -> Any:
    """Theirs; CUDA's libraries are loaded from their wheels, which it does not do by itself."""
    runtime = importlib.import_module("onnxruntime")  # of its own environment
    if device == "gpu" and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()
    from rembg import new_session, remove

    session = new_session(model)
    out.mkdir(parents=True)
    done = []
    for path in sorted(folder.iterdir()):
        (out / f"{path.stem}.png").write_bytes(remove(path.read_bytes(), session=session))
        done.append(time.perf_counter())
    provider = session.inner_session.get_providers()[0]
    where = "cpu" if provider == "CPUExecutionProvider" else "gpu"
    return {"done": done, "device": where, "runs_on": provider}


def main(side: str, model: str, folder: str, out: str, device: str, precision: str) -> None:
    """Print the times of ``side`` ("rembg" or "cleancut")."""
    cut = with_rembg if side == "rembg" else with_cleancut
    print(json.dumps(cut(model, Path(folder), Path(out), device, precision)))


if __name__ == "__main__":
    main(*sys.argv[1:7])
