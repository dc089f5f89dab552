"""Pictures for a student that cuts out people and nothing else.

What shows no person is not left out but shown with an empty matte, and stands behind people: a
student that never saw a dog would cut it out like a person.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.catalog import find
from cleancut.distill.data import Draw, Pictures
from cleancut.errors import UnknownModel

if TYPE_CHECKING:
    from cleancut.distill.config import TrainConfig
    from cleancut.distill.data import Bytes, Sample
    from cleancut.distill.labels import Label, Labels

#: Chances that what lies behind a person is another thing and no scene without a subject, and that
#: a thing that is to be left alone is cut out first and put elsewhere.
_THINGS, _MOVED = 0.75, 0.25
#: A thing that fills less of its photograph is not worth moving.
_SMALLEST_THING = 0.02


def holds_person(row: Label, people: Container[str] = ()) -> bool | None:
    """Whether the labelled subject of a photograph is a person; None where that is not sure.

    A photograph of a prefix in ``people`` shows one. Of the others one does where a face was found
    in the subject and the teacher believed its portrait network: without the latter, people stand
    there with animals or things that belong to the matte, or a dog's face was taken for theirs.
    People who hide their faces are taken for things.
    """
    if row.prefix in people:
        return True
    if not row.person:
        return False
    return True if _is_portrait(row.teacher[0]) else None


def _is_portrait(model: str) -> bool:
    try:
        return "portrait" in find(model).tags
    except UnknownModel:
        return False


class PersonPictures(Pictures):
    """As ``Pictures``, of people only: the matte of everything else is empty.

    Photographs of other things are what ``shares.empty`` draws, as they are and moved elsewhere,
    and lie behind people, as ``backgrounds`` do. Raises ``BadOption`` as ``Pictures`` does.
    """

    def __init__(self, config: TrainConfig, labels: Labels, backgrounds: tuple[Path, ...]) -> None:
        told = [(row, holds_person(row, config.data.people)) for row in labels.rows]
        people = tuple(row for row, person in told if person)
        self._things = Draw([row for row, person in told if person is False], config.data.weights)
        self._movable = self._things.only(
            lambda row: (
                row.agreement >= config.data.composite_agreement and row.coverage >= _SMALLEST_THING
            )
        )
        super().__init__(config, replace(labels, rows=people), backgrounds)

    def _check(self, shares: dict[str, float]) -> None:
        empty = {"empty"} if len(self._things) else set()
        super()._check({name: share for name, share in shares.items() if name not in empty})

    def _empty(self, rng: np.random.Generator, size: int) -> Sample:
        if not len(self._movable) or rng.random() >= _MOVED:
            return super()._empty(rng, size)
        rgb, alpha, _ = self._labelled(self._movable.one(rng))
        return _emptied(self._elsewhere(rng, rgb, alpha, size))

    def _drawn(self, rng: np.random.Generator, size: int) -> Sample:
        return _emptied(super()._drawn(rng, size))

    def _background(self, rng: np.random.Generator) -> Bytes:
        if self.backgrounds and (not len(self._things) or rng.random() >= _THINGS):
            return super()._background(rng)
        return self._labelled(self._things.one(rng))[0]


def pictures_of(config: TrainConfig, labels: Labels, backgrounds: tuple[Path, ...]) -> Pictures:
    """The training pictures of the subject that ``config`` names; raises as ``Pictures``."""
    kind = PersonPictures if config.data.subject == "person" else Pictures
    return kind(config, labels, backgrounds)


def _emptied(sample: Sample) -> Sample:
    rgb, alpha, trust = sample
    return rgb, np.zeros_like(alpha), np.full_like(trust, 255)
