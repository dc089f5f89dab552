"""The file that one part of a video is written to, and read from again when parts are joined.

It is Matroska, since that holds every codec here and VP9's alpha. Matroska counts milliseconds, too
coarse for most sources, so a part's "milliseconds" are really ticks of the source's time base, from
the part's first frame on. What Matroska has no place for stands behind it in an EBML Void element
(RFC 8794, 11.3.2), which demuxers skip: the first frame's pts, each frame's duration, notes.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import OutputNotWritable
from cleancut.video.frame import USUAL_RATE

if TYPE_CHECKING:
    from cleancut.video.frame import VideoInfo

#: One tick of a part's file, whatever it stands for.
TICK = Fraction(1, 1000)
_MAGIC = b"cleancut-part\0"
_VOID = b"\xec\x01"


@dataclass(slots=True)
class PartFacts:
    """What is known about a part beside its packets.

    ``start`` is the first frame's pts in the source's time base; ``ticks`` are those of its packets
    from there on, as they follow each other; ``durations`` those of its frames in order of pts, -1
    where the source does not say.
    """

    start: int = 0
    ticks: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draft_of(target: Path) -> Path:
    """A name beside ``target`` for what is not finished."""
    return target.with_name(f".cleancut-{secrets.token_hex(6)}.part")


def append_facts(path: Path, facts: PartFacts) -> None:
    """Write the facts behind a closed part, and all of it to the disk. Raises OSError."""
    text = json.dumps(asdict(facts), separators=(",", ":")).encode()
    body = text + len(text).to_bytes(4, "big") + _MAGIC
    with path.open("ab") as file:
        file.write(_VOID + len(body).to_bytes(7, "big") + body)
        file.flush()
        os.fsync(file.fileno())


def read_facts(path: Path) -> PartFacts:
    """The facts of a part. Raises ``OutputNotWritable`` where the part is not whole."""
    trailer = 4 + len(_MAGIC)
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - trailer))
            tail = file.read()
            length = int.from_bytes(tail[:4], "big")
            if len(tail) != trailer or tail[4:] != _MAGIC or length > end - trailer:
                raise ValueError("it has no end")
            file.seek(end - trailer - length)
            facts = PartFacts(**json.loads(file.read(length)))
        if not facts.ticks:
            raise ValueError("it has no frames")
        return facts
    except (OSError, ValueError, TypeError) as error:
        raise OutputNotWritable(
            f"a finished part of the video cannot be used again: {error}",
            hint="run the same command with --fresh",
        ) from error


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the frames of all parts are shown: ``pts`` rising, and ``durations``, both in ``base``.

    ``late`` is by how many frames packets are out of order at most (B-frames).
    """

    base: Fraction
    pts: list[int]
    durations: list[int]
    late: int

    @property
    def end(self) -> int:
        """Where the last frame ends."""
        return self.pts[-1] + self.durations[-1]


def timeline(facts: Sequence[PartFacts], info: VideoInfo) -> Timeline:
    """The timeline of parts: a frame lasts until the next, the last one as the source says."""
    pts: list[int] = []
    late = 0
    for fact in facts:
        ticks = sorted(fact.ticks)
        place = {tick: index for index, tick in enumerate(ticks)}
        late = max(late, *(index - place[tick] for index, tick in enumerate(fact.ticks)))
        pts += [fact.start + tick for tick in ticks]
    said = facts[-1].durations[-1]
    if said <= 0 and info.rate:
        said = round(1 / (info.rate * info.time_base))
    elif said <= 0:
        said = pts[-1] - pts[-2] if len(pts) > 1 else round(1 / (USUAL_RATE * info.time_base))
    durations = [*(later - pts for pts, later in pairwise(pts)), max(1, said)]
    return Timeline(info.time_base, pts, durations, late)
