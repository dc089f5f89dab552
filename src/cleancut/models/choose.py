"""From what the user asks for to rows of the catalog; nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cleancut.backends.onnxfile import read_signature
from cleancut.catalog import (
    AutoPart,
    ModelSpec,
    auto_order,
    custom,
    default_models,
    find,
    parse_recipe,
    refuse_non_commercial,
)
from cleancut.errors import WeightsMissing
from cleancut.options import Options
from cleancut.weights.optimized import find_copy
from cleancut.weights.resolve import is_pulled, resolve


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that are asked about a picture: ``lead`` always, the others by ``auto`` only.

    ``portrait`` is a portrait matting network, ``second`` a small general one. ``notes`` say what
    is missing.
    """

    lead: ModelSpec
    portrait: ModelSpec | None = None
    second: ModelSpec | None = None
    notes: tuple[str, ...] = ()


def choose(options: Options) -> Choice:
    """The catalog rows that ``options`` mean.

    Raises ``UnknownModel``, ``LicenceRefused``, ``WeightsMissing``.
    """
    if options.model == "auto":
        return _choose_auto(options.commercial_only)
    if options.model == "echo":
        from cleancut.models.echo import SPEC

        return Choice(SPEC)
    spec = find(options.model)
    if options.recipe:
        spec = custom(Path(options.model), parse_recipe(options.recipe))
    if options.commercial_only:
        refuse_non_commercial(spec)
    return Choice(spec)


def lacking(options: Options) -> tuple[ModelSpec, ...]:
    """The rows to pull before ``options`` are at their best; none where that was done.

    A named model that is not here. For "auto" the default models, unless one that was pulled has a
    say already: what ships with the package is always there and does not count.
    """
    if options.model != "auto":
        spec = None if options.model == "echo" else find(options.model)
        return () if spec is None or spec.path or is_pulled(spec) else (spec,)
    try:
        choice = choose(options)
    except WeightsMissing:
        return tuple(_allowed(default_models(), options.commercial_only))
    asked = (choice.lead, choice.portrait, choice.second)
    if any(spec is not None and not spec.bundled for spec in asked):
        return ()
    return tuple(_allowed(default_models(), options.commercial_only))


def check(options: Options) -> None:
    """See that the network that ``options`` ask for is here and sound, without loading it.

    Raises what ``choose`` raises, and ``WeightsCorrupt``; where int8 is asked for, also
    ``WeightsMissing`` for each network that may be asked and has no int8 copy.
    """
    choice = choose(options)
    lead = choice.lead
    if lead.family == "echo":
        return
    if options.precision == "int8":
        for spec in (lead, choice.portrait, choice.second):
            if spec is not None:
                find_copy(spec, resolve(spec).sha256)
    found = resolve(lead)
    if found.weight is None:  # a file of the user's, with no digest to check it by
        read_signature(found.path)


def _choose_auto(commercial_only: bool) -> Choice:
    parts: tuple[AutoPart, ...] = ("lead", "portrait", "second")
    leads, portraits, seconds = (_allowed(auto_order(part), commercial_only) for part in parts)
    lead, portrait, second = (_first_pulled(rows) for rows in (leads, portraits, seconds))
    if lead is None:
        if portrait is None:
            names = " ".join(s.id for s in _allowed(default_models(), commercial_only))
            which = "model that may clearly be used commercially" if commercial_only else "model"
            raise WeightsMissing(
                f"no {which} is on this machine yet", hint=f"run: cleancut models pull {names}"
            )
        return Choice(portrait, notes=(_alone(portrait, leads[0]),))
    if portrait not in portraits[:1]:
        portrait = None  # what the trust in it was fitted to
    if second is lead:
        second = None
    if lead.bundled and portrait is None:
        return Choice(lead, notes=(_bundled_alone(lead),))
    notes = []
    if lead is not leads[0]:
        notes.append(f"auto_model: {lead.id}, since {leads[0].id} is not pulled")
    if portrait is None:
        notes.append(_alone(lead, portraits[0]))
    return Choice(lead, portrait, second, tuple(notes))


def _first_pulled(rows: list[ModelSpec]) -> ModelSpec | None:
    return next((spec for spec in rows if is_pulled(spec)), None)


def _allowed(rows: Iterable[ModelSpec], commercial_only: bool) -> list[ModelSpec]:
    return [spec for spec in rows if not commercial_only or spec.commercial == "yes"]


def _bundled_alone(used: ModelSpec) -> str:
    return (
        f"auto_model: {used.id}, which ships with the package, decides alone; larger networks make "
        "better mattes, get them with: cleancut models pull"
    )


def _alone(used: ModelSpec, missing: ModelSpec) -> str:
    return (
        f"auto_model: {used.id} decides alone; people and everything else need two networks, "
        f"get the other with: cleancut models pull {missing.id}"
    )
