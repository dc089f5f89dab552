"""``cleancut demo``: from nothing to two cut-out photographs, with the time of each step."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from cleancut.catalog import auto_order, default_models
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
    """Pull, cut, tell."""
    from cleancut.bench.pictures import fetch_demo_pictures
    from cleancut.engine import Engine
    from cleancut.models.choose import choose
    from cleancut.options import Options
    from cleancut.weights.resolve import is_pulled

    steps: list[tuple[str, float]] = []
    clock = _Stopwatch(steps)
    print("1. the default models")
    failed = pull_models(default_models())
    clock.lap("pull models")
    best = auto_order("lead")[0]
    if failed and not any(is_pulled(spec) for spec in default_models()):
        raise failed[-1]
    if failed:
        used = choose(Options()).lead
        print(f"   going on without {best.id}: the demo runs on {used.id}")

    print("2. the pictures")
    pictures = [args.image] if args.image else fetch_demo_pictures(args.output)
    clock.lap("get pictures")

    print("3. the cutouts")
    engine = Engine()
    model, _ = engine.model_for(engine.options)
    clock.lap(f"load {model.spec.id} on {model.placement}")
    saved: list[Path] = []
    args.output.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        result = engine.cutout(picture)
        cut = result.save(args.output / f"{Path(picture).stem}.cutout.png")
        white = args.output / f"{Path(picture).stem}.white.jpg"
        result.save(white)
        clock.lap(f"cut {Path(picture).name}, save it as PNG and on white as JPEG")
        saved += [cut, white]
        for note in result.notes:
            print(f"   note: {note}")

    print("\nresults:")
    for path in saved:
        print(f"  {path}")
    print("time:")
    for step, seconds in steps:
        print(f"  {seconds:6.2f} s  {step}")
    print("\nnext: cleancut cut your.jpg")
    return 0


class _Stopwatch:
    """Seconds between one lap and the next."""

    def __init__(self, steps: list[tuple[str, float]]) -> None:
        self._steps = steps
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._steps.append((step, now - self._last))
        self._last = now
