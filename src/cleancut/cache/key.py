"""What a result depends on, as one sha256: the name under which it is kept.

Computed from catalog rows, remembered digests of weight files and the bytes themselves: no network
is loaded, and neither numpy nor a runtime is imported.

In the key: sha256 of the picture's bytes; for every network that may be asked its row, the recipe
it is fed by and the sha256 of its weights; the options; the output format; the bytes of a
background and of guidance; ``PIPELINE_VERSION`` and the package's version.

The runtime is in it as it was asked for, not as it was chosen: ``backend="auto"`` is one key on
every machine, since machines that share a Redis would never hit otherwise and runtimes agree to
within what a matte is rounded to. Who asks for ``precision="f32"`` gets results of f32 only.
Versions of numpy, OpenCV and the runtimes are not in it; ``cleancut cache clear`` starts afresh.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from cleancut.guidance import GIVEN, PICTURES, Guidance, parse_box, parse_points
from cleancut.imaging.files import read_bytes
from cleancut.models.choose import choose
from cleancut.options import Options, parse_background
from cleancut.version import PIPELINE_VERSION, __version__

if TYPE_CHECKING:
    from cleancut.catalog import ModelSpec

#: In the key in another form (which network, what file), or without a say in the bytes: limits
#: and refusals are looked at anew for every hit.
_APART = {
    "model",
    "recipe",
    "background",
    "format",
    "commercial_only",
    "max_megapixels",
    "fail_if_empty",
}


def result_key(
    source: bytes,
    options: Options,
    guidance: Guidance | None = None,
    *,
    weights: Callable[[ModelSpec], str],
) -> str | None:
    """The key of the cutout of ``source``, a picture file's bytes: 64 hex digits.

    ``weights`` gives the sha256 of the weights that a row would run with. None if ``guidance``
    holds what has no bytes of its own (arrays, open files). Raises what ``choose`` and reading a
    companion file raise.
    """
    told = _guidance(guidance)
    if told is None:
        return None
    given = bool(told.keys() & set(GIVEN))  # the user brings the matte: nobody is asked
    parts = {
        "source": hashlib.sha256(source).hexdigest(),
        "models": None if given else _models(options, weights),
        "options": changed(options),
        "format": options.format or "png",
        "background": _background(options),
        "guidance": told,
        "pipeline": PIPELINE_VERSION,
        "cleancut": __version__,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def changed(options: Options) -> dict[str, Any]:
    """The options that differ from the defaults and can change a byte of the output."""
    form = options.format or "png"
    idle = set(_APART)
    if form != "zip":  # which holds a picture of either kind
        idle |= {"quality"} if form in ("png", "tiff", "psd") else {"compress"}
    if not options.crop:
        idle.add("margin")
    if options.only_mask:
        idle |= {"decontaminate", "keep_hidden_rgb"}
    return {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name not in idle and getattr(options, field.name) != field.default
    }


def suits(facts: Mapping[str, Any], options: Options) -> bool:
    """Whether what is kept may be handed out under the limits of ``options``.

    The limits are not in the key: where one forbids the result, cutting again says so.
    """
    try:
        width, height = (int(side) for side in facts["size"])
        empty = any(str(note).startswith("no_subject") for note in facts["notes"])
    except (KeyError, TypeError, ValueError):
        return False
    if width * height > options.max_megapixels * 1e6:
        return False
    return not (empty and options.fail_if_empty)


def _models(options: Options, weights: Callable[[ModelSpec], str]) -> dict[str, Any]:
    choice = choose(options)
    rows = {"lead": choice.lead, "portrait": choice.portrait, "second": choice.second}
    return {
        "auto": options.model == "auto",
        **{
            role: [spec.id, spec.family, asdict(spec.recipe), spec.bf16, weights(spec)]
            for role, spec in rows.items()
            if spec is not None
        },
    }


def _background(options: Options) -> Any:
    """The background as it is meant: ``white`` and ``#fff`` are one, a file is its bytes."""
    wanted = parse_background(options.background)
    if wanted is None:
        return None
    meant = asdict(wanted)
    if wanted.path is not None:
        meant["path"] = hashlib.sha256(read_bytes(wanted.path)).hexdigest()
    return meant


def _guidance(guidance: object) -> dict[str, Any] | None:
    """What was said, in plain values; None if some of it cannot be digested."""
    if guidance is None:
        return {}
    if not isinstance(guidance, Guidance):
        return None  # cutting says what it should be
    told: dict[str, Any] = {}
    for name in PICTURES:
        source = getattr(guidance, name)
        if source is None:
            continue
        if not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
            return None
        told[name] = hashlib.sha256(read_bytes(source)).hexdigest()
    for name in ("keep_points", "remove_points"):
        if points := parse_points(getattr(guidance, name), name):
            told[name] = [[str(x), str(y)] for x, y in points]
    for name in ("keep_box", "roi"):
        if sides := parse_box(getattr(guidance, name), name):
            told[name] = [str(side) for side in sides]
    return told
