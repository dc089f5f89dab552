"""LabelMe: a JSON file beside each picture, whose polygons can be moved by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cleancut.version import __version__

if TYPE_CHECKING:
    from cleancut.annotation.outline import Annotation

#: The version whose files these are like.
_FORMAT = "5.5.0"


def document(annotation: Annotation, image_path: str, label: str) -> bytes:
    """The file for the picture at ``image_path``, which is relative to the file.

    Islands are polygons of one group. A hole hangs on its outline by a bridge of no width, since
    LabelMe's polygons have none.
    """
    from cleancut.annotation.outline import joined

    group = 1 if len(annotation.parts) > 1 else None
    shapes: list[dict[str, Any]] = [
        {
            "label": label,
            "points": [list(point) for point in joined([part.outer, *part.holes])],
            "group_id": group,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for part in annotation.parts
    ]
    facts: dict[str, Any] = {
        # First, where LabelMe itself never writes it: a file that was edited is the user's.
        "cleancut": __version__,
        "version": _FORMAT,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": annotation.height,
        "imageWidth": annotation.width,
    }
    return json.dumps(facts, indent=1).encode()
