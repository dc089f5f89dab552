"""Reports are sent to others: their lines name no folder of this machine and hold no password."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from cleancut.compare.comparison import Comparison
from cleancut.weights.folders import cache_folder, home

#: Folders of absolute paths, up to the last name; not those of an address.
_FOLDERS = re.compile(r"(?<![\w:/.%-])(?:~|[A-Za-z]:)?[\\/](?:[^\s\\/'\"<>|:;,()]+[\\/])+")
#: What stands before the host of an address, and behind its path (RFC 3986, 3.2.1 and 3.4).
_SECRETS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^\s/@]*@)?(?P<rest>[^\s?#]*)\S*", re.IGNORECASE
)

_LOCAL = re.compile(r"\bfile://\S*/", re.IGNORECASE)


def shareable(comparison: Comparison, folders: Iterable[Path] = ()) -> Comparison:
    """``comparison`` with every line of text as ``without_folders`` has it."""
    known = _spelt(folders)

    @cache  # the same few notes stand beside thousands of pictures
    def clean(text: str) -> str:
        return _cleaned(text, known)

    return replace(
        comparison,
        systems=tuple(
            replace(one, note=clean(one.note), reason=clean(one.reason))
            for one in comparison.systems
        ),
        pictures=tuple(
            replace(one, notes=tuple(map(clean, one.notes))) if one.notes else one
            for one in comparison.pictures
        ),
        deployment=tuple(
            replace(one, how={key: clean(text) for key, text in one.how.items()})
            for one in comparison.deployment
        ),
        skipped=tuple(dict.fromkeys(map(clean, comparison.skipped))),
    )


def without_folders(text: str, folders: Iterable[Path] = ()) -> str:
    """``text`` with files by their last names, and addresses without user and query.

    ``folders`` are some that may hold spaces; others are told by their slashes.
    """
    return _cleaned(text, _spelt(folders))


def _spelt(folders: Iterable[Path]) -> list[str]:
    """The folders, and those that every machine has, as text: the longest first."""
    usual = (Path.home(), Path.cwd(), Path(tempfile.gettempdir()), home(), cache_folder())
    found = {spelt for one in (*usual, *folders) for spelt in (str(one), os.path.realpath(one))}
    return sorted((one for one in found if len(Path(one).parts) > 1), key=len, reverse=True)


def _cleaned(text: str, known: Iterable[str]) -> str:
    for folder in known:
        text = text.replace(folder + os.sep, "/./").replace(folder, Path(folder).name)
    return _FOLDERS.sub("", _SECRETS.sub(r"\g<scheme>\g<rest>", _LOCAL.sub("", text)))
