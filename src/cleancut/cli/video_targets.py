"""Which file each video is written to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.options import Options
    from cleancut.video.options import VideoOptions


def plan(
    inputs: Sequence[str], output: str | None, options: Options, video: VideoOptions
) -> list[tuple[str, str]]:
    """Sources with their targets, without touching a file; no two get the same name.

    A star in ``output`` stands for the source's name; a folder takes NAME.cutout.webm (.mp4 where
    nothing is transparent). Raises ``BadOption``.
    """
    from cleancut.video.form import is_transparent

    if output == "":
        raise BadOption("-o: the name is empty", hint="name a file, like -o out.webm")
    if output in ("-", "/dev/stdout"):
        raise BadOption("a video cannot go to stdout", hint="name a file, like -o out.webm")
    suffix = ".webm" if is_transparent(video, options) else ".mp4"
    if output is not None and "*" not in output:
        folder = output.endswith(("/", "\\")) or Path(output).is_dir()
        if len(inputs) == 1 and not folder:
            return [(inputs[0], output)]
        if not folder:
            raise BadOption(
                f"{len(inputs)} videos cannot go into one file, {output}",
                hint=f"give a pattern: -o 'out/*{Path(output).suffix or suffix}'",
            )
        output = os.path.join(output, f"*.cutout{suffix}")  # noqa: PTH118
    taken: set[str] = set()
    return [(source, _named(source, output, suffix, taken)) for source in inputs]


def _named(source: str, output: str | None, suffix: str, taken: set[str]) -> str:
    path = Path(source)
    name = path.parent.name if "%" in path.name or "*" in path.name else path.stem
    name = name or "video"
    pattern = str(path.parent / f"*.cutout{suffix}") if output is None else output
    if path.is_dir() and output is None:
        pattern = str(path.absolute().parent / f"*.cutout{suffix}")
    number, target = 1, pattern.replace("*", name)
    while target.lower() in taken:
        number += 1
        target = pattern.replace("*", f"{name}-{number}")
    taken.add(target.lower())
    return target
