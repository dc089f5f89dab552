"""``cleancut distill export``: a student as an ONNX file and as a row of the catalog."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.distill.export import Exported
    from cleancut.distill.origin import Origin

HELP = "write a student as ONNX, checked against torch, with its catalog row"
FORMS = ("f32", "f16", "int8-weights", "int8")
EPILOG = """\
Forms: f32 as it was trained; f16 half the size; int8-weights a third of it, the weights of large
layers in 8 bits; these three compute alike. int8 computes in 8 bits too, as by: cleancut models
optimize (needs its extra and pictures to calibrate with). Nothing is written if ONNX Runtime or
OpenVINO answer otherwise than torch. Beside the file its recipe is written, so that
"cleancut cut --model FILE.onnx" works.

examples:
  cleancut distill export run -o mine.onnx --pictures photos
  cleancut distill export run -o mine.onnx --form int8-weights --labels labels
  cleancut distill export run -o mine.onnx --form int8 --calibrate photos --pairs pictures
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``distill export``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("run_folder", type=Path, metavar="RUN", help="a run's folder, or a checkpoint in one")
    add("-o", "--output", type=Path, metavar="FILE", required=True, help="the .onnx file to write")
    add("--form", choices=FORMS, default="f32", help="how weights are stored (default: f32)")
    add("--size", type=int, metavar="N", help="side of the input (default: the configuration's)")
    add("--any-size", action="store_true", help="take other multiples of 32 too")
    add("--pictures", type=Path, metavar="DIR", help="photographs to compare with torch on")
    add_origin_arguments(parser)
    add("--calibrate", type=Path, metavar="DIR", help="photographs to calibrate int8 with")
    add("--pairs", type=Path, metavar="DIR", help="pictures with true mattes to score int8 with")
    add("--json", action="store_true", help="print everything as JSON")


def add_origin_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it stands what the student was made of."""
    parser.add_argument(
        "--labels", type=Path, metavar="LABELS", help="the labels it was trained with"
    )
    parser.add_argument(
        "--backgrounds", type=Path, metavar="DIR", help="the pictures without a subject"
    )
    parser.add_argument(
        "--terms", type=Path, metavar="FILE", help="terms by prefix (default: LABELS/data.toml)"
    )


def origin_of(args: argparse.Namespace) -> Origin:
    """What the flags and the run say about it. Raises ``BadOption``, ``InputNotFound``."""
    from cleancut.distill.origin import origin_for

    if args.labels is None and (args.backgrounds or args.terms):
        raise BadOption("--backgrounds and --terms go with --labels", hint="add --labels LABELS")
    return origin_for(args.run_folder, args.labels, backgrounds=args.backgrounds, terms=args.terms)


def run(args: argparse.Namespace) -> int:
    """Export the student, and print what the catalog needs."""
    from cleancut.distill.export import export
    from cleancut.optimize.calibrate import choose_pictures
    from cleancut.optimize.run import Plan

    if args.output.suffix.lower() != ".onnx":
        raise BadOption(f"-o {args.output.name}", hint=f"like: -o {args.output.stem}.onnx")
    if args.form != "int8" and (args.calibrate or args.pairs):
        raise BadOption("--calibrate and --pairs are for --form int8", hint="leave them out")
    pictures = choose_pictures(args.pictures, 8).each(8) if args.pictures else ()
    done = export(
        args.run_folder,
        args.output,
        size=args.size,
        form=args.form,
        any_size=args.any_size,
        pictures=[rgb for _, rgb in pictures],
        origin=origin_of(args),
        plan=Plan(calibrate=args.calibrate, pairs=args.pairs),
    )
    print(json.dumps(facts(done), indent=1) if args.json else text_of(done))
    return 0


def facts(done: Exported) -> dict[str, Any]:
    """As plain JSON values."""
    return {**asdict(done), "path": str(done.path)}


def text_of(done: Exported) -> str:
    """What was written and how near it is, as comments before the row, so that all is TOML."""
    lines = [
        f"# {done.path.name}: {done.form}, {done.bytes / 1e6:.2f} MB, {done.parameters:,} weights, "
        f"{done.size} px, step {done.step:,}"
    ]
    lines += [
        f"# {one.runtime} beside torch on {done.pictures} pictures: mean {one.mean:.1e}, "
        f"largest {one.largest:.1e}"
        for one in done.parity
    ]
    return "\n".join((*lines, done.row.rstrip()))
