from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from types import SimpleNamespace

import pytest

from cleancut import Engine, Options
from cleancut.backends import machine
from cleancut.video import choose
from cleancut.video.crew import crew, first_engine, usual_jobs
from cleancut.video.frame import VideoInfo
from cleancut.video.options import VideoOptions
from cleancut.video.order import VideoOrder

HD = VideoInfo("stream", 1280, 720, Fraction(1, 1000))
UHD = replace(HD, width=3840, height=2160)
RVM = VideoOrder(source="a.mp4", target="b.webm", video=VideoOptions(engine="rvm"))


@dataclass
class Named:
    """A matter that has a name and the threads of its engine."""

    names: tuple[str, ...]
    threads: int | None = None


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "thread_count", lambda: 8)

    def hired(engine: Engine, options: Options, *_: object) -> tuple[Named, tuple[str, ...]]:
        return Named(("rvm",), engine._threads), ()

    monkeypatch.setattr(choose, "choose_matter", hired)


def scene(name: str, info: VideoInfo = HD) -> SimpleNamespace:
    return SimpleNamespace(matter=Named((name,)), info=info)


def test_there_are_no_more_jobs_than_cores_parts_and_memory() -> None:
    assert usual_jobs(HD, 100) == 8
    assert usual_jobs(HD, 3) == 3
    assert usual_jobs(UHD, 100) == 1


def test_every_job_of_a_recurrent_network_has_its_own_with_its_share_of_the_cores() -> None:
    made = crew(RVM, scene("rvm"), 4, shared=False)  # type: ignore[arg-type]
    assert [matter.threads for matter in made[1:]] == [2, 2, 2]  # type: ignore[attr-defined]
    assert first_engine(RVM, HD, 4)._threads == 2
    assert first_engine(RVM, HD, 1)._threads is None


def test_auto_that_chose_a_recurrent_network_gets_one_for_every_job() -> None:
    order = replace(RVM, video=VideoOptions(), jobs=2)
    made = crew(order, scene("rvm"), 4, shared=False)  # type: ignore[arg-type]
    assert [matter.threads for matter in made] == [4, 4]  # type: ignore[attr-defined]
    assert first_engine(order, HD, 4)._threads is None


def test_image_models_and_shared_engines_are_one_for_all() -> None:
    one = scene("isnet")
    assert crew(RVM, one, 4, shared=False) == (one.matter,)  # type: ignore[arg-type]
    asked = replace(RVM, jobs=3)
    assert crew(asked, one, 4, shared=False) == (one.matter,) * 3  # type: ignore[arg-type]
    assert crew(asked, one, 2, shared=False) == (one.matter,) * 2  # type: ignore[arg-type]
    mine = scene("rvm")
    assert crew(RVM, mine, 4, shared=True) == (mine.matter,)  # type: ignore[arg-type]
