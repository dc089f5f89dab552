"""The parts of a video: where they begin, which are done, what survives a kill.

Beside the target lies ``.NAME.parts`` while it is in work, with one folder in it for each command
that was ever begun and never finished: its name is the fingerprint of all that the pixels depend
on. A part is done when its report lies beside it, which is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import OutputNotWritable
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.video.order import Part
from cleancut.video.report import PartReport

if TYPE_CHECKING:
    from cleancut.video.frame import VideoInfo

#: No video has more parts; those of a longer one are longer.
MOST_PARTS = 4096
#: Length of a part, in seconds: what a kill costs at most is one part. Each looks at frames before
#: its own, so those of a long video are longer; one of this many parts lets many cores work.
_SHORT_S, _LONG_S, _MANY = 10.0, 30.0, 8
#: A last part that is not longer than this many parts is not divided.
_UNDIVIDED = 1.5
#: Read from either end of the source to tell it from another of the same size.
_ENDS_BYTES = 1 << 20


def usual_length_s(seconds: float) -> float:
    """How long the parts of a video of so many seconds are, where nobody says: 10 to 30 s."""
    return min(_LONG_S, max(_SHORT_S, seconds / _MANY))


def plan_parts(
    info: VideoInfo, start: int | None, stop: int | None, part_s: float | None = None
) -> tuple[Part, ...]:
    """Parts of about ``part_s`` seconds and equal length, from ``start`` to ``stop`` (pts).

    A video of unknown length is one part, and so is one that can only be read from its beginning.
    The last one is open where ``stop`` is None, since containers may be wrong about how long their
    video is.
    """
    first = info.start_pts if start is None else start
    last = stop
    if info.duration_s is not None:
        end = info.pts_at(info.duration_s)
        last = end if stop is None else min(stop, end)
    if last is None or last <= first or not info.seekable:
        return (Part(0, start, stop),)
    seconds = float((last - first) * info.time_base)
    part_s = part_s or usual_length_s(seconds)
    count = 1 if seconds <= _UNDIVIDED * part_s else min(MOST_PARTS, round(seconds / part_s))
    edges = [first + round(number * (last - first) / count) for number in range(1, count)]
    return tuple(
        Part(number, begin, end)
        for number, (begin, end) in enumerate(zip([start, *edges], [*edges, stop], strict=True))
    )


def source_facts(source: str) -> dict[str, Any]:
    """What tells one state of a source from another: sizes, times, both ends of a file."""
    path = Path(source)
    if path.is_file():
        facts = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            digest.update(file.read(_ENDS_BYTES))
            if facts.st_size > _ENDS_BYTES:
                file.seek(max(_ENDS_BYTES, facts.st_size - _ENDS_BYTES))
                digest.update(file.read(_ENDS_BYTES))
        return {
            "size": facts.st_size,
            "changed": facts.st_mtime_ns,
            "ends": digest.hexdigest(),
        }
    folder = path if path.is_dir() else path.parent
    digest, count = hashlib.sha256(), 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_file() and not entry.name.startswith("."):
                facts = entry.stat()
                digest.update(f"{entry.name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
                count += 1
    return {"files": count, "listing": digest.hexdigest()}


def fingerprint(facts: Mapping[str, Any]) -> str:
    """The name of a command: 24 hex digits of a digest of all that its frames depend on."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class PartsFolder:
    """Where the parts of one command are, beside its target.

    ``suffix`` is that of a part's file, "" where a part is a folder of pictures. Raises
    ``OutputNotWritable``.
    """

    def __init__(self, target: Path, name: str, suffix: str) -> None:
        #: All commands' parts for this target.
        # Absolute: FFmpeg takes a relative name with a colon in it for an address.
        self.root = root_of(target.absolute())
        self._folder = self.root / name
        self._suffix = suffix
        self._target = target
        self._gained = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other processes out; ``OutputNotWritable`` if one is in.

        In the end it goes, where no finished part is lost with it.
        """
        from cleancut.errors import WeightsError
        from cleancut.weights import lock

        def refuse() -> None:
            raise OutputNotWritable(
                f"{self._target} is being written by another process",
                hint="wait for it, or choose another name with -o",
            )

        for path in (self.root, self._folder):
            if path.is_symlink():  # what is begun or removed there would be somebody else's
                raise OutputNotWritable(
                    f"{path} is a link, which parts are not written through",
                    hint="remove it, or choose another name with -o",
                )
        with _disk(self._target):
            self.root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with suppress(WeightsError):  # no locks there: nobody can be kept out
                stack.enter_context(lock.held(self.root / "lock", waiting=refuse))
            self._gained = True
            try:
                yield
            finally:
                with suppress(OSError):
                    if not any(self._folder.glob("*.json")):
                        remove(self._folder)

    def path(self, part: Part) -> Path:
        """Where the part goes."""
        return self._folder / f"{part.number:05}{self._suffix}"

    def others(self) -> int:
        """How many other commands have left parts for this target."""
        with suppress(OSError):
            return sum(
                entry.is_dir() and entry.name != self._folder.name
                for entry in os.scandir(self.root)
            )
        return 0

    def done(self, part: Part) -> PartReport | None:
        """What came of a part that is whole; None if it is still to be rendered."""
        try:
            report = PartReport.from_json(self._report(part).read_bytes())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        if report.frames and size_of(self.path(part)) != report.written:
            return None
        return report

    def finish(self, part: Part, report: PartReport) -> None:
        """Say that a part is whole, once it is safe on the disk."""
        path = self.path(part)
        with _disk(self._target):
            if report.frames:
                sync(path)
            report.written = size_of(path)
        write_atomic(self._report(part), report.to_json().encode())

    def prepare(self) -> None:
        """Make the folder, and remove the drafts of killed runs, which nobody writes any more."""
        with _disk(self._target):
            self._folder.mkdir(parents=True, exist_ok=True)
            for entry in os.scandir(self._folder):
                if entry.name.startswith("."):
                    remove(Path(entry.path))

    def sweep(self, part: Part) -> None:
        """Remove what a killed run has left of a part that is not done."""
        remove(self._report(part))
        remove(self.path(part))

    def clear(self, *, everybody: bool = False) -> None:
        """Remove this command's parts, or those of all commands."""
        if everybody:
            with suppress(OSError):
                for entry in os.scandir(self.root):
                    if entry.is_dir(follow_symlinks=False):
                        remove(Path(entry.path))
            return
        remove(self._folder)

    def leave(self) -> None:
        """Remove the root, once it was ``held`` and where nothing but its lock is in it.

        Never raises. Not to be called while ``held``.
        """
        with suppress(OSError):
            if self._gained and os.listdir(self.root) == ["lock"]:  # noqa: PTH208
                (self.root / "lock").unlink()
                self.root.rmdir()

    def _report(self, part: Part) -> Path:
        return self._folder / f"{part.number:05}.json"


def root_of(target: Path) -> Path:
    """The folder of parts of ``target``."""
    return target.parent / f".{target.name}.parts"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 if there is none."""
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
        return path.stat().st_size
    except OSError:
        return 0


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; nothing happens if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def sync(path: Path) -> None:
    """Make sure that a file, or every file in a folder, survives a loss of power."""
    if path.is_dir():
        for entry in os.scandir(path):
            sync(Path(entry.path))
    if path.is_dir() and os.name == "nt":
        return  # folders cannot be synced there
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_writable(path, error) from error
