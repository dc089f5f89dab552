from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.bench.score import Truth, figures
from cleancut.compare import one_picture, scoring
from cleancut.compare.answers import Answered
from cleancut.compare.comparison import Scores, System
from cleancut.compare.measures import BY_KEY
from cleancut.compare.one_picture import Answer, Examined, Found, agreements
from cleancut.compare.pictures import Shot, find
from cleancut.compare.scoring import Scored, score
from cleancut.errors import OutOfMemory

SIZE = (72, 96)


def disc(radius: float, soft: float = 2) -> NDArray[np.float32]:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    ramp = (radius - np.hypot(y - 36, x - 48)) / soft + 0.5
    return np.asarray(np.clip(ramp, 0, 1), np.float32)


def as_bytes(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(alpha * 255).astype(np.uint8)


def system(id_: str, **more: object) -> System:
    made = System(id=id_, title=id_, kind="ours", tool="cleancut", model=id_.removesuffix(":raw"))
    return replace(made, raw=id_.endswith(":raw"), **more)  # type: ignore[arg-type]


@dataclass
class Desk:
    """Pictures, and answers that lie on disk: alpha by system and picture."""

    folder: Path
    answered: dict[tuple[str, str], Answered] = field(default_factory=dict)

    def pictures(self, truths: Mapping[str, NDArray[np.float32] | None]) -> tuple[Shot, ...]:
        rng = np.random.default_rng(0)
        for name, truth in truths.items():
            pixels = Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8))
            if truth is None:
                target = self.folder / "data" / f"{name}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                pixels.save(target)
                continue
            for part, image in (("image", pixels), ("alpha", Image.fromarray(as_bytes(truth)))):
                target = self.folder / "data" / "people" / part / f"{name}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                image.save(target)
        return find(self.folder / "data")

    def answer(self, id_: str, stem: str, alpha: NDArray[np.float32], seconds: float = 1) -> None:
        target = self.folder / "answers" / f"{id_.replace(':', '-')}-{stem}.png"
        target.parent.mkdir(exist_ok=True)
        colours = np.full((*alpha.shape, 3), 120, np.uint8)
        Image.fromarray(np.dstack([colours, as_bytes(alpha)])).save(target)
        self.answered[id_, stem] = Answered(target, seconds, 0.9, ("note: text",), id_)

    def fail(self, id_: str, stem: str, reason: str) -> None:
        self.answered[id_, stem] = Answered(None, reason=reason)

    def of(self, system: System, picture: Shot) -> Answered | None:
        return self.answered.get((system.id, picture.stem))

    def score(self, shots: tuple[Shot, ...], *ids: str, jobs: int = 1) -> Scored:
        return score(shots, [system(id_) for id_ in ids], self, jobs=jobs, cache=self.folder)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def by_system(scored: Scored) -> dict[str, Scores]:
    return {one.system: one for one in scored.scores}


def test_figures_are_those_of_bench_accuracy_and_of_the_edges(desk: Desk) -> None:
    (shot,) = desk.pictures({"a": disc(20)})
    answer = disc(21)
    desk.answer("m", "a", answer)
    scored = desk.score((shot,), "m")
    (picture,) = scored.pictures
    with Image.open(shot.image) as image:
        rgb = np.asarray(image)
    truth, alpha = (as_bytes(plane).astype(np.float32) / np.float32(255)
                    for plane in (disc(20), answer))  # fmt: skip
    expected = figures(Truth.of(rgb, truth), alpha, np.full((*SIZE, 3), 120, np.uint8))
    for key, value in expected.items():
        assert picture.figures[key] == pytest.approx(value, abs=1e-6), key
    assert {"max_f", "jagged", "blurred"} <= picture.figures.keys() <= BY_KEY.keys()
    assert (picture.seconds, picture.confidence, picture.model) == (1, 0.9, "m")
    assert picture.notes == ("note: text",)
    (mean,) = scored.scores
    assert mean.figures == pytest.approx(dict(picture.figures))
    (facts,) = scored.sets
    assert (facts.name, facts.group, facts.pictures, facts.binary) == ("people", "people", 1, False)


def test_edges_of_yes_or_no_truths_are_not_judged(desk: Desk) -> None:
    shots = desk.pictures({"a": (disc(20) >= 0.5).astype(np.float32)})
    desk.answer("m", "a", disc(20))
    scored = desk.score(shots, "m")
    assert scored.sets[0].binary is True
    assert not {"hair", "hard", "jagged", "blurred"} & scored.pictures[0].figures.keys()


def test_means_are_over_the_pictures_that_every_system_answered(desk: Desk) -> None:
    shots = desk.pictures({stem: disc(20) for stem in "abcd"})
    for stem in "abcd":
        desk.answer("right", stem, disc(20), seconds=2)
    for stem, radius in (("a", 20), ("b", 26), ("c", 8)):
        desk.answer("other", stem, disc(radius), seconds=5)
    desk.fail("other", "d", "it died")
    found = by_system(scored := desk.score(shots, "right", "other"))
    assert (found["right"].pictures, found["right"].failed) == (3, 0)
    assert (found["other"].pictures, found["other"].failed) == (3, 1)
    assert found["right"].figures["mad"] == 0
    alone = {one.stem: one.figures["mad"] for one in scored.pictures if one.system == "other"}
    assert found["other"].figures["mad"] == pytest.approx(sum(alone.values()) / 3, abs=1e-5)
    assert found["right"].missed == 0
    assert found["other"].missed == pytest.approx(1 / 3)
    assert (found["right"].seconds, found["other"].seconds) == (2, 5)
    assert len([one for one in scored.pictures if one.system == "right"]) == 4
    assert scored.skipped == ("other, people/d: it died",)


def test_a_system_that_mostly_fails_does_not_take_the_pictures_from_the_others(desk: Desk) -> None:
    shots = desk.pictures({stem: disc(20) for stem in "abc"})
    for stem in "abc":
        desk.answer("sound", stem, disc(21))
        desk.fail("broken", stem, "no memory")
    desk.answer("broken", "a", disc(20))
    found = by_system(scored := desk.score(shots, "sound", "broken"))
    assert found["sound"].pictures == 3
    assert (found["broken"].pictures, found["broken"].failed) == (0, 2)
    assert found["broken"].figures == {}
    assert found["broken"].missed is None
    assert scored.skipped == ("broken, people/b and 1 more: no memory",)


def test_what_was_never_asked_or_cannot_run_is_neither_a_failure_nor_scored(desk: Desk) -> None:
    shots = desk.pictures({"a": disc(20), "b": disc(20)})
    desk.answer("m", "a", disc(20))
    absent = system("absent", reason="not installed")
    scored = score(shots, [system("m"), absent], desk, cache=desk.folder)
    (mean,) = scored.scores
    assert (mean.system, mean.pictures, mean.failed) == ("m", 1, 0)
    assert scored.skipped == ()


def test_answers_that_are_no_matte_of_the_picture_are_failures(desk: Desk) -> None:
    shots = desk.pictures({"a": disc(20), "b": disc(20), "c": disc(20)})
    desk.answer("m", "a", disc(20)[1:])
    desk.answer("m", "b", disc(20))
    Path(str(desk.answered["m", "b"].path)).write_bytes(b"no picture")
    desk.answer("m", "c", disc(20))
    Path(str(desk.answered["m", "c"].path)).unlink()
    scored = desk.score(shots, "m")
    assert scored.scores[0].failed == 3
    assert scored.pictures == ()
    assert "m-a.png is 96x71, its picture 96x72" in scored.skipped[0]
    assert len(scored.skipped) == 3


def test_a_truth_that_became_unreadable_is_nobodys_failure(desk: Desk) -> None:
    shots = desk.pictures({"a": disc(20), "b": disc(20)})
    for stem in "ab":
        desk.answer("m", stem, disc(20))
    Path(str(shots[0].alpha)).write_bytes(b"")
    scored = desk.score(shots, "m")
    assert scored.scores[0].failed == 0
    assert scored.scores[0].pictures == 1
    assert scored.skipped[0].startswith("people/a: ")


def test_edges_that_a_system_rarely_finds_give_it_no_figure(desk: Desk) -> None:
    shots = desk.pictures({stem: disc(20) for stem in "abc"})
    for stem in "abc":
        desk.answer("finds", stem, disc(20))
        desk.answer("misses", stem, disc(20) if stem == "a" else disc(-5))
    found = by_system(desk.score(shots, "finds", "misses"))
    assert found["finds"].figures["jagged"] == 0
    assert "jagged" not in found["misses"].figures
    assert found["misses"].missed == pytest.approx(2 / 3)


def test_a_second_run_reads_what_the_first_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots = desk.pictures({"a": disc(20), "b": disc(18)})
    for stem in "ab":
        desk.answer("m", stem, disc(21))
    first = desk.score(shots, "m")

    def fail(*_: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(one_picture, "figures", fail)
    monkeypatch.setattr(Truth, "of", fail)
    assert desk.score(shots, "m") == first
    monkeypatch.setattr(one_picture, "VERSION", -1)
    with pytest.raises(AssertionError, match="scored again"):
        desk.score(shots, "m")


def test_another_answer_or_truth_is_scored_anew(desk: Desk) -> None:
    shots = desk.pictures({"a": disc(20)})
    desk.answer("m", "a", disc(24))
    before = desk.score(shots, "m").pictures[0].figures["mad"]
    desk.answer("m", "a", disc(20))
    assert desk.score(shots, "m").pictures[0].figures["mad"] == 0 < before
    shots = desk.pictures({"a": disc(25)})
    assert desk.score(shots, "m").pictures[0].figures["mad"] > 0


def test_a_spoilt_file_of_what_was_found_is_not_believed(desk: Desk) -> None:
    shots = desk.pictures({"a": disc(20)})
    desk.answer("m", "a", disc(23))
    first = desk.score(shots, "m")
    for number, path in enumerate(sorted((desk.folder / "compare-scores").rglob("*.json"))):
        path.write_text(["{", "[]", '{"figures": 3}'][number % 3])
    assert desk.score(shots, "m") == first


def test_the_result_does_not_depend_on_the_number_of_processes(desk: Desk, tmp_path: Path) -> None:
    truths = {"a": disc(20), "b": disc(14, soft=9)}
    shots = desk.pictures(truths)
    for stem in truths:
        desk.answer("m", stem, disc(22))
        desk.answer("n", stem, disc(17))
    alone = desk.score(shots, "m", "n")
    ids = [system("m"), system("n")]
    assert score(shots, ids, desk, jobs=2, cache=tmp_path / "fresh") == alone


def test_a_killed_process_is_an_error_that_says_what_to_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    class Breaking(ThreadPoolExecutor):
        def __init__(self, count: int, **_: object) -> None:
            super().__init__(count)

    def die(_: object) -> None:
        raise BrokenProcessPool("killed")

    monkeypatch.setattr(scoring, "ProcessPoolExecutor", Breaking)
    monkeypatch.setattr(scoring, "examine", die)
    shots = desk.pictures({"a": disc(20), "b": disc(20)})
    with pytest.raises(OutOfMemory, match="was killed"):
        desk.score(shots, "m", jobs=2)


def test_progress_is_told_after_each_picture(desk: Desk) -> None:
    shots = desk.pictures({"a": disc(20), "b": disc(20)})
    told: list[tuple[int, int, str]] = []
    score(shots, [system("m")], desk, cache=desk.folder, step=lambda *now: told.append(now))
    assert told == [(1, 2, "people/a"), (2, 2, "people/b")]


def test_without_truth_there_is_agreement_and_no_figure(desk: Desk) -> None:
    shots = desk.pictures({"a": None})
    for id_, radius in (("a1", 20), ("b1", 20), ("c1", 20), ("odd", 8), ("odd:raw", 8)):
        desk.answer(id_, "a", disc(radius))
    scored = desk.score(shots, "a1", "b1", "c1", "odd", "odd:raw")
    assert scored.sets[0].binary is None
    found = {one.system: one for one in scored.pictures}
    assert all(one.figures == {} for one in found.values())
    assert found["a1"].agreement == 1
    assert found["odd"].agreement == found["odd:raw"].agreement
    assert found["odd"].agreement is not None
    assert found["odd"].agreement < 0.3
    assert all(one.figures == {} and one.missed is None for one in scored.scores)
    assert [one.seconds for one in scored.scores] == [1] * 5
    assert desk.score(shots, "a1", "b1", "c1", "odd", "odd:raw") == scored


def test_a_panel_that_takes_anothers_matte_gives_it_no_second_vote(desk: Desk) -> None:
    shots = desk.pictures({"a": None})
    for id_, radius in (("a1", 20), ("b1", 20), ("odd", 8), ("auto", 8)):
        desk.answer(id_, "a", disc(radius))
    chosen = desk.answered["auto", "a"]
    assert all(one.agreement for one in desk.score(shots, "a1", "b1", "odd", "auto").pictures)
    desk.answered["auto", "a"] = replace(chosen, model="odd")
    found = desk.score(shots, "a1", "b1", "odd", "auto").pictures
    assert [one.agreement for one in found] == [None] * 4


def plane(*values: int) -> NDArray[np.uint8]:
    return np.array([values], np.uint8)


def test_agreement_is_with_the_median_of_the_other_networks() -> None:
    rng = np.random.default_rng(0)
    for count in (4, 5, 8):
        mattes = {str(n): rng.integers(0, 256, (9, 11), np.uint8) for n in range(count)}
        answers = [Answer(id_, Path(id_)) for id_ in mattes]
        found = agreements(answers, mattes)
        for id_, matte in mattes.items():
            others = np.median(np.stack([m for k, m in mattes.items() if k != id_]), axis=0)
            expected = np.minimum(matte, others).sum() / np.maximum(matte, others).sum()
            assert found[id_] == pytest.approx(float(expected), abs=1e-6)


def test_a_network_votes_once_however_many_run_it_and_not_about_itself() -> None:
    answers = [
        Answer("x:raw", Path(), "X", raw=True), Answer("x", Path(), "X"), Answer("x2", Path(), "X"),
        Answer("a", Path(), "A"), Answer("b", Path(), "B"), Answer("c", Path(), "C"),
    ]  # fmt: skip
    mattes = dict.fromkeys(("a", "b", "c"), plane(0, 200)) | {
        "x:raw": plane(9, 9), "x": plane(255, 0), "x2": plane(200, 0)
    }  # fmt: skip
    found = agreements(answers, mattes)
    assert found["a"] == found["b"] == found["c"] == 1
    assert found["x"] == found["x2"] == 0
    assert found["x:raw"] == pytest.approx(9 / 209, abs=1e-6)


def test_too_few_voters_agree_on_nothing() -> None:
    mattes = {name: plane(0, 255) for name in "abc"}
    answers = [Answer(name, Path()) for name in mattes]
    assert agreements(answers, mattes) == dict.fromkeys("abc")
    assert agreements([], {}) == {}


def test_empty_mattes_agree() -> None:
    mattes = {name: plane(0, 0) for name in "abcd"}
    assert agreements([Answer(name, Path()) for name in mattes], mattes) == dict.fromkeys("abcd", 1)


@pytest.mark.parametrize(("hairy", "told"), [(1, False), (2, True)])
def test_a_figure_of_hardly_any_picture_is_none_of_the_set(
    hairy: int, told: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots = tuple(
        Shot("people", f"{number}", "people", Path("x"), Path("y"), f"{number:064}")
        for number in range(15)
    )
    found = [
        Found({"mad": 1.0, "iou": 1.0} | ({"hair": 5.0} if number < hairy else {}))
        for number in range(15)
    ]
    examined = [Examined({"m": one}, binary=False) for one in found]
    monkeypatch.setattr(scoring, "_examined", lambda *_: examined)
    desk.answered = {("m", shot.stem): Answered(Path("z"), 1.0) for shot in shots}
    (mean,) = desk.score(shots, "m").scores
    assert mean.pictures == 15
    assert ("hair" in mean.figures) == told


@pytest.mark.parametrize("part", ["image", "alpha"])
def test_a_picture_that_is_replaced_meanwhile_is_not_scored(desk: Desk, part: str) -> None:
    shots = desk.pictures({"a": disc(20), "b": disc(20)})
    for stem in "ab":
        desk.answer("x", stem, disc(20))
    path = shots[0].image if part == "image" else shots[0].alpha
    assert path
    Image.new("L", SIZE[::-1]).save(path)
    found = desk.score(shots, "x")
    assert [one.stem for one in found.pictures] == ["b"]
    assert found.skipped == ("people/a: it was changed while the comparison ran",)


def _pid(number: int) -> int:
    time.sleep(number)
    return os.getpid()


_POOL = """
from cleancut.compare import scoring
from tests.compare.test_scoring import _pid
if __name__ == "__main__":
    with scoring._workers(1) as pool:
        for pid in pool.map(_pid, (0, 0, 60)):
            print(pid, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signal")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(_POOL)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, str(script)], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("it waits for a parent that is gone")
