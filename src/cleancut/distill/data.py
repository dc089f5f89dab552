"""Batches of pictures with mattes, made on the fly from labelled photographs.

A batch is a function of the seed, the step and the place in the batch, so a run that goes on from
a checkpoint sees the pictures that it would have seen anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.distill.augment import as_bytes, cropped, degrade, resized, stretched, window
from cleancut.distill.compositing import composite, plain_backdrop
from cleancut.distill.drawn import drawn
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cleancut.arrays import Tensor
    from cleancut.distill.config import TrainConfig
    from cleancut.distill.labels import Label, Labels

    Bytes = NDArray[np.uint8]
    Sample = tuple[Bytes, Bytes, Bytes]

#: Chances that a composite stands on a plain studio backdrop, and that graphics stand on paper.
_PLAIN, _PAPER = 0.35, 0.6
#: Disagreement of the teacher's views (of 255) at which a pixel's target is not believed at all.
_LOST = 160.0
#: A subject that fills less of its photograph is not worth moving elsewhere.
_SMALLEST_SUBJECT = 0.02
#: Share of its height that an upper body keeps of a person.
_UPPER_BODY = (0.22, 0.6)

#: What is missing where a share has no picture, and what to do about it.
_ZERO = "set it to 0 in a configuration of your own ([data.shares])"
_LACKING = {
    "photo": "no labelled photograph reaches min_agreement",
    "composite": "no labelled subject reaches composite_agreement",
    "portrait": "no labelled photograph that shows a person reaches composite_agreement",
    "empty": "there are no pictures without a subject",
}
_HINTS = {
    "photo": "lower min_agreement, or label more photographs",
    "composite": f"lower composite_agreement, label more photographs, or {_ZERO}",
    "portrait": f"label photographs of people, or {_ZERO}",
    "empty": f"give --backgrounds DIR, or {_ZERO}",
}


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``image`` (N, 3, S, S) in -1..1, ``alpha`` and ``trust`` (N, 1, S, S) in 0..1; float32."""

    image: Tensor
    alpha: Tensor
    trust: Tensor


class Pictures:
    """Draws training pictures: photographs, composites, portraits, graphics and empty ones.

    ``backgrounds`` holds pictures without a subject. Raises ``BadOption`` where what the shares
    ask for is not there.
    """

    def __init__(self, config: TrainConfig, labels: Labels, backgrounds: tuple[Path, ...]) -> None:
        data = config.data
        self.config, self.labels, self.backgrounds = config, labels, backgrounds
        self._photos = Draw(
            [row for row in labels.rows if row.agreement >= data.min_agreement], data.weights
        )
        self._subjects = self._photos.only(
            lambda row: (
                row.agreement >= data.composite_agreement and row.coverage >= _SMALLEST_SUBJECT
            )
        )
        self._people = self._subjects.only(lambda row: row.person)
        shares = {name: share for name, share in asdict(data.shares).items() if share > 0}
        self._check(shares)
        self._kinds = tuple(shares)
        total = sum(shares.values())
        self._chances = [share / total for share in shares.values()]

    def _check(self, shares: dict[str, float]) -> None:
        sources = {
            "photo": len(self._photos),
            "composite": len(self._subjects),
            "portrait": len(self._people),
            "empty": len(self.backgrounds),
        }
        for name in shares:
            if not sources.get(name, 1):
                raise BadOption(f"shares.{name}: {_LACKING[name]}", hint=_HINTS[name])
        for path in self.backgrounds:
            if not cv2.haveImageReader(str(path)):
                raise _unreadable(path)

    def batch(self, step: int, size: int, *, rank: int = 0) -> Batch:
        """The batch of ``step`` at ``size`` x ``size`` pixels for the process ``rank``."""
        config = self.config
        samples = []
        for place in range(config.batch):
            rng = np.random.default_rng((config.seed, step, rank, place))
            samples.append(self.sample(rng, size))
        rgb, alpha, trust = (np.stack(part) for part in zip(*samples, strict=True))
        image = rgb.transpose(0, 3, 1, 2).astype(np.float32)
        image -= 127.5
        image /= 127.5
        return Batch(
            np.ascontiguousarray(image),
            alpha[:, None].astype(np.float32) / 255,
            trust[:, None].astype(np.float32) / 255,
        )

    def sample(self, rng: np.random.Generator, size: int) -> Sample:
        """One picture: rgb (size, size, 3), alpha and trust (size, size), all uint8."""
        kind = str(rng.choice(self._kinds, p=self._chances))
        rgb, alpha, trust = getattr(self, f"_{kind}")(rng, size)
        if rng.random() < 0.5:
            rgb, alpha, trust = (
                np.ascontiguousarray(part[:, ::-1]) for part in (rgb, alpha, trust)
            )
        if rng.random() < self.config.data.degrade:
            rgb = degrade(rgb, rng)
        return rgb, alpha, trust

    def _photo(self, rng: np.random.Generator, size: int) -> Sample:
        rgb, alpha, trust = self._labelled(self._photos.one(rng))
        return self._framed(rng, rgb, alpha, trust, size)

    def _composite(self, rng: np.random.Generator, size: int) -> Sample:
        rgb, alpha, _ = self._labelled(self._subjects.one(rng))
        return self._elsewhere(rng, rgb, alpha, size)

    def _portrait(self, rng: np.random.Generator, size: int) -> Sample:
        rgb, alpha, trust = self._labelled(self._people.one(rng))
        top, bottom, left, right = _upper_body(alpha, rng)
        rgb, alpha, trust = (part[top:bottom, left:right] for part in (rgb, alpha, trust))
        if rng.random() < 0.5:
            return self._elsewhere(rng, rgb, alpha, size)
        return _square(rgb, alpha, trust, size)

    def _drawn(self, rng: np.random.Generator, size: int) -> Sample:
        behind = None if rng.random() < _PAPER or not self.backgrounds else self._background(rng)
        rgb, alpha = drawn(rng, size, backdrop=behind)
        return rgb, alpha, np.full_like(alpha, 255)

    def _empty(self, rng: np.random.Generator, size: int) -> Sample:
        rgb = self._background(rng)
        rgb, alpha = cropped(rgb, np.zeros(rgb.shape[:2], np.uint8), rng, keep=0.4)
        rgb, alpha = stretched(rgb, alpha, size)
        return rgb, alpha, np.full_like(alpha, 255)

    def _elsewhere(self, rng: np.random.Generator, rgb: Bytes, alpha: Bytes, size: int) -> Sample:
        plain = not self.backgrounds or rng.random() < _PLAIN
        behind = plain_backdrop(rng, size) if plain else self._background(rng)
        rgb, alpha = stretched(*composite(rgb, alpha, behind, rng), size)
        return rgb, alpha, np.full_like(alpha, 255)

    def _framed(
        self, rng: np.random.Generator, rgb: Bytes, alpha: Bytes, trust: Bytes, size: int
    ) -> Sample:
        part = window(alpha, rng, self.config.data.crop)
        return _square(rgb[part], alpha[part], trust[part], size)

    def _labelled(self, row: Label) -> Sample:
        rgb = self.labels.rgb(row)
        alpha, spread = self.labels.matte(row), self.labels.spread(row)
        trust = np.clip(255 * (1 - spread.astype(np.float32) / _LOST), 0, 255).astype(np.uint8)
        return rgb, alpha, trust

    def _background(self, rng: np.random.Generator) -> Bytes:
        return _read_rgb(self.backgrounds[int(rng.integers(len(self.backgrounds)))])


class Draw:
    """Labelled photographs, drawn by the weight of their prefix."""

    def __init__(self, rows: list[Label], weights: dict[str, float]) -> None:
        self._weights = weights
        self._rows = [row for row in rows if weights.get(row.prefix, 1.0) > 0]
        chances = np.array([weights.get(row.prefix, 1.0) for row in self._rows])
        self._upto = np.cumsum(chances)

    def __len__(self) -> int:
        return len(self._rows)

    def only(self, which: Callable[[Label], bool]) -> Draw:
        """Those of them that ``which`` takes."""
        return Draw([row for row in self._rows if which(row)], self._weights)

    def one(self, rng: np.random.Generator) -> Label:
        """One of them by chance."""
        place = np.searchsorted(self._upto, rng.random() * self._upto[-1], side="right")
        return self._rows[min(int(place), len(self._rows) - 1)]


def batches(
    pictures: Pictures, first: int, *, rank: int = 0, ahead: int = 3
) -> Iterator[tuple[int, Batch]]:
    """Steps from ``first`` on with their batches, made ``ahead`` of time by a thread."""
    config = pictures.config

    def made(step: int) -> Batch:
        rng = np.random.default_rng((config.seed, step))
        sizes = config.sizes or (config.size,)
        return pictures.batch(step, int(rng.choice(sizes)), rank=rank)

    with ThreadPoolExecutor(1, thread_name_prefix="pictures") as pool:
        waiting = [(step, pool.submit(made, step)) for step in range(first, first + ahead)]
        try:
            while waiting:
                step, batch = waiting.pop(0)
                yield step, batch.result()
                last = step + ahead
                waiting.append((last, pool.submit(made, last)))
        finally:
            for _, batch in waiting:
                batch.cancel()


def _upper_body(alpha: Bytes, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Rows and columns (top, bottom, left, right) of a person's upper part, with some room."""
    rows, columns = (np.flatnonzero((alpha > 127).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0, alpha.shape[0], 0, alpha.shape[1]
    tall = rows[-1] - rows[0] + 1
    side = max(32, int(tall * rng.uniform(*_UPPER_BODY)))
    top = max(0, rows[0] - int(side * rng.uniform(0.05, 0.35)))
    bottom = min(alpha.shape[0], rows[0] + side)
    upper = np.flatnonzero((alpha[top:bottom] > 127).any(axis=0))
    middle = int(upper.mean()) if len(upper) else int(columns.mean())
    half = int((bottom - top) * rng.uniform(0.4, 0.65))
    middle += int(half * rng.uniform(-0.25, 0.25))
    return top, bottom, max(0, middle - half), min(alpha.shape[1], max(middle + half, 16))


def _square(rgb: Bytes, alpha: Bytes, trust: Bytes, size: int) -> Sample:
    return *stretched(rgb, alpha, size), resized(trust, size, size)


def _unreadable(path: Path) -> BadOption:
    return BadOption(
        f"{path}: cannot be read as a picture",
        hint="take it out of the backgrounds; the same command goes on",
    )


def _read_rgb(path: Path) -> Bytes:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise _unreadable(path)
    return as_bytes(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
