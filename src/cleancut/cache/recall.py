"""Cut once: look a result up before decoding, keep it after encoding."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cleancut.cache.entry import Entry
from cleancut.cache.key import result_key, suits
from cleancut.errors import CleancutError
from cleancut.result import Encoded

if TYPE_CHECKING:
    from cleancut.cache.entry import Cache
    from cleancut.catalog import ModelSpec
    from cleancut.guidance import Guidance
    from cleancut.options import Options


class Recall:
    """A cache, and the pictures that are being cut for it just now.

    ``weights`` gives the sha256 of the weights that a row runs with under options. Of several
    threads that want the same result one cuts, the others wait for it.
    """

    def __init__(self, cache: Cache, weights: Callable[[ModelSpec, Options], str]) -> None:
        self._cache = cache
        self._weights = weights
        self._lock = threading.Lock()
        self._cutting: dict[str, tuple[threading.Lock, list[None]]] = {}

    def encoded(
        self,
        source: bytes,
        options: Options,
        guidance: Guidance | None,
        cut: Callable[[], Encoded],
    ) -> Encoded:
        """What is kept of ``source``, a picture file's bytes, or what ``cut`` makes of it.

        Trouble with the cache is a note, "cache: ...", in the facts; it fails no picture.
        """
        started = time.perf_counter()
        key = self._key(source, options, guidance)
        if key is None:
            return cut()
        told: list[str] = []
        if found := self._found(key, options, told, started):
            return found
        with self._alone(key) as waited:
            if waited and (found := self._found(key, options, told, started)):
                return found
            looked = time.perf_counter()
            made = cut()
            done = time.perf_counter()
            # A model pulled or a background changed meanwhile: the result has another key.
            if self._key(source, options, guidance) == key:
                facts = {name: made.facts[name] for name in made.facts if name not in _OF_A_CALL}
                self._cache.put(key, Entry(made.data, made.format, facts), told.append)
        spent = 1000 * (looked - started + time.perf_counter() - done)
        return _noted(made, told, spent)

    def kept(self, source: bytes, options: Options, guidance: Guidance | None) -> Encoded | None:
        """What is kept of ``source``, a picture file's bytes; None if nothing is."""
        started = time.perf_counter()
        key = self._key(source, options, guidance)
        return None if key is None else self._found(key, options, [], started)

    def _found(self, key: str, options: Options, told: list[str], started: float) -> Encoded | None:
        entry = self._cache.get(key, told.append)
        if entry is None or not suits(entry.facts, options):
            return None
        spent = round(1000 * (time.perf_counter() - started), 1)
        facts = {**entry.facts, "timings_ms": {"cache": spent}, "cached": True}
        facts["notes"] = [*facts["notes"], *told]
        return Encoded(data=entry.data, format=entry.format, facts=facts, cached=True)

    def _key(self, source: bytes, options: Options, guidance: Guidance | None) -> str | None:
        try:
            return result_key(
                source, options, guidance, weights=lambda spec: self._weights(spec, options)
            )
        except CleancutError:
            return None  # cutting will say what is wrong, in its own order

    @contextmanager
    def _alone(self, key: str) -> Iterator[bool]:
        """Hold ``key``; True if another thread had it before."""
        with self._lock:
            lock, holders = self._cutting.setdefault(key, (threading.Lock(), []))
            waited = bool(holders)
            holders.append(None)
        try:
            with lock:
                yield waited
        finally:
            with self._lock:
                holders.pop()
                if not holders:
                    del self._cutting[key]


#: Facts about one call, which are not kept.
_OF_A_CALL = ("timings_ms", "cached")


def _noted(made: Encoded, told: list[str], spent_ms: float) -> Encoded:
    """``made`` with what the cache had to say and what it cost."""
    result = made.result
    if result is None:
        return made
    result = replace(
        result,
        notes=(*result.notes, *told),
        timings={**result.timings, "cache": spent_ms},
    )
    return replace(made, facts={**result.to_dict(), "cached": False}, result=result)
