"""A run of labelling: a teacher looks at each photograph as often as it takes, nothing is lost.

All photographs are seen in one view before any is seen in the next, in the order of their digests,
so that an interrupted run leaves a fair sample of all. What is on the disk is always whole: a
matte is written before the line that tells of it, and both before the label that is made of them.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from cleancut.distill.label import Labelled, LabelOrder, Listener
from cleancut.distill.labels import LOW_AGREEMENT, read_photo
from cleancut.distill.looks import Look, Looks, has_person, look
from cleancut.distill.photographs import Photo, Photographs, find_photographs
from cleancut.distill.rows import Rows
from cleancut.engine import Engine, memory_errors
from cleancut.errors import CleancutError, InputError, RunError, SetupError, UnreadableImage
from cleancut.imaging.files import read_bytes
from cleancut.imaging.threads import few_threads

if TYPE_CHECKING:
    from cleancut.distill.looks import Bytes

#: Looks between two writings of ``labels.jsonl``.
_SAVE_EVERY = 100
#: So many failures before the first success are not the photographs' fault.
_HOPELESS = 8
#: Copies that are told of one by one.
_MOST_TOLD = 10


class Labelling:
    """Several threads take looks, and the one that waits for them writes down what they saw."""

    def __init__(self, order: LabelOrder, listener: Listener, stop: threading.Event) -> None:
        self.order, self.listener, self.stop = order, listener, stop
        self.looks, self.rows = Looks(order.target), Rows(order.target)
        self.kept: dict[str, list[Look]] = {}
        self.failed: dict[str, CleancutError] = {}
        self.taken = self.finished = 0

    def __enter__(self) -> Labelling:
        return self

    def __exit__(self, *_: object) -> None:
        self.looks.close()

    def all(self) -> Labelled:
        """Find out what there is, take the looks that are missing, write the labels."""
        found = self._find()
        try:
            self._gather(found.photos)
            before, started = sum(map(len, self.kept.values())), time.monotonic()
            todo = [
                (photo, view)
                for view in range(self.order.views)
                for photo in found.photos
                if photo.name in self.kept and not self._has(photo, view)
            ]
            self._take(todo[: self.order.limit])
        finally:
            self.rows.save()
        labels = self.rows.labels
        return Labelled(
            photos=len(labels),
            partly=sum(1 for row in labels if row.views < self.order.views),
            low=sum(1 for row in labels if row.agreement < LOW_AGREEMENT),
            people=sum(1 for row in labels if row.person),
            looks=self.taken,
            kept=before,
            failed=tuple(self.failed.values()),
            duplicates=len(found.duplicates),
            seconds=time.monotonic() - started,
            interrupted=self.stop.is_set(),
        )

    def _has(self, photo: Photo, view: int) -> bool:
        return any(one.view == view for one in self.kept[photo.name])

    def _find(self) -> Photographs:
        def progress(done: int, total: int, name: str) -> None:
            self.listener.progress("reading", done, total, name)

        found = find_photographs(self.order.photos, self.order.target, progress, self.stop)
        for name, error in found.failed:
            self._fail(name, error)
        for name, original in found.duplicates[:_MOST_TOLD]:
            self.listener.note(f"duplicate: {name} is a copy of {original} and left out")
        if more := len(found.duplicates[_MOST_TOLD:]):
            self.listener.note(f"duplicate: {more} more are copies and left out")
        return found

    def _fail(self, name: str, error: CleancutError) -> None:
        self.failed[name] = error
        self.listener.failed(name, error)

    def _gather(self, photos: Sequence[Photo]) -> None:
        """The looks of earlier runs, and labels made of them where there are none yet."""
        if self.stop.is_set():
            return  # not all photographs were seen
        if gone := self.rows.keep_only(photos):
            self.listener.note(
                f"gone: {gone} that were labelled are not there now, or have changed"
            )
        if self.order.adopt:
            self.looks.adopt()
        for number, photo in enumerate(photos, 1):
            if self.stop.is_set():
                return
            looks = self.looks.of(photo.name, photo.sha256)
            try:
                examined = self._examined(photo, looks)
            except (InputError, RunError) as error:
                self._fail(photo.name, error)
                continue
            for one in () if examined is looks else examined:
                self.looks.add(one)
            if not self.rows.has(photo, examined):
                examined = self.rows.make(photo, examined)
            self.kept[photo.name] = examined
            self.listener.progress("gathering", number, len(photos), photo.name)

    def _unknown(self, photo: Photo) -> bool:
        """Whether nobody has looked for a person in ``photo``."""
        return all(one.person is None for one in self.kept[photo.name])

    def _examined(self, photo: Photo, looks: list[Look]) -> list[Look]:
        """``looks`` themselves, or those that fit the photograph, with what adopted ones lack."""
        if not any(_is_unseen(one) for one in looks):
            return looks
        rgb = read_photo(photo.path)
        examined = []
        for one in looks:
            matte = self.rows.matte_of(one) if _is_unseen(one) else None
            if matte is not None and matte.shape == rgb.shape[:2]:
                examined.append(replace(one, person=has_person(rgb, matte)))
            elif not _is_unseen(one):
                examined.append(one)
        return examined

    def _take(self, todo: Sequence[tuple[Photo, int]]) -> None:
        """Take the looks ``todo``, several at once, in that order."""
        if not todo or self.stop.is_set():
            return
        jobs, threads = _shares(self.order)
        engine = Engine(self.order.teacher, threads=threads)
        engine.panel_for(engine.options)
        left = iter(todo)
        running: dict[Future[tuple[Bytes, Look]], Photo] = {}
        with few_threads(jobs), ThreadPoolExecutor(jobs, thread_name_prefix="look") as pool:
            try:
                while True:
                    while len(running) < 2 * jobs and (item := self._next(left)) is not None:
                        running[pool.submit(_seen, engine, *item, self._unknown(item[0]))] = item[0]
                    if self.stop.is_set():  # those that have not begun are for another time
                        running = {one: at for one, at in running.items() if not one.cancel()}
                    if not running:
                        return
                    for one in wait(running, return_when=FIRST_COMPLETED).done:
                        photo = running.pop(one)
                        self._put(photo, one)
                        self.listener.progress("labelling", self.finished, len(todo), photo.name)
            finally:
                pool.shutdown(cancel_futures=True)

    def _next(self, left: Iterator[tuple[Photo, int]]) -> tuple[Photo, int] | None:
        """The next look at a photograph that has not failed."""
        while not self.stop.is_set() and (item := next(left, None)) is not None:
            if item[0].name not in self.failed:
                return item
            self.finished += 1
        return None

    def _put(self, photo: Photo, seen: Future[tuple[Bytes, Look]]) -> None:
        """Write a look down, and the label that it changes."""
        self.finished += 1
        error = seen.exception()
        if error is not None:
            if not isinstance(error, Exception) or isinstance(error, SetupError):
                raise error
            if photo.name in self.failed:
                return  # two looks at it were in work
            self._fail(photo.name, _as_error(error))
            if (
                self.taken == 0
                and len(self.failed) >= _HOPELESS
                and not isinstance(error, InputError)
            ):
                raise error
            return
        matte, one = seen.result()
        self.rows.put(one, matte)
        self.looks.add(one)
        self.taken += 1
        others = [other for other in self.kept[photo.name] if other.view != one.view]
        looks = sorted([*others, one], key=lambda look: look.view)
        self.kept[photo.name] = self.rows.make(photo, looks)
        if self.taken % _SAVE_EVERY == 0:
            self.rows.save()


def _is_unseen(one: Look) -> bool:
    """Whether nobody has compared an adopted look with its photograph."""
    return one.adopted and one.person is None


def _seen(engine: Engine, photo: Photo, view: int, find_person: bool) -> tuple[Bytes, Look]:
    """One look at a photograph: its matte, and what to write down."""
    data = read_bytes(photo.path)
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise UnreadableImage("it changed while it was being labelled", hint="label it again")
    with memory_errors():
        rgb = read_photo(data)
        matte, models, confidence, coverage = look(engine, rgb, view)
        person = has_person(rgb, matte) if find_person else None
    return matte, Look(
        photo=photo.name,
        view=view,
        sha256=photo.sha256,
        models=models,
        confidence=confidence,
        coverage=coverage,
        person=person,
    )


def _as_error(error: Exception) -> CleancutError:
    if isinstance(error, CleancutError):
        return error
    text = " ".join(f"{error}".split())[:300]
    return CleancutError(
        f"unexpected {type(error).__name__}: {text}",
        hint="this is a bug: cut this picture alone with cleancut cut --debug and report it",
    )


def _shares(order: LabelOrder) -> tuple[int, int]:
    """Photographs at once, and threads of a network: with one thread each, cores wait least."""
    from cleancut.backends.machine import thread_count

    cores = thread_count()
    jobs = order.jobs or max(1, cores // (order.threads or 1))
    return jobs, order.threads or max(1, cores // jobs)
