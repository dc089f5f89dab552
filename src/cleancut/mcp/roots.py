"""The folders that an agent may read and write in; everything else does not exist for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cleancut.errors import BadOption, InputNotFound, OutputNotWritable, PathRefused

_OTHER = "choose another name"


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
        """Where ``text`` leads when every link is followed; ``PathRefused`` if that is outside.

        ``BadOption`` for what no disk can hold.
        """
        if not text.strip() or "\0" in text:
            raise BadOption(
                "the path is empty or holds a NUL", hint="name a file inside the allowed folders"
            )
        if "://" in text or self._elsewhere(text):
            raise PathRefused(f"{text[:200]} is an address, not a path", hint=self._hint())
        try:
            place = Path(os.path.realpath(self.folders[0] / Path(text).expanduser()))
            place.is_dir()
        except (OSError, ValueError, RuntimeError) as error:  # too long, the home of nobody
            why = getattr(error, "strerror", None) or error
            raise BadOption(f"{text[:200]} is no path: {why}", hint="give another name") from error
        if not any(place.is_relative_to(folder) for folder in self.folders):
            raise PathRefused(f"{text[:200]} is outside the allowed folders", hint=self._hint())
        return place

    def file(self, text: str) -> Path:
        """A file to read; ``PathRefused``, ``InputNotFound``."""
        place = self.inside(text)
        if place.is_dir():
            raise InputNotFound(f"{text[:200]} is a folder", hint="use the tool batch for folders")
        if not place.is_file():  # a pipe would wait for ever
            raise InputNotFound(f"no such file: {text[:200]}", hint=self._start())
        return place

    def folder(self, text: str) -> Path:
        """A folder to read; ``PathRefused``, ``InputNotFound``."""
        place = self.inside(text)
        if not place.is_dir():
            raise InputNotFound(f"no such folder: {text[:200]}", hint=self._start())
        return place

    def target(self, text: str, *, overwrite: bool) -> Path:
        """A file to write; ``PathRefused``, ``OutputNotWritable`` for one that is there already."""
        place = self.inside(text)
        if place.is_dir():
            raise OutputNotWritable(f"{text[:200]} is a folder", hint="name a file in it")
        if place.exists():
            if not place.is_file():
                raise OutputNotWritable(f"{text[:200]} is no file", hint=_OTHER)
            if not overwrite:
                hint = f"{_OTHER}, or set overwrite to true"
                raise OutputNotWritable(f"{text[:200]} is there already", hint=hint)
        return place

    def tree(self, folder: str) -> Iterator[Path]:
        """Every file and folder below ``folder``, which may be missing, through all links.

        Raises ``PathRefused`` at a link out of the roots, ``OutputNotWritable`` at a pipe or
        device: files that are written later go through the first and would wait at the second.
        """
        todo, seen = [self.inside(folder)], set[Path]()
        while todo:
            place = todo.pop()
            if place in seen or not place.is_dir():
                continue
            seen.add(place)
            for found in place.iterdir():
                goal = self.linked(found) if found.is_symlink() else found
                if goal.is_dir():
                    todo.append(goal)
                elif goal.exists() and not goal.is_file():
                    raise OutputNotWritable(f"{found} is no file", hint="move it away")
                yield found

    def linked(self, place: str | Path) -> Path:
        """Where ``place``, found in a folder, leads; ``PathRefused`` if that is outside."""
        try:
            return self.inside(str(place))
        except PathRefused as error:
            raise PathRefused(
                f"{place} is a link out of the allowed folders", hint=error.hint
            ) from error

    def _elsewhere(self, text: str) -> bool:
        """Whether ``text`` names another computer, where no root is on one.

        Windows asks that computer, with the user's credentials, when a link is merely looked for.
        """
        names = (text, *map(str, self.folders))
        shares = [name.replace("\\", "/").startswith("//") for name in names]
        return shares[0] and not any(shares[1:])

    def _hint(self) -> str:
        allowed = ", ".join(map(str, self.folders))
        return f"allowed: {allowed}; more folders: cleancut mcp --root DIR"

    def _start(self) -> str:
        return f"names are relative to {self.folders[0]}"
