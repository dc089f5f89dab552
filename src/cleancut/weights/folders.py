"""Where weights live: the store, the cache, and folders that are only read.

The only file of the library that looks at the environment. Every function takes the mapping it
reads, ``os.environ`` by default.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cleancut.errors import WeightsError

Environ = Mapping[str, str]
PlaceKind = Literal["folder", "bundled", "store", "rembg"]
#: The weights that ship inside the package.
BUNDLED = Path(__file__).resolve().parent.parent / "bundled"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that may hold weights.

    Only a place that keeps manifests (ours, or a copy of ours) may hold prepared files, whose hash
    differs from the catalog's.
    """

    kind: PlaceKind
    folder: Path

    @property
    def keeps_manifests(self) -> bool:
        """Whether a manifest beside a file is believed here."""
        return self.kind != "rembg"


def home(environ: Environ | None = None) -> Path:
    """Folder of everything cleancut keeps: ``CLEANCUT_HOME``, else the platform's data folder.

    Raises ``WeightsError`` if that depends on a home folder and there is none.
    """
    env = os.environ if environ is None else environ
    if chosen := env.get("CLEANCUT_HOME"):
        return _expanded(chosen)
    if sys.platform == "win32":
        return _user_folder(env, "LOCALAPPDATA", "AppData", "Local") / "cleancut"
    if sys.platform == "darwin":
        return _user(env) / "Library" / "Application Support" / "cleancut"
    return _user_folder(env, "XDG_DATA_HOME", ".local", "share") / "cleancut"


def models_folder(environ: Environ | None = None) -> Path:
    """The store: ``<home>/models``, with one folder a model."""
    return home(environ) / "models"


def cache_folder(environ: Environ | None = None) -> Path:
    """Folder of what can be made again: ``CLEANCUT_CACHE``, else the platform's cache folder."""
    env = os.environ if environ is None else environ
    if chosen := env.get("CLEANCUT_CACHE"):
        return _expanded(chosen)
    if sys.platform == "win32":
        return _user_folder(env, "LOCALAPPDATA", "AppData", "Local") / "cleancut" / "cache"
    if sys.platform == "darwin":
        return _user(env) / "Library" / "Caches" / "cleancut"
    return _user_folder(env, "XDG_CACHE_HOME", ".cache") / "cleancut"


def places(environ: Environ | None = None) -> list[Place]:
    """Every folder that is looked at, first match wins.

    ``CLEANCUT_MODELS`` (several folders, split like ``PATH``), the files bundled with the package,
    the store, then the folders in which rembg keeps its models.
    """
    env = os.environ if environ is None else environ
    extra = [part for part in env.get("CLEANCUT_MODELS", "").split(os.pathsep) if part.strip()]
    found = [Place("folder", _expanded(part.strip())) for part in extra]
    found.append(Place("bundled", BUNDLED))
    found.append(Place("store", models_folder(env)))
    if env.get("U2NET_HOME"):
        found.append(Place("rembg", _expanded(env["U2NET_HOME"])))
    if env.get("REMBG_HOME"):
        found.append(Place("rembg", _expanded(env["REMBG_HOME"]) / "models"))
    with suppress(WeightsError):  # no home folder, so rembg has none in it
        user = _user(env)
        found += [Place("rembg", user / ".u2net"), Place("rembg", user / ".rembg" / "models")]
    return list(dict.fromkeys(found))


def _user(env: Environ) -> Path:
    named = env.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    return Path(named) if named else _expanded("~")


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # a user id without a name, as containers have, or a wrong name
        raise WeightsError(
            f"{path}: there is no such home folder",
            hint="set CLEANCUT_HOME and CLEANCUT_CACHE to folders you may write to",
        ) from error


def _user_folder(env: Environ, variable: str, *default: str) -> Path:
    # The XDG specification says that a relative path is to be ignored.
    chosen = env.get(variable)
    return Path(chosen) if chosen and Path(chosen).is_absolute() else _user(env).joinpath(*default)
