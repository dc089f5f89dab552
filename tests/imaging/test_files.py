from __future__ import annotations

import errno
import io
import os
import stat

import pytest

from cleancut.errors import BadOption, InputNotFound, OutputNotWritable, UnreadableImage
from cleancut.imaging import files
from cleancut.imaging.files import read_bytes, write_atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bytes_come_from_every_source(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    for source in (
        path,
        str(path),
        b"abc",
        bytearray(b"abc"),
        memoryview(b"abc"),
        io.BytesIO(b"abc"),
    ):
        assert read_bytes(source) == b"abc"
    with path.open("rb") as file:
        assert read_bytes(file) == b"abc"


def test_missing_folder_and_odd_paths_are_input_errors(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path, "a\0b.jpg", "x" * 5000):
        with pytest.raises(InputNotFound) as caught:
            read_bytes(path)
        assert caught.value.hint
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_input_error(tmp_path):
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"abc")
    path.chmod(0)
    with pytest.raises(InputNotFound, match="may not be read"):
        read_bytes(path)


def test_a_refused_file_says_so(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"abc")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.Path, "open", refuse)
    with pytest.raises(InputNotFound, match="may not be read"):
        read_bytes(path)


def test_nothing_text_and_strangers_are_refused(tmp_path):
    (tmp_path / "empty.jpg").touch()
    for source in (tmp_path / "empty.jpg", b"", io.BytesIO()):
        with pytest.raises(UnreadableImage, match="empty"):
            read_bytes(source)
    with pytest.raises(BadOption, match="text"):
        read_bytes(io.StringIO("abc"))
    with pytest.raises(BadOption):
        read_bytes(42)
    closed = io.BytesIO(b"abc")
    closed.close()
    with pytest.raises(UnreadableImage):
        read_bytes(closed)


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path):
    path = tmp_path / "new.png"
    write_atomic(path, b"data")
    (tmp_path / "plain").write_bytes(b"")
    assert path.read_bytes() == b"data"
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_an_existing_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.png", tmp_path / "link.png"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "real") == ["a.png"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX devices")
def test_a_device_is_written_to():
    write_atomic("/dev/null", b"data")
    assert not stat.S_ISREG(os.stat("/dev/null").st_mode)  # noqa: PTH116


def test_folders_that_are_missing_or_files_and_folder_targets_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a.png", tmp_path / "file" / "a.png", tmp_path, "a\0b.png"):
        with pytest.raises(OutputNotWritable) as caught:
            write_atomic(path, b"data")
        assert caught.value.hint
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("failure", "raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputNotWritable, "disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), OutputNotWritable, "may not be"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
        (MemoryError(), MemoryError, ""),
    ],
)
@pytest.mark.parametrize("existing", [False, True])
def test_any_failure_leaves_what_was_there(tmp_path, monkeypatch, failure, raised, words, existing):
    path = tmp_path / "a.png"
    if existing:
        path.write_bytes(b"old")

    def fail(_: int) -> None:
        raise failure

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(raised) as caught:
        write_atomic(path, b"new")
    assert words in str(caught.value)
    assert names(tmp_path) == (["a.png"] if existing else [])
    if existing:
        assert path.read_bytes() == b"old"


def test_a_failed_rename_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files.Path, "replace", fail)
    with pytest.raises(OutputNotWritable):
        write_atomic(tmp_path / "a.png", b"new")
    assert names(tmp_path) == []


def test_a_write_protected_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    with pytest.raises(OutputNotWritable, match="write-protected"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_reader_that_gives_little_at_a_time_is_read_to_its_end() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7))

    assert read_bytes(Slow(bytes(range(100)))) == bytes(range(100))


def test_a_readers_own_exception_is_typed() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise KeyError("session")

    with pytest.raises(UnreadableImage, match="session"):
        read_bytes(Broken())


def test_the_temporary_file_is_not_named_in_an_error(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / ".cleancut-1.part"))

    monkeypatch.setattr(files, "_replace", refuse)
    with pytest.raises(OutputNotWritable) as caught:
        write_atomic(tmp_path / "x.png", b"abc")
    assert str(caught.value).endswith("x.png cannot be written: Read-only file system")
