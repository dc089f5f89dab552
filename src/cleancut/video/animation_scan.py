"""Frames, times and repeats of GIF, APNG and WebP files, from their blocks alone."""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

_CUT_OFF = "truncated: the file ends early; the frames that are there were read"
_HASTY = "hasty_frames: frames without a length are shown for 0.1 s, as browsers do"
#: As browsers do: what is asked to be quicker than this, in hundredths, gets a tenth of a second.
_GIF_LEAST, _GIF_INSTEAD = 2, 10
_FINEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Animation:
    """What the blocks of an animation say.

    ``durations`` of its frames, in ``time_base``. ``repeats``: how often it is played, 0 for ever.
    ``clears``: frames may be removed again, so that nothing is left. ``skips_first``: the file's
    first picture is not part of the animation.
    """

    format: str
    width: int
    height: int
    durations: tuple[int, ...]
    time_base: Fraction
    repeats: int
    transparent: bool
    clears: bool = False
    skips_first: bool = False
    notes: tuple[str, ...] = ()


def scan(path: Path) -> Animation | None:
    """What is animated in a GIF, PNG or WebP file; None for a still picture.

    A file that ends early gives the frames up to there. Raises OSError.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        if data[:4] == b"GIF8":
            return _scan_gif(data)
        if data[:4] == b"\x89PNG":
            return _scan_png(data)
        return _scan_webp(data)


def _scan_gif(data: mmap.mmap) -> Animation | None:
    """GIF89a, sections 17 to 27; the NETSCAPE2.0 extension says how often to repeat."""
    if len(data) < 13:
        return None
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _table(flags)
    durations: list[int] = []
    delay, hasty, clears, repeats, timed = 0, False, False, 1, False
    end = len(data)
    while at + 1 < end:
        kind = data[at]
        if kind == 0x21 and data[at + 1] == 0xF9 and at + 8 <= end:
            disposal = data[at + 3] >> 2 & 7
            clears = clears or disposal in (2, 3)
            delay = int.from_bytes(data[at + 4 : at + 6], "little")
            timed = timed or delay > 0
            at = _after_blocks(data, at + 2)
        elif kind == 0x21:
            if data[at + 2 : at + 14] == b"\x0bNETSCAPE2.0" and data[at + 14 : at + 16] == b"\3\1":
                loops = int.from_bytes(data[at + 16 : at + 18], "little")
                repeats = loops + 1 if loops else 0
                timed = True
            at = _after_blocks(data, at + 2)
        elif kind == 0x2C and at + 11 <= end:
            hasty = hasty or delay < _GIF_LEAST
            durations.append(_GIF_INSTEAD if delay < _GIF_LEAST else delay)
            delay = 0
            at = _after_blocks(data, at + 11 + _table(data[at + 9]))
        else:  # 0x3B, the end, or nothing that belongs there
            break
    if len(durations) == 1 and not timed:
        return None
    notes = ((_HASTY,) if hasty else ()) + ((_CUT_OFF,) if at > end else ())
    base = Fraction(1, 100)
    return Animation(
        "gif", width, height, tuple(durations), base, repeats, True, clears=clears, notes=notes
    )


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: mmap.mmap, at: int) -> int:
    end = len(data)
    while at < end and data[at]:
        at += data[at] + 1
    return at + 1


def _scan_png(data: mmap.mmap) -> Animation | None:
    """APNG: acTL and fcTL chunks (PNG 3rd edition, 11.3.6)."""
    if len(data) < 33:
        return None
    width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
    times: list[Fraction] = []
    plays, transparent, seen_data, skips = None, colour in (4, 6), False, False
    whole = False
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + min(size, 26)]
        if name == b"acTL" and len(body) >= 8:
            plays = int.from_bytes(body[4:8], "big")
        elif name == b"tRNS":
            transparent = True
        elif name == b"fcTL" and len(body) == 26:
            num, den = struct.unpack_from(">HH", body, 20)
            times.append(Fraction(num, den or 100))
        elif name == b"IDAT" and not seen_data:
            seen_data, skips = True, not times
        elif name == b"IEND":
            whole = True
            break
        at += size + 12
    if plays is None:
        return None
    base = Fraction(1, math.lcm(*(time.denominator for time in times)) if times else 1000)
    if base < Fraction(1, _FINEST):
        base = Fraction(1, 1000)
    durations = tuple(max(1, round(time / base)) if time else 0 for time in times)
    found = Animation("apng", width, height, durations, base, plays, transparent)
    notes = () if whole else (_CUT_OFF,)
    return _without_zeros(replace(found, skips_first=skips, notes=notes))


def _scan_webp(data: mmap.mmap) -> Animation | None:
    """RFC 9649, section 2.7: VP8X, ANIM and ANMF chunks."""
    if len(data) < 30 or data[12:16] != b"VP8X" or not data[20] & 0x02:
        return None
    transparent = bool(data[20] & 0x10)
    width = 1 + int.from_bytes(data[24:27], "little")
    height = 1 + int.from_bytes(data[27:30], "little")
    durations: list[int] = []
    repeats = 0
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"ANIM" and size >= 6:
            repeats = int.from_bytes(data[at + 12 : at + 14], "little")
        elif name == b"ANMF" and size >= 16:
            durations.append(int.from_bytes(data[at + 20 : at + 23], "little"))
        at += 8 + size + (size & 1)
    base = Fraction(1, 1000)
    found = Animation("webp", width, height, tuple(durations), base, repeats, transparent)
    return _without_zeros(replace(found, notes=(_CUT_OFF,) if at > len(data) else ()))


def _without_zeros(found: Animation) -> Animation:
    if all(found.durations):
        return found
    instead = max(1, round(Fraction(1, 10) / found.time_base))
    durations = tuple(duration or instead for duration in found.durations)
    return replace(found, durations=durations, notes=(*found.notes, _HASTY))
