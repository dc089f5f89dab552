from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cleancut.batch.choose import Choice
from cleancut.batch.job import Finished, Job, Outcome
from cleancut.cli.batch_progress import Teller
from cleancut.cli.main import main
from tests.batch.pictures import folder_of, picture


def batch(*words: object) -> int:
    return main(["batch", *map(str, words), "--model", "echo"])


def test_a_folder_is_done_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    assert batch(folder, "-o", out) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "3 done in" in said.err
    assert str(out / "cleancut-report.html") in said.err
    assert batch(folder, "-o", out) == 0
    assert "3 done before" in capsys.readouterr().err
    assert batch(folder, "-o", out, "-q") == 0
    assert capsys.readouterr().err == ""


def test_a_failure_is_told_with_the_command_that_retries_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = folder_of(tmp_path / "in", 1), tmp_path / "out"
    (folder / "no \x1b[31m.png").write_bytes(b"nothing")
    monkeypatch.setattr(sys, "argv", ["cleancut", "batch", str(folder), "-o", "my out"])
    assert batch(folder, "-o", out) == 5
    said = capsys.readouterr().err
    assert "failed [unreadable-image]" in said
    assert "\x1b" not in said
    assert f"cleancut batch {folder} -o 'my out' --retry-failed" in said
    secret = ["--cache=redis://joe:SECRET@host:1/0", "https://h/a.jpg?sig=SECRET"]
    monkeypatch.setattr(sys, "argv", ["cleancut", "batch", str(folder), *secret])
    assert batch(folder, "-o", out) == 5
    said = capsys.readouterr().err
    assert "SECRET" not in said
    assert f"{folder} --cache=redis://...@host:1/0 'https://h/a.jpg?...' --retry-failed" in said


def test_json_events_are_one_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path / "in", 2)
    (folder / "broken.png").write_bytes(b"nothing")
    assert batch(folder, "-o", tmp_path / "out", "--json") == 5
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    names = [event["event"] for event in events]
    assert sorted(names) == ["finished"] * 3 + ["started"] * 3 + ["summary"]
    assert names[-1] == "summary"
    assert (events[-1]["done"], events[-1]["failed"]) == (2, 1)
    failed = next(event for event in events if event.get("status") == "failed")
    assert failed["error"]["hint"]
    assert said.err == ""


def test_a_dry_run_says_what_would_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    assert batch(folder, "-o", out, "--dry-run") == 0
    said = capsys.readouterr()
    assert said.out.count(" -> ") == 2
    assert "2 to do" in said.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["missing", "-o", "out"], 2, "missing"),
        (["in"], 2, "-o/--output"),
        (["in", "-o", "in"], 2, "input"),
        (["in", "-o", "out", "--shard", "9/3"], 2, "--shard"),
        (["in", "-o", "out", "--address", "auto"], 2, "--engine ray"),
        (["in", "-o", "out", "--threads", "0"], 2, "--threads"),
        (["in", "-o", "out", "--cache-size", "much"], 2, "--cache-size"),
        (["in", "--output.jpg", "-o", "out"], 2, "if it is a file, write ./--output.jpg"),
        (["@empty.txt", "-o", "out"], 2, "the list @empty.txt is empty"),
        (["in", "-o", "out", "--retry-faild"], 2, "did you mean --retry-failed?"),
        (["in", "-o", "out", "--watch", "--limit", "0"], 2, "--limit"),
        (["in", "-o", "out", "--device", "cpu", "--gpus", "all"], 2, "use --device gpu"),
        (["in", "-o", "out", "--gpus", "2"], 3, "--gpus: no "),
        (["in", "-o", "out", "--engine", "ray", "--gpus", "2"], 2, "--gpus-per-worker"),
    ],
)
def test_what_cannot_work_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "in", 1)
    (tmp_path / "--output.jpg").touch()
    (tmp_path / "empty.txt").write_text("# nothing yet\n")
    assert batch(*words) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert told in said
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_said_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "in", 1)
    assert main(["batch", str(folder), "-o", str(tmp_path / "out"), "-m", "isnet"]) == 3
    assert "cleancut models pull isnet" in capsys.readouterr().err


def test_a_folder_is_cut_with_nothing_pulled_and_what_is_better_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "in", 2)
    assert main(["batch", str(folder), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "2 done" in said
    assert said.count("note [auto_model] cleancut-nano") == 1
    assert len(list((tmp_path / "out").glob("shelf*/*.png"))) == 2


def test_help_names_every_way_in(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["batch", "--help"])
    text = capsys.readouterr().out
    for word in ("@LIST", "s3://", "--retry-failed", "--watch", "--engine ray", "--crop"):
        assert word in text


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_asked_to_end_it_finishes_what_is_begun(tmp_path: Path, signum: int, code: int) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    data = picture(height=900, width=1200)
    for number in range(120):
        (folder / f"{number:03}.png").write_bytes(data + bytes(number))
    words = [sys.executable, "-m", "cleancut", "batch", folder, "-o", out, "-m", "echo", "--json"]
    run = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    for line in run.stdout:
        if json.loads(line)["event"] == "finished":
            break
    run.send_signal(signum)
    rest, said = run.communicate(timeout=60)
    assert run.returncode == code
    events = [json.loads(line) for line in rest.splitlines()]
    assert events[-1]["event"] == "summary"
    assert events[-1]["interrupted"]
    done = events[-1]["done"]
    assert 1 <= done < 120
    assert len(list(out.glob("*.png"))) == done
    assert b"once more stops at once" in said
    assert (out / "cleancut-report.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_asked_twice_it_ends_at_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 1)
    words = ["batch", folder, "-o", tmp_path / "out", "-m", "echo", "--watch", "--json"]
    run = subprocess.Popen(
        [sys.executable, "-m", "cleancut", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert run.stdout is not None
    run.stdout.readline()
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    threading.Timer(0.1, run.send_signal, (signal.SIGINT,)).start()
    run.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert run.returncode in (0, 130)


def test_a_shard_and_a_limit_count_what_is_theirs() -> None:
    said: list[str] = []
    teller = Teller(said.append, lambda _: None, limit=2)
    job = Job("0" * 16, "in/a.png", "out/a.png", "a.png")
    teller.total(10)
    for do in ("elsewhere", "elsewhere", "done", "failed"):
        teller.passed(Choice(job, do, do))  # type: ignore[arg-type]
    assert teller.figures() == "2 of 4, 2 of earlier runs"
    teller.event(Finished(job, Outcome(job.id, "done")))
    assert teller.figures() == "3 of 4, 2 of earlier runs"
    error = {"code": "crashed", "kind": "bug", "message": "bad\x1b[2J", "hint": "mend"}
    teller.event(Finished(job, Outcome(job.id, "failed", error=error)))
    assert said == ["cleancut: failed [crashed] in/a.png: bad\\x1b[2J; mend"]
    # What a narrow terminal cuts off is what matters least.
    assert re.fullmatch(
        r"4 of 4, 0:00 left, [\d.]+/s, 1 failed, 2 of earlier runs", teller.figures()
    )


def test_of_a_folder_that_fills_it_says_what_it_counts() -> None:
    teller = Teller(lambda _: None, lambda _: None)
    job = Job("0" * 16, "in/a.png", "out/a.png", "a.png")
    teller.event(Finished(job, Outcome(job.id, "done")))
    assert teller.figures() == "1 picture"
    teller.event(Finished(job, Outcome(job.id, "done")))
    assert teller.figures().startswith("2 pictures, ")
