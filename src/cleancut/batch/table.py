"""What a ledger's lines come to, in memory: a row a picture, seven numbers a row.

Names, errors and facts stay in the file, at the offset that the row remembers; a million pictures
take some 250 MB.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Iterator, Mapping
from typing import IO, Any

from cleancut.batch import names

ASSIGNED, DONE, FAILED = range(3)
_MOST_ATTEMPTS = 255


def number(text: str) -> int:
    """``text`` as a number of 64 bits."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


class Table:
    """The last word about every picture, from lines applied in their order.

    Columns are read through ``status[row]`` and so on, with ``row`` from ``find``. ``file`` and
    ``offset`` say where the line with the name is, ``print_`` is the fingerprint of the settings
    under which the picture ended, ``ended`` when (seconds since 1970). ``taken`` are the names that
    belong to somebody, ``former`` those that a picture had before it got another (its format
    changed): its row, whether it was done under that name, file and offset of that line.
    """

    def __init__(self) -> None:
        self.taken: set[int] = set()
        self.former: dict[int, tuple[int, bool, int, int]] = {}
        self.status, self.attempts = bytearray(), bytearray()
        self.file = array("H")
        self.offset, self.version, self.print_ = array("Q"), array("Q"), array("Q")
        self.source, self.name = array("Q"), array("Q")
        self.ended = array("d")
        self._rows: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.status)

    def find(self, job_id: str) -> int | None:
        """The row of a job."""
        return self._rows.get(int(job_id, 16))

    def rows_of(self, file: int) -> list[int]:
        """Rows whose last word stands in this file, in the file's order."""
        rows = [row for row in range(len(self)) if self.file[row] == file]
        rows.sort(key=self.offset.__getitem__)
        return rows

    def apply(self, line: Mapping[str, Any], file: int, at: int) -> None:
        """Take in one line about a picture, found at offset ``at`` of a file.

        Raises KeyError, TypeError, ValueError or OverflowError for a line that makes no sense.
        """
        kind = line["e"]
        known = self._rows.get(int(line["id"], 16))
        if kind == "start":
            if known is not None and self.file[known] == file:
                self.attempts[known] = min(_MOST_ATTEMPTS, self.attempts[known] + 1)
                self.status[known] = ASSIGNED
            return
        moment = float(line["t"])
        if known is not None and self.ended[known] > moment:
            return  # another shard's ledger knows better
        if kind == "assign":
            attempts = min(_MOST_ATTEMPTS, max(0, int(line.get("attempts", 0))))
            row = self._row(line, file, at)
            self.status[row] = ASSIGNED
            self.attempts[row] = max(self.attempts[row], attempts)
        else:
            status = DONE if line["status"] == "done" else FAILED
            print_ = int(line["fp"], 16)
            row = self._row(line, file, at)
            self.status[row], self.attempts[row] = status, 0
            self.print_[row], self.ended[row] = print_, moment

    def _row(self, line: Mapping[str, Any], file: int, at: int) -> int:
        """The row of a line's picture, made if need be and pointed at that line."""
        key = int(line["id"], 16)
        name = number(names.fold(line["name"]))
        version, source = number(line["version"]), number(line["source"])
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self.status)
            self.status.append(ASSIGNED)
            self.attempts.append(0)
            self.file.append(0)
            for column in (self.offset, self.version, self.print_, self.source, self.name):
                column.append(0)
            self.ended.append(0.0)
        elif self.name[row] != name:
            made = self.status[row] == DONE
            self.former[self.name[row]] = row, made, self.file[row], self.offset[row]
        self.former.pop(name, None)
        self.file[row], self.offset[row] = file, at
        self.version[row], self.source[row], self.name[row] = version, source, name
        self.taken.add(name)
        return row


#: How much is looked at together when a ledger is read.
CHUNK_BYTES = 8 << 20
_HEAD = re.compile(rb'\{"e":"(assign|start|end)","id":"([0-9a-f]{16})"')
_CUT, _CLOSED = b',"seconds":', b',"ok":1}\n'


def lines_that_matter(chunk: list[bytes]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Numbers and contents of the lines of ``chunk`` that still mean something.

    What was planned and begun does not once it has ended, and a million lines are not parsed for
    it. Of ends the head is enough. A damaged line comes as None.
    """
    ends: dict[bytes, int] = {}
    heads = [_HEAD.match(raw) for raw in chunk]
    heard: dict[int, dict[str, Any] | None] = {}
    for at, (raw, head) in enumerate(zip(chunk, heads, strict=True)):
        if head is not None and head[1] == b"end":
            heard[at] = line = _end_of(raw)
            if line is not None:
                ends[head[2]] = at
    for at, (raw, head) in enumerate(zip(chunk, heads, strict=True)):
        if at in heard:
            yield at, heard[at]
        elif head is None or ends.get(head[2], -1) < at:
            yield at, parsed(raw)


def _end_of(raw: bytes) -> dict[str, Any] | None:
    # A quote within a value is escaped, so the cut is where it seems to be; a torn line, whatever
    # it ends with, lacks the last field.
    cut = raw.find(_CUT)
    if cut < 0 or not raw.endswith(_CLOSED):
        return parsed(raw)
    return parsed(raw[:cut] + b"}\n")


def parsed(raw: bytes) -> dict[str, Any] | None:
    """A line of a ledger, None for a torn or damaged one."""
    if not raw.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw.decode("ascii"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def line_at(file: IO[bytes], offset: int) -> bytes:
    """The line that begins at ``offset``."""
    file.seek(offset)
    return file.readline()


def encoded(line: Mapping[str, Any]) -> bytes:
    """One line, in ASCII: names that are no text survive as escapes."""
    return json.dumps(line, separators=(",", ":"), default=str).encode("ascii") + b"\n"


def live_bytes(table: Table, path: str, rows: list[int]) -> int:
    """About how many bytes the last lines of ``rows`` take in the file, from a sample of them."""
    sample = rows[:: max(1, len(rows) // 64)]
    if not sample:
        return 0
    with open(path, "rb") as file:  # noqa: PTH123
        total = sum(len(line_at(file, table.offset[row])) for row in sample)
    return total * len(rows) // len(sample)


def kept_lines(table: Table, path: str, rows: list[int]) -> Iterator[bytes]:
    """One line for each of ``rows``: how it ended, or that it has a name and was begun so often.

    Before them those that tell of its former names.
    """
    keys = ("id", "name", "source", "version", "path", "t")
    chosen = {(row, table.file[row]) for row in rows} if table.former else set()
    with open(path, "rb") as file:  # noqa: PTH123
        for row, _made, number_of_file, offset in table.former.values():
            if (row, number_of_file) in chosen:
                yield line_at(file, offset)
        for row in rows:
            raw = line_at(file, table.offset[row])
            if table.status[row] != ASSIGNED:
                yield raw
            elif (line := parsed(raw)) is not None:
                kept = {key: line.get(key, "") for key in keys}
                yield encoded({"e": "assign", **kept, "attempts": table.attempts[row]})
