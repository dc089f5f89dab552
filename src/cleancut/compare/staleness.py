"""Whether a comparison still tells of the cleancut that reads it."""

from __future__ import annotations

from collections.abc import Iterable

from cleancut import __version__
from cleancut.catalog import find
from cleancut.compare.comparison import AUTO, Comparison
from cleancut.errors import UnknownModel
from cleancut.version import PIPELINE_VERSION

#: Neither is a row with weights of its own.
_WEIGHTLESS = (AUTO, "echo")


def stale(comparison: Comparison) -> tuple[str, ...]:
    """A line for everything of ours that has changed since; () if it is as it was.

    What makes a matte counts: the pipeline's version and the models' weights, by the sha256 that
    the catalog pins. Peers do not: they stand there with their versions. A model of the user's own
    is passed over.
    """
    return tuple(_changes(comparison))


def _changes(comparison: Comparison) -> Iterable[str]:
    if comparison.pipeline != PIPELINE_VERSION:
        yield (
            f"measured with pipeline {comparison.pipeline} of cleancut {comparison.version}, and"
            f" this is pipeline {PIPELINE_VERSION} of {__version__}"
        )
    for system in comparison.ran:
        if system.kind != "ours" or system.raw or system.model in _WEIGHTLESS:
            continue
        try:
            known = tuple(weight.sha256 for weight in find(system.model).weights)
        except UnknownModel:
            yield f"{system.id} is not in the catalog any more"
            continue
        if system.pinned and system.pinned != known:
            yield f"{system.id} has other weights now"
