"""``Options`` as flags, stated once: what the dataclass says is what the command line offers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cleancut.errors import BadOption
from cleancut.options import CHOICES, SECTIONS, Options, flag
from cleancut.presets import preset_options

_SHORT = {"model": "-m", "format": "-f", "background": "-b"}
_NUMBERS = {
    "quality": int,
    "max_side_px": int,
    "max_output_megapixels": float,
    "max_megapixels": float,
    "threshold": float,
}


def add_option_flags(
    parser: argparse.ArgumentParser,
    names: Collection[str] | None = None,
    about_them: Mapping[str, str] | None = None,
) -> None:
    """A flag for every field of ``Options``, or for those of ``names``, in groups by section.

    Unset flags leave no trace in the namespace. ``about_them`` is help for those that mean
    something else here than for a picture, by field or by section.
    """
    about_them = about_them or {}
    chosen = [field for field in fields(Options) if names is None or field.name in names]
    sections = {field.metadata["section"] for field in chosen}
    groups = {
        name: parser.add_argument_group(name, about_them.get(name, about))
        for name, about in SECTIONS.items()
        if name in sections
    }
    for field in chosen:
        names = [name for name in (_SHORT.get(field.name), flag(field.name)) if name]
        about: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS}
        about["help"] = about_them.get(field.name, field.metadata["help"])
        if isinstance(field.default, bool):
            if field.default:
                names = [name.replace("--", "--no-", 1) for name in names]
                about["action"], about["help"] = "store_false", f"do not {about['help']}"
            else:
                about["action"] = "store_true"
        elif field.name in CHOICES:
            about["choices"] = CHOICES[field.name]
        else:
            about["metavar"] = field.metadata.get("metavar", field.name.upper())
            about["type"] = _NUMBERS.get(field.name, str)
        groups[field.metadata["section"]].add_argument(*names, **about)


def add_preset_flag(parser: argparse.ArgumentParser) -> None:
    """``--preset``, which ``options_from`` expands."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="a ready-made output: a shop's picture, an ID photo (amazon, icao, icao+10x15cm for a "
        "sheet of them), or a .toml file with options of your own; other flags win; see: cleancut "
        "presets",
    )


def options_from(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Options:
    """The options that flags and environment ask for; a flag wins over the environment.

    Both win over a preset. Raises ``BadOption``.
    """
    preset = getattr(args, "preset", None)
    values = {} if preset is None else _preset(preset)
    for field in fields(Options):
        if variable := field.metadata.get("env"):
            text = (os.environ if environ is None else environ).get(variable, "")
            if text:
                values[field.name] = _truth(variable, text)
        if hasattr(args, field.name):
            values[field.name] = getattr(args, field.name)
    return Options.from_mapping(values)


def _preset(name: str) -> dict[str, Any]:
    """The options of a preset: one by name, or the user's own in a TOML file."""
    if not name.lower().endswith(".toml"):
        return preset_options(name)
    from cleancut.toml import tomllib

    try:
        with Path(name).open("rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise BadOption(
            f"--preset {name}: {said}", hint="a file with lines like: canvas = '1200x1200'"
        ) from error


def _truth(variable: str, text: str) -> bool:
    if text.strip().lower() in ("1", "true", "yes", "on"):
        return True
    if text.strip().lower() in ("0", "false", "no", "off"):
        return False
    raise BadOption(f"{variable}={text!r} is neither yes nor no", hint=f"set {variable}=1 or 0")
