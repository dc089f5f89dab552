"""Results that are unsure, copied aside for a person to look at."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.cli.targets import STREAM
from cleancut.errors import BadOption, OutputNotWritable

if TYPE_CHECKING:
    from cleancut.cli.targets import Job

FOLDER = "review"


def add_review_flags(parser: argparse.ArgumentParser) -> None:
    """``--review-below`` and ``--review-folder``."""
    group = parser.add_argument_group("review", "results that a person should look at")
    group.add_argument(
        "--review-below",
        type=float,
        metavar="SHARE",
        help="copy results of lower confidence than this (0 to 1, like 0.6) into a review folder",
    )
    group.add_argument(
        "--review-folder",
        type=Path,
        metavar="FOLDER",
        help=f"where they are copied to (default: {FOLDER}/ beside each result)",
    )


def check_review_flags(args: argparse.Namespace, jobs: Sequence[Job]) -> None:
    """Refuse what cannot work before any picture is cut."""
    below, folder = args.review_below, args.review_folder
    if below is None:
        if folder is not None:
            raise BadOption("--review-folder without --review-below", hint="add --review-below 0.6")
        return
    if not 0 < below <= 1:  # NaN too
        raise BadOption(f"--review-below: {below} is out of range", hint="like 0.6, from 0 to 1")
    if jobs[0].target == STREAM:
        raise BadOption("--review-below needs files; the result goes to stdout", hint="add -o FILE")
    taken: set[str] = set()
    inputs = {found for job in jobs if (found := _file_at(job.source))}
    for job in jobs:
        copy = _aside(job, args)
        if str(copy).lower() in taken:
            raise BadOption(
                f"--review-folder: {copy.parent} would get {copy.name} twice",
                hint="leave it out (review/ beside each result), or add -o FOLDER",
            )
        taken.add(str(copy).lower())
        if _file_at(copy) in inputs:
            raise OutputNotWritable(
                f"--review-folder: {copy} is an input, which is never overwritten",
                hint="choose another folder",
            )


def _file_at(path: str | Path) -> tuple[int, int] | None:
    """What tells a file from every other, whatever it is called; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _aside(job: Job, args: argparse.Namespace) -> Path:
    """Where the result of ``job`` is copied to if it is unsure."""
    written = Path(job.target)
    folder: Path = args.review_folder or written.parent / FOLDER
    return folder / written.name


def put_aside(sure: float | None, job: Job, args: argparse.Namespace) -> Path | None:
    """Copy the result that was just written if it is unsure; where to, or None.

    ``sure`` is its confidence. One whose confidence is unknown, because the user said what the
    subject is, stays.
    """
    from cleancut.imaging.files import write_atomic

    below = args.review_below
    if below is None or sure is None or sure >= below or job.target == STREAM:
        return None
    copy = _aside(job, args)
    folder = copy.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(copy, Path(job.target).read_bytes())
    except OSError as error:
        raise OutputNotWritable(
            f"{folder}: cannot put a result there: {error.strerror}",
            hint="choose another folder with --review-folder",
        ) from error
    return copy
