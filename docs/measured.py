"""Put a comparison made by ``cleancut bench compare --json`` into the package; then ``make docs``.

    python docs/measured.py FILE
    python docs/measured.py FILE --only auto     after a change that only `auto` sees

Figures of single pictures are left out. Parts that were measured one after another are repeated by
one command: the last, for all parts. With ``--only`` FILE brings accuracy and videos of these
systems, of the sets and clips that are stored; all else, seconds too, stays, and lines say of when.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from cleancut.compare.comparison import Comparison
from cleancut.compare.staleness import stale
from cleancut.compare.stored import PATH
from cleancut.imaging.files import write_atomic

_PARTIAL = re.compile(r" --(?:parts|from) \S+")


def main(file: str, only: Collection[str] = ()) -> int:
    """0 if it is stored; a run that was cut short or is out of date is refused."""
    found = Comparison.read(Path(file))
    if not found.complete:
        raise SystemExit(f"{file} is of a run that was cut short")
    if lines := stale(found):
        raise SystemExit(f"{file} is out of date: {'; '.join(lines)}")
    stored = renewed(Comparison.read(PATH), found, only) if only else repeatable(found)
    write_atomic(PATH, stored.to_json(pictures=False).encode())
    return 0


def repeatable(found: Comparison) -> Comparison:
    """``found`` with the one command that repeats it."""
    words = [_PARTIAL.sub("", command) for command in found.commands[-1:]]
    asked = " --downloads" if any("--downloads" in command for command in found.commands) else ""
    commands = tuple(word + asked * ("--downloads" not in word) for word in words)
    return replace(found, commands=commands)


def renewed(stored: Comparison, found: Comparison, only: Collection[str]) -> Comparison:
    """``stored`` with the figures that ``found`` has of the systems ``only``, all of them."""
    scores = {(row.system, row.set): row for row in found.scores if row.system in only}
    clips = {(row.system, row.clip, row.how): row for row in found.video if row.system in only}
    wanted = {(row.system, row.set) for row in stored.scores if row.system in only}
    shown = {(row.system, row.clip, row.how) for row in stored.video if row.system in only}
    if missing := (wanted - scores.keys()) | (shown - clips.keys()):
        raise SystemExit(f"not measured: {sorted(missing)}")
    who = ", ".join(sorted(only))
    when = f"measured on {stored.date} with pipeline {stored.pipeline}"
    return replace(
        stored,
        version=found.version,
        pipeline=found.pipeline,
        scores=tuple(
            replace(scores.get((row.system, row.set), row), seconds=row.seconds)
            for row in stored.scores
        ),
        video=tuple(
            replace(clips.get((row.system, row.clip, row.how), row), seconds=row.seconds)
            for row in stored.video
        ),
        skipped=(
            *stored.skipped,
            f"accuracy: {who} {found.date} with pipeline {found.pipeline}; the others {when}",
            f"speed: {when}",
        ),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only", nargs="+", default=(), metavar="SYSTEM")
    asked = parser.parse_args()
    sys.exit(main(asked.file, asked.only))
