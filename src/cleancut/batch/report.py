"""The report at the end of a run: ``cleancut-report.json`` and a contact sheet to look at.

Both cover the whole output folder, what earlier runs did included; ``run`` is this run alone.
"""

from __future__ import annotations

import heapq
import json
import math
import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cleancut import __version__
from cleancut.batch import storage
from cleancut.batch.contact_sheet import Sheet
from cleancut.batch.ledger import Ledger

#: Raised when a field changes its meaning.
SCHEMA = 1
JSON_NAME, HTML_NAME = "cleancut-report.json", "cleancut-report.html"
#: Confidence under which a picture is listed, unless the user said another.
LOW_CONFIDENCE = 0.6
_LISTED = 10_000
_SLOWEST = 20

#: A figure, a number that makes it unique, and the entry that it belongs to.
_Ranked = tuple[float, int, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What only the run knows: ``began`` in seconds since 1970, wall ``seconds``.

    ``stopped`` says why it ended early ("interrupted"), "" if it did not. ``skipped`` counts by
    reason what was not done again (``Choice.reason``), ``left_out`` what was no picture, with
    ``examples``. ``options`` are those of the pictures, ``versions`` those of what was used.
    """

    began: float
    seconds: float
    stopped: str = ""
    skipped: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, list[str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Where the report is, and its figures as they stand in the JSON file."""

    json_place: str
    html_place: str
    facts: Mapping[str, Any]


def write_report(
    ledger: Ledger, out: str, run: RunFacts, *, low_confidence: float = LOW_CONFIDENCE
) -> Report:
    """Write both files into ``out``, each whole or not at all.

    Raises ``OutputNotWritable`` and ``StorageFailed``.
    """
    gathered = _Gathered(low_confidence)
    sheet = Sheet(out, low_confidence=low_confidence)
    for record in ledger.records():
        if not _is_sound(record):
            ledger.damaged += 1  # JSON, but not what was written
            continue
        gathered.add(record)
        sheet.add(record)
    facts = _facts(ledger, out, run, gathered)
    places = storage.join(out, JSON_NAME), storage.join(out, HTML_NAME)
    storage.write(places[0], (json.dumps(facts, indent=1) + "\n").encode("ascii"))
    storage.write(places[1], sheet.html(facts))
    return Report(*places, facts)


def _is_sound(record: Mapping[str, Any]) -> bool:
    """Whether the values of a record are of the kinds that the report counts on."""
    facts, error = record.get("facts") or {}, record.get("error") or {}
    if not isinstance(facts, dict) or not isinstance(error, dict):
        return False
    lists = [facts.get(name) or [] for name in ("output_size", "notes", "reasons")]
    if not all(isinstance(values, list) for values in lists):
        return False
    figures = [record.get("written"), record.get("seconds"), facts.get("confidence"), *lists[0]]
    return all(
        figure is None or (isinstance(figure, int | float) and math.isfinite(figure))
        for figure in figures
    )


def _facts(ledger: Ledger, out: str, run: RunFacts, gathered: _Gathered) -> dict[str, Any]:
    counts = ledger.summary()
    this = counts.run_done + counts.run_failed
    return {
        "schema": SCHEMA,
        "cleancut": __version__,
        "output": storage.plain(out),
        "run": {
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.began)),
            "seconds": round(run.seconds, 2),
            "stopped": run.stopped,
            "done": counts.run_done,
            "failed": counts.run_failed,
            "cached": counts.run_cached,
            "pictures_per_second": round(this / run.seconds, 3) if run.seconds > 0 else None,
            "skipped": dict(run.skipped),
            "left_out": dict(run.left_out),
            "left_out_examples": dict(run.examples),
            "notices": list(ledger.notices),
        },
        "totals": {
            "done": counts.done,
            "failed": counts.failed,
            "unfinished": counts.unfinished,
            "low_confidence": gathered.low_count,
            "written_bytes": gathered.written,
            "damaged_ledger_lines": counts.damaged_lines,
        },
        "options": dict(run.options),
        "versions": {"python": platform.python_version(), **run.versions},
        "failures_by_code": dict(gathered.codes.most_common()),
        "failures": gathered.failures,
        "low_confidence_below": gathered.below,
        "low_confidence": gathered.lowest(),
        "notes": dict(gathered.notes.most_common()),
        "slowest": gathered.slowest(),
        "contact_sheet": HTML_NAME,
        "counts": asdict(counts),
    }


class _Gathered:
    """Figures over all records; lists keep their worst entries only."""

    def __init__(self, below: float) -> None:
        self.below = below
        self.codes: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []
        self.low_count = 0
        self.written = 0
        self._number = 0
        self._low: list[_Ranked] = []
        self._slow: list[_Ranked] = []

    def add(self, record: Mapping[str, Any]) -> None:
        self._number += 1
        name = str(record.get("name"))
        if record.get("status") != "done":
            error = record.get("error") or {}
            self.codes[str(error.get("code", "unknown"))] += 1
            if len(self.failures) < _LISTED:
                entry = {"name": name, "source": storage.plain(str(record.get("source")))}
                self.failures.append(entry | dict(error))
            return
        facts = record.get("facts") or {}
        self.written += int(record.get("written") or 0)
        for note in facts.get("notes") or ():
            self.notes[str(note).partition(":")[0]] += 1
        seconds = float(record.get("seconds") or 0)
        slow = {"name": name, "seconds": seconds, "timings_ms": facts.get("timings_ms")}
        _keep(self._slow, (seconds, -self._number, slow), _SLOWEST)
        confidence = facts.get("confidence")
        if confidence is not None and confidence < self.below:
            self.low_count += 1
            low = {"name": name, "confidence": confidence, "reasons": facts.get("reasons")}
            _keep(self._low, (-confidence, -self._number, low), _LISTED)

    def lowest(self) -> list[dict[str, Any]]:
        """The least sure first."""
        return [entry for _, _, entry in sorted(self._low, reverse=True)]

    def slowest(self) -> list[dict[str, Any]]:
        """The slowest first."""
        return [entry for _, _, entry in sorted(self._slow, reverse=True)]


def _keep(
    heap: list[_Ranked],
    entry: tuple[float, int, dict[str, Any]],
    most: int,
) -> None:
    if len(heap) < most:
        heapq.heappush(heap, entry)
    elif entry[:2] > heap[0][:2]:
        heapq.heapreplace(heap, entry)
