"""The tools whose deployment is looked into, as rows of ``tools.toml``: commands and facts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from cleancut.errors import BadOption
from cleancut.toml import tomllib

#: "says": the output holds a pattern; "wrote": a cutout appeared; "kept": a second run of the same
#: command left the first one's file as it was.
ProbeKind = Literal["says", "wrote", "kept"]
FEATURES = ("batch", "api", "web-ui", "video", "python", "offline", "resume", "cache")
_FIELDS = re.compile(r"\{(python|bin|image|output|images|outputs)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question: the command line ``run``, and what makes its answer a yes."""

    key: str
    run: tuple[str, ...]
    kind: ProbeKind = "says"
    finds: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRow:
    """One tool: how it is asked for, and how it is asked.

    ``cut`` is its command for one picture with its own defaults, ``default_model_run`` a command
    that prints its default model. Facts that no command here can find out carry, in ``..._how``,
    where they are from. ``default_weights`` is a row of our catalog instead of a size.
    """

    name: str
    requirement: str
    module: str
    cut: tuple[str, ...]
    default_model: str
    default_model_how: str
    default_model_run: tuple[str, ...] = ()
    default_weights: str = ""
    default_weights_mb: float | None = None
    default_weights_how: str = ""
    needs_gpu: bool | None = None
    needs_gpu_how: str = ""
    features: tuple[Probe, ...] = ()

    @property
    def package(self) -> str:
        """The distribution's name."""
        return self.requirement.partition("[")[0]

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras that are asked for."""
        inside = self.requirement.partition("[")[2].rstrip("]")
        return tuple(filter(None, inside.split(",")))


@cache
def tools() -> tuple[ToolRow, ...]:
    """Every tool, in the order of ``tools.toml``."""
    return parse(Path(__file__).with_name("tools.toml").read_text("utf-8"))


def tool(name: str) -> ToolRow:
    """The tool called ``name``; ``BadOption`` if there is no such row."""
    for row in tools():
        if row.name == name:
            return row
    known = ", ".join(row.name for row in tools())
    raise BadOption(f"there is no tool {name!r} to look into", hint=f"one of: {known}")


def parse(text: str) -> tuple[ToolRow, ...]:
    """Rows of a TOML text; ``BadOption`` names the row and the field that is wrong."""
    rows = []
    for table in tomllib.loads(text).get("tool", []):
        row = dict(table)
        name = str(row.get("name", "?"))
        probes = tuple(_probe(name, dict(probe)) for probe in row.pop("feature", []))
        if len({probe.key for probe in probes}) != len(probes):
            raise BadOption(f"tools.toml: {name} is asked for a feature twice")
        row = {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
        try:
            rows.append(ToolRow(**row, features=probes))
        except TypeError as error:
            raise BadOption(f"tools.toml: {name}: {error}") from error
        if rows[-1].default_weights_mb is not None and not rows[-1].default_weights_how:
            raise BadOption(f"tools.toml: {name}: default_weights_mb has no source")
    return tuple(rows)


def _probe(name: str, row: dict[str, Any]) -> Probe:
    row["run"] = tuple(row.get("run", ()))
    try:
        probe = Probe(**row)
        re.compile(probe.finds)
    except (TypeError, re.error) as error:
        raise BadOption(f"tools.toml: {name}: {error}") from error
    if probe.key not in FEATURES or probe.kind not in get_args(ProbeKind) or not probe.run:
        raise BadOption(f"tools.toml: {name}: {probe.key!r} is no probe")
    if (probe.kind == "says") != bool(probe.finds):
        raise BadOption(f"tools.toml: {name}: {probe.key}: `finds` goes with what a command says")
    return probe


def filled(words: tuple[str, ...], fields: dict[str, str]) -> list[str]:
    """``words`` with the fields that they name; other braces stay, since Python code has them."""
    return [_FIELDS.sub(lambda found: fields[found.group(1)], word) for word in words]
