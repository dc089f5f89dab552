"""``--export``: annotations beside the pictures that ``cut`` and ``batch`` write."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.annotation import coco, yolo
from cleancut.annotation.export import (
    KINDS,
    LABELS,
    TOLERANCE_PX,
    WHOLE,
    Export,
    is_ours,
    not_ours,
)
from cleancut.cli.targets import STREAM
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.cli.targets import Job
    from cleancut.result import Result


def add_export_flags(parser: argparse.ArgumentParser) -> None:
    """``--export``, ``--label`` and ``--tolerance``."""
    group = parser.add_argument_group(
        "annotations", "where the subject is in the original picture, for training other networks"
    )
    group.add_argument(
        "--export",
        choices=KINDS,
        help="also write outlines and boxes: coco (annotations.coco.json for all), labelme (a JSON "
        "for each), yolo (labels/ and data.yaml)",
    )
    group.add_argument("--label", metavar="NAME", help="what the subjects are (default: object)")
    group.add_argument(
        "--tolerance",
        type=float,
        metavar="PIXELS",
        help=f"how far outlines may be from the edge (default: {TOLERANCE_PX:g})",
    )


def export_from(args: argparse.Namespace) -> Export | None:
    """What is to be exported, if anything; ``BadOption``."""
    if args.export is None:
        for name in ("label", "tolerance"):
            if getattr(args, name) is not None:
                raise BadOption(f"--{name} without --export", hint="add --export coco")
        return None
    if args.cache not in (None, "off"):
        raise BadOption(
            "--export and --cache contradict each other: the cache keeps files and no mattes",
            hint="leave --cache out",
        )
    tolerance = TOLERANCE_PX if args.tolerance is None else args.tolerance
    return Export(args.export, "object" if args.label is None else args.label, tolerance)


class Exporter:
    """Writes the annotations of one run of ``cut``, all of it checked before the first picture."""

    def __init__(self, export: Export, jobs: Sequence[Job]) -> None:
        if any(STREAM in (job.source, job.target) for job in jobs):
            raise BadOption("--export needs files, not stdin or stdout", hint="add -o FOLDER")
        self._export = export
        self._pieces: list[dict[str, Any]] = []
        folders = {Path(job.target).parent for job in jobs}
        if export.kind in WHOLE and len(folders) > 1:
            raise BadOption(
                f"--export {export.kind} is one file for one folder, and results go to several",
                hint="give a folder: -o out/",
            )
        names = [Path(job.source).name for job in jobs]
        if export.kind == "coco" and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise BadOption(
                f"--export coco tells pictures by their names, and two are called {twice}",
                hint="use cleancut batch, which keeps their folders",
            )
        self._folder = folders.pop()
        self._check()

    def _check(self) -> None:
        whole = WHOLE.get(self._export.kind)
        if whole is None:
            return
        place = self._folder / whole
        if place.exists():
            self._earlier(place)
        elif self._export.kind == "yolo" and (self._folder / LABELS).exists():
            raise not_ours(str(self._folder / LABELS))

    def _earlier(self, place: Path) -> list[dict[str, Any]]:
        """The pieces in the file of earlier runs, which is one that can be continued."""
        from cleancut.imaging.files import read_bytes

        data = read_bytes(place)
        self._export.check_earlier(data, str(place), batch=False)
        if self._export.kind != "coco":
            return []
        try:
            return coco.pieces_of(data)
        except ValueError as error:
            raise not_ours(str(place)) from error

    def add(self, result: Result, job: Job) -> None:
        """Write the file of one picture, or remember it for the file of all."""
        from cleancut.imaging.files import write_atomic

        export = self._export
        annotation = result.annotation(tolerance_px=export.tolerance_px)
        if export.kind == "coco":
            self._pieces.append(coco.piece(annotation, Path(job.source).name))
            return
        place = self._folder / export.name(_stem(job))
        if export.kind == "labelme":
            place = Path(job.target).parent / export.name(_stem(job))
            if place.exists():
                _refuse_others(place)
        place.parent.mkdir(exist_ok=True)
        write_atomic(place, export.file(annotation, _way(job.source, place)))
        if export.kind == "yolo":
            whole = self._folder / WHOLE["yolo"]
            if not whole.exists():  # whose pictures are for validation may have been added
                write_atomic(whole, yolo.data_yaml(export.label))

    def finish(self) -> None:
        """Write COCO's file; pictures of earlier runs stay in it."""
        from cleancut.imaging.files import write_atomic

        if not self._pieces:
            return
        place = self._folder / WHOLE["coco"]
        earlier = self._earlier(place) if place.exists() else []
        write_atomic(place, coco.document([*earlier, *self._pieces], self._export.label))


def _stem(job: Job) -> str:
    """The picture's own name, as far as the result's name tells it from others."""
    name = Path(job.target).stem
    return name.removesuffix(".cutout").removesuffix(".mask")


def _way(source: str, place: Path) -> str:
    try:
        return os.path.relpath(source, place.parent).replace(os.sep, "/")
    except ValueError:  # another drive of Windows
        return str(Path(source).absolute())


def _refuse_others(place: Path) -> None:
    from cleancut.imaging.files import read_bytes

    if not is_ours(read_bytes(place)):
        raise not_ours(str(place))
