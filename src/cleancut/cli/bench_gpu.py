"""``cleancut bench gpu``: a network alone, everything around it, and rembg, on one card."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cleancut.bench.report import Report

Publish: TypeAlias = Callable[["Report", argparse.Namespace, tuple[str, str]], None]

_VENVS = {"gpu": Path(".venv-rembg-gpu"), "cpu": Path(".venv-rembg")}


def add_arguments(add: Callable[..., argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The action ``gpu``."""
    what = "a network alone, JPEG to PNG as share of it, rembg on the same card, and accuracy"
    parser = add("gpu", help=what, description=what, allow_abbrev=False)
    flag = parser.add_argument
    flag("folder", type=Path, nargs="?", metavar="DIR", help="pictures (default: two, made here)")
    flag(
        "-m",
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="NAME",
        help="isnet or u2netp (may be given again; default: both); any with --no-rembg",
    )
    flag(
        "--device",
        choices=("gpu", "cpu"),
        default="gpu",
        help="gpu (default), or cpu to try the same without one",
    )
    flag("--precision", choices=("auto", "f32", "f16"), default="auto", help="(default: auto)")
    flag("--pictures", type=int, metavar="N", help="so many, repeated (default: 512; cpu: 24)")
    flag("--runs", type=int, default=2, metavar="N", help="runs a side (default: 2)")
    flag("--seconds", type=float, default=3.0, metavar="S", help="for each batch size (default: 3)")
    flag("--only", default="", metavar="LIST", help="numbers of measurements, like 1,2")
    flag("--no-rembg", action="store_true", help="measure only cleancut")
    flag(
        "--peer-venv",
        type=Path,
        metavar="FOLDER",
        help="where rembg is, or will be installed (default: .venv-rembg-gpu; cpu: .venv-rembg)",
    )
    flag("--json", type=Path, metavar="FILE", help="write every figure as JSON")
    flag(
        "--write",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="put the table between the markers of a document (may be given again)",
    )
    return parser


def run(args: argparse.Namespace, tell: Callable[[str], None], publish: Publish) -> int:
    """Measure and print the table; the figures decide nothing about the exit code."""
    from cleancut.bench.gpu import MARKERS, GpuPlan, gpu
    from cleancut.bench.start import numbers

    given = {"models": tuple(args.models)} if args.models else {}
    plan = GpuPlan(
        device=args.device,
        precision=args.precision,
        folder=args.folder,
        pictures=args.pictures,
        runs=args.runs,
        seconds=args.seconds,
        only=numbers(args.only),
        peer_venv=None if args.no_rembg else args.peer_venv or _VENVS[args.device],
        **given,
    )
    publish(gpu(plan, tell), args, MARKERS)
    return 0
