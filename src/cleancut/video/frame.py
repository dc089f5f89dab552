"""One frame of a video, and what is known about the video it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

#: Frames a second where nobody says.
USUAL_RATE = Fraction(25)
#: Weights of red and blue in luma by the code point of a matrix (ITU-T H.273, table 4).
LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
#: A stream has packets and may have sound; the others are pictures in an order.
SourceKind = Literal["stream", "animation", "sequence", "camera", "pipe"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as it is shown: upright, full range.

    ``rgb`` is (H, W, 3), uint8, or uint16 where the source has more than 8 bits, in the source's
    own primaries and transfer; ``alpha`` (H, W) float32 in 0..1, straight, None where the source
    has none. ``view`` is what networks are shown, (H, W, 3) uint8, display-referred sRGB or
    BT.709: ``rgb`` itself where that is such. ``pts`` counts in the video's ``time_base`` and is
    the source's own; ``duration`` likewise, None where the source does not say.
    """

    pts: int
    rgb: Rgb
    view: Rgb
    alpha: Alpha | None = None
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class ColourTags:
    """What a stream says about its colours, as code points of ITU-T H.273 (2: unspecified)."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False

    @property
    def hdr(self) -> bool:
        """Whether the transfer is PQ (16) or HLG (18)."""
        return self.transfer in (16, 18)


@dataclass(frozen=True, slots=True)
class Track:
    """An audio or subtitle track: its index in the source, its codec and language."""

    index: int
    kind: Literal["audio", "subtitle"]
    codec: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known about a video before its first frame is decoded.

    ``width`` and ``height`` are those of its frames, so after rotation and before ``sample_aspect``
    is applied. ``frames`` and ``duration_s`` are what the container says, None or wrong where it
    does not know. ``rate`` is frames a second on average. ``rotation`` is in degrees clockwise, and
    done already. ``repeats`` is how often an animation is played, 0 for ever. ``seekable``: a span
    can be read without what comes before it.
    """

    kind: SourceKind
    width: int
    height: int
    time_base: Fraction
    start_pts: int = 0
    duration_s: float | None = None
    frames: int | None = None
    rate: Fraction | None = None
    bits: int = 8
    has_alpha: bool = False
    sample_aspect: Fraction = Fraction(1)
    rotation: int = 0
    colour: ColourTags = ColourTags()
    container: str = ""
    codec: str = ""
    tracks: tuple[Track, ...] = ()
    repeats: int = 0
    seekable: bool = True
    notes: tuple[str, ...] = ()

    def seconds(self, pts: int) -> float:
        """Time of ``pts`` in the video, its first frame at 0."""
        return float((pts - self.start_pts) * self.time_base)

    def pts_at(self, seconds: float) -> int:
        """The ``pts`` of a time in the video."""
        return self.start_pts + round(Fraction(seconds).limit_denominator(10**9) / self.time_base)
