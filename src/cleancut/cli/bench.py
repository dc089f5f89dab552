"""``cleancut bench``: measurements that anyone can repeat."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.cli import bench_compare, bench_gpu, bench_steady
from cleancut.cli.flags import add_option_flags, options_from
from cleancut.errors import BadOption
from cleancut.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleancut.bench.accuracy import Plan, Report
    from cleancut.bench.report import Report as Rows

EPILOG = """\
examples:
  cleancut bench start                   both sides; rembg goes into .venv-rembg
  cleancut bench start --only 1,2 --runs 9
  cleancut bench start --no-rembg --image my.jpg --json start.json
  cleancut bench speed                   a folder, a large picture, a long run, beside rembg
  cleancut bench speed --images photos --only 1,3 --flame where.svg
  cleancut bench server                  eight clients at once, beside `rembg s`; a siege of 200
  cleancut bench server --only 5 --siege 300
  cleancut bench accuracy pictures       pictures/SET/image/*.jpg, pictures/SET/alpha/*.png
  cleancut bench accuracy pictures -m isnet -m modnet --html report.html
  cleancut bench accuracy pictures --rembg --only portraits --write docs/accuracy.md
  cleancut bench accuracy pictures --mattes other-tool --json figures.json
  cleancut bench matting pictures        refinement and closed form, beside pymatting
  cleancut bench retouch pictures        strokes that solve a place again, on true mattes
  cleancut bench video                   frames and whole videos, beside rembg, backgroundremover
  cleancut bench video clips --only 5    and mattes: clips/CLIP/image/*.jpg, clips/CLIP/alpha/*.png
  cleancut bench compare --data pictures --html report.html        everyone, in every dimension
  cleancut bench gpu photos              a network alone, all around it, rembg, on one GPU
  cleancut bench gpu --device cpu        the same without a GPU: what it prints, nothing more
  cleancut bench steady clips -m auto    what steadying does for error and flicker, and rvm
"""
#: Fields of ``Options`` that are about the output file, or about one picture only.
_NOT_SCORED = (
    *("model", "format", "quality", "compress", "only_mask", "keep_hidden_rgb", "strip"),
    *("background", "crop", "margin", "max_side_px", "shadow", "fail_if_empty"),
    *("scale", "position", "max_output_megapixels"),
    *("trimap", "mask", "matte", "keep_points", "remove_points", "keep_box", "scribbles", "roi"),
)
_ENDED_EARLY = 130
_WORST = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of ``bench``."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    what = "start-up, memory and speed of one picture, beside rembg"
    start = actions.add_parser("start", help=what, description=what, allow_abbrev=False)
    start.add_argument("--runs", type=int, default=5, metavar="N", help="runs a side (default: 5)")
    start.add_argument("--image", type=Path, metavar="FILE", help="photograph to measure with")
    what = "folders, a large picture and the memory of a long run, beside rembg"
    fast = actions.add_parser("speed", help=what, description=what, allow_abbrev=False)
    fast.add_argument("--runs", type=int, default=3, metavar="N", help="runs a side (default: 3)")
    fast.add_argument("--images", type=Path, metavar="DIR", help="16 photographs to measure with")
    fast.add_argument("--large", type=Path, metavar="FILE", help="a photograph of 12 megapixels")
    fast.add_argument("--flame", type=Path, metavar="SVG", help="draw where a picture's time goes")
    what = "the HTTP server under load, beside rembg's"
    served = actions.add_parser("server", help=what, description=what, allow_abbrev=False)
    served.add_argument("--runs", type=int, default=2, metavar="N", help="runs a side (default: 2)")
    for flag, seconds, about in (
        ("--seconds", 30.0, "how long eight clients ask in each run"),
        ("--siege", 60.0, "how long two hundred do"),
    ):
        text = f"{about} (default: {seconds:g})"
        served.add_argument(flag, type=float, default=seconds, metavar="S", help=text)
    for action in (start, fast, served):
        only = "numbers of measurements, like 1,3"
        action.add_argument("--only", default="", metavar="LIST", help=only)
        action.add_argument("--no-rembg", action="store_true", help="measure only cleancut")
    what = "score mattes of models, options and other tools on pictures with true mattes"
    scored = actions.add_parser("accuracy", help=what, description=what, allow_abbrev=False)
    _add_accuracy(scored)
    what = "refinement at 2 and 12 megapixels, and closed-form matting beside pymatting"
    solved = actions.add_parser("matting", help=what, description=what, allow_abbrev=False)
    solved.add_argument(
        "folder", type=Path, metavar="DIR", help="holds alphamatting_train/image and /alpha"
    )
    solved.add_argument(
        "--runs", type=int, default=3, metavar="N", help="runs a picture (default: 3)"
    )
    _add_retouch(actions.add_parser)
    bench_steady.add_arguments(actions.add_parser)
    bench_compare.add_arguments(actions.add_parser)
    bench_gpu.add_arguments(actions.add_parser)
    for action, peer in (
        (_add_video(actions.add_parser), "rembg"),
        (start, "rembg"),
        (fast, "rembg"),
        (served, "rembg"),
        (scored, "rembg"),
        (solved, "pymatting"),
    ):
        _add_shared(action, peer)
    for name, action in actions.choices.items():
        action.set_defaults(parser=action)  # errors point at this action's --help
        _show_examples(action, name)


def _show_examples(action: argparse.ArgumentParser, name: str) -> None:
    """Give it those lines of ``EPILOG`` that are about it, unless it has words of its own."""
    lines = [line for line in EPILOG.splitlines() if f" cleancut bench {name}" in line]
    action.epilog = action.epilog or "\n".join(["examples:", *lines])
    action.formatter_class = argparse.RawDescriptionHelpFormatter


def _add_retouch(add: Callable[..., argparse.ArgumentParser]) -> None:
    what = "strokes that solve a part of a matte again, on pictures with true mattes"
    stroked = add("retouch", help=what, description=what, allow_abbrev=False)
    stroked.add_argument("folder", type=Path, metavar="DIR", help="holds SET/image and SET/alpha")
    stroked.add_argument(
        "--limit", type=int, metavar="N", help="take the first N pictures of each set"
    )
    stroked.add_argument(
        "-m", "--model", default="isnet", metavar="NAME", help="whose mattes (default: isnet)"
    )
    stroked.add_argument(
        "--write", type=Path, action="append", default=[], metavar="FILE", help="put it in there"
    )


def _add_video(add: Callable[..., argparse.ArgumentParser]) -> argparse.ArgumentParser:
    what = "frames and whole videos, beside rembg b and backgroundremover"
    parser = add("video", help=what, description=what, allow_abbrev=False)
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="clips with true mattes: CLIP/image/NNNNN.jpg and CLIP/alpha/NNNNN.png",
    )
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="runs a side (default: 2)")
    parser.add_argument(
        "--only", default="", metavar="LIST", help="numbers of measurements, like 1,3"
    )
    for name in ("rembg", "backgroundremover"):
        parser.add_argument(f"--no-{name}", action="store_true", help=f"leave {name} out")
    parser.add_argument(
        "--remover-venv",
        type=Path,
        default=Path(".venv-backgroundremover"),
        metavar="FOLDER",
        help="where backgroundremover is, or will be installed (default: .venv-backgroundremover)",
    )
    return parser


def _add_shared(parser: argparse.ArgumentParser, peer: str) -> None:
    parser.add_argument(
        "--peer-venv",
        type=Path,
        default=Path(f".venv-{peer}"),
        metavar="FOLDER",
        help=f"where {peer} is, or will be installed (default: .venv-{peer})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    parser.add_argument(
        "--write",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="put the table between the markers of a document (may be given again)",
    )


def _add_accuracy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a set (image/ and alpha/), or a folder of sets"
    )
    parser.add_argument(
        "-m",
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="NAME",
        help="a model to score, or a path to an .onnx file (may be given again; default: auto)",
    )
    parser.add_argument("--no-models", action="store_true", help="score only --mattes and --rembg")
    parser.add_argument(
        "--mattes",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="score another tool's DIR/SET/STEM.png too, mattes or cutouts (may be given again)",
    )
    parser.add_argument(
        "--rembg", action="store_true", help="score rembg's isnet-general-use too; run once, kept"
    )
    parser.add_argument("--only", default="", metavar="SET,SET", help="sets to score")
    parser.add_argument("--limit", type=int, metavar="N", help="pictures of each set")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help=f"write a page with the worst {_WORST} pictures of each row (or FOLDER/index.html)",
    )
    every = argparse.ArgumentParser(add_help=False)
    add_option_flags(every)
    group = parser.add_argument_group("how our models cut", "the flags of `cleancut cut`")
    for action in every._actions:
        if action.dest not in _NOT_SCORED:
            group._add_action(action)


def run(args: argparse.Namespace) -> int:
    """Measure and print the table; the figures decide nothing about the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "start": _start,
        "speed": _speed,
        "server": _server,
        "accuracy": _accuracy,
        "matting": _matting,
        "retouch": _retouch,
        "video": _video,
        "steady": lambda args: bench_steady.run(args, _tell),
        "gpu": lambda args: bench_gpu.run(args, _tell, _publish_rows),
        "compare": lambda args: bench_compare.run(args, _tell),
    }
    return actions[args.action](args)


def _tell(line: str) -> None:
    from cleancut.cli.main import shown

    print(f"bench: {shown(line)}", file=sys.stderr, flush=True)


def _start(args: argparse.Namespace) -> int:
    from cleancut.bench.report import BEGIN, END
    from cleancut.bench.start import Plan, numbers, start

    plan = Plan(
        runs=args.runs,
        only=numbers(args.only),
        image=args.image,
        peer_venv=None if args.no_rembg else args.peer_venv,
    )
    _publish_rows(start(plan, _tell), args, (BEGIN, END))
    return 0


def _speed(args: argparse.Namespace) -> int:
    from cleancut.bench.speed import MARKERS, SpeedPlan, speed
    from cleancut.bench.start import numbers
    from cleancut.imaging.files import write_atomic

    plan = SpeedPlan(
        runs=args.runs,
        only=numbers(args.only),
        images=args.images,
        large=args.large,
        peer_venv=None if args.no_rembg else args.peer_venv,
    )
    report, drawing = speed(plan, _tell)
    _publish_rows(report, args, MARKERS)
    if args.flame and drawing:
        write_atomic(args.flame, drawing.encode())
    return 0


def _server(args: argparse.Namespace) -> int:
    from cleancut.bench.serving import MARKERS, ServerPlan, server
    from cleancut.bench.start import numbers

    plan = ServerPlan(
        runs=args.runs,
        seconds=args.seconds,
        siege_s=args.siege,
        only=numbers(args.only),
        peer_venv=None if args.no_rembg else args.peer_venv,
    )
    _publish_rows(server(plan, _tell), args, MARKERS)
    return 0


def _video(args: argparse.Namespace) -> int:
    from cleancut.bench.start import numbers
    from cleancut.bench.video_speed import MARKERS, VideoPlan, video

    plan = VideoPlan(
        clips=args.folder,
        runs=args.runs,
        only=numbers(args.only),
        peer_venv=None if args.no_rembg else args.peer_venv,
        remover_venv=None if args.no_backgroundremover else args.remover_venv,
    )
    _publish_rows(video(plan, _tell), args, MARKERS)
    return 0


def _publish_rows(report: Rows, args: argparse.Namespace, markers: tuple[str, str]) -> None:
    from cleancut.bench.report import to_markdown, write_block
    from cleancut.imaging.files import write_atomic

    text = to_markdown(report)
    print(text)
    if args.json:
        write_atomic(args.json, json.dumps(report.to_dict(), indent=1).encode())
    for document in args.write:
        write_block(document, text, markers=markers)


def _accuracy(args: argparse.Namespace) -> int:
    from cleancut.bench.accuracy import accuracy
    from cleancut.cli.progress import item_progress

    plan = _plan(args)
    with item_progress() as step:
        report = accuracy(plan, _tell, step)
    _publish(report, args)
    return 0 if report.complete else _ENDED_EARLY


def _matting(args: argparse.Namespace) -> int:
    from cleancut.bench.matting import MARKERS, measure, to_markdown
    from cleancut.bench.report import write_block
    from cleancut.imaging.files import write_atomic

    if args.runs < 1:
        raise BadOption(f"--runs: {args.runs} is out of range", hint="1 or more")
    rows, notes = measure(args.folder, venv=args.peer_venv, tell=_tell, rounds=args.runs)
    text = to_markdown(rows, notes)
    print(text)
    if args.json:
        told = {"rows": [asdict(row) for row in rows], "notes": notes}
        write_atomic(args.json, json.dumps(told, indent=1).encode())
    for document in args.write:
        write_block(document, text, markers=MARKERS)
    return 0


def _retouch(args: argparse.Namespace) -> int:
    from cleancut.bench.report import write_block
    from cleancut.bench.retouch import MARKERS, measure, to_markdown
    from cleancut.engine import Engine

    engine = Engine(Options(model=args.model))
    text = to_markdown(measure(args.folder, engine.matte, tell=_tell, limit=args.limit))
    print(text)
    for document in args.write:
        write_block(document, text, markers=MARKERS)
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    from cleancut.bench.accuracy import Plan

    models = () if args.no_models else tuple(args.models or ["auto"])
    if models:
        args.model = models[0]
    return Plan(
        folder=args.folder,
        models=models,
        options=options_from(args),
        mattes=tuple(args.mattes),
        rembg_venv=args.peer_venv if args.rembg else None,
        only=tuple(name.strip() for name in args.only.split(",") if name.strip()),
        limit=args.limit,
        worst=_WORST if args.html else 0,
    )


def _publish(report: Report, args: argparse.Namespace) -> None:
    from cleancut.bench.accuracy_page import to_html
    from cleancut.bench.accuracy_table import MARKERS, to_markdown
    from cleancut.bench.report import write_block
    from cleancut.imaging.files import write_atomic

    text = to_markdown(report)
    print(text)
    if args.json:
        write_atomic(args.json, json.dumps(report.to_dict(), indent=1).encode())
    if args.html:
        page = args.html
        if page.is_dir() or not page.suffix:
            page.mkdir(parents=True, exist_ok=True)
            page /= "index.html"
        write_atomic(page, to_html(report).encode())
        _tell(f"wrote {page}")
    for document in args.write:
        write_block(document, text, markers=MARKERS)
