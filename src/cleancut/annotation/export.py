"""Which file an annotation goes to, and what is in it: COCO, LabelMe or YOLO."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from cleancut.annotation import coco, labelme, yolo
from cleancut.errors import BadOption, OutputNotWritable

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
        """What is in that file (COCO has none); ``picture`` is the way from it to the picture."""
        if self.kind == "labelme":
            return labelme.document(annotation, picture, self.label)
        return yolo.lines(annotation)

    def check_earlier(self, data: bytes, place: str, *, batch: bool) -> None:
        """Raise ``OutputNotWritable`` if ``data``, the file of all pictures at ``place``, is in the
        way: a person's, one of other subjects, or one of ``cut`` where a batch writes.
        """
        if not is_ours(data):
            raise not_ours(place)
        try:
            if self.kind == "coco":
                label, by_batch = coco.opening_of(data)
            else:
                label, by_batch = yolo.label_of(data), batch
        except ValueError as error:
            raise not_ours(place) from error
        if by_batch is not batch:
            raise OutputNotWritable(
                f"{place} belongs to cleancut {'batch' if by_batch else 'cut'}, which would not "
                "keep what is added",
                hint="choose another folder with -o",
            )
        if label != self.label:
            raise OutputNotWritable(
                f"{place} says that its subjects are {label!r}, not {self.label!r}",
                hint=f"choose another folder with -o, or add --label {shlex.quote(label)}",
            )


def is_ours(data: bytes) -> bool:
    """Whether a file was written here, and by no tool since; a person's is never replaced."""
    return _MARK in data[:_HEAD_BYTES]


def not_ours(place: str) -> OutputNotWritable:
    """What is said of a file that stays as it is."""
    return OutputNotWritable(
        f"{place} was not written by cleancut, or was edited since",
        hint="move it away, or choose another folder with -o",
    )
