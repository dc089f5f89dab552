"""A user's own pictures with true mattes, as the labels that training reads.

They are copied once, no larger than training needs them: a step must not decode 24 megapixels. All
of them are read before the first step, so what is wrong with one is told then.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.distill.labels import (
    ABOUT,
    LONGEST_PX,
    MATTES,
    ROWS,
    Label,
    Labels,
    read_about,
    read_labels,
)
from cleancut.errors import BadOption
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.imaging.pairs import Pair, read_named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

#: The folder of the copies, below that of the labels, and what their names begin with.
PHOTOS, PREFIX = "photos", "pairs"
#: Enough for an eye; training compresses half of its pictures harder.
_QUALITY = 95
#: One in so many is held back, at the least and the most.
_HELD_BACK, _LEAST, _MOST = 10, 1, 50
#: Fewer pairs than this teach nothing that could be held against others.
FEWEST = 4


def split(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs to learn from, and a tenth that is held back to judge by; always the same ones.

    Raises ``BadOption`` where there are too few.
    """
    if len(pairs) < FEWEST:
        raise BadOption(
            f"too few pictures with mattes to learn from and to judge by: {len(pairs)}",
            hint=f"give {FEWEST} or more; a hundred are better",
        )
    count = max(_LEAST, min(_MOST, len(pairs) // _HELD_BACK))
    drawn = sorted(pairs, key=lambda pair: hashlib.sha256(pair.name.encode()).digest())
    held = frozenset(pair.name for pair in drawn[:count])
    return (
        tuple(pair for pair in pairs if pair.name not in held),
        tuple(pair for pair in pairs if pair.name in held),
    )


def labels_of(
    pairs: Sequence[Pair],
    folder: Path,
    *,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Labels:
    """``pairs`` as labels in ``folder``; those of an earlier sitting are taken as they are.

    Raises ``BadOption`` if ``folder`` holds those of other pairs, or of ones that have changed
    since; what reading a pair raises; ``OutputNotWritable``.
    """
    identity = _identity(pairs)
    about = read_about(folder)
    if about is not None:
        if about.get("pairs") != identity:
            raise BadOption(
                "the pictures with mattes are other ones than when this run began",
                hint="give another -o",
            )
        return read_labels(folder, photos=folder / PHOTOS)
    try:
        for name in (PHOTOS, MATTES):
            shutil.rmtree(folder / name, ignore_errors=True)  # of a copying that was killed
            (folder / name).mkdir(parents=True)
    except OSError as error:
        raise not_writable(folder, error) from error
    rows = []
    for number, pair in enumerate(pairs):
        progress(number, len(pairs), pair.name)
        rows.append(_copied(pair, folder, number))
    progress(len(pairs), len(pairs), "")
    write_atomic(folder / ROWS, "".join(f"{row.to_json()}\n" for row in rows).encode())
    # Last, since it says that all is there.
    facts: dict[str, Any] = {"format": 1, "photos": PHOTOS, "teacher": {}, "pairs": identity}
    write_atomic(folder / ABOUT, json.dumps(facts, indent=1).encode())
    return read_labels(folder, photos=folder / PHOTOS)


def _copied(pair: Pair, folder: Path, number: int) -> Label:
    import cv2
    import numpy as np

    from cleancut.imaging.encode import quantise
    from cleancut.imaging.resize import fit, size_within
    from cleancut.subject import model_view

    picture, truth = read_named(pair)
    height, width = size_within(truth.shape[0], truth.shape[1], LONGEST_PX)
    rgb = np.ascontiguousarray(fit(quantise(model_view(picture), 8), height, width))
    matte = quantise(np.clip(_shrunk(truth, height, width), 0, 1), 8)
    name = f"{PREFIX}_{number:05}"
    photo = _encoded(".jpg", rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    write_atomic(folder / PHOTOS / f"{name}.jpg", photo)
    write_atomic(folder / MATTES / f"{name}.png", _encoded(".png", matte, ()))
    return Label(
        photo=f"{name}.jpg",
        sha256=hashlib.sha256(photo).hexdigest(),
        width=width,
        height=height,
        teacher=(),
        views=1,
        agreement=1.0,
        confidence=1.0,
        coverage=float(matte.mean(dtype=np.float64)) / 255,
    )


def _shrunk(alpha: Any, height: int, width: int) -> Any:
    import cv2

    if alpha.shape == (height, width):
        return alpha
    return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)


def _encoded(suffix: str, image: Any, flags: Sequence[int]) -> bytes:
    import cv2
    import numpy as np

    _, data = cv2.imencode(suffix, np.ascontiguousarray(image), flags)
    return data.tobytes()


def _identity(pairs: Sequence[Pair]) -> str:
    """What the pairs are, by name, size and time of change."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(pair.name.encode())
        for path in (pair.image, pair.alpha):
            facts = path.stat()
            digest.update(f" {facts.st_size} {facts.st_mtime_ns}".encode())
    return digest.hexdigest()
