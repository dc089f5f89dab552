"""The measurements that ship with the package, which ``recommend`` answers from."""

from __future__ import annotations

from pathlib import Path

from cleancut.compare.comparison import Comparison
from cleancut.errors import SetupError

#: Written by ``cleancut bench compare``, without single pictures.
PATH = Path(__file__).with_name("measured.json")


def stored() -> Comparison:
    """The comparison in the package; ``SetupError`` if it is not there.

    ``BadOption`` if it is not what a comparison looks like.
    """
    if not PATH.is_file():
        raise SetupError(
            "the package holds no measurements",
            hint="measure with: cleancut bench compare --json mine.json, and give --figures "
            "mine.json; or run: pip install --force-reinstall --no-deps cleancut",
        )
    return Comparison.read(PATH)
