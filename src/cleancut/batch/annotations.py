"""The annotations of a batch: a file a picture by the workers, one of all at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cleancut.annotation import coco, yolo
from cleancut.annotation.export import LABELS, WHOLE, is_ours, not_ours
from cleancut.batch import names, storage
from cleancut.batch.ledger import FOLDER
from cleancut.imaging.files import not_writable

if TYPE_CHECKING:
    from cleancut.annotation.export import Export
    from cleancut.annotation.outline import Annotation
    from cleancut.batch.job import Job

#: COCO's rows of single pictures, until they are one file.
PIECES = f"{FOLDER}/annotations"
_IN_MEMORY = 16 << 20


def check_place(export: Export, out: str) -> None:
    """Raise ``OutputNotWritable`` where the file of all pictures is not this batch's to write."""
    whole = WHOLE.get(export.kind)
    if whole is None:
        return
    place = storage.join(out, whole)
    labels = export.kind == "yolo" and storage.listing(storage.join(out, LABELS))
    if storage.exists(place):
        export.check_earlier(storage.read(place), storage.plain(place), batch=True)
    elif labels:
        raise not_ours(storage.plain(storage.join(out, LABELS)))


def write_one(export: Export, annotation: Annotation, job: Job, out: str) -> None:
    """Write the file of one picture; ``OutputNotWritable`` if a person's is in the way.

    COCO's names are those of the inputs' tree. A worker may be on another machine than the rest.
    """
    if export.kind == "coco":
        piece = coco.piece(annotation, job.path or job.name)
        piece["way"] = way(job.source, storage.join(out, WHOLE["coco"]))
        storage.write(storage.join(out, f"{PIECES}/{job.id}.json"), json.dumps(piece).encode())
        return
    place = storage.join(out, export.name(names.split(job.name)[0]))
    if export.kind == "labelme" and storage.exists(place) and not is_ours(storage.read(place)):
        raise not_ours(storage.plain(place))
    storage.write(place, export.file(annotation, way(job.source, place)))


def way(source: str, place: str) -> str:
    """The path to ``source`` from the file ``place``, with /; its address if it is far away."""
    if storage.is_remote(source) or storage.is_remote(place):
        return storage.keyless(source)
    try:
        return os.path.relpath(source, storage.parent(place)).replace(os.sep, "/")
    except ValueError:  # another drive
        return source


def write_whole(export: Export, out: str) -> None:
    """Write the file of all pictures there are in ``out``, whichever run or shard cut them."""
    if export.kind == "labelme":
        return
    place = storage.join(out, WHOLE[export.kind])
    if export.kind == "yolo":
        if not storage.exists(place):  # whose pictures are for validation may have been added
            storage.write(place, yolo.data_yaml(export.label))
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as document:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as kept:
            _write_coco(document, _told_apart(_pieces(out), kept), export.label)
        document.seek(0)
        if storage.is_remote(out):
            storage.write(place, document.read())
        else:
            _copy(document, place)


def _pieces(out: str) -> Iterator[dict[str, Any]]:
    folder = storage.join(out, PIECES)
    for name in sorted(storage.listing(folder)):
        if name.endswith(".json"):
            yield json.loads(storage.read(storage.join(folder, name)))


def _told_apart(pieces: Iterator[dict[str, Any]], kept: IO[bytes]) -> Iterator[dict[str, Any]]:
    """``pieces``, those of one name called by their ways; ``kept`` is an empty file for scratch."""
    seen: set[int] = set()
    twice: set[int] = set()
    for piece in pieces:
        number = piece["image"]["id"]
        (twice if number in seen else seen).add(number)
        kept.write(json.dumps(piece).encode() + b"\n")
    kept.seek(0)
    for line in kept:
        piece = json.loads(line)
        yield coco.named(piece, piece["way"]) if piece["image"]["id"] in twice else piece


def _write_coco(document: IO[bytes], pieces: Iterator[dict[str, Any]], label: str) -> None:
    """A million pictures go through without being in memory: the second table waits on disk."""
    document.write(json.dumps(coco.opening(label, batch=True)).encode().removesuffix(b"}"))
    document.write(b', "images": [')
    mark = b""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as rest:
        for piece in pieces:
            document.write(mark + json.dumps(piece["image"]).encode())
            mark = b",\n"
            if "annotation" in piece:
                rest.write(mark if rest.tell() else b"")
                rest.write(json.dumps(piece["annotation"]).encode())
        document.write(b'],\n"annotations": [')
        rest.seek(0)
        shutil.copyfileobj(rest, document)
    document.write(b"]}")


def _copy(document: IO[bytes], place: str) -> None:
    folder = storage.parent(place)
    draft = Path(storage.join(folder, f".cleancut-{secrets.token_hex(6)}.part"))
    try:
        with draft.open("wb") as file:
            shutil.copyfileobj(document, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise not_writable(Path(place), error) from error
    storage.sync_folder(folder)
