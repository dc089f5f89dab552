"""Jobs of several replicas, all in one Redis: rows, queue, pictures and results.

Each change is one call of ``redis_jobs.lua``, which Redis runs alone. How safe an accepted job is
depends on the server: ``appendonly yes`` with ``appendfsync always`` survives a power cut,
``everysec`` may lose its last second. It must not evict: ``maxmemory-policy noeviction``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from cleancut.cache.redis import connected
from cleancut.errors import BodyTooLarge, Busy, ImageTooLarge, StorageFailed
from cleancut.extras import extra
from cleancut.server.job_store import (
    MAX_WAITING,
    ROW_BYTES,
    TURN_S,
    UNFINISHED_KEEPS,
    Claim,
    Done,
    Event,
    ItemRecord,
    JobRecord,
    NewJob,
    Usage,
    check_room,
    conflict,
    new_job_id,
    no_room,
)

PREFIX = "{cleancut}:jobs:"
#: Bytes that no row speaks of go by themselves after these seconds.
_ORPHAN_S = 3600
_SOCKET_S = 5.0
_PIECE = 1 << 20
#: Redis takes no longer value.
_MAX_VALUE = 512 << 20
_SCRIPT = Path(__file__).with_name("redis_jobs.lua")


class RedisJobs:
    """A ``JobStore`` in the Redis at ``url``, which any number of servers share.

    Results stay for ``keep_s`` seconds after a job has ended; ``max_bytes`` bound all that is
    kept. The password appears in no message. Raises ``BadOption``, ``MissingDependency``.
    """

    def __init__(self, url: str, *, keep_s: float, max_bytes: int) -> None:
        self._client: Any = connected(url, "--redis", socket_s=_SOCKET_S, health_check_interval=15)
        with extra("redis"):
            import redis
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._errors: type[Exception] = redis.RedisError
        self._script: Callable[..., Any] = self._client.register_script(_SCRIPT.read_text("utf-8"))

    def add(self, job: NewJob) -> tuple[JobRecord, bool]:
        """See ``JobStore``."""
        key = new_job_id()
        same, request = job.idempotency or ("", "")
        needed = check_room(self.usage(), job.items, max_bytes=self._max_bytes)
        fields = {"kind": job.kind, "options": job.options, "callback": job.callback or ""}
        rows = [json.dumps({"name": item.name, "url": item.url}) for item in job.items]
        files = {
            _name(place, key, n): file
            for n, item in enumerate(job.items)
            for place, file in (("in", item.source), ("back", item.background))
            if file is not None
        }
        names = list(files)
        for file in files.values():
            if file.stat().st_size >= _MAX_VALUE:
                raise BodyTooLarge("Redis, which keeps the jobs here, takes no file of 512 MiB")
        with self._asking():
            try:
                for name, file in files.items():
                    self._client.set(name, file.read_bytes(), ex=_ORPHAN_S)
                word, other = self._do(
                    "add",
                    *(key, job.caller, same, request, needed, UNFINISHED_KEEPS * self._keep_s),
                    *(TURN_S, MAX_WAITING, self._max_bytes, json.dumps(rows)),
                    *(part for pair in fields.items() for part in pair),
                )
            except BaseException:
                # Whether the row was made is not known when the answer was lost.
                if not self._made(key):
                    self._drop(names)
                raise
        answer = word.decode()
        if answer != "new":
            self._drop(names)
        if answer == "conflict":
            raise conflict()
        if answer == "full":
            raise no_room()
        if answer == "busy":
            raise Busy("too many pictures of jobs are waiting already", retry_after_s=60.0)
        found = self.job(other.decode())
        if found is None:
            raise StorageFailed("the job was removed at once", hint="send it again")
        return found, answer == "new"

    def job(self, job: str) -> JobRecord | None:
        """See ``JobStore``."""
        with self._asking():
            return _job(self._client.hgetall(_name("job", job)))

    def jobs(self, caller: str, *, limit: int, offset: int = 0) -> list[JobRecord]:
        """See ``JobStore``."""
        with self._asking():
            ids = self._client.zrevrange(_name("caller", caller), offset, offset + limit - 1)
            pipe = self._client.pipeline(transaction=False)
            for name in ids:
                pipe.hgetall(_name("job", name.decode()))
            return [found for raw in pipe.execute() if (found := _job(raw)) is not None]

    def items(self, job: str, *, limit: int, offset: int = 0) -> list[ItemRecord]:
        """See ``JobStore``."""
        record = self.job(job)
        if record is None:
            return []
        wanted = range(offset, min(offset + limit, record.total))
        if not wanted:
            return []
        with self._asking():
            pipe = self._client.pipeline()
            pipe.hmget(_name("items", job), [str(n) for n in wanted])
            pipe.hmget(_name("state", job), [f"{n}:{what}" for n in wanted for what in "std"])
            rows, states = pipe.execute()
        return [
            _item(job, n, row, states[3 * at : 3 * at + 3])
            for at, (n, row) in enumerate(zip(wanted, rows, strict=True))
            if row is not None
        ]

    def claim(self, *, lease_s: float, limit: int = 1, kind: str = "cutout") -> list[Claim]:
        """See ``JobStore``."""
        with self._asking():
            found = self._do("claim", lease_s, limit, TURN_S, f"{secrets.token_hex(8)}-", kind)
        return [
            Claim(
                job=job.decode(),
                index=int(n),
                token=token.decode(),
                attempts=int(attempts),
                caller=caller.decode(),
                options=options.decode(),
                kind=kind,
                **json.loads(row),
            )
            for job, n, token, attempts, caller, options, row in found
        ]

    def source(self, claim: Claim, folder: Path) -> Path | None:
        """See ``JobStore``."""
        return self._file("in", claim, folder)

    def background(self, claim: Claim, folder: Path) -> Path | None:
        """See ``JobStore``."""
        return self._file("back", claim, folder)

    def _file(self, place: str, claim: Claim, folder: Path) -> Path | None:
        with self._asking():
            data = self._client.get(_name(place, *claim.key))
            if data is None:
                return None
            path = folder / secrets.token_hex(16)
            path.write_bytes(data)
            return path

    def progress(self, claim: Claim, facts: Mapping[str, Any]) -> None:
        """See ``JobStore``."""
        with self._asking():
            self._do("progress", *claim.key, claim.token, json.dumps({"facts": dict(facts)}))

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> list[Claim]:
        """See ``JobStore``."""
        if not claims:
            return []
        parts = [part for claim in claims for part in (*claim.key, claim.token)]
        with self._asking():
            lost = {token.decode() for token in self._do("renew", lease_s, *parts)}
        return [claim for claim in claims if claim.token in lost]

    def release(self, claim: Claim) -> None:
        """See ``JobStore``."""
        with self._asking():
            self._do("release", *claim.key, claim.token, TURN_S)

    def finish(self, claim: Claim, done: Done, result: Path | None = None) -> bool:
        """See ``JobStore``."""
        out = _name("out", *claim.key, claim.token)
        size = 0
        status = "done" if done.error is None else "failed"
        with self._asking():
            if result is not None:
                size = result.stat().st_size
                if size >= _MAX_VALUE:
                    raise ImageTooLarge("the result is larger than Redis takes (512 MiB)")
                self._client.set(out, result.read_bytes(), ex=_ORPHAN_S)
            row = json.dumps(
                {
                    "facts": dict(done.facts) if done.error is None else None,
                    "error": dict(done.error) if done.error is not None else None,
                    "format": done.format,
                    "size": size,
                }
            )
            mine = bool(
                self._do("finish", *claim.key, claim.token, status, row, self._keep_s)
            ) or self._is_finished(claim, row)
            if result is not None:
                if not mine:
                    self._client.unlink(out)
                result.unlink(missing_ok=True)
        return mine

    def result(self, item: ItemRecord) -> BinaryIO | None:
        """See ``JobStore``."""
        key = _name("out", item.job, item.index, item.token)
        with self._asking():
            if not item.token or self._client.strlen(key) != item.size:
                return None
        return cast("BinaryIO", BufferedReader(_Value(self, key), _PIECE))

    def cancel(self, job: str) -> JobRecord | None:
        """See ``JobStore``."""
        with self._asking():
            self._do("cancel", job, self._keep_s, ROW_BYTES)
        return self.job(job)

    def expire(self) -> int:
        """See ``JobStore``."""
        with self._asking():
            return int(self._do("expire", self._keep_s, ROW_BYTES))

    def usage(self) -> Usage:
        """See ``JobStore``."""
        with self._asking():
            pipe = self._client.pipeline()
            for name in ("waiting", "waiting:video", "leases"):
                pipe.zcard(PREFIX + name)
            pipe.get(PREFIX + "bytes")
            *open_, used = pipe.execute()
        return Usage(sum(map(int, open_)), int(used or 0))

    def claim_events(
        self, *, lease_s: float, limit: int = 1, without: Collection[str] = ()
    ) -> list[Event]:
        """See ``JobStore``."""
        with self._asking():
            found = self._do("events", lease_s, limit, *without)
        return [_event(dict(zip(raw[::2], raw[1::2], strict=True))) for raw in found if raw]

    def settle_event(self, event: Event, again_s: float | None) -> None:
        """See ``JobStore``."""
        with self._asking():
            self._do("settle", event.id, "" if again_s is None else again_s)

    def secret(self) -> bytes:
        """See ``JobStore``."""
        with self._asking():
            self._client.set(PREFIX + "secret", secrets.token_bytes(32), nx=True)
            return bytes(self._client.get(PREFIX + "secret"))

    def recover(self) -> None:
        """See ``JobStore``; the leases of a killed replica end by themselves."""

    def close(self) -> None:
        """See ``JobStore``."""
        self._client.close()

    def piece(self, key: str, start: int, size: int) -> bytes:
        """A part of a value."""
        with self._asking():
            return bytes(self._client.getrange(key, start, start + size - 1))

    def _do(self, name: str, *arguments: object) -> Any:
        return self._script(keys=[PREFIX], args=[name, *map(str, arguments)])

    def _is_finished(self, claim: Claim, row: str) -> bool:
        """Whether an answer was lost, and this is the second time that it is told."""
        token, known = self._client.hmget(
            _name("state", claim.job), f"{claim.index}:t", f"{claim.index}:d"
        )
        return bool(token == claim.token.encode() and known == row.encode())

    def _made(self, key: str) -> bool:
        with suppress(Exception):
            return bool(self._client.exists(_name("job", key)))
        return True  # they go by themselves

    def _drop(self, names: list[str]) -> None:
        with suppress(Exception):
            if names:
                self._client.unlink(*names)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (self._errors, OSError) as error:
            # The client's own words may quote what was sent.
            raise StorageFailed(
                f"the store of jobs does not answer ({type(error).__name__})",
                hint="try again in a few seconds",
            ) from error


class _Value(RawIOBase):
    """A value read piece by piece."""

    def __init__(self, store: RedisJobs, key: str) -> None:
        self._store = store
        self._key = key
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 2:
            raise OSError("how long it is, the row says")
        self._at = offset + (self._at if whence == 1 else 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._store.piece(self._key, self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _name(*parts: object) -> str:
    return PREFIX + ":".join(map(str, parts))


def _job(raw: dict[bytes, bytes]) -> JobRecord | None:
    if not raw:
        return None
    fields: dict[str, Any] = {key.decode(): value.decode() for key, value in raw.items()}
    for name in ("started", "finished"):
        fields[name] = float(fields[name]) if name in fields else None
    for name in ("created", "expires"):
        fields[name] = float(fields[name])
    for name in ("total", "done", "failed"):
        fields[name] = int(fields[name])
    fields["callback"] = fields["callback"] or None
    return JobRecord(**{name: fields[name] for name in JobRecord.__slots__})


def _item(job: str, n: int, row: bytes, state: Sequence[bytes | None]) -> ItemRecord:
    status, token, done = (part.decode() if part else "" for part in state)
    told = done and status in ("running", "done", "failed")
    kept: dict[str, Any] = json.loads(done) if done and told else {}
    return ItemRecord(
        job=job,
        index=n,
        name=json.loads(row)["name"],
        status=cast("Any", status),
        token=token if status == "done" else "",
        **kept,
    )


def _event(raw: dict[bytes, bytes]) -> Event:
    fields: dict[str, Any] = {key.decode(): value.decode() for key, value in raw.items()}
    for name in ("created", "expires"):
        fields[name] = float(fields[name])
    for name in ("total", "done", "failed", "attempts"):
        fields[name] = int(fields[name])
    return Event(**fields)
