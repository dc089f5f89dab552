from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.measure import Sample
from cleancut.compare import repeats as module
from cleancut.compare.repeats import RepeatPlan, cut_and_kept, measure_repeats
from cleancut.errors import BadOption, RunError


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    target = tmp_path / "photo.png"
    cv2.imwrite(str(target), pixels)
    return target


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEGAPIXELS", 0.01)
    monkeypatch.setattr(module, "_APART", 0.001)


def test_a_folder_holds_exactly_its_share_of_repeats_after_their_originals(
    photo: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    folders = module._folders([photo], RepeatPlan(pictures=10, shares=(0.0, 0.3, 0.6)), work)
    for share, folder in folders.items():
        held = [path.read_bytes() for path in sorted(folder.iterdir())]
        assert len(held) == 10
        assert len(set(held)) == 10 - round(10 * float(share))


def test_repeats_stand_among_the_others() -> None:
    order = module._drawn(20, 0.5)
    assert order == module._drawn(20, 0.5)
    assert sorted(set(order)) == list(range(10))
    assert order[0] == 0
    assert order[:10] != list(range(10))


def test_a_kept_picture_comes_from_the_cache(photo: Path, tmp_path: Path) -> None:
    cut, kept = cut_and_kept(photo.read_bytes(), "echo", tmp_path / "cache", 2)
    assert cut > 0
    assert kept > 0


def test_real_batches_run_with_the_cache_and_without(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    real = module.run_once

    def run_once(argv: list[str], env: dict[str, str]) -> Sample:
        ran.append(argv)
        return real(argv, env)

    monkeypatch.setattr(module, "run_once", run_once)
    plan = RepeatPlan(pictures=3, shares=(0.5,), runs=1)
    found, complete = measure_repeats([photo], "echo", plan=plan, tell=lambda _: None)
    assert complete
    assert found is not None
    assert found.model == "echo"
    assert set(found.shares) == {"0.50"}
    assert [argv[argv.index("--cache") + 1] == "off" for argv in ran] == [True, False]


def test_what_is_saved_is_the_share_of_the_whole_time(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cut_and_kept", lambda *_: (0.5, 0.01))
    monkeypatch.setattr(
        module, "_batch", lambda *_, cached: Sample(7.0 if cached else 10.0, None, "")
    )
    plan = RepeatPlan(pictures=4, shares=(0.0, 0.5), runs=2)
    found, _ = measure_repeats([photo], "echo", plan=plan, tell=lambda _: None)
    assert found is not None
    assert found.shares == pytest.approx({"0.00": 0.3, "0.50": 0.3})
    assert (found.cut_s, found.kept_s) == (0.5, 0.01)


def test_an_interruption_leaves_what_is_known(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Sample:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_batch", interrupted)
    plan = RepeatPlan(pictures=2, shares=(0.5,), runs=1)
    found, complete = measure_repeats([photo], "echo", plan=plan, tell=lambda _: None)
    assert found is not None
    assert found.shares == {}
    assert not complete
    monkeypatch.setattr(module, "cut_and_kept", interrupted)
    nothing = measure_repeats([photo], "echo", plan=plan, tell=lambda _: None)
    assert nothing == (None, False)


def test_a_failing_batch_is_an_error(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cut_and_kept", lambda *_: (0.5, 0.01))
    plan = RepeatPlan(pictures=2, shares=(0.5,), runs=1)
    with pytest.raises(RunError):
        measure_repeats([photo], "no-such-model", plan=plan, tell=lambda _: None)


@pytest.mark.parametrize(
    "values", [{"pictures": 1}, {"runs": 0}, {"shares": (1.0,)}, {"shares": (-0.1,)}]
)
def test_plans_that_measure_nothing_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        RepeatPlan(**values)  # type: ignore[arg-type]


def test_runs_are_named_so_that_people_know_what_is_done() -> None:
    tasks = module._tasks({"0.30": Path("in")}, "echo", Path("work"))
    assert list(tasks) == ["30% repeated, cache off", "30% repeated, cache on"]
