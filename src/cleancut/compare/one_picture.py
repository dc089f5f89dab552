"""All answers for one picture, held against its truth or else against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.bench.score import Truth, figures
from cleancut.compare.measures import VERSION
from cleancut.edge_metrics import TrueEdges, blur, hardness, jaggedness, soft_band_mad
from cleancut.engine import memory_errors
from cleancut.errors import CleancutError, OutputNotWritable, UnreadableImage
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes, write_atomic
from cleancut.imaging.pairs import Pair, read_matte, read_pair
from cleancut.metrics import f_curve
from cleancut.weights.digest import remembered_sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Rgb

    Small = NDArray[np.uint8]

#: Mattes are compared with each other at this longest side, in pixels.
_AGREE_SIDE = 640
#: A median of one or two other mattes says nothing.
_FEWEST_VOTERS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One system's answer as a file; ``network`` is what it shares with others that run it.

    A network has one vote about a picture: its ``first`` answer, which is not ``raw`` if it can be.
    """

    system: str
    path: Path
    network: str = ""
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One picture with all its answers; ``truth_digest`` is "" where there is no truth.

    ``kept`` is the folder of what was found before.
    """

    name: str
    image: Path
    alpha: Path | None
    digest: str
    truth_digest: str
    answers: tuple[Answer, ...]
    kept: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one answer: figures by key and the F-curve, or the agreement."""

    figures: dict[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """Of one picture: what was found by system, a line for each that failed, or for the picture.

    ``binary`` is None where there is no truth.
    """

    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unreadable: str = ""
    binary: bool | None = None


def examine(task: Task) -> Examined:
    """Everything about one picture; nothing is raised for pictures or answers that are unsound."""
    try:
        with memory_errors():
            return _by_truth(task) if task.alpha is not None else _by_vote(task)
    except CleancutError as error:
        return Examined(unreadable=error.message)


@dataclass(slots=True)
class _Kept:
    """Findings on disk, each under a name of all that decides it; a file that is unsound is none.

    That they cannot be written costs time only.
    """

    folder: Path

    def get(self, *key: str) -> dict[str, Any] | None:
        try:
            values = json.loads(self._path(key).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return values if isinstance(values, dict) else None

    def put(self, values: Mapping[str, Any], *key: str) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(values, allow_nan=False).encode())
        except (OSError, OutputNotWritable):
            return

    def _path(self, key: Sequence[str]) -> Path:
        name = hashlib.sha256("\n".join((str(VERSION), *key)).encode()).hexdigest()[:40]
        return self.folder / name[:2] / f"{name}.json"


def _by_truth(task: Task) -> Examined:
    assert task.alpha is not None
    kept = _Kept(task.kept)
    of_picture = (task.digest, task.truth_digest)
    digests, failed = _digests(task)
    known = {answer: _read(kept.get(*of_picture, digest)) for answer, digest in digests.items()}
    about = kept.get("truth", *of_picture)
    if about is None or None in known.values():
        picture, alpha = read_pair(Pair("", task.name, task.image, task.alpha))
        _check_unchanged(task)
        truth = Truth.of(picture.rgb, alpha)
        edges = None if truth.binary else TrueEdges.of(alpha)
        about = {"binary": truth.binary}
        kept.put(about, "truth", *of_picture)
        for answer in [answer for answer, found in known.items() if found is None]:
            try:
                with memory_errors():
                    found = _figures(answer, picture.rgb, truth, edges)
            except CleancutError as error:
                failed[answer.system] = error.message
                continue
            kept.put(asdict(found), *of_picture, digests[answer])
            known[answer] = found
    scored = {answer.system: found for answer, found in known.items() if found is not None}
    return Examined(scored, failed, binary=about.get("binary") is True)


def _check_unchanged(task: Task) -> None:
    """What is found is kept under the files' digests, so it must be of these files."""
    for path, digest in ((task.image, task.digest), (task.alpha, task.truth_digest)):
        try:
            same = path is None or remembered_sha256(path, task.kept) == digest
        except OSError:
            same = False
        if not same:
            raise UnreadableImage("it was changed while the comparison ran", hint="run it again")


def _digests(task: Task) -> tuple[dict[Answer, str], dict[str, str]]:
    """The sha256 of every answer's file, and by system why it cannot be read."""
    digests, failed = {}, {}
    for answer in task.answers:
        try:
            digests[answer] = remembered_sha256(answer.path, task.kept)
        except OSError as error:
            failed[answer.system] = f"its answer cannot be read: {error.strerror or error}"
    return digests, failed


def _read(values: Mapping[str, Any] | None) -> Found | None:
    if values is None:
        return None
    try:
        found = Found(
            {str(key): float(value) for key, value in values["figures"].items()},
            tuple(float(value) for value in values["curve"]),
            None if values["agreement"] is None else float(values["agreement"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if len(found.curve) in (0, 256) else None


def _figures(answer: Answer, rgb: Rgb, truth: Truth, edges: TrueEdges | None) -> Found:
    alpha, foreground = read_matte(answer.path, rgb)
    measured = figures(truth, alpha, foreground)
    curve = f_curve(alpha, truth.alpha)
    measured["max_f"] = float(curve.max())
    if edges is not None:
        of_edges = {
            "hair": soft_band_mad(alpha, edges),
            "hard": hardness(alpha, edges),
            "jagged": jaggedness(alpha, edges),
            "blurred": blur(alpha, edges),
        }
        measured |= {key: value for key, value in of_edges.items() if value is not None}
    rounded = {key: round(value, 6) for key, value in measured.items()}
    return Found(rounded, tuple(round(float(value), 6) for value in curve))


def _by_vote(task: Task) -> Examined:
    """How far each answer agrees with the others' median: no accuracy, since all may be wrong."""
    kept = _Kept(task.kept)
    digests, failed = _digests(task)
    names = [f"{one.system} {one.network} {one.raw} {digest}" for one, digest in digests.items()]
    key = ("agreement", task.digest, *names)  # it depends on everyone
    known = kept.get(*key)
    if known is None or set(known) != {answer.system for answer in digests}:
        picture = decode(read_bytes(task.image))
        _check_unchanged(task)
        mattes: dict[str, Small] = {}
        for answer in digests:
            try:
                mattes[answer.system] = _small(read_matte(answer.path, picture.rgb)[0])
            except CleancutError as error:
                failed[answer.system] = error.message
        known = agreements([one for one in digests if one.system in mattes], mattes)
        kept.put(known, *key)
    return Examined({id_: Found(agreement=value) for id_, value in known.items()}, failed)


def agreements(answers: Sequence[Answer], mattes: Mapping[str, Small]) -> dict[str, float | None]:
    """By system, the soft IoU with the per-pixel median of the other networks' mattes, 0..1.

    ``mattes`` are (H, W) uint8. None where fewer than three others vote. Both empty: 1.
    """
    voters: dict[str, str] = {}
    for answer in sorted(answers, key=lambda one: one.raw):  # stable
        voters.setdefault(answer.network or answer.system, answer.system)
    stack = np.sort(np.stack([mattes[id_] for id_ in voters.values()]), axis=0) if voters else None
    agreed: dict[str, float | None] = {}
    for answer in answers:
        if stack is None or len(voters) <= _FEWEST_VOTERS:
            agreed[answer.system] = None
            continue
        own = mattes[voters[answer.network or answer.system]]
        others = _median_without(stack, own)
        matte = mattes[answer.system].astype(np.float32)
        union = float(np.maximum(matte, others).sum(dtype=np.float64))
        both = float(np.minimum(matte, others).sum(dtype=np.float64))
        agreed[answer.system] = round(both / union, 6) if union else 1.0
    return agreed


def _median_without(ordered: Small, one: Small) -> NDArray[np.float32]:
    """The median over the first axis of ``ordered`` (sorted) with ``one`` of them left out."""
    rest = len(ordered) - 1

    def at(place: int) -> NDArray[np.float32]:
        level = np.where(one <= ordered[place], ordered[place + 1], ordered[place])
        return np.asarray(level, np.float32)

    return (at((rest - 1) // 2) + at(rest // 2)) / np.float32(2)


def _small(alpha: NDArray[np.float32]) -> Small:
    height, width = alpha.shape
    scale = min(1.0, _AGREE_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small * 255), np.uint8)
