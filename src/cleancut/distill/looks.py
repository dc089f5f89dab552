"""One look of a teacher at a photograph, and the record of all looks that a run goes on from.

Looks at the same photograph in several views cost as many times as much, and say two things that
one cannot: their mean is steadier, and where they differ the teacher does not know.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cleancut.distill.labels import LOOKS, VIEWS, inside, stem_of
from cleancut.errors import OutputNotWritable
from cleancut.imaging.encode import quantise
from cleancut.imaging.files import not_writable
from cleancut.imaging.resize import fit, upsample_alpha
from cleancut.matting.fusion import agreement, softness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.engine import Engine

    Bytes = NDArray[np.uint8]

#: By number of the view: mirrored or not, and the share of the photograph's sides.
VIEW_KINDS = ((False, 1.0), (True, 0.75), (True, 1.0), (False, 0.75))
_SMALLEST_PX = 32
_HALF = 127


@dataclass(frozen=True, slots=True)
class Look:
    """What the teacher said of one view, besides its matte; ``sha256`` is the photograph's.

    ``person`` is whether a face was found in the subject, None if nobody has looked for one.
    ``adopted`` says that the digest was not known when the look was taken.
    """

    photo: str
    view: int
    sha256: str
    models: tuple[str, ...]
    confidence: float
    coverage: float
    person: bool | None = None
    adopted: bool = False

    @property
    def file(self) -> str:
        """Where its matte lies below the labels' folder."""
        return look_file(self.photo, self.view)


def look_file(photo: str, view: int) -> str:
    """Where the matte of one view lies below the labels' folder: "views/STEM.V.png"."""
    return f"{LOOKS}/{stem_of(photo)}.{view}.png"


def view_of(rgb: Bytes, view: int) -> Bytes:
    """The photograph (H, W, 3) as the teacher is shown it in the view of this number."""
    mirrored, share = VIEW_KINDS[view]
    if share < 1:
        height, width = (max(_SMALLEST_PX, int(side * share)) for side in rgb.shape[:2])
        shrunk: Bytes = np.asarray(fit(rgb, height, width), np.uint8)
        rgb = shrunk
    return np.ascontiguousarray(rgb[:, ::-1]) if mirrored else rgb


def look(engine: Engine, rgb: Bytes, view: int) -> tuple[Bytes, tuple[str, ...], float, float]:
    """The matte of ``rgb`` (H, W, 3) by one view of it, models, confidence and coverage.

    The matte is (H, W) uint8, turned and scaled back to the photograph's. Raises the engine's
    errors.
    """
    result = engine.cutout(view_of(rgb, view))
    alpha = np.ascontiguousarray(result.alpha[:, ::-1]) if VIEW_KINDS[view][0] else result.alpha
    alpha = upsample_alpha(alpha, *rgb.shape[:2])
    matte: Bytes = quantise(alpha, 8)
    return matte, result.models, float(result.confidence or 0.0), float(alpha.mean())


def has_person(rgb: Bytes, matte: Bytes) -> bool:
    """Whether a person's face is in the subject: ``rgb`` (H, W, 3), ``matte`` (H, W), uint8."""
    from cleancut.models.faces import load_faces

    height, width = matte.shape
    for face in load_faces(1).find(rgb):
        x, y = (round(value) for value in face.centre)
        if 0 <= x < width and 0 <= y < height and matte[y, x] > _HALF:
            return True
    return False


def joined(mattes: Sequence[Bytes]) -> tuple[Bytes, Bytes]:
    """The mean of (H, W) uint8 mattes, rounded, and their largest difference, pixel by pixel."""
    stack = np.stack(mattes)
    mean: Bytes = (
        (2 * stack.sum(axis=0, dtype=np.uint32) + len(mattes)) // (2 * len(mattes))
    ).astype(np.uint8)
    return mean, stack.max(axis=0) - stack.min(axis=0)


def views_agreement(mattes: Sequence[Bytes]) -> float:
    """Mean soft IoU (0..1) of all pairs of (H, W) uint8 mattes; see ``fusion``.

    Of a single matte it is how decided that is: one that leaves everything open agrees with nobody.
    """
    alphas = [matte.astype(np.float32) / np.float32(255) for matte in mattes]
    if len(alphas) == 1:
        return float(np.clip(1 - softness(alphas[0]), 0.0, 1.0))
    pairs = [agreement(one, other) for one, other in itertools.combinations(alphas, 2)]
    return float(np.clip(np.mean(pairs), 0.0, 1.0))


class Looks:
    """``views.jsonl``: looks are appended as they are taken, and survive whatever happens.

    A look counts if the photograph is still the one that was looked at, and its matte is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / VIEWS
        self._known = _by_key(_read(self._path))
        self._loose: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._file: BinaryIO | None = None

    def adopt(self) -> None:
        """Take looks without a digest for looks at the photographs that are there now.

        They are read from ``views.jsonl`` and from ``views.*.jsonl`` of other tools.
        """
        for path in (self._path, *sorted(self._folder.glob("views.*.jsonl"))):
            for facts in _read(path):
                if "sha256" not in facts or path != self._path:
                    self._loose[str(facts.get("photo")), _number(facts.get("view"))] = facts

    def of(self, photo: str, sha256: str) -> list[Look]:
        """The looks at ``photo`` that count, by view; adopted ones are not written down yet."""
        found = []
        for view in range(len(VIEW_KINDS)):
            if not (self._folder / look_file(photo, view)).is_file():
                continue
            known = self._known.get((photo, view))
            if known is not None and known.sha256 == sha256:
                found.append(known)
            elif (loose := self._loose.get((photo, view))) is not None:
                one = _look({"sha256": sha256, **loose, "adopted": True})
                if one is not None and one.sha256 == sha256:
                    found.append(one)
        return found

    def add(self, one: Look) -> None:
        """Write a look down; its matte is on the disk already. Raises ``OutputNotWritable``."""
        try:
            if self._file is None:
                self._file = _open(self._path)
            self._file.write(json.dumps(asdict(one)).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise not_writable(self._path, error) from error
        self._known[one.photo, one.view] = one

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _open(path: Path) -> BinaryIO:
    """``path`` for appending, behind the end of a line: a killed run may have left half of one."""
    file = path.open("a+b")
    if file.seek(0, 2):
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def _read(path: Path) -> list[Mapping[str, Any]]:
    """The objects in a file of JSON lines; a line that is none is passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputNotWritable(
            f"{path} cannot be read: {error.strerror}", hint="check the folder's permissions"
        ) from error
    found: list[Mapping[str, Any]] = []
    for line in lines:
        try:
            facts = json.loads(line)
        except ValueError:
            continue
        if isinstance(facts, dict):
            found.append(facts)
    return found


def _by_key(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Look]:
    looks = (_look(facts) for facts in lines)
    return {(one.photo, one.view): one for one in looks if one is not None}


def _look(facts: Mapping[str, Any]) -> Look | None:
    """The look that a line tells of, None if it tells of none."""
    try:
        person = facts.get("person")
        one = Look(
            photo=inside(facts["photo"]),
            view=_number(facts["view"]),
            sha256=str(facts["sha256"]),
            models=tuple(map(str, facts["models"])),
            confidence=min(max(float(facts["confidence"]), 0.0), 1.0),
            coverage=min(max(float(facts["coverage"]), 0.0), 1.0),
            person=None if person is None else bool(person),
            adopted=bool(facts.get("adopted", False)),
        )
    except (ValueError, KeyError, TypeError):
        return None
    return one if 0 <= one.view < len(VIEW_KINDS) else None


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1
