"""One picture to cut, as every door of the server orders it; what comes back, and who does it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cleancut.errors import Busy, CleancutError
from cleancut.options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A picture on disk and how it is cut.

    ``source`` holds the picture file's bytes. ``guidance`` are fields of ``Guidance``: points and
    boxes as text, pictures as paths. ``options.background`` may be a path that the server made up,
    never one that a client wrote. ``target`` is where the result goes, made whole; None for a
    place in the spool that is removed once it was read. ``patient`` orders are served after all
    others and are never refused for a full queue.
    """

    source: Path
    options: Options
    guidance: Mapping[str, str] = field(default_factory=dict)
    target: Path | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A cutout as a file's bytes and the facts of ``Encoded``; ``cached`` if it was kept.

    ``data`` is empty where the order named a target.
    """

    data: bytes
    facts: Mapping[str, Any]
    cached: bool = False


def megapixels_of(facts: Mapping[str, Any]) -> float:
    """What a cutout counts: the larger of what was sent and what was made, in 10^6 pixels.

    A wide margin makes a large picture of a small one.
    """
    sizes = [facts.get(name) or (0, 0) for name in ("size", "output_size")]
    return max(width * height for width, height in sizes) / 1e6


class Orders(Protocol):
    """What the routes need of a ``Pool``; tests have one of their own."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def submit(self, order: Order) -> Future[Cut]:
        """Queue one picture; raises ``Busy``."""
        ...

    def full(self) -> Busy | None:
        """What ``submit`` would raise now."""
        ...

    def ready(self) -> bool:
        """Whether pictures are being cut."""
        ...

    def trouble(self) -> CleancutError | None:
        """Why they are not, if that will not mend itself."""
        ...

    def state(self) -> Any:
        """A ``PoolState``."""
        ...

    def stop(self, grace_s: float) -> None:
        """Finish what was accepted, end."""
        ...
