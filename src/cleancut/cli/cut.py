"""``cleancut cut``: pictures in, cutouts out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.cache import add_cache_flags, cache_from
from cleancut.cli.exports import Exporter, add_export_flags, export_from
from cleancut.cli.flags import add_option_flags, add_preset_flag, options_from
from cleancut.cli.guided import add_guidance_flags, check_guidance, guidance_for
from cleancut.cli.main import EXIT_SOME_FAILED, as_error, report, shown
from cleancut.cli.review import add_review_flags, check_review_flags, put_aside
from cleancut.cli.targets import STREAM, Job, plan, refuse_same_file
from cleancut.errors import (
    BadOption,
    InputNotFound,
    OutputNotWritable,
    WeightsMissing,
)

if TYPE_CHECKING:
    from cleancut.catalog import ModelSpec
    from cleancut.engine import Engine
    from cleancut.options import Options
    from cleancut.result import Encoded

EPILOG = """\
examples:
  cleancut cut photo.jpg                          -> photo.cutout.png
  cleancut cut photo.jpg -o product.webp
  cleancut cut *.jpg -o out/ --crop --margin 5%
  cleancut cut photo.jpg --background white --format jpg
  cleancut cut photo.jpg --background beach.jpg
  cleancut cut photo.jpg --only-mask              -> photo.mask.png
  cleancut cut photo.jpg --refine best --shadow keep
  cleancut cut shoe.jpg --preset amazon --format jpg
  cleancut cut me.jpg --preset icao+10x15cm -o sheet.jpg
  cleancut cut photo.jpg --remove-points '300,45' --keep-points '50%,80%'
  cleancut cut photo.jpg --trimap photo.trimap.png
  cleancut cut photo.jpg --model modnet --json
  cleancut cut *.jpg -o out/ --review-below 0.6   unsure ones also in out/review/
  cleancut cut *.jpg -o out/ --export coco --label shoe   outlines for training
  cleancut cut photo.jpg --cache off              do not look up nor keep the result
  cleancut cut photo.jpg --model my_net.onnx --recipe 'size=512 mean=0.5 std=0.5'
  cat photo.jpg | cleancut cut - > cutout.png
"""


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
    add_guidance_flags(parser)
    add_review_flags(parser)
    add_cache_flags(parser)
    add_export_flags(parser)
    add_preset_flag(parser)
    add_option_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Cut every input; a failing picture does not stop the others."""
    from cleancut.engine import Engine

    started = time.perf_counter()
    options = options_from(args)
    _refuse_missing_background(options)
    jobs, options = plan(args.inputs, args.output, options)
    check_review_flags(args, jobs)
    check_guidance(args, len(jobs))
    if jobs[0].target == STREAM and sys.stdout.isatty():
        raise BadOption("a picture would go to the terminal", hint="add -o FILE or > FILE")
    export = export_from(args)
    exporter = None if export is None else Exporter(export, jobs)
    cache = cache_from(args) if export is None else None
    try:
        engine = Engine(options, cache=cache)
        asks_no_model = any(hasattr(args, name) for name in ("trimap", "mask", "matte"))
        there = any(job.source == STREAM or os.path.exists(job.source) for job in jobs)  # noqa: PTH110
        if there and not asks_no_model:
            ask = sys.stdin.isatty() and sys.stderr.isatty() and STREAM not in args.inputs
            _ensure_model(
                engine, ask=ask and not args.pull, pull=args.pull, light=cache is not None
            )
        return _cut_all(engine, jobs, args, exporter, started)
    finally:
        if exporter is not None:
            exporter.finish()
        if cache is not None:
            cache.close()


def _cut_all(
    engine: Engine,
    jobs: Sequence[Job],
    args: argparse.Namespace,
    exporter: Exporter | None,
    started: float,
) -> int:
    """Cut the pictures in turn; the exit code."""
    many = len(jobs) > 1
    codes = [
        _cut_one(engine, job, args, exporter, f"{number}/{len(jobs)} " if many else "")
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


def _refuse_missing_background(options: Options) -> None:
    """Say it once, not once a picture."""
    from cleancut.options import parse_background

    wanted = parse_background(options.background)
    if wanted and wanted.path and not os.path.exists(wanted.path):  # noqa: PTH110
        raise InputNotFound(f"--background: no such file: {wanted.path}", hint="check the path")


def _cut_one(
    engine: Engine,
    job: Job,
    args: argparse.Namespace,
    exporter: Exporter | None,
    place: str,
) -> int:
    """Cut one picture, tell about it, and return its exit code; ``place`` is its number."""
    try:
        started = time.perf_counter()
        refuse_same_file(job)
        source = sys.stdin.buffer if job.source == STREAM else job.source
        made = engine.encoded(source, guidance=guidance_for(args, job.source))
        before = time.perf_counter()
        _write(made.data, job)
        if exporter is not None and made.result is not None:
            exporter.add(made.result, job)
        aside = put_aside(made.facts["confidence"], job, args)
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
    spent = {"write": now - before, "total": now - started}
    made.facts["timings_ms"] |= {name: round(1000 * value, 1) for name, value in spent.items()}
    _tell(made, job, args, place, aside)
    return 0


def _tell(
    made: Encoded, job: Job, args: argparse.Namespace, place: str, aside: Path | None
) -> None:
    facts = made.facts
    if args.json:
        told = {"input": job.source, "output": job.target, **facts}
        if args.review_below is not None:
            told["review"] = None if aside is None else str(aside)
        _tell_json(told, job)
    elif not args.quiet:
        took = "cached" if made.cached else f"{facts['timings_ms']['total'] / 1000:.2f} s"
        source, target = _name(job.source, "stdin"), _name(job.target, "stdout")
        print(f"{place}{source} -> {target}  ({facts['model']}, {took})", file=sys.stderr)
        for note in facts["notes"]:
            code, colon, text = note.partition(": ")
            if code == "auto_model" and place[:2] not in ("", "1/"):
                continue  # who is asked is the same for all pictures
            said = shown(text if colon else note)
            print(f"cleancut: note [{code}] {source}: {said}", file=sys.stderr)
        if aside is not None:
            sure = f"confidence {facts['confidence']:.2f}"
            print(
                f"cleancut: review {source}: {sure}, copied to {shown(str(aside))}", file=sys.stderr
            )


def _tell_json(facts: dict[str, Any], job: Job) -> None:
    stream = sys.stderr if job.target == STREAM else sys.stdout
    unicode = (stream.encoding or "").lower().startswith("utf")
    print(json.dumps(facts, ensure_ascii=not unicode), file=stream, flush=True)


def _name(path: str, stream: str) -> str:
    return stream if path == STREAM else shown(path)


def _write(data: bytes, job: Job) -> None:
    from cleancut.imaging.files import write_atomic

    if job.target == STREAM:
        sys.stdout.buffer.write(data)
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
    write_atomic(target, data)


def _ensure_model(engine: Engine, *, ask: bool, pull: bool, light: bool) -> None:
    """See that there are models before the first picture; get them if that was asked for.

    ``light``: without loading one, since every picture may be in the cache. A backend that was
    asked for by name is tried in any case.
    """
    from cleancut.models.choose import lacking

    def check() -> None:
        options = engine.options
        if light and (options.backend, options.device, options.precision) == ("auto",) * 3:
            from cleancut.models.choose import check as check_weights

            check_weights(options)
        else:
            engine.panel_for(options)

    def get(rows: Sequence[ModelSpec]) -> None:
        from cleancut.cli.models import pull_models

        failed = pull_models(rows, to=sys.stderr) if rows else []  # stdout may be the picture
        try:
            check()
        except WeightsMissing:
            if failed:
                raise failed[-1] from None
            raise

    if pull:
        get(lacking(engine.options))
        return
    try:
        check()
    except WeightsMissing:
        wanted = wanted_models(engine.options)
        if not (ask and agrees(wanted)):
            raise
        get(wanted)


def wanted_models(options: Options) -> list[ModelSpec]:
    """The rows that ``options`` are at their best with."""
    from cleancut.catalog import default_models, find

    if options.model != "auto":
        return [find(options.model)]
    return [r for r in default_models() if not options.commercial_only or r.commercial == "yes"]


def agrees(rows: Sequence[ModelSpec]) -> bool:
    """Whether the user, asked on the terminal, wants these models downloaded."""
    if not all(any(weight.pinned for weight in spec.weights) for spec in rows):
        return False  # nothing that could be downloaded
    size = sum(min((weight.bytes for weight in spec.weights), default=0) for spec in rows)
    names = ", ".join(f"{spec.id} (licence: {spec.weight_licence})" for spec in rows)
    what = "models are" if len(rows) > 1 else "model is"
    question = f"No {what} on this machine yet: {names}. Download {size / 1e6:.0f} MB? [Y/n] "
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("", "y", "yes") if answer else False  # Ctrl-D is no
