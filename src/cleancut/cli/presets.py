"""``cleancut presets``: the ready-made outputs that ``--preset`` knows."""

from __future__ import annotations

import argparse
import json
import shlex

from cleancut.options import flag
from cleancut.presets import PAPER, presets

EPILOG = """\
examples:
  cleancut presets                                    shops, ID photos and papers
  cleancut cut shoe.jpg --preset amazon --format jpg
  cleancut cut me.jpg --preset us                     one photo of 2 x 2 inches
  cleancut cut me.jpg --preset us+4x6in -o sheet.jpg  a sheet of them, to print and cut
  cleancut cut me.jpg --preset cn-1-inch --background '#438edb'

The numbers follow the rules named with each; they change, so look at the source before you hand a
picture in. Many authorities refuse photos that were changed by software.
"""

_GROUPS = {
    "shop": "shops: the subject in a square of so many pixels",
    "id-photo": "ID photos: one head of the right size, on paper",
    PAPER: "papers: join one to an ID photo with a plus",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``presets``."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print every row with what it stands for."""
    rows = presets().values()
    if args.json:
        print(json.dumps([row.card() for row in rows], indent=2))
        return 0
    width = max(len(row.id) for row in rows)
    for group, about in _GROUPS.items():
        print(f"{about}\n")
        for row in rows:
            if row.group == group:
                print(f"  {row.id:{width}}  {row.title}")
                values = row.options.items()
                flags = " ".join(f"{flag(name)} {shlex.quote(value)}" for name, value in values)
                print(f"  {'':{width}}  {flags}")
                if row.note:
                    print(f"  {'':{width}}  {row.note}")
        print()
    return 0
