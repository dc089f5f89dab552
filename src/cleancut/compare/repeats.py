"""What a cache of results saves of repeated work: whole folders with it and without, in turns."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from cleancut.bench.measure import Sample, Turns, run_once, take_turns
from cleancut.bench.pictures import make_photo
from cleancut.bench.sides import neutral_environ
from cleancut.cache.place import open_cache
from cleancut.compare.comparison import Repeats
from cleancut.engine import Engine
from cleancut.errors import BadOption, RunError
from cleancut.options import Options

#: Of a shop's ordinary picture.
_MEGAPIXELS = 0.7
#: Distinct pictures of one folder differ by so much in size, so that none is a repeat of another.
_APART = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPlan:
    """``pictures`` a folder, of which each of ``shares`` (0..1) are repeats; ``runs`` of each."""

    pictures: int = 40
    shares: tuple[float, ...] = (0.0, 0.3, 0.6)
    runs: int = 3
    limit_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what measures nothing (``BadOption``)."""
        if self.pictures < 2 or self.runs < 1 or not all(0 <= one < 1 for one in self.shares):
            raise BadOption("such repeats measure nothing", hint="shares are from 0 to below 1")


def measure_repeats(
    sources: Sequence[Path],
    model: str,
    *,
    plan: RepeatPlan,
    tell: Callable[[str], None],
    step: Callable[[int, int, str], None] | None = None,
) -> tuple[Repeats | None, bool]:
    """Cut folders made of the photographs ``sources`` with ``cleancut batch``, cache on and off.

    Repeats are byte for byte the same under another name, anywhere after their originals; the
    cache is empty when a run begins. False goes with it after Ctrl-C: then it is what was known so
    far, None if that was nothing. Raises what ``Engine.encoded`` raises, ``RunError`` if the batch
    fails.
    """
    turns = Turns()
    known: tuple[float, float] | None = None
    complete = True
    with tempfile.TemporaryDirectory(prefix="cleancut-repeats-") as folder:
        work = Path(folder)
        try:
            tell("a picture cut, and kept")
            photo = make_photo(sources[0], _MEGAPIXELS, work / "photo.jpg")
            known = cut_and_kept(photo.read_bytes(), model, work / "kept", plan.runs)
            tell(f"folders of {plan.pictures} pictures with and without a cache")
            tasks = _tasks(_folders(sources, plan, work), model, work)
            done = 0

            def said(name: str) -> None:
                nonlocal done
                if step is not None:
                    step(done, len(tasks) * plan.runs, name)
                done += 1

            until = time.monotonic() + plan.limit_s
            take_turns(tasks, plan.runs, warm_up=False, turns=turns, step=said, until=until)
        except KeyboardInterrupt:
            complete = False
    if turns.failed:
        raise RunError(next(iter(turns.failed.values())))
    if known is None:
        return None, complete
    shares = {
        f"{share:.2f}": saved
        for share in plan.shares
        if (saved := _saved(turns, f"{share:.2f}")) is not None
    }
    return Repeats(cut_s=known[0], kept_s=known[1], shares=shares, model=model), complete


def cut_and_kept(data: bytes, model: str, cache: Path, runs: int) -> tuple[float, float]:
    """Seconds of ``Engine.encoded`` for a picture file's bytes: cut anew, and kept before.

    Medians of ``runs`` calls each, the network loaded.
    """
    options = Options(model=model)
    plain = Engine(options)
    plain.encoded(data)
    anew = [_seconds(partial(plain.encoded, data)) for _ in range(runs)]
    store = open_cache(str(cache))
    assert store is not None
    try:
        keeping = Engine(options, cache=store)
        keeping.encoded(data)
        if not keeping.encoded(data).cached:
            raise RunError("the cache kept nothing")
        kept = [_seconds(partial(keeping.encoded, data)) for _ in range(runs)]
    finally:
        store.close()
    return median(anew), median(kept)


def _folders(sources: Sequence[Path], plan: RepeatPlan, work: Path) -> dict[str, Path]:
    """A folder for each share, filled from the same originals; the same every time."""
    originals = work / "originals"
    originals.mkdir()
    photos = [
        make_photo(
            sources[number % len(sources)],
            _MEGAPIXELS + _APART * number,
            originals / f"{number:03}.jpg",
        )
        for number in range(plan.pictures)
    ]
    folders = {}
    for share in plan.shares:
        folder = work / f"in-{share:.2f}"
        folder.mkdir()
        for number, which in enumerate(_drawn(plan.pictures, share)):
            shutil.copyfile(photos[which], folder / f"{number:03}.jpg")
        folders[f"{share:.2f}"] = folder
    return folders


def _drawn(pictures: int, share: float) -> list[int]:
    """Which original stands at each place: new ones in order, repeats of any before, mixed."""
    drawn = random.Random(0)
    repeats = set(drawn.sample(range(1, pictures), min(pictures - 1, round(share * pictures))))
    order: list[int] = []
    seen = 0
    for place in range(pictures):
        if place in repeats:
            order.append(drawn.randrange(seen))
        else:
            order.append(seen)
            seen += 1
    return order


def _tasks(folders: Mapping[str, Path], model: str, work: Path) -> dict[str, Callable[[], Sample]]:
    """Whole runs by name, which ``_saved`` reads too: with an empty cache, and without any."""
    tasks: dict[str, Callable[[], Sample]] = {}
    for share, folder in folders.items():
        for way in ("off", "on"):
            run = partial(_batch, folder, model, work, cached=way == "on")
            tasks[_run_name(share, way)] = run
    return tasks


def _run_name(share: str, way: str) -> str:
    """As progress shows it: "30% repeated, cache on"."""
    return f"{float(share):.0%} repeated, cache {way}"


def _batch(folder: Path, model: str, work: Path, *, cached: bool) -> Sample:
    """``cleancut batch`` for ``folder``, every picture of it (``RunError``)."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=work) as run:
        out, cache = Path(run, "out"), Path(run, "cache") if cached else "off"
        words = ["batch", str(folder), "-o", str(out), "--model", model]
        sample = run_once(
            [sys.executable, "-m", "cleancut", *words, "--cache", str(cache), "--quiet"],
            _environ(),
        )
        given, made = sum(1 for _ in folder.iterdir()), sum(1 for _ in out.glob("*.png"))
    if made != given:
        raise RunError(f"the batch ended without an error and made {made} of {given}")
    return sample


def _environ() -> dict[str, str]:
    """The environment without what would steer the run, but with the user's folders."""
    kept = ("CLEANCUT_HOME", "CLEANCUT_CACHE", "CLEANCUT_MODELS", "PYTHONPATH")
    return {**neutral_environ(), **{name: os.environ[name] for name in kept if name in os.environ}}


def _saved(turns: Turns, share: str) -> float | None:
    """The share of the whole folder's time that the cache saved; negative if it cost some."""
    on, off = (turns.figure(_run_name(share, way), _wall) for way in ("on", "off"))
    return None if on is None or off is None else 1.0 - on.median / off.median


def _wall(sample: Sample) -> float:
    return sample.seconds


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
