"""``cleancut bench steady``: mattes of clips frame by frame, steadied, and by rvm, on truth."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path


def add_arguments(add: Callable[..., argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The action ``steady``."""
    what = "error and steadiness of clips' mattes: frame by frame, steadied, and by rvm"
    parser = add("steady", help=what, description=what, allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds CLIP/image and CLIP/alpha")
    parser.add_argument(
        "-m",
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="NAME",
        help="a model to score (may be given again; default: auto)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="take the first N frames of a clip")
    parser.add_argument(
        "--look-ahead", type=int, default=None, metavar="N", help="frames to look ahead, 0 to 8"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    parser.add_argument(
        "--write", type=Path, action="append", default=[], metavar="FILE", help="put it in there"
    )
    return parser


def run(args: argparse.Namespace, tell: Callable[[str], None]) -> int:
    """Measure and print the table; the figures decide nothing about the exit code."""
    from cleancut.bench.report import write_block
    from cleancut.bench.video_accuracy import MARKERS, measure, to_markdown
    from cleancut.imaging.files import write_atomic
    from cleancut.options import Options
    from cleancut.video.options import VideoOptions

    video = VideoOptions() if args.look_ahead is None else VideoOptions(look_ahead=args.look_ahead)
    models = args.models or ["auto"]
    rows = measure(args.folder, models, Options(), video, tell=tell, limit=args.limit)
    text = to_markdown(rows)
    print(text)
    if args.json:
        write_atomic(args.json, json.dumps([asdict(row) for row in rows], indent=1).encode())
    for document in args.write:
        write_block(document, text, markers=MARKERS)
    return 0
