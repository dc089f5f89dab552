"""Every knob that a video has beyond those of a picture (``cleancut.options``)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from cleancut.errors import BadOption
from cleancut.option_values import check_number, flag

EngineChoice = Literal["auto", "rvm", "image"]
CodecChoice = Literal["auto", "h264", "h265", "vp9", "prores", "ffv1"]

#: Fields that take one of a few words.
CHOICES: dict[str, tuple[str, ...]] = {
    "engine": get_args(EngineChoice),
    "codec": get_args(CodecChoice),
}


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
        "share of the frame's size at which rvm looks, 0.05 to 1; without it the longer side "
        "becomes 512 pixels at most",
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
