"""Pictures for a student that cuts out people and nothing else.

What shows no person is not left out but shown with an empty matte, and stands behind people: a
student that never saw a dog would cut it out like a person.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.catalog import find
from cleancut.distill.augment import cropped, stretched
from cleancut.distill.data import Draw, Pictures
from cleancut.errors import BadOption, UnknownModel

if TYPE_CHECKING:
    from cleancut.distill.config import TrainConfig
    from cleancut.distill.data import Bytes, Sample
    from cleancut.distill.labels import Label, Labels

#: How often what lies behind a person, or is to be left alone, is a labelled photograph of
#: something else and no scene without a subject, and is moved elsewhere with its teacher's matte.
_THINGS, _MOVED = 0.75, 0.25


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

    ``shares.empty`` is for labelled photographs of other things as they are and moved elsewhere,
    and for ``backgrounds``; both also lie behind people. Raises ``BadOption`` as ``Pictures`` does.
    """

    def __init__(self, config: TrainConfig, labels: Labels, backgrounds: tuple[Path, ...]) -> None:
        told = [(row, holds_person(row, config.data.people)) for row in labels.rows]
        people = tuple(row for row, person in told if person)
        if not people:
            raise BadOption(
                'subject = "person": no labelled photograph shows one',
                hint="label photographs with faces, or write people = [their prefixes]",
            )
        super().__init__(config, replace(labels, rows=people), backgrounds)
        things = [row for row, person in told if person is False]
        self._things = Draw(things, config.data.weights)
