"""What a run takes over from an earlier one, and what has to be said of it then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from cleancut.compare.comparison import PARTS, Comparison, Part

#: How the line of a part ends that was cut short.
INTERRUPTED = "interrupted"
_FIELDS: Mapping[Part, tuple[str, ...]] = {
    "accuracy": ("sets", "scores", "pictures"),
    "speed": ("speed",),
    "resources": ("resources",),
    "deployment": ("deployment",),
    "video": ("video",),
    "cache": ("repeats",),
}
#: How lines of what was left out begin, by part; any other is about accuracy.
_LINES: Mapping[Part, tuple[str, ...]] = {
    "speed": ("speed: ", "speed of ", "speed on ", "energy: "),
    "resources": ("resources: ",),
    "deployment": ("deployment: ",),
    "video": ("video: ",),
    "cache": ("cache: ",),
}


def figures(earlier: Comparison, systems: Collection[str]) -> dict[str, Any]:
    """The fields of ``earlier`` that parts fill; of rows of systems, those of ``systems``."""
    found = {}
    for name in (name for names in _FIELDS.values() for name in names):
        value = getattr(earlier, name)
        if name in ("scores", "pictures", "speed", "resources", "video"):
            value = tuple(row for row in value if row.system in systems)
        found[name] = value
    return {**found, "data": earlier.data}


def marked(found: Comparison, earlier: Comparison, measured: Collection[Part]) -> Comparison:
    """``found``, in which all parts but ``measured`` are of ``earlier``, with marks of that.

    The pipeline is the earlier one, so that ``staleness`` speaks, and the machine where its seconds
    count; a line a part says when and where it was measured.
    """
    kept = [part for part in PARTS if part not in measured and _has(found, part)]
    lines = [line for line in earlier.skipped if part_of(line) in kept]
    old = (earlier.version, earlier.date, earlier.machine)
    if old != (found.version, found.date, found.machine):
        where = f"{earlier.machine.cpu}, {earlier.machine.cores} cores"
        when = f"measured on {earlier.date} with cleancut {earlier.version} on {where}"
        lines += [
            f"{part}: {when}"
            for part in kept
            if not any(line.startswith(f"{part}: measured on ") for line in lines)
        ]
    of_pipeline = [part for part in kept if part != "deployment"]
    older = bool(of_pipeline) and earlier.pipeline != found.pipeline
    commands = dict.fromkeys((*earlier.commands, *found.commands) if kept else found.commands)
    return replace(
        found,
        version=earlier.version if older else found.version,
        pipeline=earlier.pipeline if older else found.pipeline,
        machine=earlier.machine if {"speed", "resources"} & set(kept) else found.machine,
        commands=tuple(commands),
        skipped=tuple(dict.fromkeys((*lines, *found.skipped))),
    )


def part_of(line: str) -> Part:
    """Which part a line of ``Comparison.skipped`` is about."""
    return next((part for part, heads in _LINES.items() if line.startswith(heads)), "accuracy")


def is_whole(lines: Iterable[str]) -> bool:
    """Whether no line says that a part was cut short."""
    return not any(line == f"{part_of(line)}: {INTERRUPTED}" for line in lines)


def _has(found: Comparison, part: Part) -> bool:
    return any(getattr(found, name) for name in _FIELDS[part])
