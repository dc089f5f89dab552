"""``bench accuracy``: models, options and other tools, scored on pictures with true mattes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut import __version__
from cleancut.backends.machine import cpu_limit, cpu_model
from cleancut.bench.rivals import Mattes, OurModel, Rival, run_rembg
from cleancut.bench.score import Scored, Summary, Trust, Truth, figures, summary, trust
from cleancut.bench.thumbs import Gallery
from cleancut.engine import Engine, memory_errors
from cleancut.errors import BadOption, InputError, RunError, UnreadableImage
from cleancut.imaging.pairs import Pair, find_pairs, read_pair
from cleancut.metrics import f_curve
from cleancut.options import Options
from cleancut.weights.folders import cache_folder

if TYPE_CHECKING:
    from cleancut.imaging.picture import Picture

Tell = Callable[[str], None]
#: Told after each picture: how many are done, how many there are, and the name of the last.
Step = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to score.

    ``models`` are rows of ours, each with ``options``; ``mattes`` folders of other tools' answers,
    ``rembg_venv`` where rembg is or will be installed (None: leave it out). ``only`` names sets,
    ``limit`` is the pictures of each. ``worst`` is how many bad pictures a row keeps for the page.
    """

    folder: Path
    models: tuple[str, ...] = ("auto",)
    options: Options = field(default_factory=Options)
    mattes: tuple[Path, ...] = ()
    rembg_venv: Path | None = None
    only: tuple[str, ...] = ()
    limit: int | None = None
    worst: int = 0

    def __post_init__(self) -> None:
        """Refuse what scores nothing (``BadOption``)."""
        if self.limit is not None and self.limit < 1:
            raise BadOption(f"--limit: {self.limit} pictures score nothing", hint="give 1 or more")
        if not (self.models or self.mattes or self.rembg_venv):
            raise BadOption("nothing to score", hint="leave out --no-models, or add --mattes DIR")


@dataclass(slots=True)
class Row:
    """Everything one rival scored."""

    label: str
    ours: bool
    scored: list[Scored] = field(default_factory=list)
    gallery: Gallery = field(default_factory=Gallery)
    warm: bool = False


@dataclass(slots=True)
class Report:
    """What one run found; ``complete`` is False if it was interrupted.

    ``binary`` says for each set whether its truths are yes-or-no, ``skipped`` holds a line for
    everything that was not scored.
    """

    date: str
    folder: str
    options: str
    machine: str
    total: int
    rows: list[Row]
    binary: dict[str, bool] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def reference(self) -> Row | None:
        """The row that ours are compared with: rembg, else the first folder of mattes."""
        return next((row for row in self.rows if not row.ours), None)

    def summaries(self, set_: str) -> dict[str, Summary]:
        """By label, over the pictures of ``set_`` that every row with any of them has scored."""
        by_row = {
            row.label: {item.stem: item for item in row.scored if item.set == set_}
            for row in self.rows
        }
        shared = set[str]().union(*by_row.values())
        for items in by_row.values():
            shared &= items.keys() or shared
        return {
            label: summary([item for stem, item in items.items() if stem in shared])
            for label, items in by_row.items()
        }

    def trusts(self) -> dict[str, Trust]:
        """What the confidences of each row are worth, where all its results have one."""
        found = {row.label: trust(row.scored) for row in self.rows}
        return {label: worth for label, worth in found.items() if worth is not None}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, each picture's figures included."""
        sets = {
            name: {
                "binary": binary,
                "rows": {label: asdict(means) for label, means in self.summaries(name).items()},
            }
            for name, binary in self.binary.items()
        }
        return {
            "version": __version__,
            "date": self.date,
            "folder": self.folder,
            "options": self.options,
            "machine": self.machine,
            "complete": self.complete,
            "skipped": self.skipped,
            "sets": sets,
            "confidence": {label: asdict(worth) for label, worth in self.trusts().items()},
            "rows": [
                {
                    "label": row.label,
                    "ours": row.ours,
                    "pictures": [item.to_dict() for item in row.scored],
                }
                for row in self.rows
            ],
        }


def accuracy(plan: Plan, tell: Tell, step: Step) -> Report:
    """Score all rows of ``plan``, picture by picture, so that a run cut short compares them too.

    A picture or answer that cannot be read is left out with a line in ``Report.skipped``; models
    that are not there are an error. Ctrl-C ends the run and keeps what is done. Raises
    ``InputNotFound``, ``BadOption``, ``SetupError``; ``UnreadableImage`` if nothing was scored.
    """
    found = find_pairs(plan.folder, only=plan.only, limit=plan.limit)
    rivals = _rivals(plan, found.pairs, tell)
    report = Report(
        date=datetime.now(timezone.utc).date().isoformat(),
        folder=plan.folder.resolve().name,
        options=_options_line(plan),
        machine=f"{cpu_model()}, {cpu_limit()} cores",
        total=len(found.pairs),
        rows=[Row(rival.label, rival.ours, gallery=Gallery(plan.worst)) for rival in rivals],
        skipped=list(found.skipped),
    )
    try:
        for number, pair in enumerate(found.pairs):
            step(number, len(found.pairs), pair.name)
            if (read := _read(pair, plan, report)) is None:
                continue
            for rival, row in zip(rivals, report.rows, strict=True):
                _score(rival, row, pair, read, report, warm_up=not row.warm)
        step(len(found.pairs), len(found.pairs), "")
    except KeyboardInterrupt:
        if not any(row.scored for row in report.rows):
            raise
        report.complete = False
    if not any(row.scored for row in report.rows):
        raise UnreadableImage(
            f"none of the {len(found.pairs)} pictures could be scored: {report.skipped[-1]}",
            hint="check the folder with: ls -l",
        )
    return report


def _rivals(plan: Plan, pairs: tuple[Pair, ...], tell: Tell) -> list[Rival]:
    rivals: list[Rival] = []
    if plan.rembg_venv is not None:
        cache = cache_folder() / "bench-mattes"
        rivals.append(run_rembg(pairs, plan.rembg_venv, cache, tell=tell))
    rivals += [Mattes(folder) for folder in plan.mattes]
    models = dict.fromkeys(plan.models)
    engine = Engine(plan.options, max_models=max(4, 2 * len(models)))
    for model in models:
        options = plan.options.with_(model=model)
        rivals.append(OurModel(f"cleancut {Path(model).name}", engine, options))
    labels = [rival.label for rival in rivals]
    if doubled := next((label for label in labels if labels.count(label) > 1), None):
        raise BadOption(f"two rows are called {doubled}", hint="rename one of the folders")
    return rivals


def _read(pair: Pair, plan: Plan, report: Report) -> tuple[Picture, Truth] | None:
    try:
        with memory_errors():
            picture, alpha = read_pair(pair, max_megapixels=plan.options.max_megapixels)
            truth = Truth.of(picture.rgb, alpha)
    except (InputError, RunError) as error:
        report.skipped.append(f"{pair.name}: {error.message}")
        return None
    # One soft truth makes the set an exact one.
    report.binary[pair.set] = report.binary.get(pair.set, True) and truth.binary
    return picture, truth


def _score(
    rival: Rival,
    row: Row,
    pair: Pair,
    read: tuple[Picture, Truth],
    report: Report,
    *,
    warm_up: bool,
) -> None:
    picture, truth = read
    try:
        with memory_errors():
            if warm_up:
                rival.warm_up(picture)
                row.warm = True
            answer = rival.answer(pair, picture)
            found = figures(truth, answer.alpha, answer.foreground)
            curve = f_curve(answer.alpha, truth.alpha)
    except (InputError, RunError) as error:
        report.skipped.append(f"{row.label}, {pair.name}: {error.message}")
        return
    scored = Scored(
        pair.set,
        pair.stem,
        found,
        curve,
        answer.seconds,
        answer.confidence,
        answer.notes,
        answer.model,
    )
    row.scored.append(scored)
    row.gallery.offer(scored, picture.rgb, truth.alpha, answer.alpha, answer.foreground)


def _options_line(plan: Plan) -> str:
    """What differs from the defaults, as JSON; the rows' labels say which models."""
    changed = json.loads(plan.options.to_json())
    changed.pop("model", None)
    return json.dumps(changed, sort_keys=True)
