"""What a comparison found, as plain data: everything that reports, claims and advice are made from.

One JSON file holds it all. It is read back strictly: a file of another shape is refused with the
name of the field, since reports are made from files that others send.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from cleancut.errors import BadOption, InputNotFound

if TYPE_CHECKING:
    from pathlib import Path

#: Raised whenever the file's shape changes.
FORMAT = 1
Kind = Literal["ours", "peer"]
Group = Literal["people", "animals", "products", "text", "scenes", "other"]
Part = Literal["accuracy", "speed", "resources", "deployment", "video", "cache"]
#: In the order of the report, and in that in which they are measured.
GROUPS: tuple[Group, ...] = get_args(Group)
PARTS: tuple[Part, ...] = get_args(Part)
#: Behind a system's id: its network alone, as articles run it.
RAW = ":raw"
#: The model that asks several networks; its id, too.
AUTO = "auto"
#: A comparison of a thousand pictures takes 10 MB.
_MOST_BYTES = 64 << 20
#: No count, second or megabyte of a comparison comes near it; sums of larger ones overflow.
_MOST = 1e12
#: So many rows at most; tables and charts compare each with each.
_MOST_ROWS = {
    "commands": 200,
    "systems": 100,
    "sets": 1000,
    "scores": 100_000,
    "pictures": 200_000,
    "speed": 100,
    "resources": 100,
    "deployment": 50,
    "video": 10_000,
    "skipped": 100_000,
}
#: A number of processors, or a share, as a key.
_NUMBER = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5})?")
#: Characters of a name in a message.
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One contestant: a model in a tool, with the options it ran with.

    ``id`` is "modnet", "auto", "modnet:raw" or "rembg:u2netp"; ``model`` the catalog's or the
    tool's own name; ``article`` what articles call it, "" if they do not. ``raw`` is the network's
    matte as it comes, without refinement or decontamination. ``reason`` says why it was not run, ""
    if it was. ``weights`` is the sha256 of what it ran (of all its files, for a panel), or "";
    ``pinned`` are those of the downloads that the catalog knew for it then.
    """

    id: str
    title: str
    kind: Kind
    tool: str
    model: str
    article: str = ""
    raw: bool = False
    note: str = ""
    reason: str = ""
    weights: str = ""
    pinned: tuple[str, ...] = ()
    weights_mb: float | None = None
    licence: str = ""
    commercial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured; ``memory_mb`` in 10^6 bytes, None where unknown."""

    cpu: str
    cores: int
    memory_mb: float | None = None
    gpus: tuple[str, ...] = ()
    system: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """One set of pictures: ``binary`` if its truths are yes-or-no, None where there is no truth."""

    name: str
    group: Group
    pictures: int
    binary: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means of one system over the pictures of one set that every system answered.

    ``figures`` are by key of ``compare.measures.MEASURES``; ``missed`` is the share of pictures
    whose subject it did not find (IoU below 0.5), ``failed`` how many it gave no answer for,
    ``seconds`` the median of a picture in a warm process.
    """

    system: str
    set: str
    pictures: int
    figures: dict[str, float] = field(default_factory=dict)
    missed: float | None = None
    failed: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureScore:
    """One system's answer for one picture; ``agreement`` with the other systems' median matte."""

    system: str
    set: str
    stem: str
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    agreement: float | None = None
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds of one system; every tuple holds single runs, of which the median counts.

    ``cold`` is a whole process for a 0.7-megapixel JPEG to PNG, ``warm`` one call in a running
    process for the same picture and ``warm_large`` for one of 12 megapixels (pixels in, pixels and
    alpha out), ``first_call`` with loading the network. ``by_threads`` is the warm median by number
    of processors allowed ("1", "2", ...), ``gpu`` that on a GPU. ``runs_on`` names the backend.
    """

    system: str
    cold: tuple[float, ...] = ()
    warm: tuple[float, ...] = ()
    warm_large: tuple[float, ...] = ()
    first_call: float | None = None
    by_threads: dict[str, float] = field(default_factory=dict)
    gpu: float | None = None
    runs_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one 0.7-megapixel picture takes in a process of its own, and one of 12 megapixels.

    Memory in MB (10^6 bytes) at its peak, with everything the process started; ``cpu_s`` seconds of
    processor time; ``energy_j`` joules of the whole package while it ran (RAPL), above ``idle``;
    ``warm_cpu_s`` processor seconds a picture in a running process.
    """

    system: str
    peak_mb: float | None = None
    peak_large_mb: float | None = None
    cpu_s: float | None = None
    warm_cpu_s: float | None = None
    vram_mb: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What it takes to have one tool; None where it could not be found out.

    Sizes in MB (10^6 bytes): ``install_mb`` what its packages take on disk, ``download_mb`` the
    archives they come in, both without weights, with everything they pull in. ``features`` are
    "batch", "api", "web-ui", "video", "python", "offline", "resume", "cache": True or False as the
    probe found. ``first_run_offline`` is what a first run without a network and without any weights
    did. ``how`` says by key what was run, or where a fact that was not measured comes from.
    """

    tool: str
    version: str = ""
    install_mb: float | None = None
    download_mb: float | None = None
    packages: int | None = None
    first_run_offline: bool | None = None
    needs_gpu: bool | None = None
    default_model: str = ""
    default_weights_mb: float | None = None
    features: dict[str, bool] = field(default_factory=dict)
    licence: str = ""
    how: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoScore:
    """One system on one clip with true mattes; ``how`` is "frame by frame", "steadied" or
    "recurrent", ``seconds`` the median of a frame; figures as of ``bench steady``."""

    system: str
    clip: str
    how: str
    binary: bool
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What a cache of results saves: seconds of a picture cut anew, and of one that was kept.

    ``shares`` maps the share of pictures that came before ("0.30") to the share of the whole
    folder's time that the cache saved, measured with the cache on and off.
    """

    cut_s: float
    kept_s: float
    shares: dict[str, float] = field(default_factory=dict)
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything one run found; ``complete`` is False if it was interrupted.

    ``commands`` repeat it; ``software`` holds, by tool, the versions that decide the figures;
    ``skipped`` a line for everything that was left out, and why.
    """

    version: str
    pipeline: int
    date: str
    machine: Machine
    data: str
    commands: tuple[str, ...] = ()
    software: dict[str, dict[str, str]] = field(default_factory=dict)
    systems: tuple[System, ...] = ()
    sets: tuple[SetFacts, ...] = ()
    scores: tuple[Scores, ...] = ()
    pictures: tuple[PictureScore, ...] = ()
    speed: tuple[Speed, ...] = ()
    resources: tuple[Resources, ...] = ()
    deployment: tuple[Deployment, ...] = ()
    video: tuple[VideoScore, ...] = ()
    repeats: Repeats | None = None
    skipped: tuple[str, ...] = ()
    complete: bool = True
    format: int = FORMAT

    @property
    def ran(self) -> tuple[System, ...]:
        """The systems that were run, in order."""
        return tuple(system for system in self.systems if not system.reason)

    def system(self, id_: str) -> System | None:
        """The system of that id, or None."""
        return next((system for system in self.systems if system.id == id_), None)

    def speed_of(self, id_: str) -> Speed | None:
        """Seconds of that system, or None."""
        return next((speed for speed in self.speed if speed.system == id_), None)

    def resources_of(self, id_: str) -> Resources | None:
        """What that system takes, or None."""
        return next((found for found in self.resources if found.system == id_), None)

    def deployment_of(self, tool: str) -> Deployment | None:
        """What it takes to have that tool, or None."""
        return next((found for found in self.deployment if found.tool == tool), None)

    def to_json(self, *, pictures: bool = True) -> str:
        """As JSON text; without ``pictures`` the figures of single pictures are left out."""
        values = asdict(self)
        if not pictures:
            values["pictures"] = []
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        # A file name may hold bytes that are no text: JSON, too, writes them with a backslash.
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    @classmethod
    def from_json(cls, text: str, where: str) -> Comparison:
        """Read ``to_json``'s text; ``BadOption`` says what is wrong in ``where``."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadOption(f"{where} is not JSON: {error}", hint=_HINT) from error
        if not isinstance(values, dict) or type(number := values.get("format")) is not int:
            raise BadOption(f"{where} holds no comparison", hint=_HINT)
        if number != FORMAT:
            which = "a newer" if number > FORMAT else "an older"
            raise BadOption(
                f"{where} was made by {which} cleancut, whose figures this one cannot read",
                hint=_HINT,
            )
        for name, most in _MOST_ROWS.items():
            rows = values.get(name)
            if isinstance(rows, list) and len(rows) > most:
                raise BadOption(f"{where}.{name} has more than {most} rows", hint=_HINT)
        found: Comparison = _read(cls, values, where)
        for what, keys in (
            ("by_threads", [key for row in found.speed for key in row.by_threads]),
            ("shares", list(found.repeats.shares) if found.repeats else []),
        ):
            if wrong := [key for key in keys if not _NUMBER.fullmatch(key)]:
                raise BadOption(f"{where}: {what} has {wrong[0][:_SHOWN]!r}", hint=_HINT)
        return found

    @classmethod
    def read(cls, path: Path) -> Comparison:
        """Read a file; ``InputNotFound``, ``BadOption``."""
        try:
            with path.open("rb") as file:  # of a pipe or a device, no size is known
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise BadOption(f"{path} is larger than any comparison", hint=_HINT)
            text = data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputNotFound(f"{path} cannot be read as text", hint=_HINT) from error
        return cls.from_json(text, path.name)


_HINT = "make one with: cleancut bench compare --json FILE"


def _read(kind: Any, value: Any, where: str, least: float = 0.0) -> Any:
    """``value`` as the type ``kind``; ``BadOption`` names the field that is something else.

    Numbers are at least ``least``: only a share that was saved may be less than nothing.
    """
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inside:
            return None
        return _read(next(one for one in inside if one is not type(None)), value, where, least)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inside[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is dict and isinstance(value, dict):
        least = -_MOST if where.endswith(".shares") else 0.0
        return {
            key: _read(inside[1], one, f"{where}.{key[:_SHOWN]}", least)
            for key, one in value.items()
        }
    if origin is Literal and value in inside:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _read_fields(kind, value, where)
    if kind in (int, float) and isinstance(value, int | float):
        whole = isinstance(value, int) and not isinstance(value, bool)
        # Not a number is in no range.
        if least <= value <= _MOST and (whole or (kind is float and type(value) is float)):
            return kind(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    raise BadOption(f"{where} is {_told(value)}", hint=_HINT)


def _told(value: Any) -> str:
    """A value of any size as a message names it."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value!r}" if abs(value) <= _MOST else "out of range"
    return repr(value if not isinstance(value, str) else value[:_SHOWN])


def _read_fields(kind: Any, value: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    if unknown := sorted(set(value) - set(hints)):
        raise BadOption(f"{where} has an unknown field {unknown[0][:_SHOWN]!r}", hint=_HINT)
    read = {name: _read(hints[name], one, f"{where}.{name}") for name, one in value.items()}
    try:
        return kind(**read)
    except TypeError as error:
        raise BadOption(f"{where}: {error}", hint=_HINT) from error
