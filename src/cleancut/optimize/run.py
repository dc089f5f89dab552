"""Make the int8 copy of a model: place, calibrate, keep what has to be kept, measure, store.

After Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference" (CVPR 2018): weights in 8 bits with a scale for each channel, activations in 8 bits
with one scale and zero point, from ranges measured beforehand.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.backends import select
from cleancut.backends.base import Placement
from cleancut.backends.machine import fingerprint, thread_count
from cleancut.catalog import ModelSpec, Recipe, find
from cleancut.errors import BadOption, SetupError
from cleancut.extras import extra
from cleancut.models.load import Placing, open_original
from cleancut.models.recipe import prepare
from cleancut.models.saliency import SaliencyModel
from cleancut.optimize import child, judge
from cleancut.optimize.calibrate import (
    Extremes,
    Pictures,
    Progress,
    choose_pictures,
    measure_extremes,
    ranges_of,
)
from cleancut.optimize.graph import Site
from cleancut.optimize.scenes import scene
from cleancut.weights.digest import sha256_of
from cleancut.weights.lock import held
from cleancut.weights.optimized import (
    GRAD_LIMIT,
    MAD_LIMIT,
    TIME_LIMIT,
    Optimized,
    SetScore,
    Step,
    copy_path,
)
from cleancut.weights.resolve import Found, resolve
from cleancut.weights.store import disk_errors, lock_path, put_copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleancut.arrays import Alpha
    from cleancut.backends.base import Session

#: As good as this, and no further layers are taken back to float.
GOOD_GRAD, GOOD_MAD = 1.10, 1.05
#: Pictures on which the mattes of both networks are compared.
_COMPARED = 12


@dataclass(frozen=True, slots=True)
class Keep:
    """Which layers stay in float: the ``last`` ones, and the ``first`` so many.

    ``wide`` takes wider ranges for the others. What comes after the last layer (a resize of logits)
    is always in float: its values span hundreds, and all of the edge lies between -5 and 5.
    """

    what: str
    last: int = 0
    first: int = 0
    wide: bool = False

    def holds(self, site: Site) -> bool:
        """Whether the tensor at ``site`` stays in float."""
        return site.last <= self.last or site.first < self.first


#: Tried in this order; the first that is good enough is taken.
STEPS = (
    Keep("all layers in int8"),
    Keep("last layer in float", last=1),
    Keep("the same, wide ranges", last=1, wide=True),
    Keep("first and last layer in float", last=1, first=1),
    Keep("the same, wide ranges", last=1, first=1, wide=True),
    Keep("first and last 2 in float", last=2, first=1),
    Keep("first and last 4 in float", last=4, first=1),
    Keep("first 2 and last 8 in float", last=8, first=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make the copy with.

    ``calibrate`` is a folder of photographs without labels (None: scenes made in code), of which
    ``pictures`` are used; ``pairs`` one with true mattes to score with (None: scenes again).
    """

    calibrate: Path | None = None
    pairs: Path | None = None
    pictures: int = 128

    def __post_init__(self) -> None:
        """Refuse counts that say nothing (``BadOption``)."""
        if not 8 <= self.pictures <= 2000:
            raise BadOption(
                f"--pictures: {self.pictures} is out of range",
                hint="give 8 to 2000, 100 to 300 is best",
            )


@dataclass(slots=True)
class _Original:
    """The network as it is, what it says, and what that is worth."""

    spec: ModelSpec
    found: Found
    session: Session
    truths: judge.Truths
    scores: dict[str, list[judge.Figures]] = field(default_factory=dict)


@dataclass(slots=True)
class _Candidate:
    """One step of the curve, as a file and what was measured of it."""

    keep: Keep
    path: Path
    kept: tuple[str, ...]
    sets: tuple[SetScore, ...]
    ms: tuple[float, float]

    def step(self, copy: Optimized) -> Step:
        return Step(
            self.keep.what,
            len(self.kept),
            round(copy.grad_ratio, 4),
            round(copy.mad_ratio, 4),
            self.ms[1],
        )


def optimize(name: str, plan: Plan | None = None, *, progress: Progress | None = None) -> Optimized:
    """Make the int8 copy of the model ``name``, measure it, and put it into the store.

    Answers with its manifest; ``refused`` in it says whether "auto" takes the copy. Raises
    ``WeightsMissing`` for a model that is not here, ``SetupError`` for one that cannot be
    quantised, ``MissingDependency`` without the extra ``optimize``, ``InputNotFound`` for folders
    without pictures, ``OutOfMemory``. A copy made earlier stays until the new one is complete.
    """
    spec, plan, tell = find(name), plan or Plan(), progress or _silent
    check(spec)
    found = resolve(spec)
    pictures, truths = (
        choose_pictures(plan.calibrate, plan.pictures),
        judge.choose_truths(plan.pairs),
    )
    with (
        disk_errors(copy_path(spec).parent),
        held(lock_path(spec)),
        _workplace(copy_path(spec).parent / ".optimize") as work,
    ):
        original = _Original(spec, found, open_original(spec, Placing()), truths)
        ranges = _Ranges.measure(original, pictures, work, tell)
        best, curve = _search(original, ranges, work, tell)
        copy = _finish(best, original, ranges, tell)
        return put_copy(spec, replace(copy, curve=curve), best.path)


def quantise(
    source: Path,
    target: Path,
    recipe: Recipe,
    plan: Plan | None = None,
    *,
    progress: Progress | None = None,
) -> Optimized:
    """Write the int8 copy of an ONNX file that is no row of the catalog to ``target``.

    Made, measured and chosen as by ``optimize``; the store stays as it is. ``target`` may be
    ``source``. Raises as ``optimize`` does.
    """
    _check_tools()
    spec = ModelSpec("custom", source.name, "saliency", recipe, path=source)
    plan, tell = plan or Plan(), progress or _silent
    pictures, truths = (
        choose_pictures(plan.calibrate, plan.pictures),
        judge.choose_truths(plan.pairs),
    )
    folder = target.with_name(f".{target.stem}.optimize")
    with disk_errors(target.parent), _workplace(folder) as work:
        original = _Original(spec, resolve(spec), open_original(spec, Placing()), truths)
        ranges = _Ranges.measure(original, pictures, work, tell)
        best, curve = _search(original, ranges, work, tell)
        copy = replace(_finish(best, original, ranges, tell), curve=curve, file=target.name)
        best.path.replace(target)
    return copy


def check(spec: ModelSpec) -> None:
    """Raise ``SetupError`` for a network that has no int8 copy, ``MissingDependency`` for NNCF."""
    if spec.path is not None or spec.family != "saliency":
        raise SetupError(
            f"{spec.id}: only still networks of the catalog are optimised",
            hint="run: cleancut models list",
        )
    _check_tools()


def _check_tools() -> None:
    with extra("optimize"):
        if find_spec("nncf") is None:
            raise ModuleNotFoundError("No module named 'nncf'", name="nncf")


@dataclass(slots=True)
class _Ranges:
    """What calibration found, and the graphs it was found with."""

    sites: list[Site]
    extremes: Extremes
    pictures: Pictures
    layers: int
    tools: dict[str, str]

    @classmethod
    def measure(
        cls, original: _Original, pictures: Pictures, work: Path, tell: Progress
    ) -> _Ranges:
        """Quantise the graph in a process of its own, then look at every picture."""
        recipe = original.spec.recipe
        feed, _ = prepare(scene(0)[0], recipe)
        np.save(work / child.SAMPLE, feed)
        tell(0, len(pictures), "placing 8-bit tensors")
        placed = child.in_own_process("place", str(original.found.path), recipe.output, str(work))
        rows = json.loads((work / child.SITES).read_text("utf-8"))
        sites = [Site(*row) for row in rows]
        session = select.open_session(work / child.EXTREMES, _where(original.spec))
        extremes = measure_extremes(session, recipe, pictures, len(sites), tell)
        return cls(sites, extremes, pictures, placed["layers"], placed["tools"])

    def by_name(self, wide: bool) -> dict[str, tuple[float, float]]:
        """Range by tensor."""
        names, together = [s.name for s in self.sites], [s.together for s in self.sites]
        return ranges_of(self.extremes, names, together, wide=wide)


def _where(spec: ModelSpec) -> Placement:
    """Where ranges are measured: bf16 tells them to half a percent, in half the time of f32."""
    rows = select.candidates(device="cpu", bf16_ok=spec.bf16)
    return max(rows, key=lambda placement: placement.backend == "openvino")


def _search(
    original: _Original, ranges: _Ranges, work: Path, tell: Progress
) -> tuple[_Candidate, tuple[Step, ...]]:
    """Take layers back to float until the copy is good enough; the best one, and the curve.

    The best is the fastest that is not refused, else of the faster ones that nearest to it.
    """
    model = SaliencyModel(original.spec, original.session)
    original.scores = judge.score(model, original.truths, tell, "original")
    tried: list[tuple[_Candidate, Optimized]] = []
    seen: set[tuple[frozenset[str], bool]] = set()
    for number, keep in enumerate(STEPS):
        names = frozenset(site.name for site in ranges.sites if keep.holds(site))
        if (names, keep.wide) in seen or len(names) == len(ranges.sites):
            continue
        seen.add((names, keep.wide))
        candidate = _try(keep, names, original, ranges, work / f"step-{number}.onnx", tell)
        copy = _manifest(candidate, original, ranges)
        tried.append((candidate, copy))
        good = copy.grad_ratio <= GOOD_GRAD and copy.mad_ratio <= GOOD_MAD
        if good or not _faster(copy):  # with more in float it would only be slower
            break
    if not tried:
        raise SetupError(
            f"{original.spec.id}: nothing of it can be computed in 8 bits", hint="use it as it is"
        )
    if fit := [pair for pair in tried if not pair[1].refused]:
        best, _ = min(fit, key=lambda pair: pair[1].ms[1])
    else:
        fit = [pair for pair in tried if _faster(pair[1])] or tried
        best, _ = min(fit, key=lambda pair: _rank(pair[1]))
    return best, tuple(candidate.step(copy) for candidate, copy in tried)


def _faster(copy: Optimized) -> bool:
    return copy.ms[1] <= TIME_LIMIT * copy.ms[0]


def _rank(copy: Optimized) -> tuple[float, float]:
    """Less is better: how near it comes to being refused, in percent, then its time."""
    return round(max(copy.grad_ratio / GRAD_LIMIT, copy.mad_ratio / MAD_LIMIT), 2), copy.ms[1]


def _try(
    keep: Keep,
    names: frozenset[str],
    original: _Original,
    ranges: _Ranges,
    path: Path,
    tell: Progress,
) -> _Candidate:
    wishes = {"ranges": ranges.by_name(keep.wide), "keep": sorted(names)}
    (path.parent / child.WISHES).write_text(json.dumps(wishes), "utf-8")
    tell(0, len(original.truths), keep.what)
    made = child.in_own_process("assemble", str(path.parent), str(path))
    ranges.tools |= made["tools"]
    session = _open(path, original.spec)
    model = SaliencyModel(original.spec, session)
    scores = judge.score(model, original.truths, tell, keep.what)
    feed, _ = prepare(scene(0)[0], original.spec.recipe)
    ms = judge.race(original.session, session, {next(iter(session.inputs)): feed})
    return _Candidate(keep, path, tuple(made["kept"]), judge.compare(original.scores, scores), ms)


def _open(path: Path, spec: ModelSpec) -> Session:
    """The candidate as it would run, without a trace in the cache."""
    placements = select.candidates(device="cpu", precision="int8", bf16_ok=spec.bf16)
    return select.open_session(path, placements[0])


def _manifest(candidate: _Candidate, original: _Original, ranges: _Ranges) -> Optimized:
    spec = original.spec
    return Optimized(
        model=spec.id,
        file=copy_path(spec).name,
        bytes=candidate.path.stat().st_size,
        sha256=sha256_of(candidate.path),
        made_from=original.found.sha256,
        calibration=ranges.pictures.kind,
        calibration_pictures=ranges.extremes.pictures,
        calibration_sha256=ranges.extremes.sha256,
        layers=ranges.layers,
        kept=candidate.kept,
        truth=original.truths.kind,
        sets=candidate.sets,
        apart_mad=0.0,
        apart_iou=1.0,
        ms=candidate.ms,
        original_ran=str(original.session.placement),
        machine=fingerprint(),
        threads=thread_count(),
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        tools=dict(ranges.tools),
    )


def _finish(best: _Candidate, original: _Original, ranges: _Ranges, tell: Progress) -> Optimized:
    """The manifest of the chosen copy, with how far apart both mattes are on the pictures."""

    def mattes(session: Session, what: str) -> list[Alpha]:
        tell(0, _COMPARED, what)
        return judge.mattes_of(
            SaliencyModel(original.spec, session), ranges.pictures.of_kind(), _COMPARED
        )

    mad, iou = judge.apart(
        mattes(_open(best.path, original.spec), "comparing with the original"),
        mattes(original.session, "comparing with the original"),
    )
    return replace(_manifest(best, original, ranges), apart_mad=mad, apart_iou=iou)


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """``folder``, on the target's disk, emptied before and after; a killed run's is taken over."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
