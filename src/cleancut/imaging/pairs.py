"""Folders of pictures with true mattes: what is there to score, and reading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.arrays import full_scale
from cleancut.errors import BadArray, BadOption, CleancutError, InputNotFound
from cleancut.imaging.decode import DEFAULT_MAX_MEGAPIXELS, decode
from cleancut.imaging.files import read_bytes

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.imaging.picture import Picture

#: Suffixes of pictures; others in the same folder (notes, checksums) are passed over.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic")
LAYOUT = (
    "lay pictures out as SET/image/STEM.jpg and SET/alpha/STEM.png (a grey matte, or a cutout with "
    "transparency)"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture and its true matte, as files; ``set`` is the name of their folder."""

    set: str
    stem: str
    image: Path
    alpha: Path

    @property
    def name(self) -> str:
        """``SET/STEM``."""
        return f"{self.set}/{self.stem}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds: pairs in order, and a line about each thing that cannot be scored."""

    pairs: tuple[Pair, ...]
    skipped: tuple[str, ...] = field(default=())

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of the sets, in order."""
        return tuple(dict.fromkeys(pair.set for pair in self.pairs))


def find_pairs(folder: Path, *, only: Sequence[str] = (), limit: int | None = None) -> Found:
    """The pairs of ``folder``: one set (``image/`` and ``alpha/``), or a folder of such sets.

    ``only`` names the sets to take (empty: all), ``limit`` the pictures of each. Raises
    ``InputNotFound`` if there is no pair, ``BadOption`` for a set that is not there.
    """
    if not folder.is_dir():
        raise InputNotFound(f"{folder} is not a folder", hint=LAYOUT)
    skipped: list[str] = []
    if _is_set(folder):
        sets = {folder.resolve().name: folder}
    else:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        sets = {path.name: path for path in inside if _is_set(path)}
        skipped += [
            f"{path.name}: no image/ and alpha/ in it"
            for path in inside
            if path.name not in sets and path.name[0] != "." and not only
        ]
    if unknown := [name for name in only if name not in sets]:
        raise BadOption(
            f"--only: {folder} has no set {unknown[0]!r}",
            hint=f"it has: {', '.join(sets)}" if sets else LAYOUT,
        )
    pairs: list[Pair] = []
    for name in only or sets:
        matched, unmatched = _match(name, sets[name])
        pairs += matched[:limit]
        skipped += unmatched
    if not pairs:
        raise InputNotFound(
            f"{folder} holds no picture with a true matte"
            + (f" ({len(skipped)} skipped, first {skipped[0]})" if skipped else ""),
            hint=LAYOUT,
        )
    return Found(tuple(pairs), tuple(skipped))


def read_pair(
    pair: Pair, *, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
) -> tuple[Picture, Alpha]:
    """A picture and its true matte, which are of one size.

    Raises as ``read_truth``, ``BadArray`` also where the sizes differ.
    """
    picture = decode(read_bytes(pair.image), max_megapixels=max_megapixels)
    alpha = read_truth(pair.alpha)
    if alpha.shape != (picture.height, picture.width):
        raise BadArray(
            f"the picture is {picture.width}x{picture.height}, its alpha"
            f" {alpha.shape[1]}x{alpha.shape[0]}",
            hint="a matte is as large as its picture",
        )
    return picture, alpha


def read_named(pair: Pair) -> tuple[Picture, Alpha]:
    """As ``read_pair``, with the pair's name before what is wrong with it."""
    try:
        return read_pair(pair)
    except CleancutError as error:
        raise type(error)(f"{pair.name}: {error.message}", hint=error.hint) from error


def read_truth(path: Path) -> Alpha:
    """A true matte: (H, W) float32 in 0..1, of a grey picture or of the alpha of another.

    Raises ``UnreadableImage`` and other errors of decoding, ``BadArray`` for an opaque picture in
    colours.
    """
    return matte_of(decode(read_bytes(path)), str(path))


def read_matte(path: Path, rgb: Rgb) -> tuple[Alpha, Rgb]:
    """Another tool's answer for the picture ``rgb``: its matte and the colours that go with it.

    A cutout brings its own colours, a grey matte leaves the picture's. Raises as ``read_truth``.
    """
    picture = decode(read_bytes(path))
    alpha = matte_of(picture, str(path))
    if alpha.shape != rgb.shape[:2]:
        raise BadArray(
            f"{path.name} is {picture.width}x{picture.height}, its picture"
            f" {rgb.shape[1]}x{rgb.shape[0]}",
            hint="a matte is as large as its picture",
        )
    return alpha, (rgb if picture.alpha is None else picture.rgb)


def matte_of(picture: Picture, name: str) -> Alpha:
    """The matte that a decoded picture is or carries; ``BadArray`` if it is neither."""
    first, second, third = (picture.rgb[..., channel] for channel in range(3))
    grey = np.array_equal(first, second) and np.array_equal(first, third)
    if picture.alpha is not None and not (grey and bool((picture.alpha == 1.0).all())):
        return picture.alpha
    if not grey:
        raise BadArray(
            f"{Path(name).name} is a picture in colours, not a matte",
            hint="a matte is grey, or the alpha channel of a cutout",
        )
    matte: Alpha = first.astype(np.float32) / np.float32(full_scale(picture.rgb))
    return matte


def _is_set(folder: Path) -> bool:
    return (folder / "image").is_dir() and (folder / "alpha").is_dir()


def _match(name: str, folder: Path) -> tuple[list[Pair], list[str]]:
    images, skipped = _by_stem(folder / "image", f"{name}/image")
    alphas, twice = _by_stem(folder / "alpha", f"{name}/alpha")
    pairs = [
        Pair(name, stem, path, alphas[stem]) for stem, path in images.items() if stem in alphas
    ]
    skipped += twice
    skipped += [f"{name}/image/{p.name}: no alpha" for s, p in images.items() if s not in alphas]
    skipped += [f"{name}/alpha/{p.name}: no image" for s, p in alphas.items() if s not in images]
    return pairs, skipped


def _by_stem(folder: Path, name: str) -> tuple[dict[str, Path], list[str]]:
    found: dict[str, Path] = {}
    skipped = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or path.name[0] == "." or not path.is_file():
            continue
        if path.stem in found:
            skipped.append(f"{name}/{path.name}: {found[path.stem].name} bears the same name")
        else:
            found[path.stem] = path
    return found, skipped
