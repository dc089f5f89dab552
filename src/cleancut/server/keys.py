"""API keys: shown once, kept as hashes, compared in constant time.

A key is ``cc_``, 256 random bits in base 62 and a checksum of them, so that a typing mistake is
told from a revoked key, and secret scanners find keys that leaked. ``keys.json`` holds the sha256
of each; a slow hash would add nothing to 256 random bits. A second file may come from outside, as
container secrets do (``given_keys``).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.errors import BadOption, SetupError
from cleancut.server.key_file import (
    NAME,
    Caller,
    Hash,
    Limits,
    Record,
    Stamp,
    given_keys,
    kept_keys,
    stamp_of,
    write_keys,
)
from cleancut.weights.lock import held

if TYPE_CHECKING:
    from cleancut.server.settings import Settings

__all__ = ["ANONYMOUS", "Caller", "Keys", "Limits", "Record", "made", "mistyped"]

#: Whoever asks a server that has no keys.
ANONYMOUS = Caller(id="anonymous", name="anonymous", limits=Limits())

#: How often the files are looked at, in seconds.
LOOK_S = 1.0

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "cc_"
_BODY, _CHECK = 43, 6
_SHAPE = re.compile(rf"{_PREFIX}[0-9A-Za-z]{{{_BODY + _CHECK}}}")


def made() -> str:
    """A new key of 52 characters."""
    body = _base62(secrets.randbits(256), _BODY)
    return _PREFIX + body + _checksum(body)


def mistyped(key: str) -> bool:
    """Whether ``key`` was meant to be one of ours and cannot be: its length or checksum is off."""
    if not key.startswith(_PREFIX):
        return False
    body = key[len(_PREFIX) : -_CHECK]
    return _SHAPE.fullmatch(key) is None or _checksum(body) != key[-_CHECK:]


def digest_of(key: str) -> bytes:
    """The sha256 that is kept in place of ``key``."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii", "replace")), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits


class Keys:
    """The keys in the file ``path``, and those in the file ``given``; safe for several threads.

    A missing ``path`` has no keys, a missing ``given`` is an error. Changes are noticed within
    ``LOOK_S``. Every method raises ``SetupError`` for a file that is damaged: nobody is let in by
    it, and the last good state is not used on.
    """

    def __init__(
        self, path: Path, *, given: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.given = given
        self._clock = clock
        self._lock = threading.Lock()
        self._stamps: tuple[Stamp, Stamp] | None = None
        self._looked = float("-inf")
        self._records: tuple[Record, ...] = ()
        self._seen = False

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """The keys of a server with these settings."""
        return cls(settings.data / "keys.json", given=settings.keys_file)

    def check(self, presented: str) -> Caller | None:
        """Whose key this is, None for nobody's.

        Takes as long for a key that is nearly right as for any other.
        """
        records, wanted, now = self._current(), digest_of(presented), self._clock()
        found = None
        for record in records:
            for known in record.hashes:
                same = hmac.compare_digest(known.sha256, wanted)
                if same and (known.until is None or now < known.until):
                    found = record.caller
        return found

    @property
    def required(self) -> bool:
        """Whether a key must be presented: once there was one, removing the last opens nothing."""
        return bool(self._current()) or self._seen

    def listed(self) -> tuple[Record, ...]:
        """All keys, those of ``path`` first."""
        return self._current(look=True)

    def add(self, name: str, limits: Limits | None = None) -> str:
        """Make a key called ``name``; the answer is the only time it can be read.

        Raises ``BadOption`` for a name that is malformed or taken.
        """
        if not NAME.fullmatch(name):
            raise BadOption(
                f"{name!r:.80} cannot be the name of a key",
                hint="1 to 64 letters, digits and . _ @ -, the first a letter or digit",
            )
        key = made()
        with self._writing() as records:
            if any(record.caller.name == name for record in (*records, *self._foreign())):
                raise BadOption(
                    f"there is a key called {name} already",
                    hint=f"run: cleancut keys rotate {name}",
                )
            caller = Caller(id=f"k{secrets.token_hex(6)}", name=name, limits=limits or Limits())
            records.append(
                Record(caller=caller, hashes=(Hash(digest_of(key)),), created=int(self._clock()))
            )
        return key

    def rotate(self, name: str, *, overlap_s: float = 0.0) -> str:
        """Make a new key for ``name``, which stays the same caller; the old one ends.

        For ``overlap_s`` seconds both are good. Raises ``BadOption``.
        """
        key, now = made(), self._clock()
        with self._writing() as records:
            place, record = self._find(records, name)
            old = tuple(
                Hash(known.sha256, min(known.until or float("inf"), now + overlap_s))
                for known in record.hashes
                if overlap_s > 0 and (known.until is None or known.until > now)
            )
            records[place] = Record(
                caller=record.caller,
                hashes=(Hash(digest_of(key)), *old),
                created=record.created,
            )
        return key

    def limit(self, name: str, limits: Limits) -> None:
        """Give ``name`` other limits; its key stays. Raises ``BadOption``."""
        with self._writing() as records:
            place, record = self._find(records, name)
            records[place] = Record(
                caller=Caller(id=record.caller.id, name=name, limits=limits),
                hashes=record.hashes,
                created=record.created,
            )

    def remove(self, name: str) -> None:
        """Revoke all keys of ``name``. Raises ``BadOption``."""
        with self._writing() as records:
            place, _ = self._find(records, name)
            del records[place]

    def _find(self, records: list[Record], name: str) -> tuple[int, Record]:
        for place, record in enumerate(records):
            if record.caller.name == name:
                return place, record
        if any(record.caller.name == name for record in self._foreign()):
            raise BadOption(f"the key {name} comes from a keys file", hint="change it in that file")
        raise BadOption(f"there is no key called {name!r:.80}", hint="run: cleancut keys list")

    def _foreign(self) -> tuple[Record, ...]:
        return () if self.given is None else given_keys(self.given)

    def _writing(self) -> _Writing:
        return _Writing(self)

    def _current(self, *, look: bool = False) -> tuple[Record, ...]:
        with self._lock:
            now = time.monotonic()
            if look or now - self._looked >= LOOK_S:
                self._look()
                self._looked = now
            return self._records

    def _look(self) -> None:
        stamps = (stamp_of(self.path), stamp_of(self.given))
        if stamps == self._stamps:
            return
        kept, foreign = kept_keys(self.path), self._foreign()
        names = [record.caller.name for record in (*kept, *foreign)]
        if len(names) != len(set(names)):
            raise SetupError(
                "two API keys have the same name, one of them in the keys file",
                hint="rename one of them",
            )
        self._records, self._stamps = (*kept, *foreign), stamps
        self._seen = self._seen or bool(self._records)


class _Writing:
    """The records of the kept file to be changed, written back at the end, one writer at a time."""

    def __init__(self, keys: Keys) -> None:
        self._path = keys.path
        self._records: list[Record] = []

    def __enter__(self) -> list[Record]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held = held(self._path.with_suffix(".lock"))
        self._held.__enter__()
        try:
            self._records = list(kept_keys(self._path))
        except BaseException:
            self._held.__exit__(None, None, None)
            raise
        return self._records

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                write_keys(self._path, self._records)
        finally:
            self._held.__exit__(None, None, None)
