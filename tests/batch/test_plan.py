from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from cleancut.batch import remote, storage
from cleancut.batch.inputs import LeftOut, check_places, resolve
from cleancut.batch.job import Job
from cleancut.batch.plan import count, plan
from cleancut.errors import BadOption, InputNotFound, OutputNotWritable


def _tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def _planned(*inputs: Path | str, out: Path | str = "out", **more: object) -> dict[str, str]:
    """Names of the sources and what becomes of them."""
    jobs = plan([str(one) for one in inputs], str(out), suffix="png", **more)  # type: ignore[arg-type]
    return {job.path: job.name for job in jobs}


def test_a_folder_keeps_its_tree_and_takes_pictures_only(tmp_path: Path) -> None:
    _tree(tmp_path, "b.JPG", "a.png", "sub/c.heic", "notes.txt", ".h.jpg", "._a.jpg", "Thumbs.db")
    _tree(tmp_path, ".git/x.jpg", "__MACOSX/y.jpg", "~temp.jpg", "d.jpg.part", "e.crdownload")
    left = LeftOut()
    assert _planned(tmp_path, left_out=left) == {
        "a.png": "a.png",
        "b.JPG": "b.png",
        "sub/c.heic": "sub/c.png",
    }
    assert left.counts == {"not-a-picture": 4, "hidden": 5}
    assert "notes.txt" in left.examples["not-a-picture"]


def test_the_plan_is_the_same_every_time(tmp_path: Path) -> None:
    _tree(tmp_path, *(f"{folder}/{at}.jpg" for folder in "cab" for at in range(5)))
    first, second = (list(plan([str(tmp_path)], "o", suffix="png")) for _ in range(2))
    assert first == second
    assert [job.name for job in first] == sorted(job.name for job in first)
    assert len({job.id for job in first}) == len(first) == count([str(tmp_path)], "o")


def test_several_folders_keep_their_own_names(tmp_path: Path) -> None:
    _tree(tmp_path, "x/a.jpg", "y/a.jpg", "z.jpg")
    planned = _planned(tmp_path / "x", tmp_path / "y", tmp_path / "z.jpg")
    assert planned == {"x/a.jpg": "x/a.png", "y/a.jpg": "y/a.png", "z.jpg": "z.png"}


def test_folders_of_one_name_do_not_mix(tmp_path: Path) -> None:
    _tree(tmp_path, "x/p/a.jpg", "y/p/a.jpg")
    names = list(_planned(tmp_path / "x/p", tmp_path / "y/p").values())
    assert len(names) == len(set(names)) == 2
    assert all(name.startswith("p-") for name in names)


def test_what_is_named_twice_is_done_once(tmp_path: Path) -> None:
    _tree(tmp_path, "x/a.jpg", "x/sub/b.jpg")
    left = LeftOut()
    inputs = [tmp_path / "x", tmp_path / "x/a.jpg", tmp_path / "x/sub", f"{tmp_path}/x/../x"]
    planned = _planned(*inputs, left_out=left)
    assert sorted(planned) == ["x/a.jpg", "x/sub/b.jpg"]
    assert left.counts["twice"] == 3


def test_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    _tree(tmp_path, "x/a.jpg", "y/a.jpg", "y/b.jpg")
    jobs = list(
        plan([str(tmp_path / n) for n in ("x/a.jpg", "y/a.jpg", "y/b.jpg")], "o", suffix="png")
    )
    assert len({job.name for job in jobs}) == len({job.id for job in jobs}) == 3
    assert jobs[2].name == "b.png"


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.jpg", ["a.jpg"]),
        ("**/*.jpg", ["a.jpg", "sub/b.jpg", "sub/deep/c.jpg"]),
        ("sub/*", ["b.jpg"]),
        ("sub/**", ["b.jpg", "deep/c.jpg"]),
        ("s?b/[!x]*.jpg", ["sub/b.jpg"]),
        ("**/deep/*.[jp]*", ["sub/deep/c.jpg"]),
        ("*.dat", ["d.dat"]),
    ],
)
def test_patterns_that_the_shell_left_alone(
    tmp_path: Path, pattern: str, wanted: list[str]
) -> None:
    _tree(tmp_path, "a.jpg", "sub/b.jpg", "sub/deep/c.jpg", "sub/d.txt", "d.dat")
    assert sorted(_planned(f"{tmp_path}/{pattern}")) == wanted


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    _tree(tmp_path, "a[1].jpg", "a1.jpg")
    assert _planned(tmp_path / "a[1].jpg") == {"a[1].jpg": "a[1].png"}


@pytest.mark.parametrize(
    "text",
    [
        b"x/a.jpg\nx/b.jpg\n",
        b"\xef\xbb\xbf# mine\r\n\r\nx/a.jpg\r\nx/b.jpg\r\n./x/a.jpg",
        b"x/a.jpg\0x/b.jpg\0",
        "x/a.jpg\r\nx/b.jpg\r\n".encode("utf-16"),
    ],
)
def test_lists_of_every_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    _tree(tmp_path, "x/a.jpg", "x/b.jpg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_bytes(text)
    wanted = {"x/a.jpg": "x/a.png", "x/b.jpg": "x/b.png"}
    assert _planned("@list.txt") == wanted
    inputs = resolve(["-"], stdin=io.BytesIO(text))
    assert {job.path: job.name for job in plan(inputs, "out", suffix="png")} == wanted


def test_names_of_a_list_cannot_leave_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    lines = [
        "../../../etc/a.jpg",
        f"{tmp_path}/b.jpg",
        "x/../../c.jpg",
        "https://host/d/e.jpg?k=v/w",
    ]
    lines += [
        "https://host/f/%2e%2e%2f%2e%2e%2fg.jpg",
        "s3://bucket/h/../../i.jpg",
        ".cleancut/j.jpg",
    ]
    inputs = resolve(["-"], stdin=io.BytesIO("\n".join(lines).encode()))
    out = tmp_path / "out"
    monkeypatch.setattr(remote, "stat", lambda place: storage.Found(place, place))
    jobs = list(plan(inputs, str(out), suffix="png"))
    assert len(jobs) == len(lines)
    for job in jobs:
        assert Path(os.path.normpath(job.target)).is_relative_to(out)
        assert ".." not in job.name.split("/")
        assert not job.name.startswith(".")
    assert jobs[3].name == "host/d/e.png"


def test_a_list_in_which_names_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = b"x/a.jpg\nx/a.png\nX/a.tif\nx/a.jpg/b.jpg\n"
    jobs = list(plan(resolve(["-"], stdin=io.BytesIO(text)), "o", suffix="png"))
    assert [job.name for job in jobs][:3] == ["x/a.jpg.png", "x/a.png.png", "X/a.tif.png"]
    assert len({job.name.lower() for job in jobs}) == 4


def test_the_output_inside_the_input_is_not_read_back(tmp_path: Path) -> None:
    _tree(tmp_path, "a.jpg", "out/a.png", "done/b.jpg")
    left = LeftOut()
    exclude = [str(tmp_path / "done")]
    assert _planned(tmp_path, out=tmp_path / "out", exclude=exclude, left_out=left) == {
        "a.jpg": "a.png"
    }
    assert left.counts == {"output-folder": 2}
    assert count([str(tmp_path)], str(tmp_path / "out"), exclude=exclude) == 1


def test_the_output_of_another_run_is_not_read_either(tmp_path: Path) -> None:
    _tree(tmp_path, "a.jpg", "sub/small/a.webp", "sub/small/.cleancut/ledger.jsonl", "sub/b.jpg")
    left = LeftOut()
    assert set(_planned(tmp_path, left_out=left)) == {"a.jpg", "sub/b.jpg"}
    assert left.examples["output-folder"] == ["sub/small"]
    assert count([str(tmp_path)], "out") == 2
    # Named, it is meant.
    assert set(_planned(tmp_path / "sub/small")) == {"a.webp"}


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    _tree(tmp_path, "in/a.jpg", "in/sub/b.jpg", "elsewhere/c.jpg")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/sub/up").symlink_to(tmp_path)
    (tmp_path / "in/one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/two").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/self").symlink_to("self")
    left = LeftOut()
    assert sorted(_planned(tmp_path / "in", left_out=left)) == ["a.jpg", "one/c.jpg", "sub/b.jpg"]
    assert left.counts["link-loop"] >= 4


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_read_is_told_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tree(tmp_path, "a.jpg", "locked/b.jpg", "z/c.jpg")
    scan = os.scandir

    def refuse(place: str) -> object:
        if str(place).endswith("locked"):  # root may read everything
            raise PermissionError(13, "Permission denied")
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    left = LeftOut()
    assert sorted(_planned(tmp_path, left_out=left)) == ["a.jpg", "z/c.jpg"]
    assert "Permission denied" in left.examples["unreadable-folder"][0]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_a_name_that_is_no_text_is_kept_and_its_target_is_text(tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(source)).write_bytes(b"x")
    (job,) = plan([str(tmp_path)], "o", suffix="png")
    assert os.fsencode(job.source) == source
    assert job.name == "caf_.png"


@pytest.mark.parametrize("missing", ["gone.jpg", "gone/*.jpg", "@gone.txt", "", "@"])
def test_what_is_not_there_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputNotFound, BadOption)) as caught:
        resolve([missing])
    assert caught.value.hint


def test_a_missing_file_of_a_list_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(_tree(tmp_path, "a.jpg"))
    jobs = list(plan(resolve(["-"], stdin=io.BytesIO(b"gone.jpg\na.jpg\n")), "o", suffix="png"))
    assert [(job.path, job.size) for job in jobs] == [("gone.jpg", None), ("a.jpg", 1)]


@pytest.mark.parametrize("entry", [b"ftp://host/a.jpg", b"x" * 40000, b"a\rb.jpg\n"])
def test_entries_that_are_no_paths_are_refused(entry: bytes) -> None:
    with pytest.raises(BadOption):
        resolve(["-"], stdin=io.BytesIO(entry))


def test_results_never_go_among_the_inputs(tmp_path: Path) -> None:
    _tree(tmp_path, "in/a.jpg", "in/sub/b.jpg", "more/c.jpg")
    one = resolve([str(tmp_path / "in")])
    both = resolve([str(tmp_path / "in"), str(tmp_path / "more")])
    check_places(one, str(tmp_path / "in/out"))
    check_places(one, str(tmp_path))
    for inputs, out in ((one, "in"), (one, "in/a.jpg"), (both, ".")):
        with pytest.raises(OutputNotWritable) as caught:
            check_places(inputs, os.path.normpath(tmp_path / out))
        assert caught.value.hint


def test_a_folder_and_the_files_in_it_mean_the_same_pictures(tmp_path: Path) -> None:
    _tree(tmp_path, "photos/a.jpg")

    def job(place: Path | str) -> Job:
        (only,) = plan([str(place)], "o", suffix="png")
        return only

    whole = job(tmp_path / "photos")
    assert job(tmp_path / "photos/a.jpg") == whole
    assert job(f"{tmp_path}/photos/*.jpg") == whole


def test_the_first_job_comes_before_the_tree_is_read(tmp_path: Path) -> None:
    _tree(tmp_path, *(f"{at:03}/a.jpg" for at in range(200)))
    scanned = 0
    scan = os.scandir

    def counted(place: str) -> object:
        nonlocal scanned
        scanned += 1
        return scan(place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", counted)
        jobs = plan([str(tmp_path)], "o", suffix="png")
        next(jobs)
        assert scanned == 2
