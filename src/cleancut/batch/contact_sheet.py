"""The contact sheet: one page that shows every result, and finds the bad ones.

One HTML file that opens from the disk, without a server or the network. Small pictures lie beside
the ledger and are loaded as they come into view. File names and messages are data of the page,
never markup: they reach it as JSON, and a content policy forbids any script but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import urllib.parse
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from cleancut.batch import storage
from cleancut.batch.ledger import THUMBS

#: Rows on the page. Beyond that, those that nobody needs to look at are left out, and it is said.
MAX_ROWS = 100_000
#: Of these, so many each may be failed, of low confidence, or noted.
_MAX_SPECIAL = 30_000


class Sheet:
    """Gathers rows from the ledger's records and writes the page."""

    def __init__(self, out: str, *, low_confidence: float) -> None:
        self._out = out
        self._low = low_confidence
        self._rows: dict[str, list[list[Any]]] = {"failed": [], "low": [], "noted": [], "fine": []}
        self._total = 0
        self._texts: dict[str, int] = {}
        self._folders: dict[tuple[str, str], int] = {}
        self._known: dict[str, int] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """One picture."""
        self._total += 1
        facts = record.get("facts") or {}
        failed = record.get("status") != "done"
        confidence = facts.get("confidence")
        if failed:
            kind = "failed"
        elif confidence is not None and confidence < self._low:
            kind = "low"
        else:
            kind = "noted" if facts.get("notes") else "fine"
        most = MAX_ROWS if kind == "fine" else _MAX_SPECIAL
        if len(self._rows[kind]) >= most:
            return
        error = record.get("error") or {}
        name = str(record.get("name"))
        width, height = [*(facts.get("output_size") or ()), 0, 0][:2]
        self._rows[kind].append(
            [
                _shown(name),
                int(failed),
                confidence,
                round(1000 * float(record.get("seconds") or 0)),
                str(record.get("thumb") or ""),
                self._source(str(record.get("source") or "")),
                [self._text(reason) for reason in facts.get("reasons") or ()],
                [self._text(note) for note in facts.get("notes") or ()],
                width,
                height,
                [self._text(error.get(key, "")) for key in ("code", "message", "hint")]
                if failed
                else 0,
                int(bool(record.get("cached"))),
                _shown(str(record.get("path") or "")),
            ]
        )

    def html(self, facts: Mapping[str, Any]) -> bytes:
        """The page; ``facts`` are those of the JSON report."""
        rows = [row for kind in ("failed", "low", "noted", "fine") for row in self._rows[kind]]
        data = {
            "rows": rows[:MAX_ROWS],
            "total": self._total,
            "texts": list(self._texts),
            "folders": list(self._folders),
            "thumbs": THUMBS,
            "low": self._low,
            "report": {
                key: facts[key]
                for key in ("cleancut", "output", "run", "totals", "options", "failures_by_code")
            },
        }
        # "<" would let a name end the element; JSON takes the escape for the same text.
        text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
        page = _asset("contact_sheet.html")
        style, script = _asset("contact_sheet.css"), _asset("contact_sheet.js")
        policy = (
            "default-src 'none'; img-src * file: data: blob:; "
            f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
        )
        for mark, value in (("POLICY", policy), ("STYLE", style), ("SCRIPT", script)):
            page = page.replace(f"%%{mark}%%", value)
        head, tail = page.split("%%DATA%%")  # last, so that no name is taken for a mark
        return (head + text + tail).encode("utf-8")

    def _text(self, text: Any) -> int:
        return self._texts.setdefault(_shown(str(text)), len(self._texts))

    def _source(self, source: str) -> list[Any]:
        """The source as the number of its folder and its own name, percent-encoded."""
        if storage.is_remote(source):
            head, slash, name = source.rpartition("/")
            whole = storage.is_web(source) and not source.endswith(storage.LEFT_OUT)
            href = head + slash if whole else ""
            return [self._folder(head + slash, href), name if href else _quoted(name)]
        folder, name = os.path.split(os.path.abspath(source))  # noqa: PTH100
        if folder not in self._known:
            href = "" if storage.is_remote(self._out) else _relative(folder, self._out)
            self._known[folder] = self._folder(os.path.join(folder, ""), href)  # noqa: PTH118
        return [self._known[folder], _quoted(name)]

    def _folder(self, folder: str, href: str) -> int:
        """The number of a folder: where a browser finds it ("" if it cannot), and where it is."""
        return self._folders.setdefault((href, _shown(folder)), len(self._folders))


def _relative(folder: str, start: str) -> str:
    try:
        below = os.path.relpath(folder, start)
    except ValueError:  # another drive of Windows
        return ""
    return _quoted(below.replace(os.sep, "/")) + "/"


def _quoted(path: str) -> str:
    """Percent-encoded, byte by byte: also names that are no text."""
    return urllib.parse.quote(os.fsencode(path))


def _shown(text: str) -> str:
    """Text that every browser can show; bytes that are no text become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _asset(name: str) -> str:
    return (files("cleancut.batch") / name).read_text("utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
