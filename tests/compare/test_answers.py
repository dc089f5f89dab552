from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.compare import answers as module
from cleancut.compare import starters
from cleancut.compare.answers import Answers, answers, kept
from cleancut.compare.starters import Starter
from cleancut.compare.systems import systems
from cleancut.engine import Engine
from cleancut.errors import MissingDependency, OutputNotWritable
from tests.compare.fakes import DIES, FAILS, SLEEPS, Fake, Shown, fake_rembg, fake_system, picture


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Every contestant is the fake rembg."""
    made = fake_rembg(tmp_path / "fake")

    def starter(system: object, work: Path, **_: object) -> Starter:
        return made.starter(getattr(system, "model", "net"))

    monkeypatch.setattr(module, "starter", starter)
    return made


def ask(
    tmp_path: Path, *pictures: Shown, model: str = "net", patience_s: float = 60
) -> tuple[Answers, list[tuple[int, int, str]]]:
    steps: list[tuple[int, int, str]] = []
    found = answers(
        [fake_system(model)],
        pictures,
        tmp_path / "cache",
        tell=lambda _: None,
        step=lambda *told: steps.append(told),
        patience_s=patience_s,
    )
    return found, steps


def reason(found: Answers, shown: Shown, model: str = "net") -> str:
    answer = found.of(f"rembg:{model}", shown)
    assert answer is not None
    assert answer.path is None
    return answer.reason


def pixels(found: Answers, shown: Shown) -> NDArray[np.uint8]:
    answer = found.of(fake_system(), shown)
    assert answer is not None
    assert answer.path is not None, answer.reason
    return np.asarray(Image.open(answer.path))


def test_each_picture_is_cut_in_one_process_and_kept_for_the_next_run(
    tmp_path: Path, fake: Fake
) -> None:
    shown = [picture(tmp_path, width, width) for width in (20, 30)]
    found, steps = ask(tmp_path, *shown)
    for one in shown:
        cut = pixels(found, one)
        assert cut.shape == (10, int(cut.shape[1]), 4)
        assert (cut == (cut.shape[1], 40, 90, cut.shape[1])).all()
        answer = found.of("rembg:net", one)
        assert answer is not None
        assert answer.model == "net"
        assert answer.seconds is not None
        assert 0 < answer.seconds < 5
    assert len(fake.pids()) == 1
    assert [told[:2] for told in steps] == [(1, 2), (2, 2)]
    again, steps = ask(tmp_path, *shown)
    assert len(fake.pids()) == 1
    assert steps == []
    assert again.of("rembg:net", shown[0]) == found.of("rembg:net", shown[0])
    assert kept([fake_system()], tmp_path / "cache").of("rembg:net", shown[1]) is not None


def test_what_was_never_asked_has_no_answer(tmp_path: Path, fake: Fake) -> None:
    found, _ = ask(tmp_path, picture(tmp_path, 20))
    assert found.of("rembg:net", picture(tmp_path, 21)) is None
    assert found.of("rembg:other", picture(tmp_path, 20)) is None


def test_of_the_same_picture_under_two_names_one_is_cut(tmp_path: Path, fake: Fake) -> None:
    found, steps = ask(tmp_path, picture(tmp_path / "a", 20), picture(tmp_path / "b", 20))
    assert len(steps) == 1
    assert pixels(found, picture(tmp_path / "b", 20)).any()


def test_a_picture_the_tool_fails_on_costs_that_picture_and_is_tried_again(
    tmp_path: Path, fake: Fake
) -> None:
    shown = [picture(tmp_path, width) for width in (FAILS, 20)]
    found, _ = ask(tmp_path, *shown)
    assert reason(found, shown[0]) == "ValueError: an odd picture"
    assert pixels(found, shown[1]).any()
    ask(tmp_path, *shown)
    assert fake.log.count(f"cut {FAILS}") == 4  # each run has a first call that is not counted
    assert fake.log.count("cut 20") == 1


def test_a_picture_that_kills_the_tool_costs_that_picture(tmp_path: Path, fake: Fake) -> None:
    shown = [picture(tmp_path, width) for width in (20, DIES, 30, 40)]
    found, steps = ask(tmp_path, *shown)
    assert "SIGKILL, most often for want of memory" in reason(found, shown[1])
    assert all(pixels(found, shown[number]).any() for number in (0, 2, 3))
    assert len(fake.pids()) == 2
    assert [done for done, _, _ in steps] == [1, 2, 3, 4]


def test_a_tool_that_dies_three_times_in_a_row_is_given_up(tmp_path: Path, fake: Fake) -> None:
    shown = [picture(tmp_path, DIES, red) for red in range(5)]
    found, _ = ask(tmp_path, *shown)
    assert len(fake.pids()) == 3
    assert all("SIGKILL" in reason(found, one) for one in shown)


def test_deaths_between_which_pictures_are_done_are_no_row(tmp_path: Path, fake: Fake) -> None:
    widths = [20, DIES, 21, DIES, 22, DIES, 23, DIES, 24]
    shown = [picture(tmp_path, width, red) for red, width in enumerate(widths)]
    found, _ = ask(tmp_path, *shown)
    done = [found.of("rembg:net", one) for one in shown]
    assert [bool(one and one.path) for one in done] == [width != DIES for width in widths]


def test_a_tool_that_cannot_be_loaded_says_why_for_every_picture(
    tmp_path: Path, fake: Fake
) -> None:
    shown = [picture(tmp_path, width) for width in (20, 30)]
    found, _ = ask(tmp_path, *shown, model="broken")
    assert len(fake.pids()) == 1
    assert {reason(found, one, "broken") for one in shown} == {"SystemExit: there are no weights"}


def test_a_tool_that_is_silent_too_long_is_ended(tmp_path: Path, fake: Fake) -> None:
    shown = [picture(tmp_path, width) for width in (20, SLEEPS)]
    found, _ = ask(tmp_path, *shown, patience_s=5)
    assert reason(found, shown[1]) == "it took longer than 5 s"
    assert pixels(found, shown[0]).any()
    assert not any(alive(pid) for pid in fake.pids())


def test_an_interrupt_ends_the_tool_at_once_and_the_next_run_goes_on(
    tmp_path: Path, fake: Fake
) -> None:
    shown = [picture(tmp_path, width) for width in (20, SLEEPS)]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        answers([fake_system()], shown, tmp_path / "cache", tell=lambda _: None, step=interrupt)
    assert time.monotonic() - started < 20
    assert not any(alive(pid) for pid in fake.pids())
    assert pixels(kept([fake_system()], tmp_path / "cache"), shown[0]).any()
    _, steps = ask(tmp_path, shown[0], picture(tmp_path, 30))
    assert len(steps) == 1


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("harm", ["half", "gone", "nonsense"])
def test_half_an_answer_is_none(tmp_path: Path, fake: Fake, harm: str) -> None:
    shown = picture(tmp_path, 20)
    found, _ = ask(tmp_path, shown)
    path = next((tmp_path / "cache").glob("rembg-net-*/*.png"))
    if harm == "half":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").write_text("[1]")
    assert found.of("rembg:net", shown) is None
    found, steps = ask(tmp_path, shown)
    assert len(steps) == 1
    assert pixels(found, shown).any()


@pytest.mark.parametrize(
    "facts",
    [
        '{"times": [NaN]}',
        '{"times": [-1]}',
        '{"times": [1e308, 1e308]}',
        '{"times": [1], "confidence": Infinity}',
        '{"times": [1' + "0" * 400 + "]}",
        "[" * 100_000,
        '{"times": [1], "model": "' + "x" * (1 << 20) + '"}',
    ],
)
def test_what_no_tool_can_have_meant_is_no_answer(tmp_path: Path, facts: str) -> None:
    target = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(target)
    target.with_suffix(".json").write_text('{"times": [1], "confidence": 0.5}')
    assert module.read(target)
    target.with_suffix(".json").write_text(facts)
    assert module.read(target) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("suffix", [".json", ".png"])
def test_a_pipe_in_the_cache_is_not_waited_for(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(target)
    target.with_suffix(".json").write_text('{"times": [1]}')
    target.with_suffix(suffix).unlink()
    os.mkfifo(target.with_suffix(suffix))
    assert module.read(target) is None


def test_halves_that_a_killed_process_left_go_after_an_hour(tmp_path: Path, fake: Fake) -> None:
    ask(tmp_path, picture(tmp_path, 20))
    folder = next((tmp_path / "cache").glob("rembg-net-*"))
    for name, age in ((".old.png.1.part", 7200), (".new.png.2.part", 10)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    ask(tmp_path, picture(tmp_path, 30))
    assert [path.name for path in folder.glob(".*.part")] == [".new.png.2.part"]


def test_a_picture_that_is_replaced_meanwhile_leaves_no_answer_behind(
    tmp_path: Path, fake: Fake
) -> None:
    before = picture(tmp_path, 20)
    Image.new("RGB", (30, 10)).save(before.image)
    found, _ = ask(tmp_path, before)
    assert reason(found, before) == module.CHANGED
    assert kept([fake_system()], tmp_path / "cache").of("rembg:net", before) is None
    again = picture(tmp_path, 20)
    assert pixels(ask(tmp_path, again)[0], again).shape[1] == 20


def test_on_another_machine_everything_is_cut_and_timed_again(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(tmp_path, picture(tmp_path, 20))
    monkeypatch.setattr(starters, "cpu_model", lambda: "another processor")
    _, steps = ask(tmp_path, picture(tmp_path, 20))
    assert len(steps) == 1
    about = [json.loads(path.read_text()) for path in (tmp_path / "cache").glob("*/about.json")]
    assert {one["machine"].partition(",")[0] for one in about} >= {"another processor"}


def test_two_runs_at_once_do_each_other_no_harm(tmp_path: Path, fake: Fake) -> None:
    shown = [picture(tmp_path, 20 + number) for number in range(12)]
    runs = [threading.Thread(target=ask, args=(tmp_path, *shown)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    found = kept([fake_system()], tmp_path / "cache")
    assert all(pixels(found, one).shape[1] == 20 + n for n, one in enumerate(shown))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_tool_that_cannot_be_started_does_not_end_the_others(
    tmp_path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starter(system: object, work: Path, **_: object) -> Starter:
        if getattr(system, "model", "") == "lost":
            raise MissingDependency("it is not there")
        return fake.starter()

    monkeypatch.setattr(module, "starter", starter)
    shown = picture(tmp_path, 20)
    found = answers(
        [fake_system("lost"), fake_system()],
        [shown],
        tmp_path / "cache",
        tell=lambda _: None,
        step=lambda *_: None,
    )
    assert reason(found, shown, "lost") == "it is not there"
    assert pixels(found, shown).any()


def test_a_cache_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputNotWritable):
        ask(tmp_path, picture(tmp_path, 20))
    assert fake.log == []


def test_ours_answers_with_what_the_engine_cuts(tmp_path: Path, disc: NDArray[np.uint8]) -> None:
    soft = np.clip(disc // 2 + 40, 0, 255).astype(np.uint8)
    Image.fromarray(soft).save(tmp_path / "disc.png")
    digest = hashlib.sha256((tmp_path / "disc.png").read_bytes()).hexdigest()
    shown = Shown(tmp_path / "disc.png", digest)
    found = answers(
        systems(["echo", "echo:raw"]),
        [shown],
        tmp_path / "cache",
        tell=lambda _: None,
        step=lambda *_: None,
    )
    for name, options in (("echo", {}), ("echo:raw", {"refine": "off", "decontaminate": False})):
        answer = found.of(name, shown)
        assert answer is not None
        assert answer.path is not None, answer.reason
        expected = Engine().cutout(soft, model="echo", **options).image  # type: ignore[arg-type]
        assert np.array_equal(np.asarray(Image.open(answer.path)), np.asarray(expected))
        assert answer.model == "echo"
        assert answer.confidence is not None
