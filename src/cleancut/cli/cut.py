"""``cleancut cut``: pictures in, cutouts out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.flags import add_option_flags, options_from
from cleancut.cli.main import EXIT_SOME_FAILED, as_error, report, shown
from cleancut.errors import (
    BadOption,
    InputNotFound,
    OutputNotWritable,
    UnsupportedFormat,
    WeightsMissing,
)

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.options import Format, Options
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

    started = time.perf_counter()
    options = options_from(args)
    _refuse_missing_background(options)
    jobs, options = plan(args.inputs, args.output, options)
    engine = Engine(options)
    if any(job.source == STREAM or os.path.exists(job.source) for job in jobs):  # noqa: PTH110
        ask = sys.stdin.isatty() and sys.stderr.isatty() and STREAM not in args.inputs
        _ensure_model(engine, ask=ask and not args.pull, pull=args.pull)
    many = len(jobs) > 1
    codes = [
        _cut_one(engine, job, args, f"{number}/{len(jobs)} " if many else "")
        for number, job in enumerate(jobs, 1)
    ]
    failed = sum(1 for code in codes if code)
    if many and failed:
        print(f"cleancut: {failed} of {len(codes)} pictures failed", file=sys.stderr)
    elif many and not args.quiet:
        seconds = time.perf_counter() - started
        print(f"cleancut: {len(codes)} pictures in {seconds:.1f} s", file=sys.stderr)
    if 0 < failed < len(codes):
        return EXIT_SOME_FAILED
    return next((code for code in codes if code), 0)


def plan(inputs: Sequence[str], output: str | None, options: Options) -> tuple[list[Job], Options]:
    """Where each input goes, without touching a file; no two get the same name.

    The suffix of a single output file decides the format, as far as ``--format`` does not.
    """
    inputs = [name for word in inputs for name in _expanded(word)]
    if output == "/dev/stdout":
        output = STREAM
    if output == STREAM or (output is None and inputs == [STREAM]):
        if len(inputs) > 1:
            raise BadOption("several pictures cannot go to stdout", hint="give a folder: -o out/")
        if sys.stdout.isatty():
            raise BadOption("a picture would go to the terminal", hint="add -o FILE or > FILE")
        return [Job(inputs[0], STREAM)], options
    if output == "":
        raise BadOption("-o: the name is empty", hint="name a file, or a folder: -o out/")
    if output is not None and not _is_folder(output, len(inputs)):
        return [Job(inputs[0], output)], replace(options, format=_format(output, options))
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


def _expanded(word: str) -> list[str]:
    """Files that a pattern means where the shell left it as it is (Windows, quotes)."""
    if not any(c in word for c in "*?[") or os.path.lexists(word):
        return [word]
    import glob

    return sorted(glob.glob(word)) or [word]  # noqa: PTH207


def _is_folder(output: str, pictures: int) -> bool:
    if os.path.isdir(output) or output.endswith(("/", "\\")):  # noqa: PTH112
        return True
    if pictures > 1 and Path(output).suffix:
        raise BadOption(
            f"{pictures} pictures cannot go into one file, {output}",
            hint="give a folder: -o out/",
        )
    return pictures > 1


def _format(output: str, options: Options) -> Format:
    """The format that the suffix of ``output`` and ``--format`` agree on."""
    from cleancut.imaging.encode import format_from_suffix

    try:
        named = format_from_suffix(output)
    except UnsupportedFormat as error:
        if options.format is None and not Path(output).suffix:
            raise UnsupportedFormat(
                error.message, hint=f"write {output}.png, or {output}/ for a folder"
            ) from error
        if options.format is None:
            raise
        return options.format
    if options.format not in (None, named):
        raise BadOption(
            f"--format {options.format} and the name {output} contradict each other",
            hint="leave --format out, or name the file otherwise",
        )
    return named


def _refuse_missing_background(options: Options) -> None:
    """Say it once, not once a picture."""
    from cleancut.options import parse_background

    wanted = parse_background(options.background)
    if wanted and wanted.path and not os.path.exists(wanted.path):  # noqa: PTH110
        raise InputNotFound(f"--background: no such file: {wanted.path}", hint="check the path")


def _cut_one(engine: Engine, job: Job, args: argparse.Namespace, place: str) -> int:
    """Cut one picture, tell about it, and return its exit code; ``place`` is its number."""
    from cleancut.engine import memory_errors

    try:
        started = time.perf_counter()
        _refuse_same_file(job)
        result = engine.cutout(sys.stdin.buffer if job.source == STREAM else job.source)
        before = time.perf_counter()
        with memory_errors():
            _write(result, job)
        now = time.perf_counter()
    except BrokenPipeError:
        raise
    except Exception as caught:
        if args.debug:
            raise
        error = as_error(caught)
        code = report(error, _name(job.source, "stdin"))
        if args.json:
            failure = {"code": error.code, "message": error.message, "hint": error.hint}
            _tell_json({"input": job.source, "error": failure}, job)
        return code
    timings = {**result.timings, "encode": 1000 * (now - before), "total": 1000 * (now - started)}
    _tell(replace(result, timings=timings), job, args, place)
    return 0


def _tell(result: Result, job: Job, args: argparse.Namespace, place: str) -> None:
    if args.json:
        _tell_json({"input": job.source, "output": job.target, **result.to_dict()}, job)
    elif not args.quiet:
        seconds = result.timings["total"] / 1000
        source, target = _name(job.source, "stdin"), _name(job.target, "stdout")
        print(f"{place}{source} -> {target}  ({result.model}, {seconds:.2f} s)", file=sys.stderr)
        for note in result.notes:
            code, colon, text = note.partition(": ")
            told = shown(text if colon else note)
            print(f"cleancut: note [{code}] {source}: {told}", file=sys.stderr)


def _tell_json(facts: dict[str, Any], job: Job) -> None:
    stream = sys.stderr if job.target == STREAM else sys.stdout
    unicode = (stream.encoding or "").lower().startswith("utf")
    print(json.dumps(facts, ensure_ascii=not unicode), file=stream, flush=True)


def _name(path: str, stream: str) -> str:
    return stream if path == STREAM else shown(path)


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
    try:
        same = Path(job.source).samefile(job.target)
    except OSError:  # one of them is not there; reading and writing say what is wrong
        return
    if same:
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

        # stdout may be the picture
        if failed := pull_models(_wanted(engine.options), to=sys.stderr):
            raise failed[-1] from None
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
    if not any(weight.pinned for weight in spec.weights):
        return False  # nothing that could be downloaded
    size = min((weight.bytes for weight in spec.weights), default=0)
    question = (
        f"The model {spec.id} ({size / 1e6:.0f} MB, licence: {spec.weight_licence}) is not on this"
        " machine yet. Download it? [Y/n] "
    )
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("", "y", "yes") if answer else False  # Ctrl-D is no
