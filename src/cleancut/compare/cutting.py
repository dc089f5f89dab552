"""One child process that cuts many pictures: started, listened to, and never left behind."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cleancut.compare.starters import Starter

#: Lines of one picture, more than any has; characters of a line that are read at once.
_LINES_EACH, _LONGEST = 8, 1 << 16
#: So long a process's last words are waited for after it has ended.
_LINGERS_S = 5.0


@dataclass(frozen=True, slots=True)
class Death:
    """Why a process ended before its time; ``final`` if another would do no better."""

    reason: str
    final: bool = False


def run(
    one: Starter,
    pictures: Sequence[tuple[Path, Path]],
    moved: Callable[[int], None],
    patience_s: float,
) -> Death | None:
    """One process for all ``pictures``, each a file and where its answer goes; None if all is done.

    ``moved`` is told the number of the picture it is at. Silence for longer than ``patience_s``
    ends it, and so does whatever is raised meanwhile, with everything it started.
    """
    pairs = [[str(image.absolute()), str(target.absolute())] for image, target in pictures]
    with tempfile.TemporaryDirectory(prefix="cleancut-compare-") as place:
        jobs, err = Path(place, "jobs.json"), Path(place, "err")
        jobs.write_text(json.dumps({"pictures": pairs, "repeat": 1, "watched": True}), "utf-8")
        last: dict[str, Any] = {}
        with err.open("wb") as errors:
            try:
                process = _start(one, jobs, errors)
            except OSError as error:
                return Death(f"{one.system.tool} does not start: {error.strerror}", final=True)
            with _lines_of(process) as lines:
                try:
                    for heard in itertools.count():
                        if (line := lines.get(timeout=patience_s)) is None:
                            break
                        if heard > _LINES_EACH * (len(pictures) + 1):
                            return Death("it talks without end", final=True)
                        last, at = line, line.get("at")
                        if isinstance(at, int) and 0 <= at < len(pictures):
                            moved(at)
                    code = process.wait(patience_s)
                except (queue.Empty, subprocess.TimeoutExpired):
                    return Death(f"it took longer than {patience_s:.0f} s")
        if "done" in last:
            return None
        if why := last.get("error"):
            return Death(str(why), final=True)
        return Death(_how_it_ended(code, err))


def _how_it_ended(code: int, err: Path) -> str:
    if code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            memory = ", most often for want of memory" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{memory}"
    with err.open("rb") as file:  # some tools fill a disk
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST))
        said = file.read().decode("utf-8", "replace").strip().splitlines()
    return f"its process ended with status {code}" + (f": {said[-1][:200]}" if said else "")


def _start(one: Starter, jobs: Path, errors: IO[bytes]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        one.child(jobs.absolute()),
        env=dict(one.env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


@contextmanager
def _lines_of(
    process: subprocess.Popen[str],
) -> Iterator[queue.Queue[dict[str, Any] | None]]:
    """What the process says, line by line; None is the end. It never outlives the block."""
    lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
    reader = threading.Thread(target=_read_lines, args=(process, lines), daemon=True)
    try:
        reader.start()
        yield lines
    finally:
        _end(process)
        reader.join(_LINGERS_S)  # what left the group may hold the pipe open
        if process.stdin is not None:
            process.stdin.close()


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[dict[str, Any] | None]) -> None:
    assert process.stdout is not None
    with process.stdout as said:
        while text := said.readline(_LONGEST):
            with suppress(ValueError, RecursionError):
                line = json.loads(text)
                if isinstance(line, dict):
                    lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and all it started: they are a group of their own."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
