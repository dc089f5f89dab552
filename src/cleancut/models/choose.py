"""From what the user asks for to one row of the catalog; nothing is loaded."""

from __future__ import annotations

from pathlib import Path

from cleancut.catalog import (
    ModelSpec,
    auto_order,
    custom,
    find,
    parse_recipe,
    refuse_non_commercial,
)
from cleancut.errors import WeightsMissing
from cleancut.options import Options
from cleancut.weights.resolve import is_pulled


def choose(options: Options) -> tuple[ModelSpec, tuple[str, ...]]:
    """The catalog row that ``options`` mean, and notes on how it was chosen.

    "auto" is the first pulled row of the catalog's auto order. Raises ``UnknownModel``,
    ``LicenceRefused``, ``WeightsMissing``.
    """
    if options.model == "auto":
        return _choose_auto(options.commercial_only)
    if options.model == "echo":
        from cleancut.models.echo import SPEC

        return SPEC, ()
    spec = find(options.model)
    if options.recipe:
        spec = custom(Path(options.model), parse_recipe(options.recipe))
    if options.commercial_only:
        refuse_non_commercial(spec)
    return spec, ()


def _choose_auto(commercial_only: bool) -> tuple[ModelSpec, tuple[str, ...]]:
    rows = [s for s in auto_order() if not commercial_only or s.commercial == "yes"]
    for spec in rows:
        if is_pulled(spec):
            if spec is rows[0]:
                return spec, ()
            return spec, (f"auto_model: {spec.id}, since {rows[0].id} is not pulled",)
    raise WeightsMissing(
        "no model is on this machine yet", hint=f"run: cleancut models pull {rows[0].id}"
    )
