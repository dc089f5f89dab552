"""The flags that say what to keep: guidance for one picture, or a folder of it for many."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from cleancut.cli.targets import STREAM
from cleancut.errors import BadOption, InputNotFound
from cleancut.guidance import Guidance

#: The flags that name a picture, each with the name its file could have in an example.
_FILES = {
    "trimap": "white: keep, black: remove, grey: to be solved ('trimap.png')",
    "mask": "start from this mask, soft or hard, instead of a network ('mask.png')",
    "matte": "take this finished matte as it is; scribbles change only what they cover "
    "('matte.png')",
    "scribbles": "green marks on what to keep, red ones on what to remove; on a matte also blue "
    "ones on what to solve again ('marks.png')",
}
_TEXTS = {
    "keep_points": (
        "X,Y;...",
        "bring back what lies there ('120,80' or '120,80;40%%,55%%': pixels of the upright "
        "picture, or percent)",
    ),
    "remove_points": ("X,Y;...", "take out what lies there ('300,45')"),
    "keep_box": (
        "X0,Y0,X1,Y1",
        "the subject lies in this box ('40,30,600,700' or '10%%,0,90%%,100%%')",
    ),
    "roi": ("X0,Y0,X1,Y1", "look only here; everything outside is removed"),
}
#: What a file of a folder may be called after the picture's stem, in this order.
SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".avif", ".gif")


def add_guidance_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for every field of ``Guidance``; unset flags leave no trace in the namespace."""
    group = parser.add_argument_group(
        "guidance",
        "what you know about the picture; FILE has the size of the upright picture, and may be a "
        "folder with a file of the same stem for each picture",
    )
    for name, about in _FILES.items():
        group.add_argument(f"--{name}", metavar="FILE", default=argparse.SUPPRESS, help=about)
    for name, (metavar, about) in _TEXTS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}", metavar=metavar, default=argparse.SUPPRESS, help=about
        )


def check_guidance(args: argparse.Namespace, pictures: int) -> None:
    """Say once, before any picture, what is wrong with the flags for all of them.

    Raises ``BadOption`` for points and boxes that cannot be read, and for one file that is meant
    for several pictures; ``InputNotFound`` for a file or folder that does not exist.
    """
    Guidance(**{name: getattr(args, name, None) for name in (*_TEXTS, *_FILES)})
    for name in _FILES:
        place = getattr(args, name, None)
        if place is None:
            continue
        _refuse_no_name(place, name)
        if not os.path.exists(place):  # noqa: PTH110
            raise InputNotFound(f"--{name}: no such file: {place}", hint="check the path")
        if pictures > 1 and not os.path.isdir(place):  # noqa: PTH112
            raise BadOption(
                f"--{name}: one file, {place}, cannot guide {pictures} pictures",
                hint=f"give a folder with a file of the same stem for each: --{name} {name}s/",
            )


def guidance_for(args: argparse.Namespace, source: str) -> Guidance:
    """The guidance that the flags give for the picture ``source``.

    Raises ``InputNotFound`` if a folder has no file for it, ``BadOption``.
    """
    values: dict[str, Any] = {name: getattr(args, name, None) for name in _TEXTS}
    for name in _FILES:
        place = getattr(args, name, None)
        values[name] = None if place is None else _file(place, source, name)
    return Guidance(**values)


def _refuse_no_name(place: str, name: str) -> None:
    if not place.strip():
        raise BadOption(f"--{name}: the path is empty", hint=f"like --{name} {name}.png")


def _file(place: str, source: str, name: str) -> str:
    """``place`` itself, or the file of the folder ``place`` that belongs to ``source``."""
    _refuse_no_name(place, name)
    folder = Path(place)
    if not folder.is_dir():
        return place
    picture = Path("stdin" if source == STREAM else source)  # as its result is called
    stem = picture.stem
    for suffix in SUFFIXES:
        for candidate in (folder / f"{stem}{suffix}", folder / f"{stem}{suffix.upper()}"):
            if not candidate.is_file() or (picture.exists() and candidate.samefile(picture)):
                continue  # a picture among its own masks is not its mask
            return str(candidate)
    raise InputNotFound(
        f"--{name}: no file for {source} in {place}: looked for {folder / stem}.png, "
        f"{', '.join(SUFFIXES[1:])}",
        hint=f"name it like the picture: {folder / stem}.png",
    )
