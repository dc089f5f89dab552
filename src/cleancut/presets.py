"""Ready-made outputs: what shops and authorities want, as options. The rows are ``presets.toml``.

A preset is expanded into options before anything else happens; nothing further on knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cleancut.errors import BadOption

#: The group of the rows that are papers for print sheets: they go along with another preset.
PAPER = "paper"


@dataclass(frozen=True, slots=True)
class Preset:
    """One ready-made output.

    ``group`` is "shop", "id-photo" or "paper". ``options`` are fields of ``Options`` by name;
    ``note`` says which rule they follow, and ``source`` is the address of it, or empty.
    """

    id: str
    title: str
    group: str
    options: Mapping[str, Any]
    note: str = ""
    source: str = ""

    def card(self) -> dict[str, Any]:
        """The row as plain JSON values."""
        row = {"id": self.id, "title": self.title, "group": self.group}
        return {**row, "options": dict(self.options), "note": self.note, "source": self.source}


@cache
def presets() -> Mapping[str, Preset]:
    """All ready-made outputs by id, in the order in which they are shown."""
    from cleancut.toml import tomllib

    with Path(__file__).with_name("presets.toml").open("rb") as file:
        tables = tomllib.load(file)
    papers = tables.pop("paper")
    found = {
        id_: Preset(
            id_,
            row["title"],
            group,
            MappingProxyType(row["options"]),
            row.get("note", ""),
            row.get("source", ""),
        )
        for group, rows in tables.items()
        for id_, row in rows.items()
    }
    for row in papers:
        options = MappingProxyType({"sheet": row["sheet"]})
        found[row["id"]] = Preset(row["id"], row["title"], PAPER, options, row.get("note", ""))
    return MappingProxyType(found)


def preset_options(name: str) -> dict[str, Any]:
    """The options that the preset called ``name`` stands for.

    Several go together with a plus: ``"us+4x6in"`` is a photo on a sheet. Raises ``BadOption``.
    """
    values: dict[str, Any] = {}
    for part in str(name).split("+"):
        known = presets()
        found = known.get(part.strip().lower())
        if found is None:
            import difflib

            near = difflib.get_close_matches(part.strip().lower(), known, n=1)
            hint = f"did you mean {near[0]}? see: cleancut presets" if near else ""
            raise BadOption(
                f"--preset: {part[:60]!r} is not known", hint=hint or "see: cleancut presets"
            )
        values |= found.options
    return values
