"""``cleancut models optimize``: int8 copies, and what they cost and gain."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.catalog import ModelSpec, find
from cleancut.cli.main import EXIT_SOME_FAILED, report
from cleancut.errors import BadOption, CleancutError

if TYPE_CHECKING:
    from cleancut.weights.optimized import Optimized

HELP = "make an int8 copy of a model: about twice as fast, measured against the original"
EPILOG = """\
The copy is calibrated with photographs like yours (--calibrate), else with pictures made in code,
which calibrate a little worse, and scored on pictures with true mattes (--pairs, laid out as
SET/image/STEM.jpg and SET/alpha/STEM.png), else on pictures made in code. It lies beside the
original. Without --precision it is used where it was measured, on this machine, to be faster and
its Grad at most 20 percent and its MAD at most 10 percent worse.

examples:
  cleancut models optimize isnet --calibrate ~/Pictures
  cleancut models optimize isnet --calibrate photos --pairs eval --pictures 300
  cleancut models optimize isnet --show      the table of a copy made before
  cleancut models optimize isnet --remove    delete the copy, keep the model
  cleancut cut photo.jpg --model isnet --precision int8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``models optimize``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument(
        "--calibrate", type=Path, metavar="DIR", help="photographs without labels, searched deeply"
    )
    parser.add_argument(
        "--pairs", type=Path, metavar="DIR", help="pictures with true mattes to score with"
    )
    parser.add_argument(
        "--pictures", type=int, default=128, metavar="N", help="pictures to calibrate with"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", action="store_true", help="print the figures of the copy")
    what.add_argument("--remove", action="store_true", help="delete the copy")


def run(args: argparse.Namespace) -> int:
    """Make, show or remove int8 copies."""
    specs = [find(name) for name in args.names]
    if (args.show or args.remove) and (args.calibrate or args.pairs):
        raise BadOption(
            "--show and --remove measure nothing", hint="leave out --calibrate, --pairs"
        )
    if args.remove:
        return _remove(specs, args.json)
    action = _show if args.show else _make
    failed = []
    for spec in specs:
        try:
            copy = action(spec, args)
        except CleancutError as error:
            if len(specs) == 1:
                raise
            failed.append(report(error, spec.id))
            continue
        print(json.dumps(facts(spec, copy), indent=1) if args.json else table(spec, copy))
    if not failed:
        return 0
    return EXIT_SOME_FAILED if len(failed) < len(specs) else failed[-1]


def _make(spec: ModelSpec, args: argparse.Namespace) -> Optimized:
    from cleancut.cli.progress import item_progress
    from cleancut.optimize.run import Plan, optimize

    plan = Plan(calibrate=args.calibrate, pairs=args.pairs, pictures=args.pictures)
    with item_progress() as progress:
        return optimize(spec.id, plan, progress=progress)


def _show(spec: ModelSpec, args: argparse.Namespace) -> Optimized:  # noqa: ARG001
    from cleancut.weights.optimized import find_copy
    from cleancut.weights.resolve import resolve

    return find_copy(spec, resolve(spec).sha256)[1]


def _remove(specs: list[ModelSpec], as_json: bool) -> int:
    from cleancut.weights.store import delete_copy

    for spec in specs:
        for path in delete_copy(spec):
            print(json.dumps({"removed": str(path)}) if as_json else f"removed {path}")
    return 0


def facts(spec: ModelSpec, copy: Optimized) -> dict[str, Any]:
    """The manifest as plain values, with what follows from it."""
    return {**asdict(copy), "refused": copy.refused, "used": not why_not(spec, copy)}


def why_not(spec: ModelSpec, copy: Optimized) -> str:
    """Why "auto" does not take the copy here; empty if it does."""
    from cleancut.backends.machine import fingerprint
    from cleancut.weights.optimized import is_of

    if not is_of(spec, copy):
        return "made from other weights than those in use"
    if copy.machine != fingerprint():
        return "measured on another machine"
    return copy.refused


def verdict(spec: ModelSpec, copy: Optimized) -> str:
    """One line: what the copy gains and costs, and whether it is used."""
    gain = f"{copy.ms[1]:.0f} ms instead of {copy.ms[0]:.0f} ({copy.original_ran})"
    cost = f"Grad {copy.grad_ratio - 1:+.1%}, MAD {copy.mad_ratio - 1:+.1%} (worst set)"
    reason = why_not(spec, copy)
    used = "used by default" if not reason else f"not used by default: {reason}"
    return f"{gain}; {cost}; {used}"


def table(spec: ModelSpec, copy: Optimized) -> str:
    """What was measured, for a person."""
    kept = f"{len(copy.kept)} of {copy.layers} layers stay in float"
    lines = [
        f"{spec.id}: int8, {copy.bytes / 1e6:.1f} MB, {kept}",
        f"  {verdict(spec, copy)}",
        f"  calibrated with {copy.calibration_pictures} {copy.calibration} pictures; on them the "
        f"mattes differ by MAD {copy.apart_mad:.2f}, IoU {copy.apart_iou:.4f}",
        f"  scored against {'your pairs' if copy.truth == 'pairs' else 'generated pictures'} "
        "(original -> int8, the network alone):",
        f"    {'set':<24} {'pictures':>8}  {'MAD':>15}  {'Grad':>15}  {'IoU':>15}",
    ]
    for row in copy.sets:
        cells = [
            f"{row.mad[0]:6.2f} -> {row.mad[1]:5.2f}",
            f"{row.grad[0]:6.4f} -> {row.grad[1]:5.4f}",
            f"{row.iou[0]:6.4f} -> {row.iou[1]:5.4f}",
        ]
        lines.append(
            f"    {row.name[:24]:<24} {row.pictures:>8}  " + "  ".join(f"{c:>15}" for c in cells)
        )
    lines.append(f"  tried: {'':<28} {'in float':>8} {'Grad':>7} {'MAD':>7} {'ms':>7}")
    for step in copy.curve:
        lines.append(
            f"    {step.what:<31} {step.kept:>8} {step.grad - 1:>+7.1%} {step.mad - 1:>+7.1%} "
            f"{step.ms:>7.1f}"
        )
    return "\n".join(lines)
