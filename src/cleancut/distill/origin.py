"""What a student was made of: photographs by source, teachers, starting weights, and their terms.

Counts come from the labels. Terms cannot be read off pictures: a ``data.toml`` beside the labels
states them, a table a prefix, ::

    licence = "Apache-2.0"        # of the student's weights
    [clo]
    content = "clothes photographed at home"
    source = "where they come from"
    terms = "CC0"
    free = true                   # whether these terms clearly allow commercial use
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cleancut.catalog import Commercial, find
from cleancut.distill.checkpoint import CONFIG
from cleancut.distill.config import TrainConfig, load_config
from cleancut.distill.labels import read_rows
from cleancut.errors import BadOption, InputNotFound, UnknownModel
from cleancut.imaging.files import write_atomic
from cleancut.toml import tomllib

FILE, TERMS = "origin.json", "data.toml"
_TERMS_KEYS = ("content", "source", "terms", "free")
#: More prefixes than this, of which no terms are stated, count as one.
_MOST_PREFIXES = 20
_LIMIT = 1 << 20  # bytes of a file that is read whole


@dataclass(frozen=True, slots=True)
class Pictures:
    """Photographs of one prefix: how many were labelled, and of these used."""

    prefix: str
    labelled: int
    used: int
    content: str = ""
    source: str = ""
    terms: str = ""
    free: bool = False


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model whose mattes or weights went in, with what its catalog row says of it."""

    id: str
    role: str
    pictures: int = 0
    licence: str = ""
    training_data: str = ""
    commercial: Commercial = "unclear"


@dataclass(frozen=True, slots=True)
class Origin:
    """All of it. ``licence`` is that of the student's weights; ``backgrounds`` are by prefix."""

    licence: str = "Apache-2.0"
    photographs: tuple[Pictures, ...] = ()
    backgrounds: tuple[Pictures, ...] = ()
    teachers: tuple[Teacher, ...] = ()
    drawn: bool = False

    @classmethod
    def of(cls, run: Path) -> Origin:
        """What stands in the folder of ``run``; an empty one where nothing does.

        Raises ``BadOption`` for a damaged file.
        """
        folder = run if run.is_dir() else run.parent
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            return _from_json(json.loads(_read(path)))
        except (ValueError, KeyError, TypeError) as error:
            raise BadOption(f"{path} is damaged ({error!r:.80})", hint="delete it") from error

    @property
    def commercial(self) -> Commercial:
        """ "yes" only where the terms of every part clearly allow it."""
        parts = (*self.photographs, *self.backgrounds)
        if any(teacher.commercial == "no" for teacher in self.teachers):
            return "no"
        known = bool(parts) and all(one.free for one in parts if one.used)
        allowed = all(teacher.commercial == "yes" for teacher in self.teachers)
        return "yes" if known and allowed else "unclear"

    def training_data(self) -> str:
        """One line for a catalog row: photographs by prefix and terms, teachers, the start."""
        parts = [
            f"{what} {', '.join(_brief(one) for one in pictures if one.used)}"
            for what, pictures in (
                ("photographs", self.photographs),
                ("backgrounds", self.backgrounds),
            )
            if any(one.used for one in pictures)
        ]
        if self.drawn:
            parts.append("drawn logos and text")
        for role, word in (("teacher", "labelled by"), ("start", "begun from")):
            named = [_named(one) for one in self.teachers if one.role == role]
            if named:
                parts.append(f"{word} {', '.join(named)}")
        return "; ".join(parts) or "not stated"

    def write(self, run: Path) -> None:
        """Keep it in the folder of ``run``, where export and card find it."""
        write_atomic(run / FILE, json.dumps(asdict(self), indent=1).encode() + b"\n")


def origin_of(
    labels: Path,
    config: TrainConfig,
    *,
    backgrounds: Iterable[Path] = (),
    terms: Path | None = None,
) -> Origin:
    """What a run with ``config`` makes of a folder of labels and of ``backgrounds``, files.

    ``terms`` is the ``data.toml``, else the one beside the labels, if there is one. Raises
    ``InputNotFound`` where there are no labels, ``BadOption`` for damaged files.
    """
    rows = read_rows(labels)
    if not rows:
        raise InputNotFound(
            f"{labels} holds no labels", hint="run: cleancut distill label PHOTOS -o LABELS"
        )
    stated = read_terms(terms or labels / TERMS, needed=terms is not None)
    used = [
        row
        for row in rows
        if row.agreement >= config.data.min_agreement
        and config.data.weights.get(row.prefix, 1.0) > 0
    ]
    names = [path.stem.partition("_")[0] if "_" in path.stem else "" for path in backgrounds]
    teachers = Counter(name for row in used for name in row.teacher)
    found = [_teacher(name, "teacher", count) for name, count in teachers.most_common()]
    if config.start:
        found.append(_teacher(config.start, "start", 0))
    return Origin(
        licence=str(stated.get("licence", "Apache-2.0")),
        photographs=_by_prefix(
            Counter(row.prefix for row in rows), Counter(row.prefix for row in used), stated
        ),
        backgrounds=_by_prefix(Counter(names), Counter(names), stated),
        teachers=tuple(found),
        drawn=config.data.shares.drawn > 0,
    )


def origin_for(
    run: Path, labels: Path | None, *, backgrounds: Path | None = None, terms: Path | None = None
) -> Origin:
    """What the run says, or where they are given what ``labels`` and ``backgrounds``, folders, say.

    Raises as ``origin_of`` does.
    """
    if labels is None:
        return Origin.of(run)
    from cleancut.distill.tune import find_pictures

    scenes = find_pictures(backgrounds) if backgrounds else ()
    folder = run if run.is_dir() else run.parent
    config = load_config(folder / CONFIG)
    return origin_of(labels, config, backgrounds=scenes, terms=terms)


def read_terms(path: Path, *, needed: bool = False) -> Mapping[str, Any]:
    """What a ``data.toml`` states; nothing where there is none, unless it is ``needed``.

    Raises ``InputNotFound``, ``BadOption`` for what it does not know.
    """
    try:
        stated = tomllib.loads(_read(path))
    except FileNotFoundError as error:
        if needed:
            raise InputNotFound(f"{path}: there is no such file", hint="check the path") from error
        return {}
    except (OSError, ValueError) as error:
        raise BadOption(f"{path}: not valid TOML ({error})") from error
    for name, table in stated.items():
        if name == "licence":
            continue
        unknown = sorted(set(table) - set(_TERMS_KEYS)) if isinstance(table, dict) else [name]
        if unknown:
            raise BadOption(
                f"{path}: unknown key {unknown[0]!r}",
                hint=f"a table a prefix with: {', '.join(_TERMS_KEYS)}",
            )
    return stated


def _by_prefix(
    labelled: Mapping[str, int], used: Mapping[str, int], stated: Mapping[str, Any]
) -> tuple[Pictures, ...]:
    if len(set(labelled) - set(stated)) > _MOST_PREFIXES:  # names of files, not of sources
        labelled, used = _others_together(labelled, stated), _others_together(used, stated)
    found = []
    for prefix in sorted(labelled, key=lambda name: (-labelled[name], name)):
        table = stated.get(prefix, {})
        words = {key: str(table.get(key, "")) for key in ("content", "source", "terms")}
        free = bool(table.get("free", False))
        count = used.get(prefix, 0)
        found.append(Pictures(prefix, labelled[prefix], count, **words, free=free))
    return tuple(found)


def _others_together(counts: Mapping[str, int], stated: Mapping[str, Any]) -> Counter[str]:
    together: Counter[str] = Counter()
    for prefix, count in counts.items():
        together[prefix if prefix in stated else ""] += count
    return together


def _teacher(name: str, role: str, count: int) -> Teacher:
    """A row of the catalog; anything else is a file of the user's, whose folders are not told."""
    try:
        spec = find(name)
    except (UnknownModel, BadOption):
        return Teacher(Path(name).name, role, count, "not known", "not known")
    if spec.path is not None:
        return Teacher(spec.path.name, role, count, spec.weight_licence, "not known")
    return Teacher(spec.id, role, count, spec.weight_licence, spec.training_data, spec.commercial)


def _brief(one: Pictures) -> str:
    name = f"{one.prefix}_" if one.prefix else "others"
    return f"{one.used} {name} ({one.terms or 'terms not stated'})"


def _named(one: Teacher) -> str:
    """Its name, and what it was trained on where that is in doubt."""
    return one.id if one.commercial == "yes" else f"{one.id} ({one.training_data or 'not known'})"


def _from_json(facts: Mapping[str, Any]) -> Origin:
    return Origin(
        licence=str(facts["licence"]),
        photographs=tuple(Pictures(**one) for one in facts["photographs"]),
        backgrounds=tuple(Pictures(**one) for one in facts["backgrounds"]),
        teachers=tuple(Teacher(**one) for one in facts["teachers"]),
        drawn=bool(facts["drawn"]),
    )


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError("larger than 1 MB")
    return data.decode("utf-8")
