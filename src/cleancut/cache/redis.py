"""Results in a Redis that several machines share.

One value an entry, under ``cleancut:result:<key>``: facts, file and digest together, so that it is
whole or not there. How long it stays is the server's business: give it ``maxmemory`` and
``maxmemory-policy allkeys-lru``.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from cleancut.cache.breaker import Breaker
from cleancut.cache.entry import Contents, Damaged, Entry, Verified, pack, unpack
from cleancut.errors import BadOption, CacheUnavailable
from cleancut.extras import extra

if TYPE_CHECKING:
    from cleancut.cache.entry import Tell

T = TypeVar("T")

PREFIX = "cleancut:result:"
#: Larger results are not kept: Redis holds its values in memory.
MAX_ENTRY_BYTES = 64_000_000
#: A server that has not answered by then costs more than it saves.
DEADLINE_S = 1.0
_SOCKET_S = 0.8
#: Looking through a whole server may take longer than looking one result up.
_PATIENT_S = 30.0
_HINT = "like redis://host:6379/0, or rediss://:password@host:6379/0"


class RedisCache:
    """A ``Cache`` in the Redis at ``url``, ``redis://[user:password@]host[:port][/db]``.

    A server that is down or slow costs ``DEADLINE_S`` once and is then left alone for a while.
    The password appears in no message. Raises ``BadOption`` for an address that is none,
    ``MissingDependency``.
    """

    def __init__(self, url: str, *, max_entry_bytes: int = MAX_ENTRY_BYTES) -> None:
        self.place = _shown(url, "--cache")
        self._client: Any = connected(url, "--cache")
        with extra("redis"):
            import redis
        self.max_entry_bytes = max_entry_bytes
        self._breaker = Breaker()
        # A full server, or a replica, refuses to write and still answers.
        self._refusing = Breaker()
        self._refusals: type[Exception] = redis.ResponseError

    def get(self, key: str, tell: Tell) -> Entry | None:
        """The entry of ``key``, proved whole; a damaged one is dropped."""
        # Cut off by the server, so that a foreign value cannot fill the memory.
        blob = self._try(lambda: self._client.getrange(PREFIX + key, 0, self.max_entry_bytes), tell)
        if not blob:
            return None
        try:
            return unpack(key, blob)
        except Damaged as error:
            tell(f"cache: a damaged entry was dropped ({error})")
            self._try(lambda: self._client.unlink(PREFIX + key), tell)
            return None

    def put(self, key: str, entry: Entry, tell: Tell) -> None:
        """Keep ``entry``, if it is not too large."""
        if self._breaker.open or self._refusing.open:
            return
        blob = pack(key, entry)
        if len(blob) > self.max_entry_bytes:
            tell(
                f"cache: a result of {len(blob) / 1e6:.1f} MB is too large for Redis "
                f"(at most {self.max_entry_bytes / 1e6:.1f} MB)"
            )
            return
        self._try(lambda: self._client.set(PREFIX + key, blob), tell, writing=True)

    def contents(self) -> Contents:
        """How many results there are; memory, hits and misses are those of the whole server."""

        def ask() -> Contents:
            entries = sum(1 for _ in self._keys())
            memory, stats = self._client.info("memory"), self._client.info("stats")
            return Contents(
                self.place,
                entries,
                int(memory.get("used_memory", 0)),
                int(memory.get("maxmemory", 0)) or None,
                int(stats.get("keyspace_hits", 0)),
                int(stats.get("keyspace_misses", 0)),
            )

        return self._needed(ask)

    def clear(self) -> int:
        """Drop every result; other keys of the server stay."""
        return self._needed(lambda: sum(int(self._client.unlink(key)) for key in self._keys()))

    def verify(self) -> Verified:
        """Read every result and drop damaged ones."""

        def look() -> Verified:
            sound = damaged = 0
            for name in self._keys():
                key = name.decode("ascii", "replace").removeprefix(PREFIX)
                try:
                    unpack(key, self._client.getrange(name, 0, self.max_entry_bytes))
                    sound += 1
                except Damaged:
                    damaged += int(self._client.unlink(name))
            return Verified(sound, damaged)

        return self._needed(look)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _keys(self) -> Iterator[bytes]:
        # SCAN may give a key twice.
        seen: set[bytes] = set()
        for name in self._client.scan_iter(match=PREFIX + "*", count=1000):
            if name not in seen:
                seen.add(name)
                yield name

    def _try(self, work: Callable[[], T], tell: Tell, *, writing: bool = False) -> T | None:
        """What ``work`` gives; None, and a line about it once in a while, where it fails."""
        if self._breaker.open:
            return None
        try:
            found = _within(DEADLINE_S, work)
        except Exception as error:
            refused = writing and isinstance(error, self._refusals)
            (self._refusing if refused else self._breaker).trip()
            tell(f"cache: {self.place} does not serve ({_reason(error)}); cutting without it")
            return None
        self._breaker.reset()
        return found

    def _needed(self, work: Callable[[], T]) -> T:
        try:
            return _within(_PATIENT_S, work)
        except Exception as error:
            raise CacheUnavailable(
                f"the cache {self.place} cannot be used: {_reason(error)}",
                hint="check that the server runs, and its address and password",
            ) from error


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` gives or raises; ``TimeoutError`` if it takes longer.

    In a thread that is left behind then: a client's timeouts hold for single reads, and for name
    servers not at all.
    """
    answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=run, name="cleancut-redis", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


def connected(url: str, flag: str, *, socket_s: float = _SOCKET_S, **more: Any) -> Any:
    """A client of the Redis at ``url``, which ``flag`` named.

    It tries nothing again: its own way waits for seconds, and what was sent twice could be done
    twice. Raises ``BadOption``, ``MissingDependency``.
    """
    with extra("redis"):
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    limits = {"socket_timeout": socket_s, "socket_connect_timeout": socket_s}
    try:
        return redis.Redis.from_url(url, **limits, retry=Retry(NoBackoff(), 0), **more)
    except ValueError as error:
        raise BadOption(f"{flag}: {_shown(url, flag)} is no Redis address", hint=_HINT) from error


def _shown(url: str, flag: str) -> str:
    """The address without user, password and parameters; raises ``BadOption``."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadOption(f"{flag}: the Redis address is malformed", hint=_HINT) from error
    if not host:
        raise BadOption(f"{flag}: the Redis address names no host", hint=_HINT)
    host = f"[{host}]" if ":" in host else host
    # A slash in a password would make the rest of it the path.
    path = parts.path if re.fullmatch(r"/\d{0,4}", parts.path) else ""
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "") + path


def _reason(error: Exception) -> str:
    """What went wrong, in words that cannot hold the password."""
    # The client's own words may quote what was sent, or the server's configuration.
    name = type(error).__name__
    words = {
        "AuthenticationError": "user or password are wrong",
        "AuthenticationWrongNumberOfArgsError": "user or password are wrong",
        "NoPermissionError": "this user may not do it",
        "BusyLoadingError": "it is still loading its data",
        "OutOfMemoryError": "its memory is full; set maxmemory-policy allkeys-lru",
        "ReadOnlyError": "it is a read-only replica",
        "ResponseError": "it refused the command",
        "TimeoutError": f"no answer within {DEADLINE_S:g} s",
        "ConnectionError": "no connection",
    }
    return words.get(name, name)
