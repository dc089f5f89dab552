"""Which file each picture is written to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import BadOption, OutputNotWritable, UnsupportedFormat

if TYPE_CHECKING:
    from cleancut.options import Format, Options

#: The name that stands for stdin or stdout.
STREAM = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """One picture: where it comes from and where it goes ("-" for a stream)."""

    source: str
    target: str


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
        return [Job(inputs[0], STREAM)], options
    if output == "":
        raise BadOption("-o: the name is empty", hint="name a file, or a folder: -o out/")
    if output is not None and not _is_folder(output, len(inputs)):
        return [Job(inputs[0], output)], replace(options, format=_format(output, options))
    return _beside_or_in(inputs, output, options), options


def _beside_or_in(inputs: Sequence[str], output: str | None, options: Options) -> list[Job]:
    """Names made from the inputs', in the folder ``output`` or beside each input."""
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
    return jobs


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
    from cleancut.imaging.formats import format_from_suffix

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


def refuse_same_file(job: Job) -> None:
    """Raise ``OutputNotWritable`` if a picture would overwrite itself."""
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
