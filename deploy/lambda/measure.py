"""How long a cold Lambda takes, and how much memory: medians of fresh processes, as JSON.

python deploy/lambda/measure.py photo.jpg --runs 5

Each process imports the handler and answers the picture twice, with an empty cache and a home
folder that is not there. Memory is the most that was resident.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Measure, and print one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(_inside(args.picture)))
        return 0
    runs = [_fresh(args.picture) for _ in range(args.runs)]
    medians = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps({"runs": args.runs, "machine": machine, "medians": medians}, indent=1))
    return 0


def _fresh(picture: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        kept = {
            name: os.environ[name] for name in ("PATH", "CLEANCUT_MODELS") if name in os.environ
        }
        environ = {**kept, "HOME": "/nonexistent", "TMPDIR": folder}
        environ["CLEANCUT_CACHE"] = f"{folder}/cache"
        begun = time.perf_counter()
        command = [sys.executable, __file__, str(picture.resolve()), "--inside"]
        done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE)
        whole = time.perf_counter() - begun
        used = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        return {**json.loads(done.stdout), "process_s": whole, "tmp_mb": used / 1e6}


def _inside(picture: Path) -> dict[str, float]:
    body = base64.b64encode(picture.read_bytes()).decode("ascii")
    event = {"version": "2.0", "body": body, "isBase64Encoded": True, "headers": {}}
    sys.path.insert(0, str(HERE))
    begun = time.perf_counter()
    from handler import handler

    imported = time.perf_counter()
    first = handler(event, None)
    answered = time.perf_counter()
    handler(event, None)
    again = time.perf_counter()
    if first["statusCode"] != 200:
        raise SystemExit(first["body"])
    return {
        "import_s": imported - begun,
        "first_cutout_s": answered - imported,
        "next_cutout_s": again - answered,
        "memory_mb": _most_resident_mb(),
    }


def _most_resident_mb() -> float:
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


if __name__ == "__main__":
    sys.exit(main())
