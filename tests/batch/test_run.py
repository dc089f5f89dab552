from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut import Engine, Options
from cleancut.batch.job import Event, Finished, Job, Started
from cleancut.batch.local import LocalRunner
from cleancut.batch.request import BatchRequest, Summary, worker_config
from cleancut.batch.run import preview, run_batch, sweep
from cleancut.batch.worker import Worker
from cleancut.errors import BadOption, CleancutError, InputNotFound, OutputNotWritable
from tests.batch.pictures import Ear, folder_of, notices, picture

ECHO = Options(model="echo")
COMMAND = (sys.executable, str(Path(__file__).with_name("faulty_child.py")))


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


class Inline:
    """A runner without a process of its own."""

    def __init__(self, asked: BatchRequest) -> None:
        self._work = Worker(worker_config(asked))

    def run(self, jobs: Iterable[Job]) -> Iterator[Event]:
        for job in jobs:
            yield Started(job)
            yield Finished(job, self._work(job))


def done(asked: BatchRequest, ear: Ear | None = None) -> Summary:
    """The summary of ``asked``, done in this process."""
    return run_batch(asked, ear or Ear(), runner=Inline(asked))


def request(folder: Path, out: Path, **more: object) -> BatchRequest:
    return BatchRequest(**{"inputs": [str(folder)], "out": str(out), "options": ECHO, **more})


def ends(out: Path) -> list[dict[str, object]]:
    lines = (out / ".cleancut" / "ledger.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["e"] == "end"]


def pngs(out: Path) -> list[str]:
    found = [place.relative_to(out) for place in out.rglob("*.png")]
    return sorted(str(place) for place in found if place.parts[0] != ".cleancut")


def test_a_tree_comes_out_as_a_tree(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 7)
    ear = Ear()
    summary = run_batch(request(folder, tmp_path / "out"), ear)
    assert (summary.done, summary.failed, summary.skipped) == (7, 0, {})
    assert pngs(tmp_path / "out") == sorted(
        str(place.relative_to(folder)) for place in folder.rglob("*.png")
    )
    assert ear.pictures == 7
    engine = Engine(ECHO)
    source = folder / "shelf1" / "0004.png"
    target = tmp_path / "out" / "shelf1" / "0004.png"
    assert target.read_bytes() == engine.encoded(source).data
    assert len(list((tmp_path / "out" / ".cleancut" / "thumbs").iterdir())) == 7
    for report in summary.reports:
        assert Path(report).stat().st_size > 500


def test_the_second_run_does_nothing_and_a_third_what_is_missing(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 5), tmp_path / "out"
    done(request(folder, out))
    ear = Ear()
    assert done(request(folder, out), ear).skipped == {"done": 5}
    assert [choice.do for choice in ear.choices] == ["done"] * 5
    (out / "shelf0" / "0003.png").unlink()
    (folder / "shelf1" / "0001.png").write_bytes(picture(99))
    summary = done(request(folder, out))
    assert (summary.done, summary.skipped) == (2, {"done": 3})


def test_a_cache_that_does_not_serve_is_told_once(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    folder, ear = folder_of(tmp_path / "in", 3), Ear()
    away = request(folder, tmp_path / "out", cache="redis://:SECRET@127.0.0.1:1/0")
    assert done(away, ear).done == 3
    assert [code for code in notices(ear.events) if code == "cache"] == ["cache"]
    assert "SECRET" not in repr(ear.events)


def test_other_options_are_other_results(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    done(request(folder, out))
    cropped = request(folder, out, options=Options(model="echo", crop=True))
    assert done(cropped).done == 2
    assert done(cropped).done == 0


def test_failures_are_left_alone_until_they_are_asked_for(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    ear = Ear()
    summary = done(request(folder, out), ear)
    assert (summary.done, summary.failed) == (3, 1)
    assert ear.outcomes()["broken.png"] == "unreadable-image"
    assert done(request(folder, out)).skipped == {"done": 3, "failed": 1}
    (folder / "broken.png").write_bytes(picture(5))  # mended
    assert done(request(folder, out, retry_failed=True)).done == 1


def test_what_others_have_put_there_stays_and_that_is_said(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    (out / "shelf0").mkdir(parents=True)
    (out / "shelf0" / "0000.png").write_bytes(b"mine")
    ear = Ear()
    assert done(request(folder, out), ear).done == 2
    assert (out / "shelf0" / "0000.png").read_bytes() == b"mine"
    assert notices(ear.events) == ["renamed"]
    assert done(request(folder, out)).skipped == {"done": 2}
    assert done(request(folder, tmp_path / "other", overwrite=True)).done == 2


def test_unsure_results_are_copied_aside(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    summary = done(request(folder, out, review_below=1.0))
    assert summary.unsure == 3
    assert pngs(out / "review") == pngs(folder)
    name = "shelf0/0000.png"
    assert (out / "review" / name).read_bytes() == (out / name).read_bytes()
    # The copies are nobody's input.
    assert done(request(folder, out, review_below=1.0)).skipped == {"done": 3}


def test_done_inputs_are_moved_and_failed_ones_stay(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    (folder / "broken.png").write_bytes(b"nothing")
    done(request(folder, out, move_done=str(tmp_path / "archive")))
    assert [place.name for place in folder.rglob("*.png")] == ["broken.png"]
    assert len(pngs(tmp_path / "archive")) == 3


def test_a_limit_and_shards_divide_the_work(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 9), tmp_path / "out"
    assert done(request(folder, out, limit=2)).done == 2
    parts = [done(request(folder, out, shard=(n, 2))).done for n in (1, 2)]
    assert sum(parts) == 7
    assert len(pngs(out)) == 9


def test_a_preview_does_nothing(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    assert [choice.reason for choice in preview(request(folder, out))] == ["new"] * 3
    assert not out.exists()
    done(request(folder, out, limit=1))
    assert [choice.do for choice in preview(request(folder, out))] == ["done", "todo", "todo"]


def test_an_accident_is_in_the_ledger_and_the_others_are_done(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 4), tmp_path / "out"
    (folder / "segfault.png").write_bytes(picture())
    asked = request(folder, out)
    runner = LocalRunner(worker_config(asked), workers=3, command=COMMAND)
    ear = Ear()
    summary = run_batch(asked, ear, runner=runner)
    assert (summary.done, summary.failed) == (4, 1)
    assert "crashed" in notices(ear.events)
    failed = [line for line in ends(out) if line["status"] == "failed"]
    assert [line["error"]["code"] for line in failed] == ["crashed"]  # type: ignore[index]
    assert "crashed" in (out / "cleancut-report.json").read_text("utf-8")
    assert done(request(folder, out)).skipped == {"done": 4, "failed": 1}


def test_a_full_disk_ends_the_run_and_fails_no_picture(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    for number in range(20):
        (folder / f"full-{number}.png").write_bytes(picture(number))
    asked = request(folder, out)
    runner = LocalRunner(worker_config(asked), workers=2, command=COMMAND)
    summary = run_batch(asked, Ear(), runner=runner)
    assert isinstance(summary.stopped, OutputNotWritable)
    assert "full" in summary.stopped.message
    assert summary.failed == 0
    assert not summary.interrupted
    assert done(request(folder, out)).done == 23 - summary.done


def test_failures_of_the_installation_end_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(30):
        (folder / f"setup-{number:02}.png").write_bytes(picture(number))
    asked = request(folder, tmp_path / "out")
    runner = LocalRunner(worker_config(asked), workers=2, command=COMMAND)
    summary = run_batch(asked, Ear(), runner=runner)
    assert summary.stopped is not None
    assert "not installed" in summary.stopped.message
    assert summary.failed < 12


def test_a_stop_finishes_what_is_begun(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        (folder / f"slow-{number:02}.png").write_bytes(picture(number))
    asked, stop = request(folder, out), threading.Event()
    runner = LocalRunner(worker_config(asked), workers=2, command=COMMAND)

    class Stopper(Ear):
        def event(self, event: object) -> None:
            super().event(event)  # type: ignore[arg-type]
            if isinstance(event, Finished):
                stop.set()

    summary = run_batch(asked, Stopper(), stop=stop, runner=runner)
    assert summary.interrupted
    assert 1 <= summary.done <= 6
    assert len(ends(out)) == summary.done == len(pngs(out))
    assert json.loads((out / "cleancut-report.json").read_text())["run"]["stopped"] == "interrupted"


def test_a_watch_takes_what_comes_until_it_is_told_to_end(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    stop, ear = threading.Event(), Ear()
    late = threading.Timer(2.0, lambda: (folder / "late.png").write_bytes(picture(9)))
    late.start()

    def end_when_done() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and len(ear.outcomes()) < 3:
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=end_when_done).start()
    asked = request(folder, out, watch=True)
    summary = run_batch(asked, ear, stop=stop, runner=Inline(asked))
    assert summary.done == 3
    assert "late.png" in pngs(out)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"inputs": ["missing"]}, InputNotFound, "missing"),
        ({"inputs": ["empty"]}, InputNotFound, "no pictures"),
        ({"out": "in"}, OutputNotWritable, "input"),
        ({"out": "file"}, OutputNotWritable, "file"),
        ({"limit": 0}, BadOption, "--limit"),
        ({"workers": 0}, BadOption, "--workers"),
        ({"timeout_s": -1.0}, BadOption, "--timeout"),
        ({"review_below": 2.0}, BadOption, "--review-below"),
        ({"options": Options(model="echo", background="gone.png")}, InputNotFound, "gone.png"),
        ({"options": Options(model="nonesuch")}, CleancutError, "nonesuch"),
        ({"options": Options(model="isnet")}, CleancutError, "isnet"),
        ({"watch": True, "inputs": ["in/shelf0/0000.png"]}, BadOption, "--watch"),
    ],
)
def test_what_cannot_work_is_said_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    error: type[CleancutError],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    usual = {"inputs": ["in"], "out": "out", "options": ECHO}
    with pytest.raises(error, match=words) as caught:
        run_batch(BatchRequest(**{**usual, **change}), Ear())
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    second: list[CleancutError] = []

    class Rival(Ear):
        def event(self, event: object) -> None:
            if isinstance(event, Finished) and not second:
                with pytest.raises(OutputNotWritable) as caught:
                    done(request(folder, out))
                second.append(caught.value)

    assert done(request(folder, out), Rival()).done == 3
    assert "another run" in second[0].message


def test_only_old_half_files_are_swept(tmp_path: Path) -> None:
    for name in (".cleancut-ab.part", ".cleancut-cd.part", "a.part", ".cleancut-x"):
        (tmp_path / name).write_bytes(b"half")
    now = time.time()
    os.utime(tmp_path / ".cleancut-ab.part", (now - 5, now - 5))
    sweep(str(tmp_path), now - 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".cleancut-cd.part",
        ".cleancut-x",
        "a.part",
    ]
    sweep(str(tmp_path / "nowhere"), now)


def test_whoever_is_killed_again_and_again_has_everything_once(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 30, height=200, width=260), tmp_path / "out"
    dice = random.Random(4)
    words = [sys.executable, "-m", "cleancut", "batch", str(folder), "-o", str(out)]
    killed = 0
    for _ in range(60):
        command = [*words, "--model", "echo", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as run:
            assert run.stdout is not None
            events = dice.randrange(1, 20)  # "started" and "finished"
            if all(run.stdout.readline() for _ in range(events)):
                time.sleep(dice.uniform(0, 0.05))
                os.killpg(run.pid, signal.SIGKILL)
        killed += run.returncode == -signal.SIGKILL
        if run.returncode != -signal.SIGKILL:
            break
    assert run.returncode == 0
    assert killed >= 2
    assert pngs(out) == pngs(folder)
    for name in pngs(out):
        pixels = cv2.imdecode(np.fromfile(out / name, np.uint8), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (200, 260, 4)
    assert not list(out.rglob("*.part"))
    told = {line["name"] for line in ends(out) if line["status"] == "done"}
    assert told == set(pngs(out))
    assert done(request(folder, out)).skipped == {"done": 30}
