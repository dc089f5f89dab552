"""The run over all parts, with parts that measure nothing; each has tests of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cleancut.compare import run as module
from cleancut.compare.answers import Answers
from cleancut.compare.clips import Clips
from cleancut.compare.comparison import PARTS, Comparison, Deployment, Machine, Repeats, System
from cleancut.compare.gallery import Gallery
from cleancut.compare.pictures import Shot
from cleancut.compare.run import Plan, compare
from cleancut.compare.scoring import Scored
from cleancut.compare.speed import Runs, SpeedPlan
from cleancut.compare.systems import LEFT_OUT
from cleancut.errors import BadOption, InputNotFound, MissingDependency, WeightsMissing
from cleancut.version import PIPELINE_VERSION
from tests.compare.comparisons import made_up

WHOLE = made_up()
SHOT = Shot("people", "one", "people", Path("one.jpg"), None, "0" * 64)


@dataclass
class Desk:
    """What was done in order, what is to be interrupted, and what was saved."""

    did: list[str] = field(default_factory=list)
    interrupts: set[str] = field(default_factory=set)
    saved: list[Comparison] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def does(self, name: str, answer: Any) -> Callable[..., Any]:
        def task(*_: Any, **__: Any) -> Any:
            self.did.append(name)
            if name in self.interrupts:
                raise KeyboardInterrupt
            return answer

        return task

    def compare(self, before: Comparison | None = None, **plan: Any) -> tuple[Comparison, Gallery]:
        plan = {"data": Path("my pictures"), "command": "this", **plan}
        if "parts" in plan:
            plan["parts"] = frozenset(plan["parts"])
        return compare(
            Plan(**plan), self.said.append, lambda *_: None, before=before, save=self.saved.append
        )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    clips = Clips(list(WHOLE.video), ["video: the last clip: the time was up"])
    scored = Scored(WHOLE.sets, WHOLE.scores, WHOLE.pictures, ("people/9: it is no picture",))
    parts = {
        "find": (SHOT,),
        "answers": Answers({}),
        "kept": Answers({}),
        "score": scored,
        "run_systems": Runs(skipped=["energy: unreadable"]),
        "speeds": WHOLE.speed,
        "resources": WHOLE.resources,
        "deployment": (Deployment(tool="cleancut"),),
        "places": {},
        "clip_folders": (Path("clips"),),
        "measure_clips": clips,
        "measure_repeats": (WHOLE.repeats, True),
        "gallery": Gallery(skipped=("drawn",)),
        "starter": None,
        "prepare": None,
    }
    for name, answer in parts.items():
        monkeypatch.setattr(module, name, made.does(name, answer))
    monkeypatch.setattr(module, "machine", lambda: Machine(cpu="this CPU", cores=4))
    monkeypatch.setattr(module, "software", lambda tool, _: {tool: "1"})
    monkeypatch.setattr(module, "systems", named)
    return made


def named(names: tuple[str, ...], peers: Any = None) -> tuple[System, ...]:
    if not names:
        return WHOLE.systems
    rows = tuple(row for row in WHOLE.systems if row.id in names)
    if any(row.kind == "peer" for row in rows):
        raise MissingDependency("no environment for rembg is given", hint="run: this")
    return tuple(replace(row, weights="new") for row in rows)


def test_all_parts_are_measured_in_order_and_saved_after_each(desk: Desk) -> None:
    found, gallery = desk.compare()
    own = ("answers", "run_systems", "deployment", "measure_clips", "measure_repeats")
    assert [name for name in desk.did if name in own] == list(own)
    assert desk.did.count("run_systems") == 1  # seconds and resources are of the same runs
    assert [bool(one.scores) for one in desk.saved] == [True] * 5
    assert [bool(one.speed and one.resources) for one in desk.saved] == [False] + [True] * 4
    assert [bool(one.repeats) for one in desk.saved] == [False] * 4 + [True]
    assert desk.saved[-1] == found
    assert found.complete
    assert (found.data, found.commands) == ("my pictures", ("this",))
    assert found.pipeline == PIPELINE_VERSION
    assert found.machine.cpu == "this CPU"
    assert found.software == {"cleancut": {"cleancut": "1"}, "rembg": {"rembg": "1"}}
    assert found.skipped == (
        "people/9: it is no picture",
        "energy: unreadable",
        "video: the last clip: the time was up",
    )
    assert gallery == Gallery()


def test_only_the_parts_that_are_asked_for_are_measured(desk: Desk) -> None:
    found, _ = desk.compare(parts={"speed"})
    assert found.speed
    assert (found.scores, found.resources, found.deployment, found.video) == ((), (), (), ())
    assert "answers" not in desk.did
    assert len(desk.saved) == 1


@pytest.mark.parametrize(("part", "looked"), [("deployment", False), ("video", False)])
def test_pictures_are_looked_for_only_where_they_are_cut(
    part: str, looked: bool, desk: Desk
) -> None:
    desk.compare(parts={part})
    assert ("find" in desk.did) == looked
    desk.compare(parts={part}, drawn=True)
    assert "find" in desk.did


def test_the_gallery_is_drawn_only_if_it_is_asked_for(desk: Desk) -> None:
    assert desk.compare(parts={"accuracy"}, drawn=True)[1].skipped == ("drawn",)
    assert desk.did[-1] == "gallery"


@pytest.mark.parametrize(
    ("name", "part", "before", "after"),
    [
        ("score", "accuracy", ["answers"], []),
        ("answers", "accuracy", ["answers"], ["kept", "score"]),
        ("deployment", "deployment", ["score", "run_systems"], []),
    ],
)
def test_an_interruption_keeps_what_is_there_and_ends_all_other_parts(
    name: str, part: str, before: list[str], after: list[str], desk: Desk
) -> None:
    desk.interrupts = {name}
    found, _ = desk.compare()
    assert not found.complete
    assert f"{part}: interrupted" in found.skipped
    assert set(before) <= set(desk.did)
    assert desk.did[desk.did.index(name) + 1 :] == after
    assert desk.saved[-1] == found
    assert bool(found.scores) == (name != "score")


@pytest.mark.parametrize(
    "error", [InputNotFound("no such file: /srv/me/one.jpg"), OSError(28, "the disk is full")]
)
def test_a_part_that_fails_costs_nothing_that_was_measured(
    error: Exception, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(module, "run_systems", fails)
    found, _ = desk.compare()
    assert found.scores
    assert not found.speed
    assert found.repeats
    why = "no such file: one.jpg" if isinstance(error, InputNotFound) else "the disk is full"
    assert f"speed: {why}" in found.skipped
    assert desk.saved[-1] == found
    with pytest.raises(type(error)):
        desk.compare(parts={"speed"})


@pytest.mark.parametrize(
    ("name", "answer", "part"),
    [
        ("run_systems", Runs(complete=False), "speed"),
        ("measure_clips", Clips(list(WHOLE.video), complete=False), "video"),
        ("measure_repeats", (WHOLE.repeats, False), "cache"),
        ("measure_repeats", (None, False), "cache"),
    ],
)
def test_a_part_that_says_it_was_interrupted_is_the_last(
    name: str, answer: Any, part: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, desk.does(name, answer))
    found, _ = desk.compare()
    assert not found.complete
    assert f"{part}: interrupted" in found.skipped
    last = [one for one in desk.did if one in ("run_systems", "measure_clips", "measure_repeats")]
    assert last[-1] == name
    if part == "speed":
        assert found.speed
        assert found.resources, "they come from the runs that were made"


def test_a_second_interruption_ends_the_scoring(desk: Desk) -> None:
    desk.interrupts = {"answers", "score"}
    with pytest.raises(KeyboardInterrupt):
        desk.compare()


def test_a_gallery_that_is_interrupted_costs_no_figures(desk: Desk) -> None:
    desk.interrupts = {"gallery"}
    found, gallery = desk.compare(drawn=True)
    assert found.complete
    assert found.scores
    assert not gallery.complete
    desk.interrupts = {"answers", "gallery"}
    with pytest.raises(KeyboardInterrupt):
        desk.compare(drawn=True)


def test_from_a_file_alone_nothing_is_measured(desk: Desk) -> None:
    found, gallery = desk.compare(WHOLE, parts=())
    assert found == WHOLE
    assert gallery == Gallery()
    assert desk.did == []


def test_from_a_file_with_pictures_only_the_gallery_is_drawn(desk: Desk) -> None:
    found, gallery = desk.compare(WHOLE, parts=(), drawn=True)
    assert found == WHOLE
    assert gallery.skipped == ("drawn",)
    assert desk.saved == []


def test_parts_are_measured_anew_beside_those_of_a_file(desk: Desk) -> None:
    old = replace(WHOLE, skipped=("speed of rvm: it failed", "people/7: it is no picture"))
    found, _ = desk.compare(old, parts={"speed", "resources"})
    assert found.scores == WHOLE.scores
    assert found.systems == WHOLE.systems  # figures belong to the weights they were measured with
    assert found.data == "eval"
    assert found.commands == (*WHOLE.commands, "this")
    assert found.pipeline == WHOLE.pipeline
    assert "speed of rvm: it failed" not in found.skipped
    assert "people/7: it is no picture" in found.skipped
    assert any(line.startswith("accuracy: measured on 2026-01-02") for line in found.skipped)
    assert found.complete


def test_what_was_cut_short_is_complete_once_it_is_measured(desk: Desk) -> None:
    desk.interrupts = {"answers"}
    half, _ = desk.compare(parts={"accuracy"})
    desk.interrupts = set()
    beside, _ = desk.compare(half, parts={"speed"})
    assert not beside.complete
    whole, _ = desk.compare(beside, parts={"accuracy"})
    assert whole.complete


def test_a_part_that_was_interrupted_before_it_had_anything_keeps_the_old_figures(
    desk: Desk,
) -> None:
    desk.interrupts = {"deployment"}
    found, _ = desk.compare(WHOLE, parts={"deployment", "cache"})
    assert found.deployment == WHOLE.deployment
    assert any(line.startswith("deployment: measured on") for line in found.skipped)
    assert not found.complete


def test_named_systems_are_all_that_is_left_of_a_file(desk: Desk) -> None:
    found, _ = desk.compare(WHOLE, parts={"deployment"}, models=("modnet", "isnet"))
    assert [row.id for row in found.systems] == ["modnet", "isnet"]
    assert {row.weights for row in found.systems} == {"0" * 64}
    assert {row.system for row in found.scores} == {"modnet", "isnet"}


def test_who_is_not_here_any_more_is_not_run_again(desk: Desk) -> None:
    found, _ = desk.compare(WHOLE, parts={"accuracy"})
    rembg, modnet = found.system("rembg:u2netp"), found.system("modnet")
    assert rembg is not None
    assert rembg.reason == "no environment for rembg is given; run: this"
    assert modnet is not None
    assert modnet.weights == "new"
    absent = found.system("u2net")
    assert absent is not None
    assert absent.reason


def test_a_model_of_ones_own_is_cut_by_its_path_and_told_by_its_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(WHOLE.systems[0], id="own.onnx", model="/home/me/own.onnx")
    monkeypatch.setattr(module, "systems", lambda *_, **__: (own,))
    cut: list[str] = []
    monkeypatch.setattr(module, "starter", lambda one, *_, **__: cut.append(one.model))
    monkeypatch.setattr(module, "kept", lambda ran, *_, **__: cut.append(ran[0].model))
    found, _ = desk.compare(parts={"speed"}, models=("/home/me/own.onnx",), drawn=True)
    assert cut == ["/home/me/own.onnx", "/home/me/own.onnx"]
    assert [one.model for one in found.systems] == ["own.onnx"]
    assert "/home" not in found.to_json()
    desk.compare(found, parts={"speed"}, models=("/home/me/own.onnx",))
    assert cut[-1] == "/home/me/own.onnx"


def test_without_clips_a_line_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = desk.compare(parts={"video"}, data=None)
    assert found.skipped == ("video: no clips with true mattes; give a folder with --data",)
    monkeypatch.setattr(module, "clip_folders", lambda _: ())
    found, _ = desk.compare(parts={"video"})
    assert found.skipped[0].startswith("video: no clips (")
    assert found.complete


def test_a_cache_is_measured_with_a_small_network_or_not_at_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measured(_: Any, model: str, **__: Any) -> tuple[Repeats, bool]:
        asked.append(model)
        return Repeats(cut_s=1.0, kept_s=0.1), True

    monkeypatch.setattr(module, "measure_repeats", measured)
    desk.compare(parts={"cache"})
    assert asked == ["u2netp"]
    found, _ = desk.compare(parts={"cache"}, models=("isnet",))
    assert found.skipped == ("cache: measured with u2netp or cleancut-nano, none takes part",)


def test_a_system_that_cannot_be_started_costs_only_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(system: System, *_: Any, **__: Any) -> None:
        if system.id == "isnet":
            raise WeightsMissing("isnet is not here")

    monkeypatch.setattr(module, "starter", start)
    found, _ = desk.compare(parts={"speed"})
    assert "speed: isnet: isnet is not here" in found.skipped
    assert found.complete


def test_peers_are_installed_only_if_that_is_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, Path]] = []
    monkeypatch.setattr(module, "prepare", lambda tool, folder, **_: made.append((tool.id, folder)))
    peers = {"rembg": Path("env"), "backgroundremover": None}
    desk.compare(parts={"deployment"}, peers=peers)
    assert made == []
    desk.compare(parts={"deployment"}, peers=peers, install=True)
    assert made == [("rembg", Path("env"))]


def test_an_answer_is_cut_anew_if_that_is_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("about.json", "one.json", "one.png"):
        (tmp_path / name).touch()
    monkeypatch.setattr(module, "kept", lambda *_, **__: Answers({"modnet": tmp_path}))
    desk.compare(parts={"accuracy"})
    assert (tmp_path / "one.json").exists()
    desk.compare(parts={"accuracy"}, fresh=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["about.json", "one.png"]


@pytest.mark.parametrize("values", [{"limit": 0}, {"jobs": 0}])
def test_plans_that_compare_nothing_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(BadOption):
        Plan(**values)  # type: ignore[arg-type]


def test_every_part_has_a_measurement(desk: Desk) -> None:
    found, _ = desk.compare()
    fields = (found.scores, found.speed, found.resources, found.deployment, found.video)
    assert len(PARTS) == len((*fields, found.repeats))
    assert all((*fields, found.repeats))


def test_who_takes_part_and_who_is_missing_is_said_before_the_wait(desk: Desk) -> None:
    desk.compare(parts={"accuracy"})
    first = "\n".join(desk.said[: desk.said.index("looking at the pictures of my pictures")])
    assert "who takes part: u2netp, deeplabv3plus-portrait, modnet" in first
    assert ":raw" not in first
    assert "not here: u2net, bria-rmbg-2.0, deeplabv3plus, transparent-background (" in first
    assert "1 picture by " in "\n".join(desk.said)


def test_what_was_left_out_as_asked_is_not_called_missing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(replace(row, reason=row.reason and LEFT_OUT) for row in WHOLE.systems)
    monkeypatch.setattr(module, "systems", lambda *_, **__: rows)
    desk.compare(parts={"accuracy"})
    assert not any(line.startswith("not here") for line in desk.said)


def test_one_picture_and_one_process_are_enough() -> None:
    assert (Plan(limit=1).limit, Plan(jobs=1).jobs) == (1, 1)


def test_a_page_of_a_file_without_pictures_has_no_gallery(desk: Desk) -> None:
    assert desk.compare(WHOLE, parts=(), drawn=True, data=None) == (WHOLE, Gallery())
    assert desk.did == []


def test_a_first_run_without_pictures_of_ones_own_is_measured(desk: Desk) -> None:
    assert desk.compare(parts={"accuracy"}, data=None)[0].data == "pictures made here"


def test_versions_of_a_tool_that_is_gone_are_those_of_the_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def versions(tool: str, _: Any) -> dict[str, str]:
        if tool == "rembg":
            raise MissingDependency("rembg is not here")
        return {tool: "now"}

    monkeypatch.setattr(module, "software", versions)
    found, _ = desk.compare(WHOLE, parts={"deployment"})
    assert found.software == {"cleancut": {"cleancut": "now"}, "rembg": {"rembg": "2.0.86"}}
    assert desk.compare(parts={"deployment"})[0].software["rembg"] == {}


def test_how_long_it_will_take_is_said_in_minutes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpeedPlan, "estimate_s", lambda *_: 300.0)
    desk.compare(parts={"speed"})
    assert any(line.endswith("about 5 minutes") for line in desk.said)
