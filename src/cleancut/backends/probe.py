"""Which candidate is fastest here: measured once for each machine and weights, then remembered."""

from __future__ import annotations

import gc
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.backends.base import Placement, Session
from cleancut.backends.machine import fingerprint, installed
from cleancut.errors import BackendUnavailable, CleancutError, WeightsError

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

Feeds = Mapping[str, "Tensor"]
Measure = Callable[[Session, Feeds, float], float]
Open = Callable[[Placement], Session]

_FORMAT = 1
_RUNS = 3
_LIMIT_S = 1.5
#: A candidate must beat the expected one by this much: noise must not decide which pixels come out.
_CLEARLY = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was chosen, and the winner's session if it is still open."""

    placement: Placement
    session: Session | None


def measure(session: Session, feeds: Feeds, best_s: float) -> float:
    """Seconds of the fastest of a few runs after one warm-up.

    Stops after 1.5 s, and after the warm-up if that took four times ``best_s`` already (infinity if
    nothing has been measured yet).
    """
    start = time.perf_counter()
    session.run(feeds)
    warm_up = time.perf_counter() - start
    if warm_up > 4 * best_s:
        return warm_up
    fastest = float("inf")
    for _ in range(_RUNS):
        begun = time.perf_counter()
        session.run(feeds)
        now = time.perf_counter()
        fastest = min(fastest, now - begun)
        if now - start > _LIMIT_S:
            break
    return fastest


def compete(
    candidates: Sequence[Placement],
    *,
    open_one: Open,
    sample: Callable[[], Feeds],
    measure: Measure = measure,
) -> Verdict:
    """Open and time each candidate, the expected one (first in the list) last.

    One session is open at a time, so that memory does not add up; the expected winner goes last
    because then its session need not be loaded again. A candidate that fails is dropped and named
    in the reason. Raises ``BackendUnavailable`` listing each if all fail, and ``WeightsError`` at
    once, since a bad file is bad for all.
    """
    feeds = sample()
    times: dict[Placement, float] = {}
    failed: dict[Placement, str] = {}
    session: Session | None = None
    for candidate in reversed(candidates):
        session = None
        gc.collect()
        try:
            session = open_one(candidate)
            times[candidate] = measure(session, feeds, min(times.values(), default=float("inf")))
        except WeightsError:
            raise
        except CleancutError as error:
            session = None
            failed[candidate] = error.message
    if not times:
        raise _none_left(failed)
    winner = min(times, key=times.__getitem__)
    expected = candidates[0]
    if expected in times and times[winner] > _CLEARLY * times[expected]:
        winner = expected
    placement = replace(winner, reason=_explain(winner, times, failed))
    if winner != candidates[0]:
        session = None
    if session is not None:
        session.placement = placement
    return Verdict(placement, session)


def _none_left(failed: Mapping[Placement, str]) -> BackendUnavailable:
    listed = "; ".join(f"{placement}: {why}" for placement, why in failed.items())
    return BackendUnavailable(
        f"nothing here can run this model ({listed})", hint="run: cleancut doctor"
    )


def _explain(
    winner: Placement, times: Mapping[Placement, float], failed: Mapping[Placement, str]
) -> str:
    parts = [f"{times[winner] * 1000:.0f} ms"]
    losers = sorted((p for p in times if p != winner), key=times.__getitem__)
    parts += [f"{_short(loser)} {times[loser] * 1000:.0f} ms" for loser in losers]
    parts += [f"{_short(placement)} failed ({why})" for placement, why in failed.items()]
    return "measured: " + ", ".join(parts)


def _short(placement: Placement) -> str:
    gpu = " gpu" if placement.device == "gpu" else ""
    return f"{placement.backend}{gpu} {placement.precision}"


def recall(key: str, candidates: Sequence[Placement], cache_dir: Path | None) -> Placement | None:
    """The choice measured earlier on this machine for these candidates, or None."""
    if cache_dir is None:
        return None
    try:
        stored = json.loads(_file(key, candidates, cache_dir).read_text("utf-8"))
        chosen, reason = stored["placement"], stored["placement"].pop("reason")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or damaged: it is measured and written again
    for candidate in candidates:
        if _identity(candidate) == chosen and isinstance(reason, str):
            return replace(candidate, reason=reason)
    return None


def remember(
    key: str, candidates: Sequence[Placement], placement: Placement, cache_dir: Path | None
) -> None:
    """Keep a measured choice. A folder that cannot be written only means measuring again."""
    if cache_dir is None:
        return
    path = _file(key, candidates, cache_dir)
    text = json.dumps({"machine": fingerprint(), "placement": asdict(placement)}, indent=1)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.stem}-{secrets.token_hex(8)}")
        try:
            draft.write_text(text, "utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def forget(key: str, candidates: Sequence[Placement], cache_dir: Path | None) -> None:
    """Drop a remembered choice that no longer works."""
    if cache_dir is not None:
        with suppress(OSError):
            _file(key, candidates, cache_dir).unlink(missing_ok=True)


def _file(key: str, candidates: Sequence[Placement], cache_dir: Path) -> Path:
    """One file for each question, so that processes never merge each other's answers."""
    question = json.dumps(
        [
            _FORMAT,
            key,
            fingerprint(),
            sorted(installed("onnxruntime").items()),
            sorted(installed("openvino").items()),
            [_identity(candidate) for candidate in candidates],
        ]
    )
    return cache_dir / f"placement-{hashlib.sha256(question.encode()).hexdigest()[:24]}.json"


def _identity(placement: Placement) -> dict[str, Any]:
    fields = asdict(placement)
    del fields["reason"]
    return fields
