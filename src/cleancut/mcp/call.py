"""One call of a tool: what was asked, whether it was called off, how far it is."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cleancut.errors import BadOption, Cancelled, ImageTooLarge
from cleancut.guidance import PICTURES, Guidance
from cleancut.mcp.roots import Roots
from cleancut.options import Options, parse_background
from cleancut.presets import preset_options
from cleancut.server.form import CHOSEN, GUIDES, PRESET, value_of

#: A picture inside a message; larger ones are named by their path.
MAX_INLINE_BYTES = 32 << 20


@dataclass(slots=True)
class Call:
    """What an agent said, read once; every name is taken out of ``values`` by whoever reads it.

    ``stop`` is set when the agent does not want the answer any more. ``done`` of ``total``
    pictures are through, ``total`` None while nobody knows.
    """

    values: dict[str, Any]
    roots: Roots
    stop: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int | None = None

    def check(self) -> None:
        """Raise ``Cancelled`` if it was called off."""
        if self.stop.is_set():
            raise Cancelled("the call was cancelled")

    def text(self, name: str) -> str | None:
        """A text, None if it was not given; ``BadOption`` for anything else."""
        value = self.values.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise BadOption(f"{name}: {value!r:.60} is not text")
        return value or None

    def flag(self, name: str, default: bool = False) -> bool:
        """Yes or no; ``BadOption`` for anything else."""
        value = self.values.pop(name, None)
        if value is not None and not isinstance(value, bool):
            raise BadOption(f"{name}: {value!r:.60} is neither true nor false")
        return default if value is None else value

    def whole(self, name: str) -> int | None:
        """A whole number; ``BadOption`` for anything else."""
        value = self.values.pop(name, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadOption(f"{name}: {value!r:.60} is not a whole number")
        return value

    def finish(self) -> None:
        """Raise ``BadOption`` if something was said that nobody has read."""
        for name in self.values:
            raise BadOption(f"unknown argument {name[:60]!r}", hint="see the tool's input schema")

    def source(self) -> Path | bytes:
        """The picture: a file inside the roots, or its bytes; ``BadOption`` unless one is given."""
        path, inline = self.text("path"), self.text("image_b64")
        if (path is None) == (inline is None):
            raise BadOption("give either path or image_b64", hint="path names a file on this disk")
        if path is not None:
            return self.roots.file(path)
        assert inline is not None
        if inline.startswith("data:"):
            inline = inline.partition(",")[2]
        if len(inline) * 3 // 4 > MAX_INLINE_BYTES:
            raise ImageTooLarge(
                f"image_b64 is larger than {MAX_INLINE_BYTES >> 20} MiB", hint="save it, give path"
            )
        try:
            return base64.b64decode(inline, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadOption("image_b64 is not base64", hint="or give path") from error

    def guidance(self) -> Guidance | None:
        """What is known of the picture; drawings are files inside the roots."""
        found: dict[str, Any] = {}
        for name in (*GUIDES, *PICTURES):
            if (text := self.text(name)) is not None:
                found[name] = str(self.roots.file(text)) if name in PICTURES else text
        return Guidance(**found) if found else None

    def options(self, defaults: Options) -> Options:
        """``defaults`` changed by a preset and the options given, which must be all that is left.

        Files they name lie inside the roots. What is ``commercial_only`` for everybody stays so.
        Raises ``BadOption``, ``PathRefused``.
        """
        preset = self.text(PRESET)
        values = preset_options(preset) if preset else {}
        values |= _chosen(self.values)
        self.values.clear()
        if defaults.commercial_only:
            values["commercial_only"] = True
        if str(values.get("model", "")).lower().endswith(".onnx"):
            values["model"] = str(self.roots.file(values["model"]))
        if isinstance(values.get("background"), str):
            backdrop = parse_background(values["background"])
            if backdrop is not None and backdrop.path is not None:
                values["background"] = str(self.roots.file(backdrop.path))
        if values.get("model", defaults.model) != defaults.model:
            values["recipe"] = None  # the user's is for the user's file
        return defaults.with_(**values)


def _chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name; numbers and yes or no may also be text, null is the default."""
    values = {}
    for name, value in given.items():
        if name not in CHOSEN:
            raise BadOption(f"unknown argument {name[:60]!r}", hint=f"options: {', '.join(CHOSEN)}")
        if value is not None and value != "":
            values[name] = value_of(name, value) if isinstance(value, str) else value
    return values
