from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut import Guidance, Options
from cleancut.cache.disk import DiskCache
from cleancut.cache.entry import Entry
from cleancut.cache.recall import Recall
from cleancut.errors import UnreadableImage, WeightsMissing
from cleancut.result import Encoded, Result

OPTIONS = Options(model="echo")


class Forgetful:
    """A cache that tells about trouble and keeps nothing."""

    def get(self, key: str, tell: Callable[[str], None]) -> Entry | None:
        tell("cache: cannot look")

    def put(self, key: str, entry: Entry, tell: Callable[[str], None]) -> None:
        tell("cache: cannot keep")


def _made(**facts: Any) -> Encoded:
    alpha = np.zeros((2, 2), np.float32)
    result = Result(foreground=np.zeros((2, 2, 3), np.uint8), alpha=alpha, options=OPTIONS, **facts)
    return Encoded(
        data=b"file", format="png", facts={**result.to_dict(), "cached": False}, result=result
    )


def _recall(cache: Any, weights: Callable[..., str] = lambda spec, options: "w") -> Recall:
    return Recall(cache, weights)


def _never() -> Encoded:
    pytest.fail("it was cut again")


def test_what_was_cut_is_found_the_next_time(disk: DiskCache) -> None:
    recall = _recall(disk)
    first = recall.encoded(b"x", OPTIONS, None, lambda: _made(size=(2, 2), notes=("a: b",)))
    again = recall.encoded(b"x", OPTIONS, None, _never)
    assert (first.cached, again.cached) == (False, True)
    assert (first.facts["cached"], again.facts["cached"]) == (False, True)
    assert (again.data, again.format, again.result) == (first.data, first.format, None)
    assert "cache" in first.facts["timings_ms"]
    assert again.facts["timings_ms"].keys() == {"cache"}
    same = first.facts.keys() - {"timings_ms", "cached"}
    assert {name: again.facts[name] for name in same} == {name: first.facts[name] for name in same}


def test_trouble_is_a_note_and_is_not_kept() -> None:
    made = _recall(Forgetful()).encoded(b"x", OPTIONS, None, lambda: _made(notes=("a: b",)))
    wanted = ["a: b", "cache: cannot look", "cache: cannot keep"]
    assert made.facts["notes"] == wanted
    assert made.result is not None
    assert list(made.result.notes) == wanted


def test_a_result_without_arrays_is_handed_on() -> None:
    bare = Encoded(data=b"file", format="png", facts=_made().facts)
    assert _recall(Forgetful()).encoded(b"x", OPTIONS, None, lambda: bare) is bare


def test_limits_hold_for_what_is_kept(disk: DiskCache) -> None:
    recall = _recall(disk)
    recall.encoded(b"x", OPTIONS, None, lambda: _made(size=(200, 200)))

    def refuse() -> Encoded:
        raise UnreadableImage("refused")

    with pytest.raises(UnreadableImage):
        recall.encoded(b"x", OPTIONS.with_(max_megapixels=0.01), None, refuse)
    assert recall.encoded(b"x", OPTIONS, None, _never).cached


def test_what_has_no_key_is_cut_every_time(disk: DiskCache, tmp_path: Path) -> None:
    recall = _recall(disk)
    for guidance, options in [
        (Guidance(mask=np.zeros((2, 2), np.uint8)), OPTIONS),
        (Guidance(mask=str(tmp_path / "none.png")), OPTIONS),
        (None, OPTIONS.with_(background=str(tmp_path / "none.png"))),
        (None, Options(commercial_only=True)),  # no such model is here
    ]:
        for _ in range(2):
            assert not recall.encoded(b"x", options, guidance, _made).cached


def test_weights_that_are_missing_are_told_by_cutting(disk: DiskCache) -> None:
    def missing(*_: Any) -> str:
        raise WeightsMissing("gone")

    recall = _recall(disk, missing)
    for _ in range(2):
        assert not recall.encoded(b"x", Options(model="isnet"), None, _made).cached


def test_weights_that_change_while_cutting_are_not_mixed_up(disk: DiskCache) -> None:
    now = ["old"]
    recall = _recall(disk, lambda spec, options: now[0])

    def cut() -> Encoded:
        now[0] = "new"
        return _made()

    recall.encoded(b"x", OPTIONS, None, cut)
    assert disk.contents().entries == 0


def test_of_many_threads_one_cuts(disk: DiskCache) -> None:
    recall = _recall(disk)
    gate = threading.Barrier(6)
    cuts: list[int] = []

    def cut() -> Encoded:
        cuts.append(1)
        time.sleep(0.1)
        return _made()

    def work(_: int) -> bool:
        gate.wait()
        return recall.encoded(b"x", OPTIONS, None, cut).cached

    with ThreadPoolExecutor(6) as pool:
        cached = list(pool.map(work, range(6)))
    assert len(cuts) == 1
    assert sorted(cached) == [False, True, True, True, True, True]
    assert recall._cutting == {}


def test_different_pictures_do_not_wait_for_each_other(disk: DiskCache) -> None:
    recall = _recall(disk)
    gate = threading.Barrier(2, timeout=5)

    def cut() -> Encoded:
        gate.wait()  # both are in here at once
        return _made()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda data: recall.encoded(data, OPTIONS, None, cut), [b"x", b"y"]))


def test_after_a_failure_the_next_thread_tries_itself(disk: DiskCache) -> None:
    recall = _recall(disk)
    inside, others = threading.Event(), threading.Event()

    def fail() -> Encoded:
        inside.set()
        others.wait(5)
        raise UnreadableImage("broken")

    def first() -> None:
        with pytest.raises(UnreadableImage):
            recall.encoded(b"x", OPTIONS, None, fail)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        inside.wait(5)
        two = pool.submit(recall.encoded, b"x", OPTIONS, None, _made)
        time.sleep(0.05)
        others.set()
        one.result(5)
        assert two.result(5).data == b"file"
