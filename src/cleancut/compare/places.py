"""Where the tools that are looked into are installed, and which weights they are lent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cleancut.bench.peer import Run
from cleancut.bench.sides import neutral_environ
from cleancut.compare.peers import TOOLS, environ, installed
from cleancut.compare.systems import TOOL
from cleancut.errors import CleancutError, MissingDependency

#: The network of which every tool that can be lent weights is lent ours; tools.toml names it too.
LENT = "u2netp"
#: A new user's home says these; what is lent must not bring the user's own back.
_KEPT_AWAY = ("HOME", "NO_PROXY", "no_proxy", "HF_HUB_OFFLINE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one tool is installed; ``lent`` are variables by which it finds weights kept here."""

    tool: str
    python: Path
    lent: Mapping[str, str] = field(default_factory=dict)


def places(
    peers: Mapping[str, Path | None], work: Path, *, run: Run | None = None
) -> dict[str, Place | None]:
    """Every tool: cleancut as it runs here, the others in the environments ``peers`` names.

    None for a tool that is not installed there. ``work`` keeps what is lent. ``run`` is a seam.
    """
    found: dict[str, Place | None] = {TOOL: Place(tool=TOOL, python=Path(sys.executable))}
    for name, tool in TOOLS.items():
        folder = peers.get(name)
        try:
            there = None if folder is None else installed(tool, folder, run)
        except MissingDependency:
            there = None
        if there is None:
            found[name] = None
            continue
        lent: dict[str, str] = {}
        for network in tool.networks:
            if network.row != LENT:
                continue
            try:
                env = environ(tool, network, there, work.absolute(), run)
            except CleancutError:
                continue
            usual = neutral_environ()
            lent = {
                key: value
                for key, value in env.items()
                if usual.get(key) != value
                and key not in _KEPT_AWAY
                and not key.lower().endswith("_proxy")
            }
        found[name] = Place(tool=name, python=there.python, lent=lent)
    return found
