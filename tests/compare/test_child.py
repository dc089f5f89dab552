from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cleancut.bench.measure import printed_json, run_once
from tests.compare.fakes import FAILS, Fake, Shown, fake_rembg, picture


def told(fake: Fake, tmp_path: Path, *shown: Shown, **more: Any) -> dict[str, Any]:
    jobs = tmp_path / "jobs.json"
    pairs = [[str(one.image), str(tmp_path / f"{one.image.stem}.out.png")] for one in shown]
    jobs.write_text(json.dumps({"pictures": pairs, **more}))
    starter = fake.starter()
    return printed_json(run_once(starter.child(jobs), starter.env))


def facts(tmp_path: Path, shown: Shown) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((tmp_path / f"{shown.image.stem}.out.json").read_text())
    return read


def test_every_picture_is_cut_as_often_as_asked_in_turn(tmp_path: Path) -> None:
    fake = fake_rembg(tmp_path / "fake")
    shown = [picture(tmp_path, width) for width in (20, 30)]
    last = told(fake, tmp_path, *shown, repeat=3)
    assert fake.log[1:] == ["cut 20", *["cut 20", "cut 30"] * 3]
    assert (last["done"], last["failed"], last["calls"]) == (2, 0, 6)
    assert last["runs_on"] == "FakeExecutionProvider"
    assert last["load_s"] >= 0
    assert last["first_s"] > 0
    assert last["cpu_s"] >= 0
    assert all(len(facts(tmp_path, one)["times"]) == 3 for one in shown)


def test_what_fails_is_counted_and_not_cut_again(tmp_path: Path) -> None:
    fake = fake_rembg(tmp_path / "fake")
    shown = [picture(tmp_path, width) for width in (FAILS, 30)]
    last = told(fake, tmp_path, *shown, repeat=2)
    assert (last["done"], last["failed"], last["calls"]) == (1, 1, 2)
    assert fake.log.count(f"cut {FAILS}") == 2  # the first call of all, and one that counts
    assert facts(tmp_path, shown[0]) == {"error": "ValueError: an odd picture"}


def test_a_file_that_is_no_picture_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("nothing")
    last = told(fake_rembg(tmp_path / "fake"), tmp_path, Shown(tmp_path / "no.png", ""))
    assert (last["done"], last["failed"], last["first_s"]) == (0, 1, None)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone can do this")
def test_it_keeps_to_the_processors_it_is_given(tmp_path: Path) -> None:
    fake = fake_rembg(tmp_path / "fake")
    source = fake.folder / "rembg" / "__init__.py"
    source.write_text(
        source.read_text()
        + "\nnote(str((len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'])))\n"
    )
    told(fake, tmp_path, picture(tmp_path, 20), processors=1)
    assert fake.log[0] == "(1, '1')"


def test_what_a_tool_prints_stays_out_of_what_is_told(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.json"
    pairs = [[str(picture(tmp_path, 20).image), str(tmp_path / "out.png")]]
    jobs.write_text(json.dumps({"pictures": pairs}))
    starter = fake_rembg(tmp_path / "fake").starter()
    done = subprocess.run(
        starter.child(jobs), env=dict(starter.env), capture_output=True, text=True, timeout=60
    )
    assert [next(iter(json.loads(line))) for line in done.stdout.splitlines()] == [
        *("at", "at", "load_s")
    ]
    assert "a tool that talks" in done.stderr


def test_an_answer_is_pixels_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("RGB", (20, 10), "red").save(path, dpi=(300, 300), icc_profile=b"profile")
    told(fake_rembg(tmp_path / "fake"), tmp_path, Shown(path, ""))
    with Image.open(tmp_path / "p.out.png") as answer:
        assert answer.mode == "RGBA"
        assert answer.info == {}


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    fake = fake_rembg(tmp_path / "fake")
    jobs = tmp_path / "jobs.json"
    target = str(tmp_path / "out.png")
    pairs = [[str(picture(tmp_path, 15).image), target]]  # sleeps for ten minutes
    jobs.write_text(json.dumps({"pictures": pairs, "watched": True}))
    starter = fake.starter()
    child = subprocess.Popen(
        starter.child(jobs), env=dict(starter.env), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert json.loads(child.stdout.readline()) == {"at": 0}
    child.stdin.close()
    assert child.wait(timeout=20) == 1
    child.stdout.close()


def test_a_tool_that_is_not_there_is_told_on_both_streams(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.json"
    jobs.write_text('{"pictures": []}')
    starter = fake_rembg(tmp_path / "fake").starter("broken")
    done = subprocess.run(
        starter.child(jobs), env=dict(starter.env), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"error": "SystemExit: there are no weights"}
    assert done.stderr.strip() == "SystemExit: there are no weights"
    assert sys.executable == starter.python
