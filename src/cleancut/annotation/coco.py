"""COCO instances: one JSON file for many pictures (cocodataset.org, "Data format")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cleancut.version import __version__

if TYPE_CHECKING:
    from cleancut.annotation.outline import Annotation

#: The one category: whatever the subject is.
_CATEGORY = 1
_COORDINATES = 2  # decimals
_HEAD_BYTES = 1 << 16


def piece(annotation: Annotation, name: str) -> dict[str, Any]:
    """The picture ``name`` and its annotation, if it has one: rows of the two tables.

    Ids follow from the name, so they are the same in every file and every run. A subject with holes
    is a mask of run lengths, any other polygons.
    """
    number = _number(name)
    size = {"width": annotation.width, "height": annotation.height}
    found: dict[str, Any] = {"image": {"id": number, "file_name": name, **size}}
    if annotation.box is None:
        return found
    left, top, right, bottom = annotation.box
    segmentation: Any = [
        [round(value, _COORDINATES) for point in part.outer for value in point]
        for part in annotation.parts
    ]
    if annotation.runs is not None:
        counts = list(annotation.runs)
        segmentation = {"size": [annotation.height, annotation.width], "counts": counts}
    found["annotation"] = {
        "id": number,
        "image_id": number,
        "category_id": _CATEGORY,
        "segmentation": segmentation,
        "area": annotation.area,
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": 0,
    }
    return found


def named(found: dict[str, Any], name: str) -> dict[str, Any]:
    """A piece under another name, and its ids with it."""
    number = _number(name)
    again = {**found, "image": {**found["image"], "id": number, "file_name": name}}
    if "annotation" in found:
        again["annotation"] = {**found["annotation"], "id": number, "image_id": number}
    return again


def opening(label: str, *, batch: bool = False) -> dict[str, Any]:
    """What a file begins with, before its tables of pictures and annotations.

    ``batch``: it is made anew from what a batch keeps, whatever else somebody has put into it.
    """
    maker = f"cleancut {'batch ' if batch else ''}{__version__}"
    return {
        "info": {"description": f"made by {maker}", "version": "1.0"},
        "licenses": [],
        "categories": [{"id": _CATEGORY, "name": label, "supercategory": ""}],
    }


def opening_of(data: bytes) -> tuple[str, bool]:
    """Label of a file that begins with ``opening``, and whether a batch made it; ``ValueError``."""
    text = data[:_HEAD_BYTES].decode("utf-8", "replace")
    head, key, rest = text.partition('"categories": ')
    if not key:
        raise ValueError("not COCO as it is written here")
    try:
        (category,), _ = json.JSONDecoder().raw_decode(rest)
        return str(category["name"]), "made by cleancut batch " in head
    except (KeyError, TypeError) as error:
        raise ValueError("not COCO as it is written here") from error


def document(pieces: Iterable[dict[str, Any]], label: str) -> bytes:
    """A whole file of ``pieces``, of two of the same picture the later one."""
    rows = {found["image"]["id"]: found for found in pieces}.values()
    tables = {
        "images": [row["image"] for row in rows],
        "annotations": [row["annotation"] for row in rows if "annotation" in row],
    }
    return json.dumps({**opening(label), **tables}).encode()


def pieces_of(data: bytes) -> list[dict[str, Any]]:
    """The pieces of a file that ``document`` made; ``ValueError`` for any other.

    Rows may have been edited; a file that holds more than pieces do would lose it.
    """
    try:
        tables = json.loads(data)
        found = {row["id"]: {"image": row} for row in tables["images"]}
        for row in tables["annotations"]:
            found[row["image_id"]]["annotation"] = row
        (category,) = tables["categories"]
        again = json.loads(document(found.values(), category["name"]))
        if again | {"info": tables["info"]} != tables:
            raise ValueError("more than pieces")
    except (KeyError, TypeError) as error:
        raise ValueError("not COCO") from error
    return list(found.values())


def _number(name: str) -> int:
    """48 bits of a digest: JavaScript and numpy hold them exactly."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=6).digest())
