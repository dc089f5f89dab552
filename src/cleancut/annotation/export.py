"""Which file an annotation goes to, and what is in it: COCO, LabelMe or YOLO."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from cleancut.annotation import coco, labelme, yolo
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.annotation.outline import Annotation

Kind = Literal["coco", "labelme", "yolo"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: How far an outline may be from the matte's edge, in pixels, and at most.
TOLERANCE_PX, MAX_TOLERANCE_PX = 1.0, 100.0

#: One file for the whole folder, beside the files of single pictures: its name by kind.
WHOLE: dict[str, str] = {"coco": "annotations.coco.json", "yolo": "data.yaml"}
#: Folder of YOLO's files, the twin of ``images``.
LABELS = "labels"
_HEAD_BYTES = 120
_MARK = b"cleancut"


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported: ``label`` names what the subjects are, outlines keep to ``tolerance_px``.

    Raises ``BadOption``.
    """

    kind: Kind
    label: str = "object"
    tolerance_px: float = TOLERANCE_PX

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadOption(f"--export: {self.kind!r} is not a choice", hint=", ".join(KINDS))
        if not self.label.strip() or not self.label.isprintable():
            raise BadOption(f"--label: {self.label!r} is no name", hint="like --label shoe")
        if not 0 <= self.tolerance_px <= MAX_TOLERANCE_PX:
            raise BadOption(f"--tolerance: {self.tolerance_px} is out of range", hint="0 to 100")

    def to_json(self) -> str:
        """One line of JSON; ``from_json`` reads it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Export:
        """What ``to_json`` wrote."""
        return cls(**json.loads(text))

    def name(self, stem: str) -> str:
        """The file of a picture whose result is called ``stem`` (with /, without suffix)."""
        return f"{LABELS}/{stem}.txt" if self.kind == "yolo" else f"{stem}.json"

    def file(self, annotation: Annotation, picture: str) -> bytes:
        """What is in that file. ``picture`` names the picture: for COCO as its tables name it.

        For LabelMe it is the way from the file to the picture. A file for COCO is a part of the
        whole one, as ``coco.piece`` makes it.
        """
        if self.kind == "coco":
            return json.dumps(coco.piece(annotation, picture)).encode()
        if self.kind == "labelme":
            return labelme.document(annotation, picture, self.label)
        return yolo.lines(annotation)


def is_ours(data: bytes) -> bool:
    """Whether a file was written here and by nobody else since; a person's is never replaced."""
    return _MARK in data[:_HEAD_BYTES]
