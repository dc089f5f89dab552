"""What may be asked of a video: its options by the library's names, and the form of the result."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cleancut.errors import BadOption, MissingDependency
from cleancut.options import Options
from cleancut.server.form import flag_value, number_value, options_from
from cleancut.server.settings import OPERATOR_ONLY
from cleancut.video.form import output_form
from cleancut.video.frame import VideoInfo
from cleancut.video.options import CHOICES, PICTURE_OPTIONS, VideoOptions, check_for_video

if TYPE_CHECKING:
    from pathlib import Path

    from cleancut.server.settings import Settings

#: What a video can be made into, the default first, with the types of the results.
OUTPUTS: Mapping[str, str] = {
    "webm": "video/webm",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "mp4": "video/mp4",
    "gif": "image/gif",
    "apng": "image/apng",
    "webp": "image/webp",
}
#: Options of a video that a client may choose, in the order of the library: those of a picture
#: that a video has too, and its own.
SHARED = tuple(
    knob.name
    for knob in fields(Options)
    if knob.name in PICTURE_OPTIONS and knob.name not in OPERATOR_ONLY
)
OWN = tuple(knob.name for knob in fields(VideoOptions))
CHOSEN = (*SHARED, *OWN, "output")
#: What files with these names hold is seen by their bytes, at their turn.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".3gp", ".ogv"),
)

_KNOBS = {knob.name: knob for knob in fields(VideoOptions)}
#: Some video: what does not go together whatever it is like is refused at once.
_ANY = VideoInfo(kind="stream", width=16, height=16, time_base=Fraction(1, 25))
#: Words and times.
_TEXT = re.compile(r"[0-9A-Za-z:. _-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoWish:
    """What a client wants of a video: options, and the form of the result, one of ``OUTPUTS``."""

    options: Options = field(default_factory=Options)
    video: VideoOptions = field(default_factory=VideoOptions)
    output: str = "webm"

    def to_json(self) -> str:
        """One line of JSON; ``from_json`` reads it."""
        parts = {
            "output": self.output,
            "options": json.loads(self.options.to_json()),
            "video": json.loads(self.video.to_json()),
        }
        return json.dumps(parts, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> VideoWish:
        """The wish that ``to_json`` wrote."""
        parts = json.loads(text)
        return cls(
            options=Options.from_mapping(parts["options"]),
            video=VideoOptions.from_mapping(parts["video"]),
            output=parts["output"],
        )

    def order(self, source: Path, target: Path, background: Path | None) -> str:
        """The JSON of the ``VideoOrder`` that makes ``target`` of ``source``."""
        from cleancut.video.order import VideoOrder

        options = self.options
        if background is not None:
            options = options.with_(background=str(background))
        return VideoOrder(
            source=str(source), target=str(target), options=options, video=self.video
        ).to_json()


def wish_from(fields_: Mapping[str, str], settings: Settings, *, background: bool) -> VideoWish:
    """What ``fields_`` ask for, as text by name, over the server's own defaults.

    ``background`` says that a picture was sent to stand behind the subject. Raises ``BadOption``,
    and what ``options_from`` raises.
    """
    shared: dict[str, str] = {}
    own: dict[str, Any] = {}
    output = fields_.get("output") or next(iter(OUTPUTS))
    for name, text in fields_.items():
        if name in SHARED or name in OPERATOR_ONLY:
            shared[name] = text
        elif name in OWN:
            if text != "":
                own[name] = _value_of(name, text)
        elif name != "output":
            raise BadOption(
                f"unknown option {name[:60]!r} of a video", hint=f"known: {', '.join(CHOSEN)}"
            )
    if output not in OUTPUTS:
        raise BadOption(
            f"output: {output[:60]!r} is not a choice", hint=f"one of: {', '.join(OUTPUTS)}"
        )
    if background and shared.get("background"):
        raise BadOption(
            "background and background_image contradict each other", hint="leave one of them out"
        )
    video = VideoOptions(**own)
    if video.engine == "rvm" and not shared.get("model"):
        shared["model"] = "rvm"  # the server's own model is for those who name none
    options = for_video(options_from(shared, settings))
    check_for_video(options, video)
    if background and video.matte_only:
        raise BadOption(
            "matte_only and background_image contradict each other", hint="leave one of them out"
        )
    behind = options.with_(background="picture.png") if background else options
    output_form(f"out.{output}", video, behind, _ANY)
    return VideoWish(options=options, video=video, output=output)


def check_here(settings: Settings) -> None:
    """Raise ``MissingDependency`` if this server takes no videos."""
    if not settings.video:
        raise MissingDependency(
            "this server takes no videos", hint="its operator has switched them off (--no-video)"
        )
    if not installed():
        raise MissingDependency(
            "the package 'av' is not installed", hint="run: pip install 'cleancut[video]'"
        )


def installed() -> bool:
    """Whether videos can be read and written; nothing is imported for it."""
    return find_spec("av") is not None


def taken(settings: Settings) -> bool:
    """Whether this server takes videos."""
    return settings.video and installed()


def rows() -> list[dict[str, Any]]:
    """The options of a video as ``/v1/options`` tells them, with the library's defaults."""
    from cleancut.server.openapi import option_rows, row_of

    shared = [row for row in option_rows() if row["name"] in SHARED]
    own = [row_of(knob, CHOICES, section="video") for knob in fields(VideoOptions)]
    output = {
        "name": "output",
        "kind": "choice",
        "default": next(iter(OUTPUTS)),
        "section": "video",
        "help": "the file that is made: webm, mov and mkv are transparent and keep the sound, gif, "
        "apng and webp are animations, mp4 needs a background",
        "choices": list(OUTPUTS),
    }
    return [*shared, *own, output]


def megapixels_of(facts: Mapping[str, Any]) -> float:
    """What a video counts: each second as one picture of its frames' size, in 10^6 pixels.

    A second of video is about as much work as a picture is, since frames share much of it.
    """
    width, height = facts.get("size") or (0, 0)
    return float(width * height / 1e6 * max(1.0, seconds_of(facts)))


def seconds_of(facts: Mapping[str, Any]) -> float:
    """Length of what was cut out, seconds."""
    return float(facts.get("video_s") or 0.0)


def for_video(options: Options) -> Options:
    """``options`` without what is for pictures only: the server's defaults may have such."""
    known = {name: getattr(options, name) for name in PICTURE_OPTIONS}
    return Options(**known)


def _value_of(name: str, text: str) -> Any:
    """The value of an option of ``VideoOptions`` that ``text`` means. Raises ``BadOption``."""
    knob = _KNOBS[name]
    if isinstance(knob.default, bool):
        return flag_value(name, text)
    kind = str(knob.type).split(" ")[0]
    if kind in ("int", "float"):
        return number_value(name, kind, text)
    if _TEXT.fullmatch(text) is None:
        raise BadOption(f"{name}: {text[:60]!r} is not understood", hint="see /docs")
    return text
