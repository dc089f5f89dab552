"""Against a real server; only what a server cannot be made to do is done to the client."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cleancut.cache import redis as module
from cleancut.cache.entry import Entry, Verified
from cleancut.cache.redis import PREFIX, RedisCache
from cleancut.errors import BadOption, CacheUnavailable, MissingDependency
from tests.cache.conftest import PASSWORD, key_of, quiet


@pytest.fixture
def shared(redis_url: str) -> Iterator[RedisCache]:
    cache = RedisCache(redis_url)
    cache._client.flushall()
    yield cache
    cache.close()


def test_what_one_machine_put_another_gets(
    shared: RedisCache, redis_url: str, entry: Entry
) -> None:
    assert shared.get(key_of(1), quiet) is None
    shared.put(key_of(1), entry, quiet)
    other = RedisCache(redis_url)
    assert other.get(key_of(1), quiet) == entry
    contents = other.contents()
    assert contents.entries == 1
    assert contents.place == redis_url.replace(f":{PASSWORD}@", "")
    assert contents.hits >= 1
    assert contents.max_bytes is None
    other.close()


@pytest.mark.parametrize("value", [b"", b"junk", b"x" * 5000])
def test_a_damaged_value_is_dropped(value: bytes, shared: RedisCache, entry: Entry) -> None:
    shared._client.set(PREFIX + key_of(1), value)
    told: list[str] = []
    assert shared.get(key_of(1), told.append) is None
    assert len(told) == bool(value)
    assert not (value and shared._client.exists(PREFIX + key_of(1)))
    shared.put(key_of(1), entry, quiet)
    assert shared.get(key_of(1), quiet) == entry


def test_clear_and_verify_look_at_results_only(shared: RedisCache, entry: Entry) -> None:
    shared._client.set("somebody:else", b"1")
    for number in range(5):
        shared.put(key_of(number), entry, quiet)
    shared._client.set(PREFIX + key_of(3), b"junk")
    shared._client.set(PREFIX + "\xff", b"junk")
    assert shared.verify() == Verified(sound=4, damaged=2)
    assert shared.clear() == 4
    assert shared.contents().entries == 0
    assert shared._client.get("somebody:else") == b"1"


def test_too_large_a_result_is_not_kept(redis_url: str, entry: Entry) -> None:
    cache = RedisCache(redis_url, max_entry_bytes=1000)
    told: list[str] = []
    cache.put(key_of(8), entry, told.append)
    assert "too large for Redis" in told[0]
    assert cache.get(key_of(8), quiet) is None
    cache.close()


def test_a_foreign_giant_does_not_fill_the_memory(redis_url: str) -> None:
    cache = RedisCache(redis_url, max_entry_bytes=1000)
    cache._client.set(PREFIX + key_of(9), b"x" * 1_000_000)
    told: list[str] = []
    assert cache.get(key_of(9), told.append) is None
    assert "damaged" in told[0]
    cache.close()


def _costs_little_once(cache: RedisCache, entry: Entry, told: list[str]) -> None:
    started = time.perf_counter()
    for number in range(10):
        assert cache.get(key_of(number), told.append) is None
        cache.put(key_of(number), entry, told.append)
    assert time.perf_counter() - started < 1.5
    assert len(told) == 1
    assert "cutting without it" in told[0]
    assert PASSWORD not in told[0]


def test_a_server_that_is_down_costs_nothing(entry: Entry) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cache = RedisCache(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    told: list[str] = []
    _costs_little_once(cache, entry, told)
    assert "no connection" in told[0]
    with pytest.raises(CacheUnavailable) as caught:
        cache.contents()
    assert PASSWORD not in str(caught.value) + caught.value.hint
    cache.close()


def test_a_server_that_never_answers_costs_a_second_once(entry: Entry) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        cache = RedisCache(f"redis://:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}")
        _costs_little_once(cache, entry, [])
        cache.close()


def test_a_server_that_drips_costs_a_second_once(entry: Entry) -> None:
    """Each byte comes in time for the client's own timeout, the whole never."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            while not over.wait(0.2):
                try:
                    peer.sendall(b"+")
                except OSError:
                    return

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        dripping = threading.Thread(target=drip, args=(server,))
        dripping.start()
        cache = RedisCache(f"redis://127.0.0.1:{server.getsockname()[1]}")
        told: list[str] = []
        _costs_little_once(cache, entry, told)
        assert "no answer within 1 s" in told[0]
        over.set()
        dripping.join()
        cache.close()


def test_a_wrong_password_is_told_without_showing_one(redis_url: str, entry: Entry) -> None:
    cache = RedisCache(redis_url.replace(PASSWORD, "wrong" + PASSWORD))
    told: list[str] = []
    _costs_little_once(cache, entry, told)
    assert "password are wrong" in told[0]
    cache.close()


def test_a_full_server_says_what_to_set(shared: RedisCache, entry: Entry) -> None:
    told: list[str] = []
    shared.put(key_of(1), entry, quiet)
    shared._client.config_set("maxmemory", "1mb")
    shared._client.config_set("maxmemory-policy", "noeviction")
    try:
        for number in range(2, 6):
            shared.put(key_of(number), Entry(b"x" * 500_000, "png", {}), told.append)
        assert len(told) == 1
        assert "allkeys-lru" in told[0]
        assert shared.get(key_of(1), quiet) == entry  # it still answers
    finally:
        shared._client.config_set("maxmemory", "0")


def test_a_server_that_evicts_just_misses(shared: RedisCache) -> None:
    shared._client.config_set("maxmemory", "4mb")
    shared._client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        for number in range(20):
            shared.put(key_of(number), Entry(b"x" * 500_000, "png", {}), quiet)
        kept = sum(shared.get(key_of(number), quiet) is not None for number in range(20))
        assert 0 < kept < 20
        assert shared.contents().max_bytes == 4 << 20
    finally:
        shared._client.config_set("maxmemory", "0")
        shared._client.config_set("maxmemory-policy", "noeviction")


def test_it_is_tried_again_after_the_pause(
    shared: RedisCache, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def fail(*_: Any) -> None:
        raise RuntimeError(f"something about {PASSWORD}")

    with monkeypatch.context() as patch:
        patch.setattr(shared._client, "set", fail)
        shared.put(key_of(1), entry, told.append)
    assert "RuntimeError" in told[0]
    assert PASSWORD not in told[0]
    shared.put(key_of(1), entry, quiet)
    assert shared.get(key_of(1), quiet) is None  # left alone
    now = time.monotonic() + 60
    monkeypatch.setattr(shared._breaker, "_clock", lambda: now)
    shared.put(key_of(1), entry, quiet)
    assert shared.get(key_of(1), quiet) == entry


def test_the_package_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingDependency) as caught:
        RedisCache("redis://127.0.0.1")
    assert caught.value.hint == "run: pip install 'cleancut[redis]'"


def test_an_address_with_nonsense_after_it_is_refused() -> None:
    with pytest.raises(BadOption, match="redis://h:1") as caught:
        RedisCache(f"redis://:{PASSWORD}@h:1/0?socket_timeout=soon")
    assert PASSWORD not in str(caught.value)


def test_keys_that_a_scan_gives_twice_are_counted_once(
    shared: RedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{module.PREFIX}{key_of(1)}".encode()] * 2
    monkeypatch.setattr(shared._client, "scan_iter", lambda **_: iter(names))
    assert shared.contents().entries == 1
