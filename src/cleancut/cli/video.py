"""``cleancut video``: videos in, videos with a new background or none out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.backends.memory import keep_freed
from cleancut.cli import live
from cleancut.cli.ending import Ending, signals
from cleancut.cli.flags import add_option_flags, options_from
from cleancut.cli.main import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    as_error,
    report,
    shown,
)
from cleancut.cli.video_flags import ABOUT, EPILOG, add_video_flags, video_options_from
from cleancut.cli.video_targets import plan
from cleancut.errors import BadOption, Cancelled, WeightsMissing
from cleancut.video.options import PICTURE_OPTIONS

if TYPE_CHECKING:
    from cleancut.batch.job import Notice
    from cleancut.catalog import ModelSpec
    from cleancut.video.order import VideoOrder
    from cleancut.video.report import VideoReport
    from cleancut.video.run import Farm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``video``."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("inputs", nargs="*", metavar="VIDEO", help="videos, folders or patterns of frames")
    add(
        "-o",
        "--output",
        metavar="PATH",
        help="file, by whose suffix it is written: webm, mov, mkv, mp4, gif, apng, webp, numbered "
        "pictures (frames/%%05d.png); * stands for the name of each of several videos, a folder "
        "takes VIDEO.cutout.webm. Without it that lies beside the video; .mp4 if nothing is "
        "transparent",
    )
    add("--info", action="store_true", help="print what is known about the videos, write nothing")
    add("--pull", action="store_true", help="download a missing model first")
    add("--json", action="store_true", help="one line of JSON a video")
    add("-q", "--quiet", action="store_true", help="print errors only")
    add_video_flags(parser)
    live.add_live_flags(parser)
    group = parser.add_argument_group("run", "who does the work, and what of it is kept")
    add = group.add_argument
    add("--rate", metavar="FPS", help="frames a second of numbered frames (default: 25)")
    add("--jobs", type=int, metavar="N", help="parts at once (default: rvm one a core, others 1)")
    add("--threads", type=int, metavar="N", help="threads of one network (default: the cores)")
    add("--fresh", action="store_true", help="begin anew; remove what interrupted runs have left")
    add("--report", metavar="FILE", help="write all that is known about the run as JSON")
    add("--cluster", metavar="ADDRESS", help="render on a Ray cluster: auto, host:port, or local")
    add_option_flags(parser, PICTURE_OPTIONS, ABOUT)


def run(args: argparse.Namespace) -> int:
    """Cut out every video; one that fails does not stop the others."""
    if live.is_live(args):
        return live.run(args)
    if not args.inputs:
        raise BadOption("no video was named", hint="run: cleancut video in.mp4 -o out.webm")
    if args.info:
        return _each([partial(_tell_info, name, args) for name in args.inputs], args)
    orders = _orders(args)
    keep_freed()
    places = [
        f"{number}/{len(orders)} " if orders[1:] else "" for number in range(1, 1 + len(orders))
    ]
    with signals() as ending:
        todo = [
            partial(_one, order, args, ending, place)
            for order, place in zip(orders, places, strict=True)
        ]
        code = _each(todo, args, ending)
    if ending.signum is not None:
        return ending.exit_code
    return code


def _orders(args: argparse.Namespace) -> list[VideoOrder]:
    from cleancut.video.order import VideoOrder

    video, options = video_options_from(args), options_from(args)
    if args.report and len(args.inputs) > 1:
        raise BadOption("--report is for one video", hint="use --json: one line a video")
    return [
        VideoOrder(
            source=source,
            target=target,
            options=options,
            video=video,
            rate=args.rate,
            jobs=args.jobs,
            threads=args.threads,
            fresh=args.fresh,
        )
        for source, target in plan(args.inputs, args.output, options, video)
    ]


def _each(todo: Sequence[Any], args: argparse.Namespace, ending: Ending | None = None) -> int:
    """Do every video in turn; the exit code of all."""
    codes = []
    for do, name in zip(todo, args.inputs, strict=True):
        try:
            do()
            codes.append(0)
        except Cancelled:
            if not args.quiet:
                print("cleancut: interrupted: run the same command again to go on", file=sys.stderr)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as caught:
            if args.debug:
                raise
            error = as_error(caught)
            codes.append(report(error, name))
            if args.json:
                facts = {"code": error.code, "message": error.message, "hint": error.hint}
                _print_json({"input": name, "error": facts})
        if ending is not None and ending.stop.is_set():
            break
    if any(codes) and not all(codes):
        return EXIT_SOME_FAILED
    return next((code for code in codes if code), 0)


def _one(order: VideoOrder, args: argparse.Namespace, ending: Ending, place: str) -> None:
    """Cut out one video and tell about it."""
    from cleancut.cli.video_progress import progress

    def render() -> VideoReport:
        from cleancut.video.run import render_video

        with _at_hand(order) as here, progress(quiet=args.quiet or args.json) as show:
            made = render_video(
                here, on_progress=show, cancelled=ending.stop.is_set, farm=_farm(args, order)
            )
        return replace(made, source=order.source, target=order.target)

    if args.pull:
        _pull(_lacking(order))
    try:
        made = render()
    except WeightsMissing:
        rows = _wanted(order)
        asking = sys.stdin.isatty() and sys.stderr.isatty() and not args.quiet
        if args.pull or not (asking and _agrees(rows)):
            raise
        _pull(rows)
        made = render()
    facts = made.to_dict()
    if args.report:
        _write_report(args.report, facts)
    if args.json:
        _print_json({"input": order.source, "output": order.target, **facts})
    elif not args.quiet:
        _tell(made, place)


@contextmanager
def _at_hand(order: VideoOrder) -> Iterator[VideoOrder]:
    """``order`` with local files, where it names some in an object store."""
    if "://" not in f"{order.source} {order.target}":
        yield order
        return
    from cleancut.batch import videos

    with videos.at_hand(order) as here:
        yield here


def _farm(args: argparse.Namespace, order: VideoOrder) -> Farm | None:
    if args.cluster is None:
        return None
    from cleancut.batch.videos import ray_farm

    def hear(notice: Notice) -> None:
        if not args.quiet:
            print(f"cleancut: note [{notice.code}] {shown(notice.text)}", file=sys.stderr)

    return ray_farm(order, None if args.cluster == "local" else args.cluster, hear)


def _wanted(order: VideoOrder) -> list[ModelSpec]:
    from cleancut.catalog import find
    from cleancut.cli.cut import wanted_models

    return [find("rvm")] if order.video.engine == "rvm" else wanted_models(order.options)


def _lacking(order: VideoOrder) -> Sequence[ModelSpec]:
    from cleancut.models.choose import lacking

    rvm = order.video.engine == "rvm"
    return lacking(order.options.with_(model="rvm") if rvm else order.options)


def _agrees(rows: Sequence[ModelSpec]) -> bool:
    from cleancut.cli.cut import agrees

    return agrees(rows)


def _pull(rows: Sequence[ModelSpec]) -> None:
    from cleancut.cli.models import pull_models

    if rows and (failed := pull_models(rows, to=sys.stderr)):
        raise failed[-1]


def _tell(made: VideoReport, place: str) -> None:
    """A few lines about one video, on stderr."""
    from cleancut.video.report import clock

    networks = ", ".join(made.networks)
    kept = f", {made.frames_kept} of them from an earlier run" if made.frames_kept else ""
    lines = [
        f"{place}{made.source} -> {made.target}  ({networks}, {made.frames} frames{kept}, "
        f"{made.seconds:.1f} s, {made.fps:.1f} a second)"
    ]
    for note in made.notes:
        code, colon, text = note.partition(": ")
        if code == "engine" and text.endswith("as asked for"):
            continue
        lines.append(f"cleancut: note [{code}] {made.source}: {text if colon else note}")
    if made.unsure:
        spans = ", ".join(
            f"{clock(first)}-{clock(last)}" if clock(first) != clock(last) else clock(first)
            for first, last, _ in made.unsure[:_MOST_SPANS]
        )
        more = len(made.unsure) - _MOST_SPANS
        lines.append(f"cleancut: check {spans}{f' and {more} more' if more > 0 else ''}")
    for line in lines:
        print(shown(line), file=sys.stderr)


#: Spans of unsure frames that are told; all of them are in the report.
_MOST_SPANS = 8


def _tell_info(name: str, args: argparse.Namespace) -> None:
    """What is known about one video, as a line or as JSON."""
    from cleancut.video.order import VideoOrder
    from cleancut.video.reading import open_video

    rate = VideoOrder(source=name, target="x", rate=args.rate).frame_rate()
    with open_video(name, rate=rate) as reader:
        info = reader.info
    if args.json:
        _print_json({"input": name, **json.loads(json.dumps(asdict(info), default=str))})
        return
    from cleancut.cli.video_progress import described

    print(shown(f"{name}: {described(info)}"))
    for note in info.notes:
        code, colon, text = note.partition(": ")
        print(shown(f"  note [{code}] {text if colon else note}"))


def _write_report(path: str, facts: dict[str, Any]) -> None:
    from cleancut.imaging.files import write_atomic

    write_atomic(Path(path), json.dumps(facts, indent=1).encode() + b"\n")


def _print_json(facts: dict[str, Any]) -> None:
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(facts, ensure_ascii=not unicode), flush=True)
