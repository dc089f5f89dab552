"""Messages as a client may read them."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache

from cleancut.guidance import Guidance
from cleancut.options import Options, flag
from cleancut.video.options import VideoOptions

#: Absolute paths with at least two parts, that do not stand in a URL.
_PATH = re.compile(
    r"(?<![\w:/.%-])(?!/(?:v1|api)\b)(?:~?(?:/[^\s/'\"();,:]+){2,}/?|[A-Za-z]:\\[^\s'\"();,]+)",
    re.ASCII,
)
#: What is wrong with a picture beside the main one: it was sent, so its place means nothing.
_NAMED = re.compile(rf"(?<![\w-])(--[a-z][a-z-]+) (?:{_PATH.pattern})(?=:)", re.ASCII)


@cache
def _spellings() -> dict[str, str]:
    names = {flag(field.name): field.name for field in fields(Options)}
    names |= {flag(field.name): field.name for field in fields(Guidance)}
    for field in fields(VideoOptions):
        names[field.metadata.get("flag") or flag(field.name)] = field.name
    return names | {"--preset": "preset"}


def placeless(text: str) -> str:
    """``text`` without paths of the server's."""
    return _PATH.sub("(a file of the server)", _NAMED.sub(r"\1", text))


def public(text: str) -> str:
    """``text`` without paths of the server's, with flags spelled as fields."""
    return re.sub(r"--[a-z][a-z-]+", lambda m: _spellings().get(m[0], m[0]), placeless(text))
