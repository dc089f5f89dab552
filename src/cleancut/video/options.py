"""Every knob that a video has beyond those of a picture (``cleancut.options``)."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from cleancut.errors import BadOption
from cleancut.option_values import check_number, flag

if TYPE_CHECKING:
    from cleancut.options import Options

EngineChoice = Literal["auto", "rvm", "image"]
CodecChoice = Literal["auto", "h264", "h265", "vp9", "prores", "ffv1"]

#: Fields that take one of a few words.
CHOICES: dict[str, tuple[str, ...]] = {
    "engine": get_args(EngineChoice),
    "codec": get_args(CodecChoice),
}

#: Fields of ``cleancut.options.Options`` that a video has too; the others are for pictures.
PICTURE_OPTIONS = (
    "model",
    "recipe",
    "backend",
    "device",
    "precision",
    "commercial_only",
    "refine",
    "decontaminate",
    "threshold",
    "keep_largest",
    "min_area",
    "fill_holes",
    "grow",
    "shrink",
    "feather",
    "background",
    "quality",
    "compress",
    "max_megapixels",
)
#: What is read as a time: 90, 90.5, 1:30, 01:02:03.25.
_TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,5}):)?(\d{1,7}(?:\.\d{0,9})?|\.\d{1,9})", re.ASCII)


def _knob(default: Any, help_: str, **extra: Any) -> Any:
    return field(default=default, metadata={"help": help_, **extra})


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """How a video is cut out; every value is checked on construction (``BadOption``)."""

    engine: EngineChoice = _knob(
        "auto",
        "rvm (recurrent, for people; GPL-3.0 weights, pulled on request), image (--model on every "
        "frame, made steady), or auto: rvm for people where it is pulled and its licence is "
        "accepted, else image",
    )
    steady: bool = _knob(True, "make the mattes of an image model steady from frame to frame")
    look_ahead: int = _knob(1, "frames that the steadying may look ahead, 0 to 8", metavar="N")
    ratio: float | None = _knob(
        None,
        "share of the frame's size at which rvm looks, 0.05 to 1; without it the published one: "
        "0.375 for 720p, 0.25 for 1080p",
        metavar="SHARE",
    )
    start: str | None = _knob(
        None, "begin here: seconds or [HH:]MM:SS[.fraction]", metavar="TIME", flag="--from"
    )
    stop: str | None = _knob(None, "end here, likewise", metavar="TIME", flag="--to")
    matte_only: bool = _knob(False, "write the matte as a grey video")
    side_by_side: bool = _knob(False, "write the original and the result beside each other")
    codec: CodecChoice = _knob("auto", "codec; auto goes by the output's suffix")
    audio: bool = _knob(True, "take sound and subtitles along")

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise BadOption(
                    f"{flag(name)}: {getattr(self, name)!r} is not a choice",
                    hint=f"one of: {', '.join(choices)}",
                )
        check_number(self.look_ahead, "look_ahead", 0, 8, whole=True)
        check_number(self.ratio, "ratio", 0.05, 1)
        for knob in fields(self):
            value = getattr(self, knob.name)
            if isinstance(knob.default, bool) and not isinstance(value, bool):
                raise BadOption(f"{_flag(knob.name)}: {value!r} is not True or False")
        start, stop = self.start_s, self.stop_s
        if stop is not None and stop <= (start or 0.0):
            raise BadOption(
                f"--to {self.stop} is not after --from {self.start or 0}", hint="swap the two"
            )
        if self.ratio is not None and self.engine == "image":
            raise BadOption("--ratio is for rvm", hint="leave --ratio or --engine image out")
        if self.matte_only and self.side_by_side:
            raise BadOption(
                "--matte-only and --side-by-side contradict each other",
                hint="leave one of them out",
            )

    @property
    def start_s(self) -> float | None:
        """Where to begin, in seconds from the first frame; None for the first frame."""
        return parse_time(self.start, "start")

    @property
    def stop_s(self) -> float | None:
        """Where to end, likewise; None for the video's end."""
        return parse_time(self.stop, "stop")

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> VideoOptions:
        """Build from names and values; an unknown name is a ``BadOption``, never ignored."""
        known = {f.name for f in fields(cls)}
        if unknown := set(values) - known:
            name = sorted(unknown)[0]
            raise BadOption(f"unknown option {name!r}", hint=f"known: {', '.join(sorted(known))}")
        return cls(**values)

    def to_json(self) -> str:
        """Canonical JSON of what differs from the defaults: sorted, compact."""
        changed = {f.name: v for f in fields(self) if (v := asdict(self)[f.name]) != f.default}
        return json.dumps(changed, sort_keys=True, separators=(",", ":"))


def parse_time(text: str | None, name: str) -> float | None:
    """Seconds of ``"90"``, ``"90.5"``, ``"1:30"`` or ``"01:02:03.25"``; None for None.

    ``name`` is the field that an error names. Minutes and seconds behind a colon are below 60.
    """
    if text is None:
        return None
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    hours, minutes, seconds = found.groups() if found else (None, None, None)
    late = minutes is not None and float(seconds or 0) >= 60
    if found is None or late or (hours is not None and int(minutes or 0) >= 60):
        raise BadOption(
            f"{_flag(name)}: {text!r} is not a time", hint="like 90, 90.5, 1:30 or 01:02:03.25"
        )
    total = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds or 0)
    assert math.isfinite(total)
    return total


def check_for_video(options: Options, video: VideoOptions) -> None:
    """Raise ``BadOption`` where an option is for pictures only, or two contradict each other."""
    for knob in fields(options):
        if knob.name not in PICTURE_OPTIONS and getattr(options, knob.name) != knob.default:
            raise BadOption(
                f"{flag(knob.name)} is for pictures, not for videos",
                hint="leave it out; run: cleancut video --help",
            )
    if video.matte_only and options.background is not None:
        raise BadOption(
            "--matte-only and --background contradict each other", hint="leave one of them out"
        )
    if video.engine == "rvm" and options.model not in ("auto", "rvm"):
        raise BadOption(
            f"--engine rvm and --model {options.model} contradict each other",
            hint="leave one of them out",
        )


def _flag(name: str) -> str:
    """The command line's spelling of a field of ``VideoOptions``."""
    for knob in fields(VideoOptions):
        if knob.name == name and "flag" in knob.metadata:
            return str(knob.metadata["flag"])
    return flag(name)
