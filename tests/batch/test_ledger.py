from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleancut.batch import journal
from cleancut.batch import ledger as ledger_module
from cleancut.batch.choose import Choice, choose, in_shard, parse_shard
from cleancut.batch.job import Finished, Job, Notice, Outcome, Started
from cleancut.batch.ledger import Ledger
from cleancut.batch.plan import plan
from cleancut.errors import BadOption, OutputNotWritable


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


def _jobs(photos: Path, out: Path, suffix: str = "png") -> Iterator[Job]:
    return plan([str(photos)], str(out), suffix=suffix)


def _run(
    photos: Path,
    out: Path,
    *,
    fails: tuple[str, ...] = (),
    settings: dict[str, object] | None = None,
    shard: tuple[int, int] | None = None,
    suffix: str = "png",
    **asked: object,
) -> list[Choice]:
    """What a run decides about every picture, while it does them."""
    with Ledger.open(str(out), settings=settings, shard=shard) as ledger:
        choices = []
        for choice in choose(_jobs(photos, out, suffix), ledger, shard=shard, **asked):  # type: ignore[arg-type]
            choices.append(choice)
            if choice.do != "todo":
                continue
            job = choice.job
            ledger.record(Started(job))
            failed = job.path in fails
            if not failed:
                Path(job.target).write_bytes(Path(job.source).read_bytes())
            outcome = Outcome(job.id, "failed" if failed else "done", seconds=0.5)
            ledger.record(Finished(job, outcome))
        return choices


def _done(choices: list[Choice]) -> dict[str, str]:
    return {choice.job.name: choice.reason for choice in choices}


def test_what_is_done_is_not_done_again(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    assert set(_done(_run(photos, out)).values()) == {"new"}
    again = _run(photos, out)
    assert [(choice.do, choice.job.name) for choice in again] == [
        ("done", "a.png"),
        ("done", "b.png"),
        ("done", "c.png"),
    ]


def test_a_change_of_source_options_or_output_is_noticed(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out, settings={"model": "x"})
    (photos / "a.jpg").write_bytes(b"another picture")
    (out / "b.png").unlink()
    assert _done(_run(photos, out, settings={"model": "x"})) == {
        "a.png": "changed",
        "b.png": "output-missing",
        "c.png": "done",
    }
    assert (out / "a.png").read_bytes() == b"another picture"
    assert set(_done(_run(photos, out, settings={"model": "y"})).values()) == {"other-options"}
    assert set(_done(_run(photos, out, settings={"model": "y"})).values()) == {"done"}


def test_another_format_gets_new_files_and_leaves_the_old(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out, settings={"format": "png"})
    names = _done(_run(photos, out, settings={"format": "webp"}, suffix="webp"))
    assert sorted(names) == ["a.webp", "b.webp", "c.webp"]
    assert (out / "a.png").exists()


@pytest.mark.parametrize("compacted", [False, True])
def test_the_first_format_again_replaces_its_own_files(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_bytes(b"somebody else's")
    first = _done(_run(photos, out, settings={"format": "png"}, fails=("c.jpg",)))
    _run(photos, out, settings={"format": "webp"}, suffix="webp", fails=("c.jpg",))
    if compacted:
        monkeypatch.setattr(ledger_module, "_COMPACT_BYTES", -(1 << 30))
    for options in ("png", "png, cropped"):
        again = _done(_run(photos, out, settings={"format": options}))
        assert set(again) == set(first)
    assert len(list(out.glob("*.png"))) == 4
    assert (out / "b.png").read_bytes() == b"somebody else's"


def test_a_name_that_only_failed_is_not_ours_when_a_file_lies_there(
    tmp_path: Path, photos: Path
) -> None:
    out = tmp_path / "out"
    _run(photos, out, fails=("c.jpg",))
    _run(photos, out, settings={"format": "webp"}, suffix="webp")
    (out / "c.png").write_bytes(b"precious")
    assert "c.png" not in _done(_run(photos, out))
    assert (out / "c.png").read_bytes() == b"precious"


def test_failed_pictures_are_left_alone_until_asked_for(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out, fails=("b.jpg",))
    assert [choice.do for choice in _run(photos, out)] == ["done", "failed", "done"]
    assert _done(_run(photos, out, retry_failed=True))["b.png"] == "retry"
    assert (out / "b.png").exists()


def test_somebody_else_s_file_is_never_replaced(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"precious")
    first = _run(photos, out)[0]
    assert first.planned == "a.png"
    assert first.job.name == f"a-{first.job.id[:6]}.png"
    assert (out / "a.png").read_bytes() == b"precious"
    again = _run(photos, out)[0]
    assert (again.do, again.job.name) == ("done", first.job.name)


def test_overwrite_replaces_it_when_asked(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"worthless")
    assert _run(photos, out, overwrite=True)[0].job.name == "a.png"
    assert (out / "a.png").read_bytes() == b"a.jpg"


def test_a_name_sticks_when_a_rival_appears(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out)
    (photos / "a.tif").write_bytes(b"rival")
    reasons = _done(_run(photos, out))
    assert reasons["a.png"] == "done"
    assert reasons["a.tif.png"] == "new"
    assert _done(_run(photos, out)) == dict.fromkeys(reasons, "done")


def test_a_second_folder_of_the_same_name_does_not_replace_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for day in ("one", "two"):
        folder = tmp_path / day / "photos"
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(day.encode())
        _run(folder, out)
    assert (out / "a.png").read_bytes() == b"one"
    assert sorted(path.read_bytes() for path in out.glob("*.png")) == [b"one", b"two"]
    for day in ("one", "two"):
        assert [choice.do for choice in _run(tmp_path / day / "photos", out)] == ["done"]


def test_a_folder_that_has_moved_is_known_again(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out)
    moved = tmp_path / "elsewhere" / "photos"
    moved.parent.mkdir()
    photos.rename(moved)
    assert [choice.do for choice in _run(moved, out)] == ["done"] * 3


def test_names_are_durable_before_the_work_begins(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    with Ledger.open(str(out)) as ledger:
        next(choose(_jobs(photos, out), ledger))
        lines = (out / ".cleancut/ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["e"] == "assign"
    assert json.loads(lines[-1])["name"] == "a.png"


def test_what_was_begun_and_not_ended_counts_as_an_attempt(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    for attempts in range(3):
        with Ledger.open(str(out)) as ledger:
            choice = next(choose(_jobs(photos, out), ledger))
            assert choice.job.attempts == attempts
            ledger.record(Started(choice.job))
    _run(photos, out)
    with Ledger.open(str(out)) as ledger:
        assert ledger.settle(next(_jobs(photos, out))).attempts == 0


def test_a_run_that_was_killed_does_not_leave_old_results_as_done(
    tmp_path: Path, photos: Path
) -> None:
    out = tmp_path / "out"
    _run(photos, out, settings={"background": "white"})
    with Ledger.open(str(out), settings={"background": "black"}) as ledger:
        choice = next(choose(_jobs(photos, out), ledger))
        Path(choice.job.target).write_bytes(b"black, and then the power fails")
    assert _done(_run(photos, out, settings={"background": "white"}))["a.png"] == "unfinished"


def test_a_torn_last_line_costs_only_itself(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out)
    path = out / ".cleancut/ledger.jsonl"
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last + 1, len(whole), 37):
        path.write_bytes(whole[:cut])
        with Ledger.open(str(out)) as ledger:
            assert ledger.summary().done == 2
            assert ledger.summary().unfinished == 1
            assert ledger.damaged == 1
        with Ledger.open(str(out)) as ledger:
            assert ledger.summary().done == 2
    _run(photos, out)
    assert sorted(path.name for path in out.glob("*.png")) == ["a.png", "b.png", "c.png"]


def test_rubbish_in_the_ledger_is_counted_and_skipped(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out)
    rubbish = [b"\0\0\0", b"[1]", b"{}", b'{"e":"end"}', b'{"e":"start","id":"xx"}', b"\xff\xfe{"]
    rubbish += [b'{"e":"end","id":"0","name":7,"t":"x"}', b'{"e":"assign","id":"-1","t":1}']
    rubbish += [b"[" * 100_000, b'{"e":"run","format":[]}']
    with (out / ".cleancut/ledger.jsonl").open("ab") as file:
        file.write(b"\n".join(rubbish) + b"\n")
    with Ledger.open(str(out)) as ledger:
        assert ledger.summary().done == 3
        assert ledger.damaged >= len(rubbish) - 2


def test_a_name_in_a_tampered_ledger_cannot_leave_the_output(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out)
    path = out / ".cleancut/ledger.jsonl"
    path.write_text(path.read_text().replace('"name":"a.png"', '"name":"../../a.png"'))
    assert [Path(choice.job.target).parent for choice in _run(photos, out)] == [out] * 3


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ".cleancut"
    folder.mkdir()
    (folder / "ledger.jsonl").write_text('{"e":"run","format":99,"cleancut":"9.0"}\n')
    with pytest.raises(OutputNotWritable, match=r"cleancut 9\.0, which is newer"):
        Ledger.open(str(tmp_path))


def test_two_runs_refuse_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PATIENCE_S", 0.05)
    with Ledger.open(str(tmp_path)):
        for shard in (None, (1, 2)):
            with pytest.raises(OutputNotWritable, match="another run") as caught:
                Ledger.open(str(tmp_path), shard=shard)
            assert caught.value.hint
        with Ledger.open(str(tmp_path), read_only=True) as reader:
            assert reader.summary().done == 0
    with Ledger.open(str(tmp_path), shard=(1, 2)), Ledger.open(str(tmp_path), shard=(2, 2)):
        for other in (None, (1, 2), (1, 3)):
            with pytest.raises(OutputNotWritable, match="another run"):
                Ledger.open(str(tmp_path), shard=other)
    Ledger.open(str(tmp_path)).close()


def test_reading_only_leaves_nothing_behind(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    with Ledger.open(str(out), read_only=True) as ledger:
        choices = list(choose(_jobs(photos, out), ledger, dry_run=True))
    assert [choice.do for choice in choices] == ["todo"] * 3
    assert not out.exists()


def test_shards_share_the_work_and_know_of_each_other(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for at in range(40):
        (photos / f"{at}.jpg").write_bytes(b"x")
    for index in (1, 2, 3):
        _run(photos, out, shard=(index, 3))
    assert (out / ".cleancut/ledger-3-of-3.jsonl").exists()
    assert len(list(out.glob("*.png"))) == 40
    assert {choice.do for choice in _run(photos, out)} == {"done"}
    before = {job.path: in_shard(job, (1, 3)) for job in _jobs(photos, out)}
    (photos / "more.jpg").write_bytes(b"x")
    after = {job.path: in_shard(job, (1, 3)) for job in _jobs(photos, out)}
    assert before.items() <= after.items()


def test_the_later_of_two_ledgers_is_believed(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out, fails=("a.jpg", "b.jpg", "c.jpg"))
    time.sleep(0.02)
    for index in (1, 2):
        _run(photos, out, shard=(index, 2), retry_failed=True)
    assert {choice.do for choice in _run(photos, out)} == {"done"}


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "a/b", "3", "", "1/2/3", "-1/2"])
def test_shards_are_counted_from_one(text: str) -> None:
    with pytest.raises(BadOption) as caught:
        parse_shard(text)
    assert "1/" in caught.value.hint


def test_a_shard_is_understood() -> None:
    assert parse_shard("3/8") == (3, 8)


def test_limit_ends_the_drawing(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    assert len(_run(photos, out, limit=2)) == 2
    assert [choice.do for choice in _run(photos, out, limit=1)] == ["done", "done", "todo"]
    with pytest.raises(BadOption):
        _run(photos, out, limit=0)


def test_a_ledger_that_has_grown_is_rewritten(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_COMPACT_BYTES", 1000)
    out = tmp_path / "out"
    for turn in range(8):
        _run(photos, out, settings={"turn": turn}, fails=("c.jpg",))
    with Ledger.open(str(out), settings={"turn": 7}) as ledger:
        ledger.record(Started(ledger.settle(next(_jobs(photos, out)))))
    path = out / ".cleancut/ledger.jsonl"
    assert path.read_text().count("\n") < 20
    with Ledger.open(str(out), settings={"turn": 7}) as ledger:
        first, second, third = (ledger.settle(job) for job in _jobs(photos, out))
        assert (ledger.reason(first), first.attempts) == ("unfinished", 1)
        assert ledger.reason(second) == "done"
        assert ledger.reason(third) == "failed"
    assert not path.with_name(path.name + ".part").exists()


def test_records_are_the_last_word_about_each_picture(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    _run(photos, out, fails=("a.jpg",))
    _run(photos, out, retry_failed=True)
    with Ledger.open(str(out)) as ledger:
        ledger.record(Notice("memory", "one picture at a time"))
        records = list(ledger.records())
        assert [record["name"] for record in records] == ["b.png", "c.png", "a.png"]
        assert {record["status"] for record in records} == {"done"}
        assert ledger.notices == [{"code": "memory", "text": "one picture at a time"}]


def test_a_full_disk_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Ledger.open(str(tmp_path)) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OutputNotWritable, match="No space left") as caught:
                ledger.assigned(Job("0" * 16, "a.jpg", "a.png", "a.png"))
        assert "run again" in caught.value.hint


def test_a_ledger_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".cleancut").mkdir()
    ledger = tmp_path / ".cleancut/ledger.jsonl"
    ledger.symlink_to(os.devnull)
    with pytest.raises(OutputNotWritable, match="no plain file"):
        Ledger.open(str(tmp_path))
    ledger.unlink()
    ledger.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputNotWritable, match="no plain file"):
        Ledger.open(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()
    ledger.unlink()
    os.mkfifo(ledger)  # opening it would wait for ever
    for read_only in (False, True):
        with pytest.raises(OutputNotWritable, match="no plain file"):
            Ledger.open(str(tmp_path), read_only=read_only)


def test_spools_of_killed_runs_go_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    kept = {f"cleancut-spool-{os.getpid()}-old", f"cleancut-spool-{gone.pid}-new", "other"}
    for name in (*kept, f"cleancut-spool-{gone.pid}-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ledger.jsonl").touch()
        if name.endswith("-old"):
            for place in (tmp_path / name / "ledger.jsonl", tmp_path / name):
                os.utime(place, (1, 1))
    own = journal.RemoteJournal("s3://bucket/out", "ledger")
    found = {path.name for path in tmp_path.iterdir()}
    own.close()
    assert found == kept | {Path(own.path).parent.name}


def test_a_run_whose_ledger_is_removed_stops(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    with Ledger.open(str(out)) as ledger:
        job = next(_jobs(photos, out))
        ledger.assigned(job)
        (out / ".cleancut/ledger.jsonl").unlink()
        with pytest.raises(OutputNotWritable, match="removed while the run"):
            ledger.record(Started(job))


CHILD = """
import sys, time
from pathlib import Path
from cleancut.batch import storage
from cleancut.batch.choose import choose
from cleancut.batch.job import Finished, Outcome, Started
from cleancut.batch.ledger import Ledger
from cleancut.batch.plan import plan
photos, out = sys.argv[1:]
with Ledger.open(out) as ledger:
    print("open", flush=True)
    for choice in choose(plan([photos], out, suffix="png"), ledger):
        if choice.do == "todo":
            ledger.record(Started(choice.job))
            storage.write(choice.job.target, storage.read(choice.job.source) * 1000)
            ledger.record(Finished(choice.job, Outcome(choice.job.id, "done")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_at_any_moment_every_picture_is_there_once_and_whole(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for at in range(300):
        (photos / f"{at:03}.jpg").write_bytes(b"%03d" % at)
    random.seed(4)
    kills = 0
    for _ in range(200):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(photos), str(out)], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            if kills < 20:
                time.sleep(random.uniform(0, 0.03))
                child.send_signal(signal.SIGKILL)
            child.wait()
        if child.returncode == 0:
            break
        kills += 1
    assert kills == 20
    found = sorted(path for path in out.glob("*") if path.suffix == ".png")
    assert [path.name for path in found] == [f"{at:03}.png" for at in range(300)]
    for path in found:
        assert path.read_bytes() == path.stem.encode() * 1000
    with Ledger.open(str(out)) as ledger:
        assert (ledger.summary().done, ledger.summary().unfinished) == (300, 0)


def test_a_million_pictures_would_fit(tmp_path: Path) -> None:
    # Numbers only: a row of the table takes less than 400 bytes, whatever the names.
    import tracemalloc

    from cleancut.batch.table import Table

    tracemalloc.start()
    table = Table()
    for at in range(4_000):
        name = "folder/with/a/long/name/" + str(at) + ".png"
        line = {"e": "end", "id": f"{at * 7919:016x}", "name": name, "source": "/" + name}
        table.apply(line | {"version": str(at), "t": 1.0, "status": "done", "fp": "0"}, 0, at)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / 4_000 < 400


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputNotWritable) as caught:
        Ledger.open(os.fspath(tmp_path / "file"))
    assert caught.value.hint
