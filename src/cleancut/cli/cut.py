"""``cleancut cut``: pictures in, cutouts out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.flags import add_option_flags, options_from
from cleancut.cli.main import EXIT_SOME_FAILED, report
from cleancut.errors import BadOption, CleancutError, OutputNotWritable, WeightsMissing

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.options import Options
    from cleancut.result import Result

EPILOG = """\
examples:
  cleancut cut photo.jpg                          -> photo.cutout.png
  cleancut cut photo.jpg -o product.webp
  cleancut cut *.jpg -o out/ --crop --margin 5%
  cleancut cut photo.jpg --background white --format jpg
  cleancut cut photo.jpg --background beach.jpg
  cleancut cut photo.jpg --only-mask              -> photo.mask.png
  cleancut cut photo.jpg --model modnet --json
  cleancut cut photo.jpg --model my_net.onnx --recipe 'size=512 mean=0.5 std=0.5'
  cat photo.jpg | cleancut cut - > cutout.png
"""
STREAM = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """One picture: where it comes from and where it goes ("-" for a stream)."""

    source: str
    target: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``cut``."""
    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="+", metavar="FILE", help="pictures; - reads stdin")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="file, or folder for several pictures; - writes stdout. "
        "Without it FILE.cutout.png is written beside each picture",
    )
    parser.add_argument("--pull", action="store_true", help="download a missing model first")
    parser.add_argument("--json", action="store_true", help="one line of JSON a picture")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    add_option_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Cut every input; a failing picture does not stop the others."""
    from cleancut.engine import Engine

    options = options_from(args)
    jobs, options = plan(args.inputs, args.output, options)
    engine = Engine(options)
    _ensure_model(
        engine,
        ask=not args.pull and sys.stdin.isatty() and STREAM not in args.inputs,
        pull=args.pull,
    )
    codes = [_cut_one(engine, job, args) for job in jobs]
    if len(codes) > 1 and any(codes) and not all(codes):
        failed = sum(1 for code in codes if code)
        print(f"cleancut: {failed} of {len(codes)} pictures failed", file=sys.stderr)
        return EXIT_SOME_FAILED
    return next((code for code in codes if code), 0)


def plan(inputs: Sequence[str], output: str | None, options: Options) -> tuple[list[Job], Options]:
    """Where each input goes, without touching a file; no two get the same name.

    The suffix of a single output file decides the format, as far as ``--format`` does not.
    """
    from cleancut.imaging.encode import format_from_suffix

    if output == STREAM or (output is None and list(inputs) == [STREAM]):
        if len(inputs) > 1:
            raise BadOption("several pictures cannot go to stdout", hint="give a folder: -o out/")
        if sys.stdout.isatty():
            raise BadOption("a picture would go to the terminal", hint="add -o FILE or > FILE")
        return [Job(inputs[0], STREAM)], options
    into_folder = output is not None and (
        len(inputs) > 1 or output.endswith(("/", "\\")) or Path(output).is_dir()
    )
    if output is not None and not into_folder:
        if options.format is None:
            options = replace(options, format=format_from_suffix(output))
        return [Job(inputs[0], output)], options
    suffix = options.format or "png"
    kind = "mask" if options.only_mask else "cutout"
    taken: set[str] = set()
    jobs = []
    for source in inputs:
        path = Path("stdin" if source == STREAM else source)
        folder = Path(output) if output is not None else path.parent
        target = folder / f"{path.stem}.{kind}.{suffix}"
        number = 1
        while str(target).lower() in taken:  # a.jpg and a.png, or names that differ only in case
            number += 1
            extra = path.suffix if number == 2 else f"{path.suffix}-{number - 1}"
            target = folder / f"{path.stem}{extra}.{kind}.{suffix}"
        taken.add(str(target).lower())
        jobs.append(Job(source, str(target)))
    return jobs, options


def _cut_one(engine: Engine, job: Job, args: argparse.Namespace) -> int:
    """Cut one picture, tell about it, and return its exit code."""
    try:
        started = time.perf_counter()
        _refuse_same_file(job)
        result = engine.cutout(sys.stdin.buffer if job.source == STREAM else job.source)
        before = time.perf_counter()
        _write(result, job)
        now = time.perf_counter()
    except CleancutError as error:
        if args.debug:
            raise
        code = report(error, job.source)
        if args.json:
            failure = {"code": error.code, "message": error.message, "hint": error.hint}
            _tell_json({"input": job.source, "error": failure}, job)
        return code
    timings = {**result.timings, "encode": 1000 * (now - before), "total": 1000 * (now - started)}
    _tell(replace(result, timings=timings), job, args)
    return 0


def _tell(result: Result, job: Job, args: argparse.Namespace) -> None:
    if args.json:
        _tell_json({"input": job.source, "output": job.target, **result.to_dict()}, job)
    elif not args.quiet:
        seconds = result.timings["total"] / 1000
        print(f"{job.source} -> {job.target}  ({result.model}, {seconds:.2f} s)", file=sys.stderr)
        for note in result.notes:
            print(
                f"cleancut: note [{note.partition(':')[0]}] {job.source}:"
                f"{note.partition(':')[2] or ' ' + note}",
                file=sys.stderr,
            )


def _tell_json(facts: dict[str, Any], job: Job) -> None:
    stream = sys.stderr if job.target == STREAM else sys.stdout
    print(json.dumps(facts, ensure_ascii=False), file=stream, flush=True)


def _write(result: Result, job: Job) -> None:
    if job.target == STREAM:
        sys.stdout.buffer.write(result.encode())
        sys.stdout.buffer.flush()
        return
    target = Path(job.target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"the folder {target.parent} cannot be made: {error.strerror}",
            hint="choose another folder with -o",
        ) from error
    result.save(target, format=result.options.format)


def _refuse_same_file(job: Job) -> None:
    if STREAM in (job.source, job.target):
        return
    source, target = Path(job.source), Path(job.target)
    if source.exists() and target.exists() and source.samefile(target):
        raise OutputNotWritable(
            f"{job.target} is the input itself, which is never overwritten",
            hint="choose another name with -o",
        )


def _ensure_model(engine: Engine, *, ask: bool, pull: bool) -> None:
    """Load the model before the first picture; get it first if that was asked for."""
    try:
        engine.model_for(engine.options)
    except WeightsMissing:
        if not pull and not (ask and _agrees(engine.options)):
            raise
        from cleancut.cli.models import pull_models

        pull_models(_wanted(engine.options))
        engine.model_for(engine.options)


def _wanted(options: Options) -> list[str]:
    from cleancut.catalog import default_models

    if options.model != "auto":
        return [options.model]
    rows = default_models()
    return [next(r.id for r in rows if not options.commercial_only or r.commercial == "yes")]


def _agrees(options: Options) -> bool:
    from cleancut.catalog import find

    spec = find(_wanted(options)[0])
    size = min((weight.bytes for weight in spec.weights), default=0)
    question = (
        f"{spec.id} ({size / 1e6:.0f} MB, {spec.weight_licence}) is not here. Download it? [Y/n] "
    )
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")
