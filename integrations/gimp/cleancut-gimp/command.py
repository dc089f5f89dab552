"""Everything of the plug-in that needs no GIMP: the command, its answer, a picture of a selection.

GIMP brings a Python of its own, without cleancut and its networks, so the command is run instead.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

#: Names the command if GIMP does not find it; the dialog's field wins.
VARIABLE = "CLEANCUT_COMMAND"
_HINT = f"give the command's path in the dialog, or in the environment variable {VARIABLE}"


class CommandFailed(Exception):
    """One line for the user: what went wrong and what to do."""


def find_command(told: str, environ: Mapping[str, str]) -> list[str]:
    """The words of the command: from the dialog, the environment, PATH, or pip's user folder.

    Raises ``CommandFailed`` if there is none.
    """
    if words := shlex.split(told.strip() or environ.get(VARIABLE, "")):
        if shutil.which(words[0]) is None:
            raise CommandFailed(f"{words[0]!r} cannot be run; {_HINT}")
        return words
    places = (environ.get("PATH", os.defpath), str(Path("~/.local/bin").expanduser()))
    found = shutil.which("cleancut", path=os.pathsep.join(places))
    if found is None:
        raise CommandFailed(f"the command cleancut is not found: pip install cleancut, or {_HINT}")
    return [found]


def arguments(
    picture: Path,
    output: Path,
    *,
    model: str,
    refine: str,
    only_mask: bool,
    box: tuple[int, int, int, int] | None = None,
    scribbles: Path | None = None,
) -> list[str]:
    """What follows the command's name; ``box``: left, top, right, bottom in the layer's pixels."""
    words = ["cut", str(picture), "-o", str(output), "--json", "--recut"]
    words += [f"--model={model}", f"--refine={refine}"]
    if only_mask:
        words.append("--only-mask")
    if box is not None:
        words.append(f"--keep-box={','.join(map(str, box))}")
    if scribbles is not None:
        words.append(f"--scribbles={scribbles}")
    return words


def run(
    words: list[str], environ: Mapping[str, str], *, waiting: Callable[[], object]
) -> dict[str, object]:
    """Run the command to its end and return its facts; ``waiting`` is called ten times a second.

    Raises ``CommandFailed``. Whatever ends the wait early ends the command too.
    """
    # An AppImage of GIMP points these at its own Python, which the user's must not see.
    clean = {name: value for name, value in environ.items() if name not in _OF_PYTHON}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=clean
            )
        except OSError as error:
            raise CommandFailed(f"{words[0]!r} cannot be run: {error.strerror}; {_HINT}") from error
        try:
            while process.poll() is None:
                waiting()
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        texts = [(file.seek(0), file.read().decode("utf-8", "replace"))[1] for file in (out, err)]
    return facts_of(process.returncode, *texts)


_OF_PYTHON = ("PYTHONHOME", "PYTHONPATH")


def facts_of(code: int, out: str, err: str) -> dict[str, object]:
    """What the command said about the picture; ``CommandFailed`` with its error otherwise."""
    facts = _json_of(out)
    if code == 0 and facts is not None:
        return facts
    error = (facts or {}).get("error")
    if isinstance(error, dict):
        raise CommandFailed("; ".join(filter(None, (error.get("message"), error.get("hint")))))
    said = [line.removeprefix("cleancut: ") for line in err.splitlines() if line.strip()]
    raise CommandFailed(" ".join(said[-2:]) or f"cleancut ended with exit code {code}, in silence")


def _json_of(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text.strip().rpartition("\n")[2])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def warnings_of(facts: Mapping[str, object]) -> list[str]:
    """What to tell the user about a cutout that was made: reasons to doubt it."""
    reasons = facts.get("reasons")
    return [str(reason) for reason in reasons] if isinstance(reasons, list) else []


def write_scribbles(path: Path, selected: bytes, width: int, height: int) -> None:
    """A PNG that is green where ``selected`` (a byte a pixel, row by row) is 128 or more."""
    step = bytes.maketrans(bytes(range(256)), bytes(128) + b"\xff" * 128)
    rows = bytearray()
    for top in range(0, width * height, width):
        row = bytearray(3 * width)
        row[1::3] = selected[top : top + width].translate(step)
        rows += b"\0" + row
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 1)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
