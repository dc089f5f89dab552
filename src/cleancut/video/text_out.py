"""Subtitles in another container's words: plain lines of text, with their times."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

#: Subtitles that are text, whatever is around it.
TEXT_CODECS = ("subrip", "webvtt", "mov_text", "ass", "ssa", "text")
#: What FFmpeg's encoder of mov_text wants to know: one style (Advanced SubStation Alpha, v4+).
_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\nPlayResX: 384\nPlayResY: 288\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, "
    b"Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, "
    b"Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


class WrittenText:
    """One track of text; ``codecs``: what it is, what becomes of it (webvtt, subrip, mov_text)."""

    def __init__(
        self,
        stream: Any,
        container: Any,
        codecs: tuple[str, str],
        *,
        origin: Fraction,
        end: Fraction,
    ) -> None:
        import av

        self._from, self._to = codecs
        codec = self._to

        if codec == "mov_text":
            self.stream = container.add_stream(codec)
            self.stream.codec_context.subtitle_header = _HEADER
        else:
            self.stream = container.add_mux_stream(codec)
        self.stream.time_base = Fraction(1, 1000)
        self._packet = av.Packet
        self._base = stream.time_base
        self._origin, self._stop = origin, end - origin
        self._last = -1
        self.done = False

    def keep(self, packet: Any) -> list[Any]:
        """The packet in the other words, if there is any text in it."""
        start = packet.pts * self._base - self._origin
        stop = start + (packet.duration or 0) * self._base
        if start >= self._stop:
            self.done = True
        start, stop = max(start, Fraction(0)), min(stop, self._stop)
        text = plain_text(bytes(packet), self._from)
        if start >= stop or not text:
            return []
        body = text.encode()
        if self._to == "mov_text":
            body = len(body[:65535]).to_bytes(2, "big") + body[:65535]
        made = self._packet(body)
        made.pts = max(round(start * 1000), self._last + 1)
        self._last = made.dts = made.pts
        made.duration = max(1, round((stop - start) * 1000))
        made.time_base, made.stream = Fraction(1, 1000), self.stream
        made.is_keyframe = True
        return [made]

    def finish(self) -> list[Any]:
        """Nothing is held back."""
        return []


def plain_text(body: bytes, codec: str) -> str:
    """The text of one subtitle packet, without styles; lines end in a newline each."""
    if codec == "mov_text":
        body = body[2 : 2 + int.from_bytes(body[:2], "big")]
    text = body.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = re.sub(r"\{[^}]*\}", "", text.split(",", 8)[-1])
        text = text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    text = re.sub(r"</?(?:font|[ibuc]|v|lang|ruby|rt)\b[^>]*>", "", text, flags=re.IGNORECASE)
    lines = (line.strip() for line in text.replace("\r", "").split("\n"))
    return "\n".join(line for line in lines if line)
