from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.distill import labelling
from cleancut.distill.label import Labelled, LabelOrder, Listener, label
from cleancut.distill.labels import read_labels
from cleancut.errors import (
    BadOption,
    Busy,
    CleancutError,
    InferenceFailed,
    InputNotFound,
    WeightsMissing,
)
from cleancut.imaging.encode import encode
from cleancut.options import Options
from cleancut.weights.lock import held
from tests.distill.photos import disc, save

ECHO = Options(model="echo")


class Ear(Listener):
    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int]] = []
        self.errors: dict[str, str] = {}
        self.notes: list[str] = []

    def progress(self, stage: str, done: int, total: int, label: str) -> None:
        self.stages.append((stage, done, total))

    def failed(self, photo: str, error: CleancutError) -> None:
        self.errors[photo] = error.code

    def note(self, text: str) -> None:
        self.notes.append(text)


def labelled(tmp_path: Path, ear: Ear | None = None, **changes: Any) -> Labelled:
    values: dict[str, Any] = {
        "photos": tmp_path / "photos",
        "target": tmp_path / "labels",
        "options": ECHO,
        "jobs": 1,
        **changes,
    }
    stop = values.pop("stop", None)
    return label(LabelOrder(**values), ear, stop=stop)


def count_looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    seen: list[tuple[str, int]] = []
    real = labelling._seen

    def counted(engine: Any, photo: Any, view: int, find_person: bool) -> Any:
        seen.append((photo.name, view))
        return real(engine, photo, view, find_person)

    monkeypatch.setattr(labelling, "_seen", counted)
    return seen


def test_every_photograph_below_the_folder_gets_a_label(tmp_path: Path) -> None:
    save(tmp_path / "photos", "clo_a.jpg", "deep/er/gro_b.png", "plain.png")
    done = labelled(tmp_path)
    assert (done.photos, done.looks, done.kept, done.failed) == (3, 6, 0, ())
    labels = read_labels(tmp_path / "labels")
    assert [row.photo for row in labels.rows] == ["clo_a.jpg", "deep/er/gro_b.png", "plain.png"]
    assert [row.prefix for row in labels.rows] == ["clo", "gro", ""]
    for row in labels.rows:
        assert (row.width, row.height, row.views, row.teacher) == (64, 48, 2, ("echo",))
        assert row.agreement > 0.9
        matte = labels.matte(row)
        assert np.abs(matte.astype(int) - labels.rgb(row)[..., 0]).mean() < 4
        assert row.coverage == pytest.approx(matte.mean() / 255, abs=1e-4)
        assert labels.spread(row).max() > 0  # the smaller view has softer edges


def test_a_run_goes_on_where_one_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "photos", "a.png", "b.png", "c.png")
    first = labelled(tmp_path, limit=4)
    assert (first.looks, first.photos, first.partly) == (4, 3, 2)
    seen = count_looks(monkeypatch)
    second = labelled(tmp_path)
    assert (second.kept, second.looks, second.partly) == (4, 2, 0)
    assert [view for _, view in seen] == [1, 1]
    assert labelled(tmp_path).looks == 0


def test_all_photographs_are_seen_once_before_any_is_seen_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "photos", "a.png", "b.png")
    seen = count_looks(monkeypatch)
    labelled(tmp_path, views=4)
    assert [view for _, view in seen] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_with_one_view_the_agreement_is_how_decided_the_matte_is(tmp_path: Path) -> None:
    photos = save(tmp_path / "photos", "a.png")
    (photos / "b.png").write_bytes(encode(disc() // 3))
    labelled(tmp_path, views=1)
    labels = read_labels(tmp_path / "labels")
    decided, open_ = labels.rows
    assert decided.views == 1
    assert decided.agreement > 0.8
    assert open_.agreement == 0
    assert not labels.spread(decided).any()


def test_a_changed_photograph_is_labelled_again_and_a_gone_one_is_left_out(tmp_path: Path) -> None:
    photos = save(tmp_path / "photos", "a.png", "b.png", "c.png")
    labelled(tmp_path)
    (photos / "a.png").write_bytes(encode(disc(at=0.1)))
    (photos / "b.png").unlink()
    ear = Ear()
    done = labelled(tmp_path, ear)
    assert (done.photos, done.looks) == (2, 2)
    labels = read_labels(tmp_path / "labels")
    assert [row.photo for row in labels.rows] == ["a.png", "c.png"]
    assert labels.matte(labels.rows[0])[24, 6] > 200
    assert ear.notes[0].startswith("gone: 2 ")


def test_unreadable_photographs_copies_and_twins_of_name_are_told_of(tmp_path: Path) -> None:
    photos = save(tmp_path / "photos", "a.png", "b.png", "b.jpg")
    (photos / "copy.png").write_bytes((photos / "a.png").read_bytes())
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no")
    (photos / "empty.png").write_bytes(b"")
    ear = Ear()
    done = labelled(tmp_path, ear)
    assert ear.errors == {
        "b.png": "bad-option",
        "broken.jpg": "unreadable-image",
        "empty.png": "unreadable-image",
    }
    assert (done.photos, len(done.failed), done.duplicates) == (2, 3, 1)
    assert ear.notes == ["duplicate: copy.png is a copy of a.png and left out"]


def test_labels_that_lie_among_the_photographs_are_not_labelled(tmp_path: Path) -> None:
    photos = save(tmp_path / "photos", "a.png")
    for _ in range(2):
        assert labelled(tmp_path, target=photos / "labels").photos == 1


def test_another_teacher_is_refused_until_labels_are_made_anew(tmp_path: Path) -> None:
    save(tmp_path / "photos", "a.png")
    labelled(tmp_path)
    about = tmp_path / "labels" / "about.json"
    facts = json.loads(about.read_text())
    facts["teacher"]["pipeline"] = 0
    about.write_text(json.dumps(facts))
    with pytest.raises(BadOption, match=r"another teacher \(pipeline: 0, now"):
        labelled(tmp_path)
    done = labelled(tmp_path, fresh=True)
    assert (done.kept, done.looks) == (0, 2)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    save(tmp_path / "photos", "a.png")
    save(tmp_path / "labels", "views/mine.png")
    for fresh in (False, True):
        with pytest.raises(BadOption, match="other things, like views"):
            labelled(tmp_path, fresh=fresh)
    assert (tmp_path / "labels/views/mine.png").is_file()


def test_looks_without_a_digest_count_only_when_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = save(tmp_path / "photos", "a.png", "b.png", "small.png")
    labels = tmp_path / "labels"
    (labels / "views").mkdir(parents=True)
    lines = []
    for name in ("a", "b", "small", "gone"):
        matte = disc()[: 20 if name == "small" else 48]
        (labels / f"views/{name}.0.png").write_bytes(encode(matte))
        facts = {"photo": f"{name}.png", "view": 0, "models": ["isnet"], "confidence": 0.5}
        lines.append(json.dumps({**facts, "coverage": 0.2}))
    (labels / "views.0.jsonl").write_text("\n".join(lines[:3]) + '\n{"photo": "b')
    (labels / "views.7.jsonl").write_text(lines[3] + "\n[1]\n")
    with pytest.raises(BadOption, match="other things"):
        labelled(tmp_path)
    done = labelled(tmp_path, adopt=True, limit=0)
    assert (done.photos, done.kept, done.looks) == (2, 2, 0)
    assert read_labels(labels).rows[0].teacher == ("isnet",)
    # From now on they are known by their digests.
    (photos / "a.png").write_bytes(encode(disc(at=0.2)))
    seen = count_looks(monkeypatch)
    labelled(tmp_path, views=1)
    assert sorted(name for name, _ in seen) == ["a.png", "small.png"]


def test_stop_ends_the_run_in_good_order(tmp_path: Path) -> None:
    save(tmp_path / "photos", *(f"{number}.png" for number in range(9)))
    stop = threading.Event()

    class Stopping(Ear):
        def progress(self, stage: str, done: int, total: int, label: str) -> None:
            if (stage, done) == ("labelling", 3):
                stop.set()

    done = labelled(tmp_path, Stopping(), stop=stop)
    assert done.interrupted
    assert 3 <= done.looks < 9
    assert len(read_labels(tmp_path / "labels").rows) == done.photos == done.looks
    assert labelled(tmp_path).looks == 18 - done.looks


def test_a_run_stopped_before_it_began_loses_no_label(tmp_path: Path) -> None:
    save(tmp_path / "photos", "a.png", "b.png")
    labelled(tmp_path)
    stop = threading.Event()
    stop.set()
    assert labelled(tmp_path, stop=stop).photos == 2
    assert len(read_labels(tmp_path / "labels").rows) == 2


def test_what_a_killed_run_left_is_gone_on_from(tmp_path: Path) -> None:
    save(tmp_path / "photos", *(f"{number}.png" for number in range(12)))
    words = ["distill", "label", "photos", "-o", "labels", "--teacher", "echo", "--jobs", "2"]
    command = [sys.executable, "-m", "cleancut", *words]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        record = tmp_path / "labels" / "views.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if record.is_file() and record.read_bytes().count(b"\n") >= 5:
                break
            time.sleep(0.005)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    with record.open("ab") as file:
        file.write(b'{"photo": "torn')
    (tmp_path / "labels/views/.cleancut-0.part").write_bytes(b"half")
    done = labelled(tmp_path)
    assert done.kept >= 5
    assert (done.photos, done.partly, done.kept + done.looks) == (12, 0, 24)
    for row in (labels := read_labels(tmp_path / "labels")).rows:
        assert labels.matte(row).shape == labels.spread(row).shape == (48, 64)
    assert not list((tmp_path / "labels/views").glob(".*"))
    assert labelled(tmp_path).looks == 0  # also behind the torn line


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    save(tmp_path / "photos", "a.png")
    with held(tmp_path / "labels/.cleancut-lock"), pytest.raises(Busy):
        labelled(tmp_path)


def test_a_network_that_always_fails_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "photos", *(f"{number}.png" for number in range(20)))

    def broken(*_: Any) -> Any:
        raise InferenceFailed("it does not run")

    monkeypatch.setattr(labelling, "_seen", broken)
    ear = Ear()
    with pytest.raises(InferenceFailed):
        labelled(tmp_path, ear)
    assert len(ear.errors) == 8


def test_a_photograph_that_breaks_a_network_is_not_looked_at_again_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "photos", "a.png", "b.png")
    real = labelling._seen

    def picky(engine: Any, photo: Any, view: int, find_person: bool) -> Any:
        if photo.name == "b.png":
            raise ZeroDivisionError("odd")
        return real(engine, photo, view, find_person)

    monkeypatch.setattr(labelling, "_seen", picky)
    ear = Ear()
    done = labelled(tmp_path, ear)
    assert (done.photos, done.looks, len(done.failed)) == (1, 2, 1)
    assert ear.errors == {"b.png": "cleancut-error"}
    assert ear.stages[-1] == ("labelling", 4, 4)


def test_auto_without_pulled_models_is_no_teacher(tmp_path: Path) -> None:
    save(tmp_path / "photos", "a.png")
    with pytest.raises(WeightsMissing):
        labelled(tmp_path, options=Options())
    assert not (tmp_path / "labels").exists()


def test_nothing_is_made_where_there_are_no_photographs(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="not a folder"):
        labelled(tmp_path)
    assert not (tmp_path / "labels").exists()
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputNotFound, match="no photographs"):
        labelled(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"views": 3}, {"jobs": 0}, {"threads": 0}, {"limit": -1}, {"fresh": 1, "adopt": 1}]
)
def test_impossible_orders_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        LabelOrder(photos=tmp_path, target=tmp_path, **changes)


def test_a_pipe_among_the_photographs_is_passed_over(tmp_path: Path) -> None:
    photos = save(tmp_path / "photos", "a.png")
    os.mkfifo(photos / "pipe.jpg")
    done = label(LabelOrder(photos=photos, target=tmp_path / "labels", options=ECHO))
    assert (done.photos, done.failed) == (1, ())
