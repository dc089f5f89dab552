"""The ranges that a network's activations take on pictures.

Each picture gives a smallest and a largest value a tensor. Where a saliency network is sure of a
large region its last stages reach values that are twenty times what they are elsewhere, and every
such answer rounds to the same matte: a range that holds them leaves too few steps for the edge.
Whether half of all pictures are of that kind is chance, so a range reaches to the median, but not
further than twice what nine pictures in ten exceed: tensors of one kind on all pictures keep their
median, those of two kinds the smaller kind. Scenes made in code are always looked at besides
photographs, since these may all be of the one kind.

Grad on people, IS-Net, ranges from 96 photographs: the largest values of all pictures ruin the
matte, their mean (NNCF's choice) costs 34 percent, this rule 1 percent; from 30 photographs with
plain backgrounds the median costs 202 percent (docs/optimize.md).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.errors import CleancutError, InputError, InputNotFound
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes
from cleancut.models.recipe import prepare
from cleancut.optimize.scenes import scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb
    from cleancut.backends.base import Session
    from cleancut.catalog import Recipe

    Values = NDArray[np.float64]

#: Told after each picture: how many are done, how many there are, and what is being done.
Progress = Callable[[int, int, str], None]
#: Fewer pictures than this say too little.
FEWEST = 8
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic")
#: Scenes beside photographs.
_MOST_SCENES = 32
#: First number of the scenes that calibrate; those that judge come from another stretch.
_FIRST_SCENE = 10_000


@dataclass(frozen=True, slots=True)
class Pictures:
    """What calibrates: files of the user's, if there are any, and scenes made in code."""

    paths: tuple[Path, ...]
    scenes: int

    @property
    def kind(self) -> str:
        """ "photographs" or "generated"."""
        return "photographs" if self.paths else "generated"

    def __len__(self) -> int:
        return len(self.paths) + self.scenes

    def of_kind(self) -> Pictures:
        """Only what ``kind`` says."""
        return Pictures(self.paths, 0) if self.paths else self

    def each(self, limit: int | None = None) -> Iterator[tuple[bytes, Rgb]]:
        """What identifies each picture, and its pixels; files that cannot be read are left out.

        At most ``limit`` of each kind are drawn. Raises ``InputError`` if more than half of the
        files cannot be read.
        """
        bad: list[CleancutError] = []
        for path in self.paths[:limit]:
            try:
                data = read_bytes(path)
                yield data, decode(data).rgb
            except InputError as error:
                bad.append(error)
                if 2 * len(bad) > max(FEWEST, len(self.paths)):
                    raise
        for number in range(self.scenes)[:limit]:
            yield f"scene {number}".encode(), scene(_FIRST_SCENE + number)[0]


def choose_pictures(folder: Path | None, count: int) -> Pictures:
    """``count`` pictures from ``folder`` and below, the same ones every time, and some scenes.

    Without a folder ``count`` scenes.

    Raises ``InputNotFound`` if the folder holds fewer than eight.
    """
    if folder is None:
        return Pictures((), count)
    if not folder.is_dir():
        raise InputNotFound(f"{folder} is not a folder", hint="give a folder of photographs")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and path.name[0] != "." and path.is_file()
    )
    if len(found) < FEWEST:
        raise InputNotFound(
            f"{folder} holds {len(found)} pictures, too few to calibrate with",
            hint=f"give {FEWEST} or more, better 100 to 300",
        )
    random.Random(0).shuffle(found)
    return Pictures(tuple(found[:count]), min(count, _MOST_SCENES))


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """Smallest and largest value by picture and tensor, (pictures, tensors, 2), of each kind.

    ``sha256`` is the digest of the pictures.
    """

    photographs: Values
    scenes: Values
    sha256: str

    @property
    def pictures(self) -> int:
        """How many pictures of the kind that was asked for were looked at."""
        return len(self.photographs) or len(self.scenes)


def measure_extremes(
    session: Session, recipe: Recipe, pictures: Pictures, count: int, progress: Progress
) -> Extremes:
    """Run the measuring graph, which has ``count`` tensors to tell of, on every picture.

    Raises ``InputNotFound`` if too few can be read.
    """
    digest = hashlib.sha256()
    rows: list[list[float]] = []
    name = next(iter(session.inputs))
    for data, rgb in pictures.each():
        feed, _ = prepare(rgb, recipe)
        answers = session.run({name: feed})
        rows.append([float(answers[f"{word} {at}"]) for at in range(count) for word in _WORDS])
        digest.update(hashlib.sha256(data).digest())
        progress(len(rows), len(pictures), "calibrating")
    photographs = len(rows) - pictures.scenes
    if pictures.paths and photographs < FEWEST:
        raise InputNotFound(
            f"only {photographs} of {len(pictures.paths)} pictures could be read",
            hint="give a folder of photographs",
        )
    seen = np.asarray(rows, np.float64).reshape(len(rows), count, 2)
    return Extremes(seen[:photographs], seen[photographs:], digest.hexdigest())


def ranges_of(
    extremes: Extremes, names: Sequence[str], together: Sequence[int], *, wide: bool = False
) -> dict[str, tuple[float, float]]:
    """Range by tensor, one range for those that go ``together``.

    ``wide`` takes what four pictures in five stay within instead.
    """
    kinds = [kind for kind in (extremes.photographs, extremes.scenes) if len(kind)]
    reach = _reach(kinds[0] * (-1, 1), wide)
    if not wide:
        reach = np.minimum.reduce([reach, *(_cap(kind * (-1, 1)) for kind in kinds)])
    shared: dict[int, tuple[float, float]] = {}
    for group, (down, up) in zip(together, reach, strict=True):
        before = shared.get(group, (0.0, 0.0))
        shared[group] = (min(before[0], -float(down)), max(before[1], float(up)))
    return {name: shared[group] for name, group in zip(names, together, strict=True)}


def _reach(values: Values, wide: bool) -> Values:
    """How far tensors go down and up from zero: (tensors, 2), nothing negative."""
    reach: Values = np.quantile(np.maximum(values, 0.0), 0.8 if wide else 0.5, axis=0)
    return reach


def _cap(values: Values) -> Values:
    """Twice what nine pictures in ten exceed; no cap where these stay at zero."""
    usual = 2.0 * np.quantile(np.maximum(values, 0.0), 0.1, axis=0)
    return np.where(usual > 0.0, usual, np.inf)


_WORDS = ("min", "max")
