"""How a video run goes, and what it says at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: Frames of lower confidence than this are worth a look.
UNSURE_BELOW = 0.6
#: Spans of unsure frames that are no further apart than this are told as one, seconds.
_APART_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    ``frames`` are done, those of earlier runs included, of about ``total``, None where the source
    does not say; ``share`` is 0..1, ``fps`` frames a second in this run, ``left_s`` seconds to go,
    None while nobody knows. ``stage`` is "models", "frames" or "joining".
    """

    frames: int = 0
    total: int | None = None
    share: float = 0.0
    fps: float = 0.0
    left_s: float | None = None
    stage: str = "frames"


@dataclass(slots=True)
class PartReport:
    """What came of one part; its JSON beside the part says that the part is whole.

    ``times`` and ``confidence`` are those of its frames in order, seconds from the video's first
    frame and 0..1. ``notes`` counts how often each was made, with the time of the first. ``busy_s``
    are the seconds that each stage worked. ``weights`` are the sha256 of the networks' weights by
    name, "" for those without. ``written`` is the size of the part's file.
    """

    frames: int = 0
    cuts: int = 0
    written: int = 0
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    weights: dict[str, str] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    notes: dict[str, tuple[int, float]] = field(default_factory=dict)
    busy_s: dict[str, float] = field(default_factory=dict)

    def note(self, text: str, at_s: float) -> None:
        """Count a note of the frame at ``at_s`` seconds."""
        count, first = self.notes.get(text, (0, at_s))
        self.notes[text] = (count + 1, first)

    def to_json(self) -> str:
        """One line of JSON; ``from_json`` reads it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> PartReport:
        """The report that ``to_json`` wrote; ``ValueError`` or ``TypeError`` for anything else."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> PartReport:
        """The report whose fields, as JSON values, are ``facts``; errors as above."""
        values = dict(facts)
        size = values.get("size")
        values["size"] = None if size is None else (int(size[0]), int(size[1]))
        values["notes"] = {k: (int(n), float(at)) for k, (n, at) in values["notes"].items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What a run has done.

    ``frames`` are those of the output, ``frames_kept`` those of them that an earlier run had
    rendered; ``seconds`` is what this run took, ``video_s`` the length of what was cut out, ``fps``
    frames of this run a second. ``unsure`` are spans of seconds, each with its lowest confidence.
    ``busy_s`` are the seconds that each stage of the pipeline worked, over all parts.
    """

    source: str
    target: str
    form: str
    networks: tuple[str, ...]
    size: tuple[int, int]
    frames: int
    frames_kept: int
    cuts: int
    seconds: float
    video_s: float
    fps: float
    written: int
    parts: int
    jobs: int
    confidence: float | None
    unsure: tuple[tuple[float, float, float], ...] = ()
    notes: tuple[str, ...] = ()
    busy_s: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def unsure_spans(
    times: Sequence[float], confidence: Sequence[float]
) -> tuple[tuple[float, float, float], ...]:
    """Spans (first, last, lowest confidence) of frames that are worth a look, in order of time.

    A frame that is unsure alone is none: nobody sees one frame.
    """
    spans: list[tuple[float, float, float]] = []
    for at, sure in zip(times, confidence, strict=True):
        if sure >= UNSURE_BELOW:
            continue
        if spans and at - spans[-1][1] <= _APART_S:
            first, _, lowest = spans[-1]
            spans[-1] = (first, at, min(lowest, sure))
        else:
            spans.append((at, at, sure))
    return tuple(
        (round(a, 3), round(b, 3), round(low, 3)) for a, b, low in spans if b > a or len(times) == 1
    )


def joined_notes(parts: Iterable[PartReport]) -> tuple[str, ...]:
    """The notes of all parts, each once; one of some frames only says how many and since when."""
    told: dict[str, tuple[int, float]] = {}
    for part in parts:
        for text, (count, first) in part.notes.items():
            before, since = told.get(text, (0, first))
            told[text] = (before + count, min(since, first))
    return tuple(
        text if count <= 1 else f"{text} ({count} frames, first at {clock(first)})"
        for text, (count, first) in told.items()
    )


def clock(seconds: float) -> str:
    """ "0:12", "1:02:05"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
