"""What is asked of a video run, in plain values that cross process borders as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

from cleancut.errors import BadOption
from cleancut.options import Options
from cleancut.video.options import VideoOptions, check_for_video


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a video: frames with ``start`` <= pts < ``stop``.

    None stands for the beginning and the end. ``number`` counts from 0.
    """

    number: int
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOrder:
    """A video and where its cutout goes; checked on construction (``BadOption``).

    ``source`` and ``target`` are what ``cleancut video`` takes: files, a folder or a pattern of
    numbered frames; on a cluster also URLs of an object store. ``rate`` is the frames a second of
    numbered frames ("25", "30000/1001"). ``jobs`` parts are rendered at once, None for what is
    measured to be best; ``threads`` are those of one network. ``part_s`` is the length of a part in
    seconds of the source, None for the usual one (``parts.usual_length_s``). ``fresh`` removes what
    is left of earlier runs. ``part`` is for workers, who render this part only, of what becomes
    ``target``.
    """

    source: str
    target: str
    options: Options = field(default_factory=Options)
    video: VideoOptions = field(default_factory=VideoOptions)
    rate: str | None = None
    jobs: int | None = None
    threads: int | None = None
    part_s: float | None = None
    fresh: bool = False
    part: Part | None = None

    def __post_init__(self) -> None:
        if not self.source:
            raise BadOption("the name of the video is empty", hint="name a file")
        if not self.target:
            raise BadOption("-o: the name is empty", hint="name a file, like -o out.webm")
        for name in ("jobs", "threads"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or not 1 <= value <= 256):
                raise BadOption(
                    f"--{name}: {value!r} is not a whole number from 1 to 256",
                    hint="leave it out for what is usual here",
                )
        if self.part_s is not None and not 0.5 <= self.part_s <= 3600:
            raise BadOption(f"part_s: {self.part_s!r} is not within 0.5 to 3600 seconds")
        self.frame_rate()
        check_for_video(self.options, self.video)

    def frame_rate(self) -> Fraction | None:
        """``rate`` as a number."""
        if self.rate is None:
            return None
        try:
            rate = Fraction(self.rate.strip())
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not Fraction(1, 1000) <= rate <= 1000:
            raise BadOption(
                f"--rate: {self.rate!r} is not a rate", hint="like 25, 29.97 or 30000/1001"
            )
        return rate.limit_denominator(1_000_000)

    def to_json(self) -> str:
        """One line of JSON of what differs from the defaults; ``from_json`` reads it."""
        values: dict[str, Any] = {
            knob.name: value
            for knob in fields(self)
            if (value := getattr(self, knob.name)) != knob.default
        }
        values["options"] = json.loads(self.options.to_json())
        values["video"] = json.loads(self.video.to_json())
        if self.part is not None:
            values["part"] = asdict(self.part)
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> VideoOrder:
        """The order that ``to_json`` wrote; ``BadOption`` for an unknown name."""
        values = json.loads(text)
        if unknown := set(values) - {knob.name for knob in fields(cls)}:
            raise BadOption(f"unknown field {sorted(unknown)[0]!r} in a video's order")
        part = values.pop("part", None)
        return cls(
            **{
                **values,
                "options": Options.from_mapping(values.get("options", {})),
                "video": VideoOptions.from_mapping(values.get("video", {})),
                "part": None if part is None else Part(**part),
            }
        )
