"""Reading a local folder with all that is below it, whatever links and permissions there are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from cleancut.batch.storage import Folder, Found, LeaveOut, join, version_of
from cleancut.errors import InputNotFound


def folders(root: str, *, leave_out: LeaveOut) -> Iterator[Folder]:
    """``storage.folders`` for a folder of this machine."""
    return _Walk(root, leave_out).run()


@dataclass(slots=True)
class _Walk:
    """Reads one local tree."""

    root: str
    leave_out: LeaveOut
    _real_root: str = ""
    _linked: set[str] = field(default_factory=set)

    def run(self) -> Iterator[Folder]:
        self._real_root = os.path.realpath(self.root)
        waiting = [""]
        while waiting:
            name = waiting.pop()
            place = join(self.root, name)
            try:
                folder = self._read(place, name)
            except OSError as error:
                if not name:
                    raise InputNotFound(
                        f"the folder {place} cannot be read: {error.strerror}",
                        hint="check the path and its permissions",
                    ) from error
                self.leave_out("unreadable-folder", f"{place} ({error.strerror})")
                continue
            yield folder
            prefix = f"{name}/" if name else ""
            waiting.extend(prefix + below for below in reversed(folder.folders))

    def _read(self, place: str, name: str) -> Folder:
        files: list[str] = []
        below: list[str] = []
        with os.scandir(place) as entries:
            for entry in entries:
                try:
                    if entry.is_dir():
                        if not entry.is_symlink() or self._follows(entry.path):
                            below.append(entry.name)
                    elif entry.is_file() or entry.is_symlink():
                        files.append(entry.name)  # a broken link is a file that fails, and is told
                    else:
                        self.leave_out("not-a-picture", entry.path)  # a pipe, a socket
                except OSError:
                    self.leave_out("link-loop", entry.path)
        files.sort()
        below.sort()
        return Folder(place, name, files, below, partial(_found_local, place, name, files))

    def _follows(self, link: str) -> bool:
        real = os.path.realpath(link)
        inside = real == self._real_root or real.startswith(self._real_root + os.sep)
        around = self._real_root.startswith(real.rstrip(os.sep) + os.sep)
        if inside or around or real in self._linked:
            self.leave_out("link-loop", link)
            return False
        self._linked.add(real)
        return True


def _found_local(folder: str, below: str, files: Sequence[str], at: int) -> Found:
    name = files[at]
    place = os.path.join(folder, name)  # noqa: PTH118
    relative = f"{below}/{name}" if below else name
    try:
        facts = os.stat(place)  # noqa: PTH116
    except OSError:
        return Found(place, relative)  # gone since, or a broken link: reading it will say so
    return Found(place, relative, facts.st_size, version_of(facts))
