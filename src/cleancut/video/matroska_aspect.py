"""The shape of pixels in a Matroska or WebM file, said after the file is written.

VP9 does not carry it, and PyAV cannot tell the muxer. Matroska says it as DisplayWidth and
DisplayHeight (RFC 9559, 5.1.4.1.28) in the track's Video element; room for the two is made by a
placeholder, the track's name, so that nothing else in the file moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

#: A name whose element is as long as the two that replace it: 2 + 1 + 11 bytes.
PLACEHOLDER = "aspect-room"
_SEGMENT, _TRACKS, _TRACK = 0x18538067, 0x1654AE6B, 0xAE
_NAME, _VIDEO, _WIDTH, _HEIGHT, _UNIT = 0x536E, 0xE0, 0xB0, 0xBA, 0x54B2
_CRC = 0xBF
_HEAD_BYTES = 1 << 20

#: An element: its id, where its id, its body and what follows it begin.
Element = tuple[int, int, int, int]


def write_aspect(path: Path, aspect: Fraction) -> None:
    """Say in a file whose video track is named ``PLACEHOLDER`` that its pixels are not square.

    ``aspect`` is a pixel's width by its height. Raises OSError; ValueError where the file is not
    what the muxer usually writes.
    """
    with path.open("rb+") as file:
        head = bytearray(file.read(_HEAD_BYTES))
        for track in _tracks(head):
            inside = list(_elements(head, track[2], track[3]))
            names = [e for e in inside if e[0] == _NAME]
            if names and head[names[0][2] : names[0][3]] == PLACEHOLDER.encode():
                video = next(element for element in inside if element[0] == _VIDEO)
                _replace(head, names[0], video, aspect)
                file.seek(0)
                file.write(head)
                return
    raise ValueError("the track has no place for the shape of its pixels")


def _tracks(head: bytearray) -> Iterator[Element]:
    for segment in _elements(head, 0, len(head)):
        if segment[0] != _SEGMENT:
            continue
        for tracks in _elements(head, segment[2], len(head)):
            if tracks[0] == _TRACKS:
                children = list(_elements(head, tracks[2], tracks[3]))
                if any(child[0] == _CRC for child in children):
                    raise ValueError("the tracks have a checksum")
                yield from (child for child in children if child[0] == _TRACK)
                return


def _replace(head: bytearray, name: Element, video: Element, aspect: Fraction) -> None:
    for unit in _elements(head, video[2], video[3]):
        if unit[0] == _UNIT:
            head[unit[2] : unit[3]] = bytes(unit[3] - unit[2])  # 0: pixels; it was "unknown"
    sizes = {
        e[0]: int.from_bytes(head[e[2] : e[3]], "big") for e in _elements(head, video[2], video[3])
    }
    width, height = sizes[_WIDTH], sizes[_HEIGHT]
    shown: list[tuple[bytes, int]] = [(b"\x54\xb0", round(width * aspect)), (b"\x54\xba", height)]
    added = b"".join(key + b"\x84" + side.to_bytes(4, "big") for key, side in shown)
    body = bytes(head[video[2] : video[3]]) + added
    field = video[2] - video[1] - 1
    size = (len(body) | 1 << 7 * field).to_bytes(field, "big")
    if len(added) != name[3] - name[1] or len(body) >= (1 << 7 * field) - 1:
        raise ValueError("the track has no room for the shape of its pixels")
    whole = head[video[1] : video[1] + 1] + size + body
    first, last = sorted((name, video), key=lambda element: element[1])
    between = head[first[3] : last[1]]
    new = (whole if first is video else b"") + between + (whole if last is video else b"")
    head[first[1] : last[3]] = new


def _elements(data: bytearray, at: int, end: int) -> Iterator[Element]:
    while at < end:
        first = data[at]
        key_length = 9 - first.bit_length()
        size_at = at + key_length
        if key_length > 4 or size_at >= len(data):
            return
        size_length = 9 - data[size_at].bit_length()
        body = size_at + size_length
        size = int.from_bytes(data[size_at:body], "big") & (1 << 7 * size_length) - 1
        yield int.from_bytes(data[at:size_at], "big"), at, body, min(body + size, end)
        at = body + size
