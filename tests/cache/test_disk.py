from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cleancut.cache import disk as module
from cleancut.cache import index as index_module
from cleancut.cache.disk import DiskCache
from cleancut.cache.entry import Contents, Entry, Verified, pack
from cleancut.errors import CacheUnavailable
from tests.cache.conftest import key_of, quiet

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and signals")


def _entry(size: int, mark: str = "x") -> Entry:
    return Entry(mark.encode() * size, "png", {})


def _file(cache: DiskCache, key: str) -> Path:
    return cache.folder / "entries" / key[:2] / key


def _files(cache: DiskCache) -> list[Path]:
    return sorted(path for path in (cache.folder / "entries").rglob("0*/*") if path.is_file())


def _rows(cache: DiskCache) -> dict[str, int]:
    with sqlite3.connect(cache.folder / "index.sqlite3") as connection:
        rows = dict(connection.execute("SELECT key, bytes FROM entries").fetchall())
    connection.close()
    return rows


def _index_is_true(cache: DiskCache) -> bool:
    return _rows(cache) == {path.name: path.stat().st_size for path in _files(cache)}


def test_what_was_put_comes_back_in_this_process_and_the_next(
    disk: DiskCache, entry: Entry
) -> None:
    assert disk.get(key_of(1), quiet) is None
    assert not disk.folder.exists()  # looking makes nothing
    disk.put(key_of(1), entry, quiet)
    assert disk.get(key_of(1), quiet) == entry
    assert disk.get(key_of(2), quiet) is None
    disk.close()
    again = DiskCache(disk.folder)
    assert again.get(key_of(1), quiet) == entry
    assert again.contents() == Contents(
        str(disk.folder), 1, len(pack(key_of(1), entry)), 2_000_000_000, hits=2, misses=1
    )
    again.close()


def test_a_result_put_twice_is_kept_once(disk: DiskCache) -> None:
    disk.put(key_of(1), _entry(10, "a"), quiet)
    disk.put(key_of(1), _entry(900, "b"), quiet)
    assert disk.get(key_of(1), quiet) == _entry(900, "b")
    assert disk.contents().entries == 1
    assert _index_is_true(disk)


@posix
def test_folders_and_files_are_the_users_alone(disk: DiskCache, entry: Entry) -> None:
    before = os.umask(0)
    try:
        disk.put(key_of(1), entry, quiet)
        disk.get(key_of(1), quiet)
    finally:
        os.umask(before)
    for path in [disk.folder, *disk.folder.rglob("*")]:
        if path.name != "CACHEDIR.TAG":  # in a folder that nobody else may enter
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert (
        (disk.folder / "entries" / "CACHEDIR.TAG")
        .read_bytes()
        .startswith(b"Signature: 8a477f597d28d1727")
    )


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    size = len(pack(key_of(0), _entry(1000)))
    cache = DiskCache(tmp_path, max_bytes=4 * size)
    for number in range(4):
        cache.put(key_of(number), _entry(1000), quiet)
    cache.get(key_of(0), quiet)
    for number in (4, 5):
        cache.put(key_of(number), _entry(1000), quiet)
    kept = [number for number in range(6) if cache.get(key_of(number), quiet)]
    assert kept == [0, 3, 4, 5]
    assert _index_is_true(cache)
    cache.close()


def test_the_folder_stays_below_its_limit(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, max_bytes=50_000)
    sizes = random.Random(0)
    for number in range(200):
        cache.put(key_of(number), _entry(sizes.randrange(1, 20_000)), quiet)
        assert sum(path.stat().st_size for path in _files(cache)) <= 50_000
    assert _index_is_true(cache)
    # a smaller limit later is kept to with the next result
    cache.close()
    smaller = DiskCache(tmp_path, max_bytes=20_000)
    smaller.put(key_of(999), _entry(10), quiet)
    assert sum(path.stat().st_size for path in _files(smaller)) <= 20_000
    assert smaller.get(key_of(999), quiet)
    smaller.close()


def test_a_result_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "c", max_bytes=1000)
    told: list[str] = []
    cache.put(key_of(1), _entry(2000), told.append)
    assert cache.get(key_of(1), quiet) is None
    assert "larger than the cache may be" in told[0]


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"!"),
        lambda path: path.write_bytes(path.read_bytes().replace(b"PNG", b"XNG", 1)),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
    ],
    ids=["empty", "cut short", "longer", "changed", "zeros of a power cut"],
)
def test_a_damaged_entry_is_dropped_and_told(
    harm: Callable[[Path], object], disk: DiskCache, entry: Entry
) -> None:
    disk.put(key_of(1), entry, quiet)
    harm(_file(disk, key_of(1)))
    told: list[str] = []
    assert disk.get(key_of(1), told.append) is None
    assert len(told) == 1
    assert "damaged" in told[0]
    assert not _file(disk, key_of(1)).exists()
    assert disk.get(key_of(1), quiet) is None
    disk.put(key_of(1), entry, quiet)
    assert disk.get(key_of(1), quiet) == entry
    assert _index_is_true(disk)


def test_an_entry_that_cannot_be_read_costs_no_picture(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)
    _file(disk, key_of(1)).unlink()
    _file(disk, key_of(1)).mkdir()
    told: list[str] = []
    assert disk.get(key_of(1), told.append) is None
    assert disk.get(key_of(1), told.append) is None
    assert len(told) == 1  # once in a while
    assert "cannot be read" in told[0]


def test_a_giant_in_the_place_of_an_entry_is_not_read(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(key_of(1), entry, quiet)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    told: list[str] = []
    assert disk.get(key_of(1), told.append) is None
    assert "too large" in told[0]


def test_a_key_is_no_path(disk: DiskCache, entry: Entry) -> None:
    with pytest.raises(ValueError, match="hex"):
        disk.get("../../etc/passwd", quiet)


@pytest.mark.parametrize(
    "junk", [b"no database at all " * 100, b"SQLite format 3\0" + b"\xff" * 500]
)
def test_a_damaged_index_is_made_again_from_the_files(
    junk: bytes, disk: DiskCache, entry: Entry
) -> None:
    for number in range(3):
        disk.put(key_of(number), entry, quiet)
    disk.close()
    for suffix in ("-wal", "-shm"):
        disk._index.path.with_name(disk._index.path.name + suffix).unlink(missing_ok=True)
    disk._index.path.write_bytes(junk)
    told: list[str] = []
    assert disk.get(key_of(1), told.append) == entry
    assert told == ["cache: the index was damaged and has been made again"]
    assert disk.contents().entries == 3
    disk.put(key_of(3), entry, quiet)
    assert _index_is_true(disk)


def test_a_lost_index_is_made_again_when_something_is_put(disk: DiskCache, entry: Entry) -> None:
    for number in range(3):
        disk.put(key_of(number), entry, quiet)
    disk.close()
    disk._index.start_again()
    disk.put(key_of(3), entry, quiet)
    assert disk.contents().entries == 4
    assert _index_is_true(disk)


def test_a_locked_index_costs_one_second_once(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "BUSY_MS", 50)
    disk.put(key_of(1), entry, quiet)
    disk.close()
    other = sqlite3.connect(disk._index.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    told: list[str] = []
    started = time.perf_counter()
    for _ in range(20):
        assert disk.get(key_of(1), told.append) == entry  # the files are enough
    disk.put(key_of(2), entry, told.append)
    assert time.perf_counter() - started < 1
    assert len(told) == 1
    assert "locked" in told[0]
    with pytest.raises(CacheUnavailable, match="locked"):
        disk.verify()
    other.execute("ROLLBACK")
    other.close()
    disk._breaker.reset()
    disk.put(key_of(2), entry, quiet)
    assert _index_is_true(disk)


def test_an_index_of_a_later_version_is_left_alone(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)
    disk.close()
    connection = sqlite3.connect(disk._index.path, isolation_level=None)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    told: list[str] = []
    assert disk.get(key_of(1), told.append) == entry
    disk.put(key_of(2), entry, told.append)
    assert len(told) == 1
    assert "newer cleancut" in told[0]
    assert disk.get(key_of(2), quiet) is None
    with pytest.raises(CacheUnavailable, match="newer"):
        disk.verify()


def test_a_folder_that_cannot_be_made_costs_no_picture(tmp_path: Path, entry: Entry) -> None:
    (tmp_path / "file").touch()
    cache = DiskCache(tmp_path / "file" / "results")
    told: list[str] = []
    assert cache.get(key_of(1), told.append) is None
    cache.put(key_of(1), entry, told.append)
    cache.put(key_of(2), entry, told.append)
    assert 1 <= len(told) <= 2
    assert all(line.startswith("cache: ") for line in told)
    with pytest.raises(CacheUnavailable, match="file is no folder"):
        cache.contents()


def test_a_folder_that_may_not_be_written_is_told_when_asked(
    disk: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CacheUnavailable, match="may not be written"):
        disk.contents()


def test_a_read_only_cache_still_answers(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(key_of(1), entry, quiet)
    disk.close()
    real = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(30, "Read-only file system")
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", refuse)
    told: list[str] = []
    assert disk.get(key_of(1), told.append) == entry
    disk.put(key_of(2), entry, told.append)
    assert len(told) == 1
    assert "Read-only file system" in told[0]


def test_a_full_disk_leaves_no_part_and_no_row(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(key_of(1), entry, quiet)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        disk.put(key_of(2), entry, told.append)
    assert "No space left" in told[0]
    assert list((disk.folder / "parts").iterdir()) == []
    assert disk.get(key_of(2), quiet) is None
    disk.verify()
    assert len(_files(disk)) == 1


def test_parts_of_a_killed_process_are_swept(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)
    disk.close()
    old, young = (disk.folder / "parts" / name for name in ("old", "young"))
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * module.ABANDONED_S,) * 2)
    again = DiskCache(disk.folder)
    again.put(key_of(2), entry, quiet)
    assert not old.exists()
    assert young.exists()  # somebody may be writing it
    again.clear()
    assert not young.exists()
    again.close()


def test_index_and_files_are_compared_once_a_day(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        disk.put(key_of(number), entry, quiet)
    disk.close()
    _file(disk, key_of(0)).unlink()
    orphan = _file(disk, key_of(7))
    orphan.write_bytes(pack(key_of(7), entry))
    monkeypatch.setattr(module, "SCAN_EVERY_S", -1)
    monkeypatch.setattr(module, "_YOUNG_NS", 0)
    again = DiskCache(disk.folder)
    again.put(key_of(4), entry, quiet)
    assert _index_is_true(again)
    assert again.contents().entries == 4
    again.close()


def test_an_entry_without_a_row_is_known_again_when_it_is_used(
    disk: DiskCache, entry: Entry
) -> None:
    disk.put(key_of(1), entry, quiet)
    orphan = _file(disk, key_of(2))
    orphan.write_bytes(pack(key_of(2), entry))
    assert disk.get(key_of(2), quiet) == entry
    assert _index_is_true(disk)


def test_clearing_leaves_other_files_alone(disk: DiskCache, entry: Entry) -> None:
    assert disk.clear() == 0
    for number in range(3):
        disk.put(key_of(number), entry, quiet)
    disk.get(key_of(1), quiet)
    foreign = [disk.folder / "holiday.jpg", _file(disk, key_of(1)).with_name("notes.txt")]
    for path in foreign:
        path.write_text("mine")
    assert disk.clear() == 3
    assert all(path.exists() for path in foreign)
    assert disk.contents() == Contents(str(disk.folder), 0, 0, disk.max_bytes, 0, 0)
    disk.put(key_of(1), entry, quiet)
    assert disk.get(key_of(1), quiet) == entry


def test_verify_reads_everything_and_drops_what_is_damaged(disk: DiskCache, entry: Entry) -> None:
    assert disk.verify() == Verified(0, 0)
    for number in range(4):
        disk.put(key_of(number), entry, quiet)
    _file(disk, key_of(2)).write_bytes(b"junk")
    assert disk.verify() == Verified(sound=3, damaged=1)
    assert disk.verify() == Verified(sound=3, damaged=0)


def test_verify_passes_over_what_another_process_removes(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(key_of(1), entry, quiet)

    def gone(self: Path) -> bytes:
        raise FileNotFoundError(2, "gone")

    monkeypatch.setattr(Path, "read_bytes", gone)
    assert disk.verify() == Verified(0, 0)


def test_many_threads_share_one_cache(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, max_bytes=60_000)
    told: list[str] = []

    def work(seed: int) -> None:
        numbers = random.Random(seed)
        for _ in range(60):
            key = key_of(numbers.randrange(20))
            found = cache.get(key, told.append)
            assert found is None or found.data == key.encode() * 100
            if found is None:
                cache.put(key, Entry(key.encode() * 100, "png", {}), told.append)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert told == []
    assert cache.verify().damaged == 0
    assert cache.contents().bytes <= 60_000  # type: ignore[operator]
    assert _index_is_true(cache)
    cache.close()


WRITER = """
import random, sys
from pathlib import Path
from cleancut.cache.disk import DiskCache
from cleancut.cache.entry import Entry
cache = DiskCache(Path(sys.argv[1]), max_bytes=300_000)
told = []
numbers = random.Random(int(sys.argv[2]))
print("on", flush=True)
for _ in range(int(sys.argv[3])):
    key = f"{numbers.randrange(40):064x}"
    found = cache.get(key, told.append)
    assert found is None or found.data == key.encode() * 300, key
    if found is None or numbers.random() < .5:
        cache.put(key, Entry(key.encode() * 300, "png", {"a": 1}), told.append)
assert not told, told
"""


def _writer(folder: Path, seed: int, rounds: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(folder), str(seed), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_several_processes_share_one_folder(tmp_path: Path) -> None:
    writers = [_writer(tmp_path, seed, 150) for seed in range(3)]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors.decode()
    cache = DiskCache(tmp_path, max_bytes=300_000)
    assert cache.verify().damaged == 0
    assert cache.contents().bytes <= 300_000  # type: ignore[operator]
    assert _index_is_true(cache)
    cache.close()


@posix
def test_a_process_killed_at_any_moment_leaves_a_usable_cache(tmp_path: Path) -> None:
    moments = random.Random(4)
    for seed in range(6):
        with _writer(tmp_path, seed, 1_000_000) as writer:
            assert writer.stdout is not None
            writer.stdout.read(3)
            time.sleep(moments.uniform(0.01, 0.15))
            writer.send_signal(signal.SIGKILL)
    cache = DiskCache(tmp_path, max_bytes=300_000)
    # no half entry, and no file that the index does not count
    assert {path.name for path in _files(cache)} <= _rows(cache).keys()
    verified = cache.verify()
    assert verified.damaged == 0
    assert verified.sound > 0
    cache.put(key_of(99), _entry(1000), quiet)
    assert cache.get(key_of(99), quiet) == _entry(1000)
    cache.clear()
    assert list((tmp_path / "parts").iterdir()) == []
    cache.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_child_opens_its_own_connection(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            told: list[str] = []
            disk.put(key_of(2), entry, told.append)
            code = 0 if not told and disk.get(key_of(2), told.append) == entry else 2
            disk.close()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert disk.get(key_of(2), quiet) == entry
    assert _index_is_true(disk)


def test_a_connection_of_another_process_is_neither_used_nor_closed(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(key_of(1), entry, quiet)
    parents = disk._index._connection
    assert parents is not None
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert disk.get(key_of(1), quiet) == entry
    assert disk._index._connection is not parents
    parents.execute("SELECT 1")  # a closed one would raise
    parents.close()


def test_room_is_made_as_far_as_there_is_any(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)
    disk._index.reserve(key_of(2), 10, 5, lambda key: None)
    assert _rows(disk).keys() == {key_of(2)}


def test_a_file_whose_row_went_while_it_was_written_goes_too(
    disk: DiskCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.put(key_of(1), entry, quiet)
    replace = Path.replace

    def crowded_out(self: Path, target: Path) -> Path:
        disk._index.drop(key_of(2), disk._remove)  # as another process making room does
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", crowded_out)
    disk.put(key_of(2), entry, quiet)
    assert disk.get(key_of(2), quiet) is None
    assert _index_is_true(disk)


def test_a_hit_on_what_goes_just_then_is_not_counted_as_kept(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)
    disk._index.hit(key_of(2), 10, lambda: False)
    assert _rows(disk).keys() == {key_of(1)}


def test_an_unfinished_transaction_is_undone(disk: DiskCache, entry: Entry) -> None:
    disk.put(key_of(1), entry, quiet)

    def fail(key: str) -> None:
        raise PermissionError(13, "it is open elsewhere")

    with pytest.raises(PermissionError):
        disk._index.reserve(key_of(2), 10, 5, fail)
    assert _rows(disk).keys() == {key_of(1)}
