"""Put a comparison made by ``cleancut bench compare --json`` into the package; then ``make docs``.

    python docs/measured.py FILE

Figures of single pictures are left out. Parts that were measured one after another are repeated by
one command: the last, for all parts.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from cleancut.compare.comparison import Comparison
from cleancut.compare.staleness import stale
from cleancut.compare.stored import PATH
from cleancut.imaging.files import write_atomic

_PARTIAL = re.compile(r" --(?:parts|from) \S+")


def main(file: str) -> int:
    """0 if it is stored; a run that was cut short or is out of date is refused."""
    found = Comparison.read(Path(file))
    if not found.complete:
        raise SystemExit(f"{file} is of a run that was cut short")
    if lines := stale(found):
        raise SystemExit(f"{file} is out of date: {'; '.join(lines)}")
    words = [_PARTIAL.sub("", command) for command in found.commands[-1:]]
    asked = " --downloads" if any("--downloads" in command for command in found.commands) else ""
    commands = tuple(word + asked * ("--downloads" not in word) for word in words)
    stored = replace(found, commands=commands)
    write_atomic(PATH, stored.to_json(pictures=False).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
