"""Loaded models: each once, the least recently used one goes first.

A model is told from others by its row and by where it runs, so requests that differ in anything
else (``minmax``, ``refine``, ``format``) share one session, and so do ``precision="auto"`` and the
precision that "auto" means here.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cleancut.backends.memory import give_back, resident_bytes
from cleancut.errors import CleancutError

if TYPE_CHECKING:
    from cleancut.backends.base import Placement
    from cleancut.catalog import ModelSpec
    from cleancut.models.base import Model
    from cleancut.models.load import Placing


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory; ``bytes`` is what loading it and running it once has cost."""

    name: str
    precision: str
    backend: str
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(slots=True, eq=False)
class _Kept:
    model: Model
    digest: str
    bytes: int


class Shelf:
    """Keeps at most ``max_models`` models that cost ``max_bytes`` together; thread-safe.

    What a model costs is measured: resident memory before it was loaded and after, its file's size
    where the system does not say. With ``max_bytes`` it is also run once, since that is when
    runtimes take most of what they need. The model asked for last stays whatever it costs. One
    that goes while it is at work is freed when it is done. With ``digests`` the sha256 of each
    one's weights is remembered.
    """

    def __init__(
        self, max_models: int, max_bytes: int | None = None, *, digests: bool = False
    ) -> None:
        self._max_models = max_models
        self._max_bytes = max_bytes
        self._digests = digests
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._names: dict[Hashable, Hashable] = {}
        self._lock = threading.Lock()
        # One at a time: else nobody could say whose memory it is.
        self._loading = threading.Lock()
        self._freed = False

    def get(self, spec: ModelSpec, placing: Placing) -> Model:
        """The model of ``spec`` as ``placing`` wants it, loaded if it is not here.

        Raises what ``models.load.load`` raises.
        """
        kept = self._find((spec, placing))
        if kept is None:
            with self._loading:
                kept = self._find((spec, placing)) or self._load(spec, placing)
        if self._freed:
            self._tidy()
        return kept.model

    def digest(self, spec: ModelSpec, placing: Placing) -> str | None:
        """sha256 of the weights that the loaded model was made from; None if it is not loaded."""
        with self._lock:
            kept = self._kept.get(self._names.get((spec, placing)))
        return None if kept is None else kept.digest

    def loaded(self) -> tuple[LoadedModel, ...]:
        """What is here, the least recently used first."""
        with self._lock:
            kept = list(self._kept.values())
        return tuple(
            LoadedModel(
                one.model.spec.id,
                one.model.placement.precision,
                one.model.placement.backend,
                one.bytes,
            )
            for one in kept
        )

    def _find(self, asked: Hashable) -> _Kept | None:
        with self._lock:
            name = self._names.get(asked)
            if name is None:
                return None
            self._kept.move_to_end(name)
            return self._kept[name]

    def _load(self, spec: ModelSpec, placing: Placing) -> _Kept:
        from cleancut.models import load as loading

        asked = (spec, placing)
        placement, guess = _expected(spec, placing)
        if placement is not None:
            name = _name(spec, placing, placement)
            with self._lock:
                if name in self._kept:
                    self._names[asked] = name
                    self._kept.move_to_end(name)
                    return self._kept[name]
        self._make_room(guess, models=1)
        before = resident_bytes()
        digest = loading.weights_sha256(spec, placing) if self._digests else ""
        model = loading.load(spec, placing)
        if self._max_bytes is not None:
            _run_once(model)
        after = resident_bytes()
        cost = 0 if before is None or after is None else after - before
        made = _Kept(model, digest, cost if cost > guess // 2 else guess)
        name = _name(spec, placing, model.placement)
        with self._lock:
            kept = self._kept.setdefault(name, made)
            self._kept.move_to_end(name)
            self._names[asked] = name
        del model
        self._make_room(0, models=0)
        return kept

    def _make_room(self, size: int, *, models: int) -> None:
        """Let models go until one more of ``size`` bytes fits, or the last one is left."""
        with self._lock:
            while len(self._kept) > 1 - models and self._over(size, models):
                name, gone = self._kept.popitem(last=False)
                self._names = {ask: held for ask, held in self._names.items() if held != name}
                weakref.finalize(gone.model, self._was_freed).atexit = False
                del gone
        if self._freed:
            self._tidy()

    def _over(self, size: int, models: int) -> bool:
        if len(self._kept) + models > self._max_models:
            return True
        if self._max_bytes is None:
            return False
        return size + sum(one.bytes for one in self._kept.values()) > self._max_bytes

    def _was_freed(self) -> None:
        self._freed = True

    def _tidy(self) -> None:
        self._freed = False
        give_back()


def _name(spec: ModelSpec, placing: Placing, where: Placement) -> Hashable:
    return (spec, placing.threads, where.backend, where.device, where.precision, where.provider)


def _expected(spec: ModelSpec, placing: Placing) -> tuple[Placement | None, int]:
    """Where the model will run, None if that has to be measured, and its file's size in bytes."""
    from cleancut.models.load import destined

    try:
        return destined(spec, placing)
    except CleancutError:
        return None, 0  # loading it will say what is wrong


def _run_once(model: Model) -> None:
    import numpy as np

    model.predict(np.zeros((64, 64, 3), np.uint8))
