"""The folders that an agent may read and write in; everything else does not exist for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cleancut.errors import BadOption, InputNotFound, OutputNotWritable, PathRefused


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders with all links resolved; names that are not absolute are of the first."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, given: Sequence[str]) -> Roots:
        """The folders ``given``, else the working folder; ``BadOption`` for what is no folder.

        The whole disk is a root only where it was named: desktop programs start servers in ``/``.
        """
        folders = []
        for text in given or (".",):
            folder = Path(os.path.realpath(Path(text).expanduser()))
            if not folder.is_dir():
                raise BadOption(f"--root: no such folder: {text}", hint="name a folder")
            if not given and folder == Path(folder.anchor):
                raise BadOption(
                    f"no folder was named, and the working folder is {folder}, the whole disk",
                    hint="add --root DIR, with the folder that holds the pictures",
                )
            folders.append(folder)
        return cls(tuple(dict.fromkeys(folders)))

    def inside(self, text: str) -> Path:
        """Where ``text`` leads when every link is followed; ``PathRefused`` if that is outside."""
        if not text.strip() or "\0" in text:
            raise BadOption("the path is empty", hint="name a file inside the allowed folders")
        if "://" in text:
            raise PathRefused(f"{text[:200]} is an address, not a path", hint=self._hint())
        place = Path(os.path.realpath(self.folders[0] / Path(text).expanduser()))
        if not any(place.is_relative_to(folder) for folder in self.folders):
            raise PathRefused(f"{text[:200]} is outside the allowed folders", hint=self._hint())
        return place

    def file(self, text: str) -> Path:
        """A file to read; ``PathRefused``, ``InputNotFound``."""
        place = self.inside(text)
        if place.is_dir():
            raise InputNotFound(f"{text} is a folder", hint="use the tool batch for folders")
        if not place.is_file():  # a pipe would wait for ever
            raise InputNotFound(f"no such file: {text}", hint=f"names are relative to {self}")
        return place

    def folder(self, text: str) -> Path:
        """A folder to read; ``PathRefused``, ``InputNotFound``."""
        place = self.inside(text)
        if not place.is_dir():
            raise InputNotFound(f"no such folder: {text}", hint=f"names are relative to {self}")
        return place

    def target(self, text: str, *, overwrite: bool) -> Path:
        """A file to write; ``PathRefused``, ``OutputNotWritable`` for one that is there already."""
        place = self.inside(text)
        if place.is_dir():
            raise OutputNotWritable(f"{text} is a folder", hint="name a file in it")
        if place.exists() and not overwrite:
            raise OutputNotWritable(
                f"{text} is there already", hint="choose another name, or set overwrite to true"
            )
        return place

    def _hint(self) -> str:
        allowed = ", ".join(map(str, self.folders))
        return f"allowed: {allowed}; more folders: cleancut mcp --root DIR"

    def __str__(self) -> str:
        return str(self.folders[0])
