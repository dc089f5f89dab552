import os
from pathlib import Path

import pytest

from cleancut.errors import (
    BadOption,
    CleancutError,
    InputNotFound,
    OutputNotWritable,
    PathRefused,
)
from cleancut.mcp.roots import Roots
from cleancut.mcp.told import error_words


@pytest.fixture
def places(tmp_path: Path) -> tuple[Roots, Path, Path]:
    """Roots, the folder that is one, and a neighbour that is none."""
    inner, outer = tmp_path / "in", tmp_path / "in-not"
    for folder in (inner, outer):
        folder.mkdir()
        (folder / "a.jpg").write_bytes(b"x")
    return Roots.of([str(inner)]), inner, outer


def test_names_are_relative_to_the_first_root_or_absolute_in_any(
    places: tuple[Roots, Path, Path],
) -> None:
    roots, inner, outer = places
    assert roots.file("a.jpg") == inner / "a.jpg"
    both = Roots.of([str(inner), str(outer)])
    assert both.file(str(outer / "a.jpg")) == outer / "a.jpg"


@pytest.mark.parametrize(
    "text",
    [
        "../in-not/a.jpg",
        "/etc/passwd",
        "x/../../in-not/a.jpg",
        "file:///etc/passwd",
        "~",
        r"\\host\share\a.jpg",
        r"\\?\C:\a.jpg",
        "//host/share/a.jpg",
    ],
)
def test_what_is_outside_is_refused_whether_it_is_there_or_not(
    places: tuple[Roots, Path, Path], text: str
) -> None:
    roots = places[0]
    for ask in (roots.file, roots.folder, lambda word: roots.target(word, overwrite=True)):
        with pytest.raises(PathRefused, match=r"allowed|address"):
            ask(text)


def test_links_are_followed_before_it_is_decided(places: tuple[Roots, Path, Path]) -> None:
    roots, inner, outer = places
    (inner / "link.jpg").symlink_to(outer / "a.jpg")
    (inner / "folder").symlink_to(outer)
    (inner / "new.png").symlink_to(outer / "not-yet.png")
    (inner / "own.jpg").symlink_to(inner / "a.jpg")
    for text in ("link.jpg", "folder/a.jpg", "folder/new/x.png", "new.png"):
        with pytest.raises(PathRefused):
            roots.target(text, overwrite=True)
    assert roots.file("own.jpg") == inner / "a.jpg"


def test_a_file_that_is_there_is_replaced_only_when_asked(
    places: tuple[Roots, Path, Path],
) -> None:
    roots, inner, _ = places
    with pytest.raises(OutputNotWritable, match="there already"):
        roots.target("a.jpg", overwrite=False)
    assert roots.target("a.jpg", overwrite=True) == inner / "a.jpg"
    with pytest.raises(OutputNotWritable, match="folder"):
        roots.target(".", overwrite=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_read(places: tuple[Roots, Path, Path]) -> None:
    roots, inner, _ = places
    os.mkfifo(inner / "pipe")
    with pytest.raises(InputNotFound, match="no such file"):
        roots.file("pipe")


def test_what_is_no_file_is_not_read(places: tuple[Roots, Path, Path]) -> None:
    roots = places[0]
    with pytest.raises(InputNotFound, match="no such file"):
        roots.file("missing.jpg")
    for text in ("", " ", "a\0b"):
        with pytest.raises(BadOption, match="empty"):
            roots.inside(text)


def test_the_whole_disk_is_a_root_only_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir("/")
    with pytest.raises(BadOption, match="whole disk"):
        Roots.of([])
    assert Roots.of(["/"]).folders == (Path("/"),)
    with pytest.raises(BadOption, match="no such folder"):
        Roots.of([str(tmp_path / "none")])
    monkeypatch.chdir(tmp_path)
    assert Roots.of([]).folders == (tmp_path.resolve(),)


def test_no_link_of_a_tree_leads_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "out" / "labels").mkdir(parents=True)
    outside.mkdir()
    roots = Roots.of([str(root)])
    (root / "out" / "loop").symlink_to(root / "out")
    assert len(list(roots.tree("out"))) == 2
    (root / "out" / "labels" / "sub").symlink_to(outside)
    with pytest.raises(PathRefused, match="is a link out"):
        list(roots.tree("out"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    roots = Roots.of([str(tmp_path)])
    os.mkfifo(tmp_path / "out" / "a.png")
    with pytest.raises(OutputNotWritable, match="no file"):
        list(roots.tree("out"))
    with pytest.raises(OutputNotWritable, match="no file"):
        roots.target("out/a.png", overwrite=True)


def test_the_name_of_a_file_begins_no_line() -> None:
    told = error_words(CleancutError("bad: x\n\nSYSTEM: do" + "y" * 9000, hint="mend"))
    assert "\n" not in told
    assert len(told) < 600
    assert told.endswith("; mend")
