"""What each key has used, by day and month: in SQLite for one server, in Redis for several."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cleancut.cache.redis import connected
from cleancut.errors import SetupError, StorageFailed
from cleancut.extras import extra
from cleancut.server.rates import Rate


@dataclass(frozen=True, slots=True)
class Used:
    """Megapixels and pictures of one key in one period."""

    megapixels: float = 0.0
    pictures: int = 0

    def __add__(self, other: Used) -> Used:
        return Used(self.megapixels + other.megapixels, self.pictures + other.pictures)


#: A key's id and a period: ``2026-11-22`` or ``2026-11``.
Row = tuple[str, str]


class Usage(Protocol):
    """A store of what was used; raises ``StorageFailed`` where it does not answer."""

    def read(self, caller: str, periods: Sequence[str]) -> dict[str, Used]:
        """What ``caller`` used in each of ``periods``."""
        ...

    def add(self, batch: str, rows: Mapping[Row, Used]) -> None:
        """Count ``rows`` in, once, however often the same ``batch`` is sent."""
        ...

    def take(self, caller: str, limit: int, per_s: float) -> Rate | None:
        """One request out of a bucket that servers share; None where they share none."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


_TABLES = """
CREATE TABLE IF NOT EXISTS usage (
    caller TEXT, period TEXT, megapixels REAL NOT NULL, pictures INTEGER NOT NULL,
    PRIMARY KEY (caller, period)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last (one INTEGER PRIMARY KEY CHECK (one = 1), batch TEXT NOT NULL);
"""
_ADD = """
INSERT INTO usage VALUES (?, ?, ?, ?) ON CONFLICT (caller, period) DO UPDATE SET
    megapixels = megapixels + excluded.megapixels, pictures = pictures + excluded.pictures
"""


class SqliteUsage:
    """Usage in the file ``path``, whole after ``kill -9``; used by one thread at a time.

    Rows are kept for good: they are what an operator bills by, and take 50 bytes a key and day.
    Raises ``SetupError`` for a file that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite would make it readable for everyone; its companions take over the permissions.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(
                path, timeout=1.0, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise _unusable(error) from error
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            # A power cut may lose the last transactions, a killed process none.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
            with suppress(OSError):
                path.chmod(0o600)
        except sqlite3.Error as error:
            self._db.close()
            raise _unusable(error) from error

    def read(self, caller: str, periods: Sequence[str]) -> dict[str, Used]:
        """What ``caller`` used in each of ``periods``."""
        marks = ",".join("?" * len(periods))
        query = f"SELECT * FROM usage WHERE caller = ? AND period IN ({marks})"
        try:
            rows = self._db.execute(query, (caller, *periods)).fetchall()
        except sqlite3.Error as error:
            raise _failed(error) from error
        found = {period: Used(megapixels, pictures) for _, period, megapixels, pictures in rows}
        return {period: found.get(period, Used()) for period in periods}

    def add(self, batch: str, rows: Mapping[Row, Used]) -> None:
        """Count ``rows`` in, in one transaction."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                last = self._db.execute("SELECT batch FROM last").fetchone()
                if last != (batch,):
                    self._db.executemany(_ADD, _flat(rows))
                    self._db.execute("INSERT OR REPLACE INTO last VALUES (1, ?)", (batch,))
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _failed(error) from error

    def take(self, caller: str, limit: int, per_s: float) -> Rate | None:  # noqa: ARG002
        """None: one server keeps its buckets in memory."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_usage(path: Path, periods: Sequence[str]) -> dict[Row, Used]:
    """What every key used in ``periods``, beside a server that may be running.

    Nothing is made where there is no file. Raises ``SetupError``.
    """
    if not path.is_file():
        return {}
    marks = ",".join("?" * len(periods))
    try:
        location = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(location, uri=True, timeout=1.0)) as db:
            rows = db.execute(f"SELECT * FROM usage WHERE period IN ({marks})", tuple(periods))
            return {(caller, period): Used(mp, pictures) for caller, period, mp, pictures in rows}
    except sqlite3.Error as error:
        raise _unusable(error) from error


def _flat(rows: Mapping[Row, Used]) -> Iterable[tuple[str, str, float, int]]:
    return [
        (caller, period, used.megapixels, used.pictures) for (caller, period), used in rows.items()
    ]


def _unusable(error: Exception) -> SetupError:
    reason = error.strerror if isinstance(error, OSError) else error
    return SetupError(
        f"usage.sqlite in the server's data folder cannot be used: {reason}",
        hint="check its permissions; if it is damaged, move it away: counting begins anew",
    )


def _failed(error: sqlite3.Error) -> StorageFailed:
    return StorageFailed(
        f"what keys use cannot be written down: {error}", hint="check the disk of the data folder"
    )


_PREFIX = "cleancut:usage:"
#: Redis drops what is older than two months and a bit.
_KEEP_S = 70 * 86400

_REDIS_ADD = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', 86400) then return 0 end
for i = 2, #KEYS do
  redis.call('HINCRBYFLOAT', KEYS[i], 'megapixels', ARGV[2 * i - 2])
  redis.call('HINCRBY', KEYS[i], 'pictures', ARGV[2 * i - 1])
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return 1
"""
#: The bucket of ``rates.taken``, on the server's clock. Numbers go back as text: Lua cuts floats.
_REDIS_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local limit, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local busy = math.max(0, tonumber(redis.call('GET', KEYS[1]) or '0') - now)
local wait = busy + per / limit - per
if wait > per * 1e-9 then return {'0', tostring(busy), tostring(wait)} end
busy = busy + per / limit
redis.call('SET', KEYS[1], string.format('%.6f', now + busy), 'PX', math.ceil(busy * 1000) + 1000)
return {tostring(math.floor((per - busy) * limit / per + 1e-6)), tostring(busy), '0'}
"""


class RedisUsage:
    """Usage and buckets in the Redis at ``url``, shared by all servers that name it.

    The password appears in no message. Raises ``BadOption``, ``MissingDependency``.
    """

    def __init__(self, url: str) -> None:
        self._client: Any = connected(url, "--redis")
        with extra("redis"):
            import redis
        self._add = self._client.register_script(_REDIS_ADD)
        self._take = self._client.register_script(_REDIS_TAKE)
        self._errors = (redis.RedisError, OSError)

    def read(self, caller: str, periods: Sequence[str]) -> dict[str, Used]:
        """What ``caller`` used in each of ``periods``."""
        try:
            pipe = self._client.pipeline(transaction=False)
            for period in periods:
                pipe.hmget(f"{_PREFIX}{caller}:{period}", "megapixels", "pictures")
            found = pipe.execute()
            return {
                period: Used(float(megapixels or 0), int(pictures or 0))
                for period, (megapixels, pictures) in zip(periods, found, strict=True)
            }
        except (*self._errors, ValueError, TypeError) as error:
            raise self._failed(error) from error

    def add(self, batch: str, rows: Mapping[Row, Used]) -> None:
        """Count ``rows`` in, all or none."""
        keys = [f"{_PREFIX}batch:{batch}"]
        values: list[object] = [_KEEP_S]
        for caller, period, megapixels, pictures in _flat(rows):
            keys.append(f"{_PREFIX}{caller}:{period}")
            values += [f"{megapixels:.6f}", pictures]
        try:
            self._add(keys=keys, args=values)
        except self._errors as error:
            raise self._failed(error) from error

    def take(self, caller: str, limit: int, per_s: float) -> Rate | None:
        """One request out of the bucket that all servers share."""
        try:
            left, busy, wait = self._take(keys=[f"{_PREFIX}rate:{caller}"], args=[limit, per_s])
            return Rate(limit, int(left), float(busy), float(wait))
        except (*self._errors, ValueError, TypeError) as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failed(self, error: Exception) -> StorageFailed:
        # The client's own words may quote what was sent, or the server's configuration.
        return StorageFailed(
            f"the Redis of --redis does not serve ({type(error).__name__})",
            hint="check that it runs, and its address and password",
        )
