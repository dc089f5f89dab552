"""From a request's fields to ``Options`` and guidance: the library's names, read from text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import BadOption, BadRequest, UnknownModel, UnsupportedFormat, WeightsError
from cleancut.guidance import PICTURES, Guidance
from cleancut.imaging.formats import format_of
from cleancut.options import Options, parse_background
from cleancut.presets import preset_options
from cleancut.server.settings import OPERATOR_ONLY

if TYPE_CHECKING:
    from cleancut.server.body import Body
    from cleancut.server.settings import Settings

#: Options that a client may choose, in the order of the library.
CHOSEN = tuple(field.name for field in fields(Options) if field.name not in OPERATOR_ONLY)
#: The field that names a ready-made output.
PRESET = "preset"
#: Fields of ``Guidance``: those that are text, and those that are pictures.
GUIDES = ("keep_points", "remove_points", "keep_box", "roi")
GUIDE_FILES = PICTURES

#: Options that decide which networks are asked.
_CHOOSING = {"model", "precision", "commercial_only"}
#: How numbers are written, by the kind of the option.
NUMBERS = {"int": r"-?[0-9]{1,9}", "float": r"-?[0-9]{1,9}(\.[0-9]{1,9})?"}
#: How yes and no are written.
_WORDS = {"true": True, "1": True, "yes": True, "on": True}
_WORDS |= {"false": False, "0": False, "no": False, "off": False}


def options_from(fields_: Mapping[str, str], settings: Settings) -> Options:
    """The server's defaults changed by ``fields_``: options by their own names, as text.

    "true" and "false" are flags; an empty text is the default. The field ``preset`` stands for
    several options; those that are given win. Raises ``BadOption`` for an unknown name, an option
    that only the operator chooses, and a value that cannot be; for a model that is not offered.
    Looks at the disk for models.
    """
    values = _preset(fields_.get(PRESET))
    for name, text in fields_.items():
        if name == PRESET:
            continue
        if name in OPERATOR_ONLY:
            raise BadOption(f"{name} is chosen by the server's operator", hint="leave it out")
        if name not in _KNOBS:
            raise BadOption(f"unknown option {name[:60]!r}", hint=f"known: {', '.join(CHOSEN)}")
        if text != "":
            values[name] = value_of(name, text)
    _check_background(values.get("background"))
    if "model" in values:
        values["model"] = _offered(values["model"], settings)
        if values["model"] != settings.options.model:
            values["recipe"] = None  # the operator's is for the operator's file
    options = settings.defaults.with_(**values) if values else settings.defaults
    if values.keys() & _CHOOSING:
        _check_there(options)
    return options


def guidance_from(body: Body) -> dict[str, str]:
    """The guidance in ``body``: points and boxes as text, pictures as paths in the spool.

    Raises ``BadOption``, ``BadRequest``.
    """
    texts: dict[str, Any] = {name: body.fields[name] for name in GUIDES if body.fields.get(name)}
    for name in GUIDE_FILES:
        if (upload := body.one(name)) is not None:
            texts[name] = str(upload.path)
        elif body.fields.get(name):
            raise BadRequest(f"{name}: text where a picture file is", hint=f"send {name} as a file")
    Guidance(**texts)
    return texts


def value_of(name: str, text: str) -> Any:
    """The value of the option ``name`` that ``text`` means; ``BadOption`` if it means none."""
    knob = _KNOBS[name]
    if isinstance(knob.default, bool):
        return flag_value(name, text)
    if name == "format":
        with suppress(UnsupportedFormat):  # else the choices are named below
            return format_of(text)
    kind = str(knob.type).split(" ")[0]
    return number_value(name, kind, text) if kind in NUMBERS else text


def flag_value(name: str, text: str) -> bool:
    """Yes or no of the option ``name``; ``BadOption`` for another word."""
    if text.strip().lower() not in _WORDS:
        raise BadOption(f"{name}: {text[:60]!r} is not a choice", hint="true or false")
    return _WORDS[text.strip().lower()]


def number_value(name: str, kind: str, text: str) -> float:
    """The number that ``text`` is, of the kind "int" or "float"; ``BadOption`` if it is none."""
    if not re.fullmatch(NUMBERS[kind], text):
        whole = "whole " if kind == "int" else ""
        like = "12" if kind == "int" else "0.5"
        raise BadOption(f"{name}: {text[:60]!r} is not a {whole}number", hint=f"like {like}")
    return int(text) if kind == "int" else float(text)


def offered(settings: Settings) -> list[str]:
    """The models that a client may name, the default first.

    The operator's list, else "auto" and every one that is pulled. A default that is a file of the
    operator's is not named.
    """
    from cleancut.catalog import catalog
    from cleancut.weights.resolve import is_pulled

    names = list(settings.models)
    if not names:
        pulled = [spec.id for spec in catalog().values() if is_pulled(spec)]
        names = ["auto", *pulled] if pulled else []
    if not is_file(settings.options.model):
        names.insert(0, settings.options.model)
    return list(dict.fromkeys(names))


def is_file(model: str) -> bool:
    """Whether a model is named by the path of its file, which no client is told."""
    return model.lower().endswith(".onnx")


def background_from(body: Body) -> Path | None:
    """The picture that was sent to stand behind the subject, if one was."""
    upload = body.one("background_image")
    if upload is not None and body.fields.get("background"):
        raise BadOption(
            "background and background_image contradict each other", hint="leave one of them out"
        )
    return None if upload is None else upload.path


def split(names: Mapping[str, str], own: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Fields that are options, and those whose name is in ``own``."""
    return (
        {name: text for name, text in names.items() if name not in own},
        {name: text for name, text in names.items() if name in own},
    )


def _preset(name: str | None) -> dict[str, Any]:
    """The options that a preset stands for; none without one."""
    if not name:
        return {}
    try:
        return preset_options(name)
    except BadOption as error:
        raise BadOption(f"preset: {name[:60]!r} is not known", hint="see /v1/presets") from error


def _check_background(text: str | None) -> None:
    """Raise ``BadOption`` unless ``text`` is a colour or blur: no client names a file here."""
    try:
        found = parse_background(text)
        wrong = found is not None and found.path is not None
    except BadOption:
        if text is not None and text.strip().startswith("blur:"):
            raise
        wrong = True
    if wrong:
        raise BadOption(
            "background: this is neither a colour nor blur",
            hint="like white, #81d4fa or blur:2%; send a picture as the file background_image",
        )


def _check_there(options: Options) -> None:
    """Raise ``BadOption`` if the networks that a client asks for are not on this machine."""
    from cleancut.models.choose import check

    try:
        check(options)
    except WeightsError as error:
        raise BadOption(
            f"model {options.model} in precision {options.precision} is not offered here",
            hint="see /v1/models, or leave model, precision and commercial_only out",
        ) from error


def _offered(name: str, settings: Settings) -> str:
    """``name`` as the catalog spells it, if a client may ask for it; never a path.

    Looks for the weights of this model only: the list of all of them costs a millisecond.
    """
    from cleancut.catalog import find
    from cleancut.weights.resolve import is_pulled

    spec = None
    if not is_file(name):
        with suppress(UnknownModel, BadOption):
            spec = find(name)
    listed = {*settings.models, settings.options.model}
    for spelling in (name, spec.id if spec else name):
        if spelling in listed and not is_file(spelling):
            return spelling
    if spec is not None and not settings.models and is_pulled(spec):
        return spec.id
    allowed = offered(settings)
    if name in allowed:  # auto
        return name
    raise BadOption(
        f"model: {name[:60]!r} is not offered here", hint=f"one of: {', '.join(allowed)}"
    )


_KNOBS = {field.name: field for field in fields(Options)}
