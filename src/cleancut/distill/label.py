"""What is to be labelled and what came of it; ``label`` does it.

Every part of it can be built and checked without loading anything heavy.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from cleancut.errors import BadOption, CleancutError
from cleancut.options import Options

VIEWS = (1, 2, 4)


class Listener:
    """Whom a run tells how it goes; this one keeps it to itself."""

    def progress(self, stage: str, done: int, total: int, label: str) -> None:
        """``done`` of ``total`` in a stage, the last of them ``label``."""

    def failed(self, photo: str, error: CleancutError) -> None:
        """``photo`` cannot be labelled."""

    def note(self, text: str) -> None:
        """A "code: text" line that the user may want to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOrder:
    """What is to be labelled, by whom and how.

    ``options`` name the teacher, backend, device and precision; edges are refined as well as can
    be whatever they say. ``views`` is 1, 2 or 4 looks at each photograph. ``jobs`` photographs are
    in work at once, each network with ``threads`` threads; None for what suits the machine.
    ``limit`` is the number of looks after which the run ends. ``fresh`` removes the labels of
    earlier runs first, ``adopt`` takes over mattes in ``views/`` that nobody vouches for.
    """

    photos: Path
    target: Path
    options: Options = field(default_factory=Options)
    views: int = 2
    jobs: int | None = None
    threads: int | None = None
    limit: int | None = None
    fresh: bool = False
    adopt: bool = False

    def __post_init__(self) -> None:
        if self.views not in VIEWS:
            raise BadOption(f"--views: {self.views} is not 1, 2 or 4")
        for name in ("jobs", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadOption(f"--{name}: {value} is not enough", hint="give 1 or more")
        if self.limit is not None and self.limit < 0:
            raise BadOption(f"--limit: {self.limit} is less than nothing", hint="give 0 or more")
        if self.fresh and self.adopt:
            raise BadOption("--fresh removes what --adopt would take over", hint="give one of them")

    @property
    def teacher(self) -> Options:
        """The options of every look."""
        return self.options.with_(refine="best", decontaminate=False)


@dataclass(frozen=True, slots=True)
class Labelled:
    """What came of a run.

    ``photos`` are labelled now, ``partly`` of them in fewer views than were asked for, ``low`` of
    them with an agreement below ``LOW_AGREEMENT``, ``people`` with a person's face. ``looks`` were
    taken by this run, ``kept`` are of earlier ones. ``failed`` says why photographs could not be
    labelled, ``duplicates`` are copies of others. ``seconds`` is what the looks took.
    """

    photos: int
    partly: int
    low: int
    people: int
    looks: int
    kept: int
    failed: tuple[CleancutError, ...]
    duplicates: int
    seconds: float
    interrupted: bool


def label(
    order: LabelOrder, listener: Listener | None = None, *, stop: threading.Event | None = None
) -> Labelled:
    """Label the photographs in a folder and below; ``stop`` ends the run in good order.

    A photograph that cannot be read is told of and left out. Raises ``InputNotFound`` where there
    is no photograph, ``BadOption`` for a target that holds something else or another teacher's
    labels, ``Busy`` where another process labels into it, ``OutputNotWritable``, and whatever the
    teacher cannot be loaded for.
    """
    from cleancut.distill.labelling import Labelling
    from cleancut.distill.photographs import check_folder
    from cleancut.distill.teacher import claimed, described

    check_folder(order.photos)  # before a folder for labels is made
    teacher = described(order.teacher)
    listener = listener or Listener()
    for note in teacher["notes"]:
        listener.note(note)
    with (
        claimed(order.target, order.photos, teacher, fresh=order.fresh, adopt=order.adopt),
        Labelling(order, listener, stop or threading.Event()) as run,
    ):
        return run.all()
