"""The whole comparison, part by part: what is interrupted keeps what it has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from cleancut import __version__
from cleancut.backends.machine import cpu_limit
from cleancut.compare.answers import Answers, answers, kept
from cleancut.compare.clips import ClipPlan, clip_folders, measure_clips
from cleancut.compare.comparison import PARTS, Comparison, Part, System
from cleancut.compare.deployment import deployment
from cleancut.compare.earlier import INTERRUPTED, figures, is_whole, marked
from cleancut.compare.gallery import Gallery, gallery
from cleancut.compare.machine import machine
from cleancut.compare.peers import TOOLS, prepare
from cleancut.compare.pictures import Shot, find
from cleancut.compare.places import places
from cleancut.compare.repeats import RepeatPlan, measure_repeats
from cleancut.compare.resources import resources
from cleancut.compare.scoring import score
from cleancut.compare.shareable import shareable, without_folders
from cleancut.compare.speed import SpeedPlan, run_systems, speeds
from cleancut.compare.starters import software, starter
from cleancut.compare.systems import LEFT_OUT, systems
from cleancut.compare.tables import count
from cleancut.errors import BadOption, CleancutError, InputNotFound
from cleancut.version import PIPELINE_VERSION
from cleancut.weights.folders import cache_folder

Tell = Callable[[str], None]
Step = Callable[[int, int, str], None]
Save = Callable[[Comparison], None]
#: Measures parts and gives the comparison with them; None if there is nothing new.
Measurement = Callable[[Comparison], Comparison | None]
#: Parts that cut pictures; clips and tools are found without any.
_OF_PICTURES: frozenset[Part] = frozenset({"accuracy", "speed", "resources", "cache"})
#: What a folder of repeats is cut with: small, so that the cache saves least.
_REPEATED = ("u2netp", "cleancut-nano")
_REPEAT_SOURCES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compare on what.

    ``data`` is as in ``pictures.find``, ``models`` and ``peers`` as in ``systems.systems``.
    ``install`` makes the peers' environments that are not there, ``downloads`` asks how large the
    tools' packages are. ``fresh`` takes no answer of an earlier run. ``drawn`` asks for the
    gallery. ``command`` is what repeats it.
    """

    data: Path | None = None
    models: tuple[str, ...] = ()
    parts: frozenset[Part] = frozenset(PARTS)
    peers: Mapping[str, Path | None] = field(default_factory=dict)
    install: bool = False
    downloads: bool = False
    only: tuple[str, ...] = ()
    limit: int | None = None
    speed: SpeedPlan = field(default_factory=SpeedPlan)
    clips: ClipPlan = field(default_factory=ClipPlan)
    repeats: RepeatPlan = field(default_factory=RepeatPlan)
    jobs: int | None = None
    fresh: bool = False
    drawn: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        """Refuse what compares nothing (``BadOption``)."""
        if self.limit is not None and self.limit < 1:
            raise BadOption(f"--limit: {self.limit} pictures show nothing", hint="give 1 or more")
        if self.jobs is not None and self.jobs < 1:
            raise BadOption(f"--jobs: {self.jobs} is out of range", hint="give 1 or more")


def compare(
    plan: Plan, tell: Tell, step: Step, *, before: Comparison | None = None, save: Save
) -> tuple[Comparison, Gallery]:
    """Measure the parts of ``plan``; what it leaves out is taken from ``before``, see ``earlier``.

    ``save`` is given what there is after each part. Ctrl-C ends the part that runs and all others,
    and keeps what is done; a second one ends the scoring or the drawing that follows, and all.
    Raises what the data, the models asked for and the peers raise.
    """
    work = cache_folder() / "bench-compare"
    if before is not None and not plan.parts and not (plan.drawn and plan.data):
        return before, Gallery()
    _install(plan, tell)
    peers = {tool: folder and folder.absolute() for tool, folder in plan.peers.items()}
    taken = _Taking(
        plan=plan,
        tell=tell,
        step=step,
        save=save,
        peers=peers,
        work=work,
        contestants=_contestants(plan, peers, before),
        left_out=[],
    )
    _tell_who(taken.contestants, tell)
    if plan.drawn or plan.parts & _OF_PICTURES:
        tell(f"looking at the pictures of {_name(plan.data)}" if plan.data else "making pictures")
        taken.shots = find(
            plan.data, only=plan.only, limit=plan.limit, skip=taken.left_out.append, step=step
        )
    return taken.all(before)


def _install(plan: Plan, tell: Tell) -> None:
    for name, folder in plan.peers.items():
        if plan.install and folder is not None:
            try:
                prepare(TOOLS[name], folder, tell=tell)
            except CleancutError as error:  # its rows say that it is not here
                tell(f"{name}: {error.message}")


def _tell_who(contestants: Sequence[System], tell: Tell) -> None:
    """Say before the wait who will be missing after it."""
    ran = [one.id for one in contestants if not one.reason and not one.raw]
    absent = [one.id for one in contestants if one.reason and one.reason != LEFT_OUT]
    tell(f"who takes part: {', '.join(ran) or 'nobody'}")
    if absent:
        tell(f"not here: {', '.join(absent)} (the report says how to get each)")


def _contestants(
    plan: Plan, peers: Mapping[str, Path | None], before: Comparison | None
) -> tuple[System, ...]:
    """Who is asked for, else who took part ``before``.

    Their rows stay as they were unless they cut all pictures anew: figures belong to weights.
    """
    if before is None or (plan.models and "accuracy" in plan.parts):
        return systems(plan.models, peers=peers)
    if plan.models:
        found = systems(plan.models, peers=peers)
        ran = {row.id: row for row in before.ran}
        return tuple(replace(ran.get(one.id, one), model=one.model) for one in found)
    if "accuracy" not in plan.parts:
        return before.systems
    rows: list[System] = []
    for row in before.systems:
        try:
            rows += (row,) if row.reason else systems((row.id,), peers=peers)
        except CleancutError as error:
            rows.append(replace(row, reason=f"{error.message}; {error.hint}"))
    return tuple(rows)


@dataclass(slots=True, kw_only=True)
class _Taking:
    """One comparison while it is made."""

    plan: Plan
    tell: Tell
    step: Step
    save: Save
    peers: Mapping[str, Path | None]
    work: Path
    contestants: tuple[System, ...]
    left_out: list[str]
    shots: tuple[Shot, ...] = ()
    interrupted: bool = False

    def all(self, before: Comparison | None) -> tuple[Comparison, Gallery]:
        """Every part in turn, then the gallery."""
        parts: dict[tuple[Part, ...], Measurement] = {
            ("accuracy",): self._accuracy,
            ("speed", "resources"): self._processes,
            ("deployment",): self._deployment,
            ("video",): self._video,
            ("cache",): self._repeats,
        }
        raw, measured = self._begun(before), set[Part]()
        found = before or raw
        for names, measure in parts.items():
            asked = self.plan.parts.intersection(names)
            if asked and not self.interrupted:
                if (new := self._tried(names[0], measure, raw, measured)) is not None:
                    raw = new
                    measured |= asked
                found = self._told(raw, before, measured)
                self.save(found)
        return self._drawn(found) if self.plan.drawn else (found, Gallery())

    def _tried(
        self, part: Part, measure: Measurement, found: Comparison, measured: Collection[Part]
    ) -> Comparison | None:
        """What ``measure`` gives; a part that fails does not cost those that were measured."""
        try:
            return measure(found)
        except (CleancutError, OSError) as error:
            if not measured:
                raise
            why = error.message if isinstance(error, CleancutError) else error.strerror or error
            self.left_out.append(f"{part}: {why}")
            self.tell(f"{part}: {why}")
            return None

    def _begun(self, before: Comparison | None) -> Comparison:
        """What there is before the first part: the figures of ``before``, if any."""
        begun = Comparison(
            version=__version__,
            pipeline=PIPELINE_VERSION,
            date=datetime.now(timezone.utc).date().isoformat(),
            machine=machine(),
            data=_name(self.plan.data),
            commands=(self.plan.command,) if self.plan.command else (),
            software=self._software(before),
            systems=self.contestants,
        )
        if before is None:
            return begun
        return replace(begun, **figures(before, {one.id for one in self.contestants}))

    def _told(
        self, raw: Comparison, before: Comparison | None, measured: Collection[Part]
    ) -> Comparison:
        """``raw`` with what was left out or is not of this run; files by their last names."""
        found = replace(
            raw,
            systems=tuple(replace(one, model=Path(one.model).name) for one in raw.systems),
            skipped=tuple(dict.fromkeys(self.left_out)),
        )
        if before is not None:
            found = marked(found, before, measured)
        return shareable(replace(found, complete=is_whole(found.skipped)), self._folders())

    def _folders(self) -> list[Path]:
        """Those that the user named, which no report does."""
        return [folder for folder in (self.plan.data, *self.peers.values()) if folder]

    def _cut_short(self, part: Part) -> None:
        """Ctrl-C came: the parts that follow are left out."""
        self.interrupted = True
        self.left_out.append(f"{part}: {INTERRUPTED}")
        self.tell(f"{part} was interrupted; the same command goes on (Ctrl-C again ends it all)")

    def _drawn(self, found: Comparison) -> tuple[Comparison, Gallery]:
        self.tell("drawing the gallery")
        try:
            ran = [one for one in self.contestants if not one.reason]
            answered = kept(ran, self.work, peers=self.peers)
            shown = gallery(self.shots, ran, answered, scores=found.pictures, step=self.step)
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            shown = Gallery(skipped=("it was interrupted",), complete=False)
        lines = [without_folders(line, self._folders()) for line in shown.skipped]
        return found, replace(shown, skipped=tuple(lines))

    def _software(self, before: Comparison | None) -> dict[str, dict[str, str]]:
        """By tool, its versions; those of ``before`` where it is not here."""
        found = {}
        for tool in dict.fromkeys(one.tool for one in self.contestants if not one.reason):
            try:
                found[tool] = software(tool, self.peers)
            except CleancutError:
                found[tool] = {}
            if not found[tool] and before is not None:
                found[tool] = before.software.get(tool, {})
        return found

    def _accuracy(self, found: Comparison) -> Comparison | None:
        cut = count(len(self.shots), "picture")
        self.tell(f"{cut} by {count(len(found.ran), 'system')}")
        try:
            given = self._answers(found.ran)
        except KeyboardInterrupt:
            self._cut_short("accuracy")
            given = kept(found.ran, self.work, peers=self.peers)
        jobs = self.plan.jobs or cpu_limit()
        self.tell(f"scoring, {jobs} at a time")
        try:
            scored = score(
                self.shots, found.systems, given, jobs=jobs, step=self.step, cache=self.work
            )
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            self._cut_short("accuracy")
            return None
        self.left_out += scored.skipped
        return replace(
            found,
            data=_name(self.plan.data),
            sets=scored.sets,
            scores=scored.scores,
            pictures=scored.pictures,
        )

    def _answers(self, running: Sequence[System]) -> Answers:
        if self.plan.fresh:
            _forget(kept(running, self.work, peers=self.peers))
        return answers(
            running, self.shots, self.work, peers=self.peers, tell=self.tell, step=self.step
        )

    def _processes(self, found: Comparison) -> Comparison:
        """Seconds and resources, which come from the same runs."""
        starters = {}
        for system in found.ran:
            try:
                starters[system.id] = starter(system, self.work / "lent", peers=self.peers)
            except CleancutError as error:
                self.left_out.append(f"speed: {system.id}: {error.message}")
        plan, asked = self.plan.speed, self.plan.parts
        minutes = count(max(1, round(plan.estimate_s(len(starters)) / 60)), "minute")
        self.tell(f"speed and resources of {count(len(starters), 'system')}, about {minutes}")
        runs = run_systems(
            found.ran, starters, self._usual(), plan=plan, tell=self.tell, step=self.step
        )
        self.left_out += runs.skipped
        if not runs.complete:
            self._cut_short("speed")
        return replace(
            found,
            speed=speeds(runs) if "speed" in asked else found.speed,
            resources=resources(runs) if "resources" in asked else found.resources,
        )

    def _usual(self) -> Path:
        """The picture that speed is measured with: the first of a person, else the first."""
        return next((shot for shot in self.shots if shot.group == "people"), self.shots[0]).image

    def _deployment(self, found: Comparison) -> Comparison | None:
        try:
            rows = deployment(
                places(self.peers, self.work / "lent"),
                self.work / "deployment",
                downloads=self.plan.downloads,
                tell=self.tell,
            )
        except KeyboardInterrupt:
            self._cut_short("deployment")
            return None
        return replace(found, deployment=rows)

    def _video(self, found: Comparison) -> Comparison | None:
        if self.plan.data is None:
            self.left_out.append("video: no clips with true mattes; give a folder with --data")
            return None
        try:
            folders = clip_folders(self.plan.data)
        except InputNotFound:
            folders = ()
        if not folders:
            self.left_out.append("video: no clips (SET/CLIP/image, SET/CLIP/alpha) in the folder")
            return None
        clips = measure_clips(
            folders, found.ran, plan=self.plan.clips, tell=self.tell, step=self.step
        )
        self.left_out += clips.skipped
        if not clips.complete:
            self._cut_short("video")
        return replace(found, video=tuple(clips.scores))

    def _repeats(self, found: Comparison) -> Comparison | None:
        model = next((id_ for id_ in _REPEATED if id_ in {one.id for one in found.ran}), "")
        if not model:
            self.left_out.append(f"cache: measured with {' or '.join(_REPEATED)}, none takes part")
            return None
        sources = [shot.image for shot in self.shots[:_REPEAT_SOURCES]]
        try:
            saved, complete = measure_repeats(
                sources, model, plan=self.plan.repeats, tell=self.tell, step=self.step
            )
        except CleancutError as error:
            self.left_out.append(f"cache: {error.message}")
            return None
        if not complete:
            self._cut_short("cache")
        return None if saved is None else replace(found, repeats=saved)


def _name(data: Path | None) -> str:
    return data.resolve().name if data else "pictures made here"


def _forget(given: Answers) -> None:
    """Remove what is kept; who runs beside this one cuts anew."""
    for folder in given.folders.values():
        for path in folder.glob("*.json"):
            if path.name != "about.json":
                path.unlink(missing_ok=True)
