"""Which pictures a comparison is made on: sets with true mattes, any folder, or a few made here."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.compare.comparison import Group
from cleancut.errors import CleancutError, DownloadFailed, InputNotFound, WeightsCorrupt
from cleancut.imaging.files import read_bytes, write_atomic
from cleancut.weights.folders import cache_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tell = Callable[[str], None]
#: Told before each picture that is looked at: how many are done, how many there are, its name.
Step = Callable[[int, int, str], None]

#: Suffixes of pictures in a folder without truth.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic")
#: A folder is looked through up to so many entries, and compared on up to so many pictures.
MOST_ENTRIES, MOST_PICTURES = 100_000, 1000
#: How many graphics are drawn where no folder is given; their side in pixels; what they depend on.
_DRAWN, _SIDE, _SEED = 8, 640, 9
#: Raised with any change to what is drawn.
_DRAWING = 1
DRAWN_SET = "drawn_graphics"
_DEMO_GROUPS: dict[str, Group] = {"astronaut.png": "people", "chelsea.png": "animals"}

#: Sets of the project's own evaluation.
_OF_SET: dict[str, Group] = {
    "composite_people": "people",
    "ccp_people": "people",
    "composite_animals": "animals",
    "products_composite": "products",
    "logos_graphics": "text",
    "davis_stills": "scenes",
    "alphamatting_train": "other",
    "glass_cleargrasp": "other",
    DRAWN_SET: "text",
}
#: Words, without a plural's s, in the names of sets; the first group that has one of them.
_WORDS: dict[Group, str] = {
    "text": "text logo graphic icon lettering font sign signature stamp",
    "animals": "animal pet cat dog fur bird horse kitten puppy puppie wildlife fish insect",
    "people": "people person portrait human face man men woman women child children kid girl boy "
    "selfie hair staff team headshot passport wedding",
    "products": "product shop ecommerce good item furniture shoe clothe clothing fashion jewelry "
    "jewellery toy bottle packshot catalog catalogue",
    "scenes": "scene street outdoor landscape still car vehicle sport room event",
}


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture, and its true matte where there is one, as files.

    ``digest`` and ``truth_digest`` are the sha256 of the files' bytes, as 64 hex digits.
    """

    set: str
    stem: str
    group: Group
    image: Path
    alpha: Path | None
    digest: str
    truth_digest: str = ""

    @property
    def name(self) -> str:
        """``SET/STEM``."""
        return f"{self.set}/{self.stem}"


def find(
    folder: Path | None,
    *,
    only: Sequence[str] = (),
    limit: int | None = None,
    skip: Tell | None = None,
    step: Step | None = None,
    cache: Path | None = None,
) -> tuple[Shot, ...]:
    """The pictures of ``folder``, in order; each was decoded once, so that systems get sound ones.

    Sets with true mattes (``imaging.pairs``), else every picture below the folder, one set a
    subfolder; None makes a small set in ``cache``. ``only`` names sets, ``limit`` is the pictures
    of each; no more than ``MOST_PICTURES`` are taken. ``skip`` gets a line for everything left out.
    Raises ``InputNotFound`` if nothing is left, ``BadOption`` for a set that is not there.
    """
    told: list[str] = []
    only = tuple(dict.fromkeys(only))

    def left_out(line: str) -> None:
        told.append(line)
        if skip is not None:
            skip(line)

    if folder is None:
        made = _made(cache or cache_folder(), left_out)
        rows = list(_chosen(made, only, limit, "the pictures made here"))
    elif not folder.is_dir():
        raise InputNotFound(f"{folder} is not a folder", hint="name a folder with pictures")
    elif _has_truth(folder):
        rows = _with_truth(folder, only, limit, left_out)
    else:
        rows = list(_chosen(_lone(folder, left_out), only, limit, str(folder)))
    if len(rows) > MOST_PICTURES:
        left_out(f"{len(rows) - MOST_PICTURES} pictures: {MOST_PICTURES} are enough (see --limit)")
    shots = []
    for number, row in enumerate(rows[:MOST_PICTURES]):
        if step is not None:
            step(number, len(rows[:MOST_PICTURES]), f"{row.set}/{row.stem}")
        if (shot := _sound(row, left_out)) is not None:
            shots.append(shot)
    if not shots:
        raise InputNotFound(
            f"{folder or 'the cache'} holds no picture that can be read"
            + (f" ({len(told)} skipped, first {told[0]})" if told else ""),
            hint="name a folder with pictures",
        )
    return tuple(shots)


def group_of(name: str) -> Group:
    """What a set shows, by the words in its name; "other" if they do not say."""
    if known := _OF_SET.get(name.lower()):
        return known
    found = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    words = {*found, *(word.removesuffix("s") for word in found)}
    return next((group for group, known in _WORDS.items() if words & set(known.split())), "other")


@dataclass(frozen=True, slots=True)
class _Row:
    set: str
    stem: str
    image: Path
    alpha: Path | None = None


def _has_truth(folder: Path) -> bool:
    try:
        inside = [path for path in folder.iterdir() if path.is_dir()]
        return any(
            (place / "image").is_dir() and (place / "alpha").is_dir() for place in (folder, *inside)
        )
    except OSError as error:
        raise InputNotFound(
            f"{folder} cannot be read: {error.strerror or error}", hint="check its permissions"
        ) from error


def _with_truth(folder: Path, only: Sequence[str], limit: int | None, skip: Tell) -> list[_Row]:
    from cleancut.imaging.pairs import find_pairs

    found = find_pairs(folder, only=only, limit=limit)
    for line in found.skipped:
        skip(line)
    return [_Row(pair.set, pair.stem, pair.image, pair.alpha) for pair in found.pairs]


def _lone(folder: Path, skip: Tell) -> list[_Row]:
    """Every picture below ``folder``; links to folders are not followed."""
    entries = list(islice(_files(folder), MOST_ENTRIES + 1))
    if len(entries) > MOST_ENTRIES:
        skip(f"{folder}: only its first {MOST_ENTRIES} files were looked at")
    rows: dict[tuple[str, str], _Row] = {}
    for path in entries[:MOST_ENTRIES]:
        if path.suffix.lower() not in _SUFFIXES:
            continue
        inside = path.parent.relative_to(folder).as_posix()
        name = folder.resolve().name or "pictures" if inside == "." else inside
        stem = path.name if (name, path.stem) in rows else path.stem
        rows[name, stem] = _Row(name, stem, path)
    return list(rows.values())


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():  # no pipe, no device
                yield path


def _chosen(
    rows: Sequence[_Row], only: Sequence[str], limit: int | None, where: str
) -> Iterator[_Row]:
    from cleancut.errors import BadOption

    sets: dict[str, list[_Row]] = {}
    for row in rows:
        sets.setdefault(row.set, []).append(row)
    if unknown := [name for name in only if name not in sets]:
        raise BadOption(
            f"--only: {where} has no set {unknown[0]!r}", hint=f"it has: {', '.join(sets)[:300]}"
        )
    for name in only or sets:
        yield from sets[name][:limit]


def _sound(row: _Row, skip: Tell) -> Shot | None:
    """The row as a shot, or None with a line if it cannot be read."""
    from cleancut.engine import memory_errors
    from cleancut.imaging.decode import decode
    from cleancut.imaging.pairs import Pair, read_pair

    try:
        with memory_errors():
            digest = hashlib.sha256(read_bytes(row.image)).hexdigest()
            truth = ""
            if row.alpha is None:
                decode(read_bytes(row.image))
            else:
                truth = hashlib.sha256(read_bytes(row.alpha)).hexdigest()
                read_pair(Pair(row.set, row.stem, row.image, row.alpha))
    except CleancutError as error:
        skip(f"{row.set}/{row.stem}: {error.message}")
        return None
    return Shot(row.set, row.stem, group_of(row.set), row.image, row.alpha, digest, truth)


def _made(cache: Path, skip: Tell) -> list[_Row]:
    """Graphics drawn with exact mattes, and the demo's two photographs if they can be had."""
    from cleancut.bench.pictures import fetch_demo_pictures

    folder = cache / "compare-pictures"
    rows = _drawn(folder / f"drawn-{_DRAWING}")
    try:
        photographs = fetch_demo_pictures(folder / "photographs")
    except (DownloadFailed, WeightsCorrupt) as error:
        skip(f"two photographs: {error.message}")
        return rows
    return rows + [_Row(f"demo_{_DEMO_GROUPS[path.name]}", path.stem, path) for path in photographs]


def _drawn(folder: Path) -> list[_Row]:
    """Graphics on white, paint and photographs' spectrum; the letters are the machine's fonts."""
    import numpy as np

    from cleancut.bench.score import photo_background
    from cleancut.distill.drawn import drawn

    rows = []
    backdrop = np.asarray(photo_background(_SIDE, _SIDE), np.uint8)
    for number in range(_DRAWN):
        name = f"{number:02}.png"
        image, alpha = folder / "image" / name, folder / "alpha" / name
        if not (image.is_file() and alpha.is_file()):
            rng = np.random.default_rng([_SEED, number])
            pixels, matte = drawn(rng, _SIDE, backdrop=backdrop if number % 4 == 3 else None)
            for path, plane in ((alpha, matte), (image, pixels)):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, _png(plane))
        rows.append(_Row(DRAWN_SET, image.stem, image, alpha))
    return rows


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
