"""``cleancut demo``: from nothing to two cut-out photographs, with the time of each step.

First by the model that is in the package, which needs no network, then by the default models.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from cleancut.catalog import catalog, default_models
from cleancut.cli.models import pull_models

EPILOG = """\
examples:
  cleancut demo
  cleancut demo my.jpg -o out/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``demo``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "image", nargs="?", type=Path, help="your picture instead of the two photographs"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("demo-out"), metavar="FOLDER")


def run(args: argparse.Namespace) -> int:
    """Cut with the model of the package, pull the others, cut with them, tell."""
    from cleancut.bench.pictures import fetch_demo_pictures
    from cleancut.models.choose import choose
    from cleancut.options import Options

    steps: list[tuple[str, float]] = []
    clock = _Stopwatch(steps)
    print("1. the pictures")
    pictures = [args.image] if args.image else fetch_demo_pictures(args.output)
    clock.lap("get pictures")
    args.output.mkdir(parents=True, exist_ok=True)
    saved: list[Path] = []

    own = next((spec.id for spec in catalog().values() if spec.bundled), None)
    if own is not None:
        print(f"2. the cutouts by {own}, which is in the package")
        saved += _cut(pictures, own, args.output, f".{own}.png", clock)

    print("3. the default models")
    failed = pull_models(default_models())
    clock.lap("pull models")
    if failed:
        used = choose(Options()).lead.id
        print(f"   going on without {len(failed)} of them: the demo runs on {used}")

    print("4. the cutouts by the models together")
    saved += _cut(pictures, "auto", args.output, ".cutout.png", clock)

    print("\nresults:")
    for path in saved:
        print(f"  {path}")
    print("time:")
    for step, seconds in steps:
        print(f"  {seconds:6.2f} s  {step}")
    print("\nnext: cleancut cut your.jpg")
    return 0


def _cut(
    pictures: Sequence[Path], model: str, folder: Path, suffix: str, clock: _Stopwatch
) -> list[Path]:
    """Cut out ``pictures`` as PNG, those of "auto" on white too; the files."""
    from cleancut.engine import Engine
    from cleancut.options import Options

    engine = Engine(Options(model=model))
    loaded, _ = engine.model_for(engine.options)
    clock.lap(f"load {loaded.spec.id} on {loaded.placement}")
    saved: list[Path] = []
    for picture in pictures:
        result = engine.cutout(picture)
        saved.append(result.save(folder / f"{picture.stem}{suffix}"))
        if model == "auto":
            saved.append(folder / f"{picture.stem}.white.jpg")
            result.save(saved[-1])
        clock.lap(f"cut {picture.name} by {model}, save it")
        for note in result.notes:
            print(f"   note: {note}")
    return saved


class _Stopwatch:
    """Seconds between one lap and the next."""

    def __init__(self, steps: list[tuple[str, float]]) -> None:
        self._steps = steps
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._steps.append((step, now - self._last))
        self._last = now
