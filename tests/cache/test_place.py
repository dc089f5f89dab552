from __future__ import annotations

from pathlib import Path

import pytest

from cleancut.cache import DEFAULT_MAX_BYTES, open_cache, parse_size
from cleancut.cache.disk import DiskCache
from cleancut.cache.redis import RedisCache
from cleancut.errors import BadOption


def test_off_and_nothing_mean_no_cache() -> None:
    assert open_cache(None) is None
    assert open_cache("off") is None


def test_a_folder_is_a_disk_cache_and_is_not_made_yet(tmp_path: Path) -> None:
    cache = open_cache(str(tmp_path / "x"), max_bytes=5)
    assert isinstance(cache, DiskCache)
    assert (cache.folder, cache.max_bytes) == (tmp_path / "x", 5)
    assert not cache.folder.exists()
    standard = open_cache("~/x")
    assert isinstance(standard, DiskCache)
    assert standard.max_bytes == DEFAULT_MAX_BYTES == 2_000_000_000
    assert standard.folder == Path.home() / "x"


@pytest.mark.parametrize("url", ["redis://h", "rediss://h:1/2", "REDIS://u:p@[::1]:6379/0"])
def test_redis_addresses_are_a_redis_cache(url: str) -> None:
    cache = open_cache(url)
    assert isinstance(cache, RedisCache)
    cache.close()


@pytest.mark.parametrize(
    "place",
    [
        "",
        "  ",
        "s3://me:s3cr3t@b/c",
        "redis://:s3cr3t@h:x",
        "redis://[h",
        "redis:///0",
        "redis://:9/s3cr3t@h/0",
        "~nobody-here/x",
    ],
)
def test_what_is_no_place_is_refused_without_showing_a_password(place: str) -> None:
    with pytest.raises(BadOption) as caught:
        open_cache(place)
    assert "s3cr3t" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("500MB", 500_000_000),
        ("2GB", 2_000_000_000),
        ("2 gb", 2_000_000_000),
        ("1.5GiB", 3 << 29),
        ("10k", 10_000),
        ("3t", 3 * 10**12),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "0", "GB", "-1", "1e9", "2PB", "2iB", "nan", "9" * 30, "9" * 15 + "TB", "0.1"]
)
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match="cache-size"):
        parse_size(text)
