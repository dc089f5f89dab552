"""The two files that hold keys: ``keys.json``, which is written here, and a container's secret."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cleancut.errors import BadOption, SetupError

#: What a key may be called.
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._@-]{0,63}")
#: Shorter secrets of an operator's own could be guessed.
MIN_SECRET = 32
MAX_SECRET = 256
#: No file of keys is larger than this; 10,000 keys take 3 MB.
MAX_FILE_BYTES = 16 << 20

Stamp = tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a key may use, None for as much as it likes. Raises ``BadOption``.

    ``requests_per_minute`` may come all at once and then come back evenly. Days and months are
    those of UTC, and their megapixels those of the pictures that were cut out for the key.
    """

    requests_per_minute: int | None = None
    megapixels_per_day: float | None = None
    megapixels_per_month: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and math.isfinite(value) and value > 0):
                flag = field.name.replace("_", "-")
                raise BadOption(f"{flag}: {value} is not a limit", hint="a number above 0")
        if self.requests_per_minute is not None and self.requests_per_minute % 1:
            raise BadOption("requests-per-minute: a whole number is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. ``id`` stays when a key is rotated: usage and jobs belong to it."""

    id: str
    name: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Hash:
    """The sha256 of one key, and the unix time at which it ends, None for never."""

    sha256: bytes
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One caller and the hashes of its keys; ``created`` in unix seconds, 0 where unknown."""

    caller: Caller
    hashes: tuple[Hash, ...]
    created: int = 0


def stamp_of(path: Path | None) -> Stamp:
    """What tells one state of a file from the next; None if there is no file."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def kept_keys(path: Path) -> tuple[Record, ...]:
    """The records in ``keys.json``, none if it is missing; ``SetupError`` for a damaged one."""
    text = _text(path, "keys.json")
    if text is None:
        return ()
    try:
        document = json.loads(text)
        if document["version"] != 1:
            raise ValueError("another version of cleancut wrote it")
        records = tuple(_record(entry) for entry in document["keys"])
        if len({record.caller.name for record in records}) != len(records):
            raise ValueError("two keys have one name")
        if len({record.caller.id for record in records}) != len(records):
            raise ValueError("two keys have one id")
    except (ValueError, KeyError, TypeError, RecursionError, BadOption) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else error
        raise SetupError(
            f"keys.json in the server's data folder is damaged: {reason}",
            hint="mend it, or delete it and make new keys with: cleancut keys add NAME",
        ) from error
    return records


def write_keys(path: Path, records: Iterable[Record]) -> None:
    """Write ``records`` whole or not at all, for its owner's eyes only."""
    keys = [
        {
            "id": record.caller.id,
            "name": record.caller.name,
            "created": record.created,
            "limits": {k: v for k, v in asdict(record.caller.limits).items() if v is not None},
            "hashes": [
                {"sha256": known.sha256.hex()}
                | ({} if known.until is None else {"until": known.until})
                for known in record.hashes
            ],
        }
        for record in records
    ]
    data = json.dumps({"version": 1, "keys": keys}, indent=1).encode() + b"\n"
    temporary = path.with_name(f".keys-{secrets.token_hex(6)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # `sudo cleancut keys add` must leave a file that the server can read.
            folder = path.parent.stat()
            os.chown(temporary, folder.st_uid, folder.st_gid)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def given_keys(path: Path) -> tuple[Record, ...]:
    """The records of a keys file: a line a key, as container secrets are mounted.

    ``NAME KEY [requests-per-minute=N] [megapixels-per-day=N] [megapixels-per-month=N]``, where KEY
    is a key of ours, another secret of at least 32 printable characters, or ``sha256:`` and the
    hexadecimal hash of one. A file of nothing but one KEY names it ``default``. Empty lines and
    those that begin with ``#`` are left out. Raises ``SetupError``, which quotes no line.
    """
    text = _text(path, "the keys file")
    if text is None:
        raise SetupError(
            "the keys file is missing", hint="check --keys-file, and that the secret is mounted"
        )
    rows = [
        (number, line.split())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(rows) == 1 and len(rows[0][1]) == 1:
        rows = [(rows[0][0], ["default", *rows[0][1]])]
    records = []
    for number, words in rows:
        try:
            records.append(_given(words))
        except (ValueError, BadOption) as error:
            raise SetupError(
                f"line {number} of the keys file is no key: {error}",
                hint="write a line like: NAME KEY requests-per-minute=60",
            ) from error
    if len({record.caller.name for record in records}) != len(records):
        raise SetupError("two keys in the keys file have one name", hint="rename one of them")
    if not records:
        raise SetupError("the keys file holds no key", hint="write a line like: NAME KEY")
    return tuple(records)


def _given(words: list[str]) -> Record:
    if len(words) < 2 or not NAME.fullmatch(words[0]):
        raise ValueError("a name and a key are needed")
    name, key, *rest = words
    if key.startswith("sha256:"):
        sha256 = _sha256(key.removeprefix("sha256:"))
    elif MIN_SECRET <= len(key) <= MAX_SECRET and key.isascii() and key.isprintable():
        sha256 = hashlib.sha256(key.encode()).digest()
    else:
        raise ValueError(f"the secret must be {MIN_SECRET} to {MAX_SECRET} ASCII characters")
    given: dict[str, Any] = {}
    for word in rest:
        limit, _, value = word.partition("=")
        field = limit.replace("-", "_")
        if field not in {known.name for known in fields(Limits)} or field in given:
            raise ValueError("a limit that does not exist, or twice the same")
        try:
            given[field] = int(value) if field == "requests_per_minute" else float(value)
        except ValueError:
            raise ValueError(f"{limit} is no number") from None
    id_ = "f" + hashlib.sha256(name.encode()).hexdigest()[:12]
    return Record(caller=Caller(id=id_, name=name, limits=Limits(**given)), hashes=(Hash(sha256),))


def _record(entry: dict[str, Any]) -> Record:
    name, id_ = entry["name"], entry["id"]
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError("a name is malformed")
    if not (isinstance(id_, str) and re.fullmatch(r"[0-9a-z]{4,40}", id_)):
        raise ValueError("an id is malformed")
    hashes = tuple(
        Hash(_sha256(known["sha256"]), None if "until" not in known else float(known["until"]))
        for known in entry["hashes"]
    )
    if not hashes:
        raise ValueError("a key has no hash")
    caller = Caller(id=id_, name=name, limits=Limits(**entry["limits"]))
    return Record(caller=caller, hashes=hashes, created=int(entry["created"]))


def _sha256(text: object) -> bytes:
    if not (isinstance(text, str) and re.fullmatch(r"[0-9a-fA-F]{64}", text)):
        raise ValueError("a sha256 of 64 hexadecimal digits is needed")
    return bytes.fromhex(text)


def _text(path: Path, called: str) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupError(
            f"{called} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise SetupError(f"{called} is too large", hint="it holds one key a line")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SetupError(f"{called} is not text", hint="write it anew") from error
