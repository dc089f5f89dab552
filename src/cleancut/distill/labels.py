"""A folder of labels: what a teacher says about photographs that nobody has cut out.

::

    LABELS/labels.jsonl          a line a photograph: file, digest, size, agreement, confidence
    LABELS/mattes/STEM.png       the mean of the views' mattes, 8-bit grey
    LABELS/spread/STEM.png       the largest difference between two views, pixel by pixel
    LABELS/views/STEM.V.png      the matte of one view; what an interrupted run goes on from
    LABELS/views.jsonl           what the teacher said of each view besides
    LABELS/about.json            the photographs' folder, the teacher, licences and training data

STEM is the photograph's path below its folder without the suffix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cleancut.errors import BadOption, InputNotFound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

ROWS, VIEWS, ABOUT = "labels.jsonl", "views.jsonl", "about.json"
MATTES, SPREADS, LOOKS = "mattes", "spread", "views"
#: Mattes of this much agreement and more are worth learning from; below it a summary warns.
LOW_AGREEMENT = 0.7
#: Longest side, in pixels, at which a photograph is labelled. Students see 512 pixels at most, of
#: crops of half the sides at the least.
LONGEST_PX = 1024
_HINT = "run: cleancut distill label PHOTOS -o LABELS"


@dataclass(frozen=True, slots=True)
class Label:
    """One labelled photograph.

    ``photo`` is its path below the photographs' folder, with "/". ``width`` and ``height`` are
    those of its matte in pixels: the photograph's own unless its long side exceeds ``LONGEST_PX``.
    ``teacher`` are the ids of the networks that were asked, the believed one first. ``agreement``
    (0..1) is the soft IoU of the views' mattes, with one view how decided that is;
    ``confidence`` (0..1) is the mean of ``Result.confidence``, ``coverage`` (0..1) the mean of the
    matte. ``person`` says that a person's face was found in the subject.
    """

    photo: str
    sha256: str
    width: int
    height: int
    teacher: tuple[str, ...]
    views: int
    agreement: float
    confidence: float
    coverage: float
    person: bool = False

    @property
    def stem(self) -> str:
        """``photo`` without its suffix: the name of its matte."""
        return stem_of(self.photo)

    @property
    def prefix(self) -> str:
        """What the file's name begins with, up to "_"; empty without one."""
        before, mark, _ = PurePosixPath(self.photo).name.partition("_")
        return before if mark else ""

    def to_json(self) -> str:
        """The label as one line of JSON."""
        facts = asdict(self)
        for name in ("agreement", "confidence", "coverage"):
            facts[name] = round(facts[name], 5)
        return json.dumps(facts)


@dataclass(frozen=True, slots=True)
class Labels:
    """A folder of labels; ``photos`` is the folder of the photographs, ``about`` the teacher."""

    folder: Path
    photos: Path
    rows: tuple[Label, ...]
    about: Mapping[str, Any]

    def matte(self, row: Label) -> Bytes:
        """The mean of the views' mattes: (H, W) uint8.

        Raises ``InputNotFound``, ``UnreadableImage``, ``BadOption`` if it has not the row's size.
        """
        return self._grey(MATTES, row)

    def spread(self, row: Label) -> Bytes:
        """The largest difference between two views, (H, W) uint8; zeros where there is one view.

        Raises as ``matte``.
        """
        if row.views > 1:
            return self._grey(SPREADS, row)
        import numpy as np

        return np.zeros((row.height, row.width), np.uint8)

    def rgb(self, row: Label) -> Bytes:
        """The photograph as the teacher saw it: (H, W, 3) uint8 sRGB, upright, of the row's size.

        Raises the errors of reading, ``BadOption`` if the file is another one now.
        """
        rgb = read_photo(self.photos / row.photo)
        if rgb.shape[:2] != (row.height, row.width):
            raise BadOption(
                f"{row.photo} has changed since it was labelled",
                hint="label the photographs again with the same command",
            )
        return rgb

    def check_files(self) -> None:
        """Raise ``InputNotFound`` where photographs or mattes are gone, before hours of training.

        Nothing is read.
        """
        for what, place, names in (
            ("photographs", self.photos, [row.photo for row in self.rows]),
            ("mattes", self.folder / MATTES, [f"{row.stem}.png" for row in self.rows]),
        ):
            if gone := [name for name in names if not (place / name).is_file()]:
                raise InputNotFound(
                    f"{len(gone)} of {len(names)} labelled {what} are not in {place}, "
                    f"the first is {gone[0]}",
                    hint="bring them back, or run again what made the labels",
                )

    def _grey(self, folder: str, row: Label) -> Bytes:
        grey = read_grey(self.folder / folder / f"{row.stem}.png")
        if grey.shape != (row.height, row.width):
            raise BadOption(
                f"{folder}/{row.stem}.png is {grey.shape[1]}x{grey.shape[0]}, its label says"
                f" {row.width}x{row.height}",
                hint="label the photographs again with the same command",
            )
        return grey


def read_labels(folder: Path, *, photos: Path | None = None) -> Labels:
    """The labels in ``folder``; ``photos`` is where the photographs lie, if they were moved.

    Raises ``InputNotFound`` if these are not there, ``BadOption`` for a damaged file.
    """
    about = read_about(folder)
    rows = read_rows(folder)
    if about is None or not rows:
        raise InputNotFound(f"{folder} holds no labels", hint=_HINT)
    found = Path(str(about.get("photos", ""))) if photos is None else photos
    if not found.is_dir():
        raise InputNotFound(
            f"the labelled photographs are not in {found}",
            hint="give --photos DIR, where they are now",
        )
    return Labels(folder, found, rows, about)


def read_about(folder: Path) -> dict[str, Any] | None:
    """What ``about.json`` says, None where there is none; ``BadOption`` for a damaged one."""
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputNotFound(f"{path}: {error.strerror}", hint="check the folder") from error
    except ValueError as error:
        raise BadOption(f"{path}: not valid JSON ({error})", hint=_HINT + " --fresh") from error
    if not isinstance(about, dict) or about.get("format") != 1:
        raise BadOption(f"{path} is not about labels of this version", hint=_HINT + " --fresh")
    return about


def read_rows(folder: Path) -> tuple[Label, ...]:
    """The lines of ``labels.jsonl``; none without the file. ``BadOption`` for a damaged one."""
    path = folder / ROWS
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise BadOption(f"{path} cannot be read: {error}", hint=_HINT) from error
    return tuple(
        _label(line, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    )


def _label(line: str, where: str) -> Label:
    try:
        facts = json.loads(line)
        row = Label(
            photo=inside(facts["photo"]),
            sha256=str(facts["sha256"]),
            width=int(facts["width"]),
            height=int(facts["height"]),
            teacher=tuple(map(str, facts["teacher"])),
            views=int(facts["views"]),
            **{name: float(facts[name]) for name in ("agreement", "confidence", "coverage")},
            person=bool(facts.get("person", False)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadOption(f"{where} is not a label ({error!r:.100})", hint=_HINT) from error
    shares = (row.agreement, row.confidence, row.coverage)
    if min(row.width, row.height, row.views) < 1 or not all(0 <= share <= 1 for share in shares):
        raise BadOption(f"{where} is not a label: a figure is out of range", hint=_HINT)
    return row


def inside(name: object) -> str:
    """``name`` if it is a relative path that leads nowhere else; ``ValueError`` if not."""
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("/")
    if path.is_absolute() or ".." in path.parts or not path.name or Path(path).drive:
        raise ValueError(f"{name!r} is not a path inside the folder")
    return str(path)


def stem_of(photo: str) -> str:
    """``photo`` ("a/b.jpg") without its suffix ("a/b")."""
    return str(PurePosixPath(photo).with_suffix(""))


def read_photo(source: Path | bytes) -> Bytes:
    """A photograph as teacher and student see it: (H, W, 3) uint8 sRGB, upright.

    Its long side is at most ``LONGEST_PX``. Raises the errors of reading and decoding.
    """
    import numpy as np

    from cleancut.imaging.decode import decode
    from cleancut.imaging.encode import quantise
    from cleancut.imaging.files import read_bytes
    from cleancut.imaging.resize import fit, size_within
    from cleancut.subject import model_view

    rgb = quantise(model_view(decode(read_bytes(source))), 8)
    height, width = size_within(rgb.shape[0], rgb.shape[1], LONGEST_PX)
    photo: Bytes = np.ascontiguousarray(fit(rgb, height, width))
    return photo


def read_grey(path: Path) -> Bytes:
    """An 8-bit grey picture as (H, W) uint8; raises the errors of reading and decoding."""
    import numpy as np

    from cleancut.imaging.decode import decode
    from cleancut.imaging.encode import quantise
    from cleancut.imaging.files import read_bytes

    grey: Bytes = np.ascontiguousarray(quantise(decode(read_bytes(path)).rgb[..., 0], 8))
    return grey
