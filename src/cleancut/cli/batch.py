"""``cleancut batch``: folders of any size in, cutouts out, nothing lost."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

from cleancut.cli.ending import signals
from cleancut.cli.exports import add_export_flags, export_from
from cleancut.cli.flags import add_option_flags, add_preset_flag, options_from
from cleancut.cli.main import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    report,
    shown,
)
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.batch.request import BatchRequest, Summary

_FINISHING = "finishing the pictures in work; once more stops at once"

EPILOG = """\
Folders are read with everything in them, and the output has the same tree. What was done is in a
ledger in OUT/.cleancut: run the same command again after any interruption, and only what is
missing is done. Inputs are never changed.

examples:
  cleancut batch photos -o out                    everything in photos/
  cleancut batch 'shop/**/*.jpg' -o out --crop --margin 5% --format webp
  cleancut batch @list.txt -o out                 one path or address a line; - reads stdin
  cleancut batch photos -o out --dry-run          what would be done, and why
  cleancut batch photos -o out --retry-failed     those that failed, once more
  cleancut batch photos -o out --limit 20         a first look at the settings
  cleancut batch photos -o out --review-below 0.6 unsure ones also in out/review/
  cleancut batch photos -o out --export coco      outlines in out/annotations.coco.json
  cleancut batch inbox -o out --watch --move-done archive
  cleancut batch photos -o out --shard 3/8        the third of eight machines
  cleancut batch photos -o out --device gpu --gpus 0,1
  cleancut batch s3://bucket/in -o s3://bucket/out --engine ray --address auto --workers 16

OUT/cleancut-report.html shows every result. Ctrl-C finishes the pictures in work; twice stops now.
exit codes: 0 all done, 2 to 4 nothing could be done, 5 some failed, 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``batch``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="folders, pictures, patterns, s3://, gs://, az://, http(s)://, @LIST, or - for a list",
    )
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="folder, or s3://...")
    group = parser.add_argument_group("run", "which pictures are done, and how it is told")
    add = group.add_argument
    add("--dry-run", action="store_true", help="say what would be done, do nothing")
    add("--retry-failed", action="store_true", help="do those again that failed in an earlier run")
    add("--limit", type=int, metavar="N", help="stop after N pictures")
    add("--shard", metavar="I/N", help="only the I-th of N parts, like 1/4; for several machines")
    add("--watch", action="store_true", help="wait for new pictures in the folders, until Ctrl-C")
    add("--move-done", metavar="DIR", help="move inputs there when their output is safe")
    add(
        "--overwrite",
        action="store_true",
        help="replace files in OUT that are not of an earlier run (they get company otherwise)",
    )
    add(
        "--review-below",
        type=float,
        metavar="SHARE",
        help="copy results of lower confidence than this (0 to 1, like 0.6) to OUT/review",
    )
    add("--pull", action="store_true", help="download a missing model first")
    add("--json", action="store_true", help="one line of JSON an event, on stdout")
    add("-q", "--quiet", action="store_true", help="print errors only")
    _add_machine_flags(parser)
    add_export_flags(parser)
    add_preset_flag(parser)
    add_option_flags(parser)


def _add_machine_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine", "who does the work, and how fast")
    add = group.add_argument
    add("--workers", type=int, metavar="N", help="pictures at once, or workers of a cluster")
    add("--threads", type=int, metavar="N", help="threads of one network (default: the cores)")
    add(
        "--gpus",
        metavar="WHICH",
        help="NVIDIA GPUs of this machine: all (the default where one is used), a number of them, "
        "or a list like 0,1",
    )
    add(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="give a picture up after this time (default: 300)",
    )
    add(
        "--cache",
        metavar="PLACE",
        help="look results up and keep them: a folder, redis://host:port/db, or off (the default "
        "here: a batch has its ledger)",
    )
    add("--cache-size", metavar="SIZE", help="limit of the cache's folder ('500MB', '2GB')")
    add("--engine", choices=("local", "ray"), default="local", help="this machine, or a cluster")
    add("--address", metavar="HOST:PORT", help="of the Ray cluster; auto finds it")
    add(
        "--gpus-per-worker",
        type=float,
        metavar="N",
        help="on a cluster (a fair share, where --device is gpu or every node has one)",
    )


def run(args: argparse.Namespace) -> int:
    """Do the batch and tell how it goes."""
    request = _request(args)
    if args.dry_run:
        return _tell_preview(request, args)
    if args.pull:
        _pull(request)
    from cleancut.batch.run import run_batch
    from cleancut.cli.batch_progress import progress

    with signals(_FINISHING) as ending, progress(args) as listener:
        summary = run_batch(request, listener, stop=ending.stop)
    if args.json:
        listener.summary(summary)
    elif not args.quiet:
        _tell_summary(summary, args)
        if summary.done and args.engine == "local":
            _tell_choice(request)
    if summary.stopped is not None:
        report(summary.stopped)
        return EXIT_CODES[summary.stopped.kind]
    if ending.signum is not None and not args.watch:
        return ending.exit_code
    return EXIT_SOME_FAILED if summary.failed or summary.skipped.get("failed") else 0


def _request(args: argparse.Namespace) -> BatchRequest:
    from cleancut.batch.choose import parse_shard
    from cleancut.batch.request import BatchRequest
    from cleancut.cache.place import parse_size
    from cleancut.cli.cache import VARIABLE

    if args.engine != "ray" and (args.address or args.gpus_per_worker):
        raise BadOption("--address and --gpus-per-worker need a cluster", hint="add --engine ray")
    if args.engine == "ray" and args.gpus is not None:
        raise BadOption("--gpus are those of this machine", hint="use --gpus-per-worker")
    if args.threads is not None and args.threads < 1:
        raise BadOption(f"--threads: {args.threads} is not enough", hint="give 1 or more")
    place = args.cache if args.cache is not None else os.environ.get(VARIABLE)
    return BatchRequest(
        inputs=args.inputs,
        out=args.output,
        options=options_from(args),
        retry_failed=args.retry_failed,
        overwrite=args.overwrite,
        limit=args.limit,
        shard=None if args.shard is None else parse_shard(args.shard),
        watch=args.watch,
        move_done=args.move_done,
        review_below=args.review_below,
        export=export_from(args),
        cache=None if place in (None, "", "off") else place,
        cache_bytes=None if args.cache_size is None else parse_size(args.cache_size),
        workers=args.workers,
        threads=args.threads,
        gpus=args.gpus,
        timeout_s=args.timeout,
        engine=args.engine,
        address=args.address,
        gpus_per_worker=args.gpus_per_worker,
    )


def _pull(request: BatchRequest) -> None:
    """Get the models that are missing."""
    from cleancut.cli.models import pull_models
    from cleancut.models.choose import lacking

    rows = lacking(request.options)
    if rows and (failed := pull_models(rows, to=sys.stderr)):
        raise failed[-1]


def _tell_preview(request: BatchRequest, args: argparse.Namespace) -> int:
    """One line a picture: what would be done, and why."""
    import json

    from cleancut.batch import storage
    from cleancut.batch.run import preview

    counts: dict[str, int] = {}
    for choice in preview(request):
        counts[choice.do] = counts.get(choice.do, 0) + 1
        if args.json:
            source = storage.keyless(choice.job.source)
            facts = {"source": source, "target": choice.job.target}
            print(json.dumps({**facts, "do": choice.do, "reason": choice.reason}))
        elif not args.quiet and choice.do != "elsewhere":
            renamed = f", {shown(choice.planned)} is taken" if choice.planned else ""
            what = "" if choice.do == "todo" else f"{choice.do}: "
            places = f"{shown(storage.plain(choice.job.source))} -> {shown(choice.job.target)}"
            print(f"{what}{places}  ({choice.reason}{renamed})")
    counts = {"to do" if do == "todo" else do: count for do, count in counts.items()}
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"cleancut: dry run: {told or 'nothing'}", file=sys.stderr)
    return 0


def _tell_summary(summary: Summary, args: argparse.Namespace) -> None:
    """A few lines about the whole run, on stderr."""
    lines = []
    rate = f", {summary.done / summary.seconds:.2f} a second" if summary.done else ""
    told = [f"{summary.done} done in {_duration(summary.seconds)}{rate}"]
    skipped = summary.skipped
    for number, what in (
        (summary.cached, "of them from the cache"),
        (skipped.get("done", 0), "done before"),
        (summary.failed, "failed"),
        (skipped.get("failed", 0), "failed before and left alone"),
    ):
        if number:
            told.append(f"{number} {what}")
    lines.append("; ".join(told))
    if summary.unsure:
        where = f", copied to {args.output}/review" if args.review_below is not None else ""
        lines.append(f"{summary.unsure} of low confidence{where}")
    if summary.left_out.counts:
        counts = ", ".join(f"{n} {why}" for why, n in sorted(summary.left_out.counts.items()))
        lines.append(f"left out: {counts}")
    if summary.interrupted and not args.watch:
        lines.append("interrupted: run the same command again to go on")
    if summary.failed or summary.skipped.get("failed"):
        lines.append(f"to retry those that failed: {_retry_command()}")
    if summary.reports:
        lines.append(f"report: {', '.join(summary.reports)}")
    for line in lines:
        print(f"cleancut: {shown(line)}", file=sys.stderr)


def _tell_choice(request: BatchRequest) -> None:
    """Once for all pictures, what "auto" had to do without."""
    from cleancut.errors import CleancutError
    from cleancut.models.choose import choose

    try:
        notes = choose(request.options).notes
    except CleancutError:  # weights that went while it ran: its results are told already
        return
    for note in notes:
        code, _, text = note.partition(": ")
        print(f"cleancut: note [{code}] {text}", file=sys.stderr)


def _retry_command() -> str:
    words = [_masked(word) for word in sys.argv[1:] if word != "--retry-failed"]
    return shlex.join(["cleancut", *words, "--retry-failed"])


def _masked(word: str) -> str:
    """A word of the command line without password and key: what is printed ends in logs."""
    if "://" not in word:
        return word
    word = re.sub(r"(?<=://)[^\s?#]*@", "...@", word)
    return re.sub(r"(https?://[^?#]*\?).+", r"\1...", word, flags=re.IGNORECASE)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
