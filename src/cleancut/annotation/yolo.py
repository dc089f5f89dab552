"""YOLO segmentation: a line an object, class and corners as shares of width and height."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cleancut.version import __version__

if TYPE_CHECKING:
    from cleancut.annotation.outline import Annotation


def lines(annotation: Annotation) -> bytes:
    """The text file of one picture: one object, whose islands and holes are bridged to one ring.

    Empty without a subject, which says that the picture is background.
    """
    from cleancut.annotation.outline import joined

    if not annotation.parts:
        return b""
    rings = [ring for part in annotation.parts for ring in (part.outer, *part.holes)]
    corners = " ".join(
        f"{x / annotation.width:.6f} {y / annotation.height:.6f}" for x, y in joined(rings)
    )
    return f"0 {corners}\n".encode()


def label_of(data: bytes) -> str:
    """The one label in what ``data_yaml`` wrote, whatever else was added; ``ValueError``."""
    names = re.findall(r"^ +(\d+): (.*)$", data.decode(), re.MULTILINE)
    label = json.loads(names[0][1]) if len(names) == 1 else None
    if not isinstance(label, str):
        raise ValueError("other classes")
    return label


def data_yaml(label: str) -> bytes:
    """The file that a training run is pointed at; the pictures lie in ``images`` beside it."""
    return (
        f"# made by cleancut {__version__}; link or copy the pictures to images/\n"
        f"path: .\ntrain: images\nval: images\nnames:\n  0: {json.dumps(label)}\n"
    ).encode()
