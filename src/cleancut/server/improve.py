"""Pictures that clients send because a cutout went wrong, kept for the operator to look at.

Each is a file below ``<data>/improve/<day>/<caller>/``, named by the id that the client was told,
with a JSON file beside it. Only a server that was started with ``--improve`` keeps any.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from cleancut.errors import CleancutError, StorageFailed
from cleancut.imaging.sniff import sniff
from cleancut.server.removebg_faults import Refused, refusal

#: Pictures that one caller may leave in a day of UTC, as remove.bg limits it.
PER_DAY = 100
_MAX_TEXT = 200
_SNIFFED = 4096

#: Counting and keeping is one step, so that two requests cannot both be the hundredth.
_one_at_a_time = threading.Lock()


def keep_for_review(folder: Path, source: Path, caller: str, name: str, tag: str) -> str:
    """Copy the picture at ``source`` below ``folder``; the id it is kept under.

    ``name`` and ``tag`` are texts of the client's: they are written down, cut to a sane length, and
    never part of a path. Blocks for the disk. Raises ``Refused`` for what is no picture and beyond
    ``PER_DAY``, ``StorageFailed``.
    """
    with source.open("rb") as file:
        head = file.read(_SNIFFED)
    try:
        kind = sniff(head)
    except CleancutError as error:
        raise refusal(error) from error
    day = time.strftime("%Y-%m-%d", time.gmtime())
    place = folder / day / (re.sub(r"[^\w-]", "_", caller, flags=re.ASCII)[:64] or "_")
    kept = str(uuid.uuid4())
    about = {"id": kept, "filename": _plain(name), "tag": _plain(tag), "format": kind}
    with _one_at_a_time:
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            if sum(path.suffix == ".json" for path in place.iterdir()) >= PER_DAY:
                raise Refused(
                    "improve_limit_exceeded",
                    f"At most {PER_DAY} images a day are taken.",
                    status=429,
                    retry_after_s=86400 - time.time() % 86400,
                )
            _write(place / f"{kept}.{kind}", source, place / f"{kept}.json", json.dumps(about))
        except OSError as error:
            raise StorageFailed(
                "the server cannot keep the image", hint="try again later"
            ) from error
    return kept


def _write(picture: Path, source: Path, facts: Path, text: str) -> None:
    """Picture first, facts last, each by rename: what has facts is whole."""
    draft = picture.with_name(f".{secrets.token_hex(8)}")
    try:
        shutil.copyfile(source, draft)
        draft.replace(picture)
        draft.write_text(text, "utf-8")
        draft.replace(facts)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
            picture.unlink(missing_ok=True)
        raise


def _plain(text: str) -> str:
    return "".join(c for c in text[:_MAX_TEXT] if c.isprintable())
