"""Who answers for a picture: a model of ours, rembg, or mattes that lie on disk."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cleancut.bench import peer as rembg_peer
from cleancut.bench.measure import run_once
from cleancut.bench.sides import rembg_side
from cleancut.catalog import find
from cleancut.errors import InputNotFound, UnreadableImage
from cleancut.imaging.pairs import Pair, read_matte
from cleancut.weights.resolve import resolve

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb
    from cleancut.engine import Engine
    from cleancut.imaging.picture import Picture
    from cleancut.options import Options

#: The catalog's name of the network that rembg runs; ``peer.NAMES`` has rembg's.
REMBG_MODEL = "isnet"
_SECONDS_A_PICTURE = 60.0
_CHILD = Path(__file__).with_name("child_mattes.py")


@dataclass(frozen=True, slots=True)
class Answer:
    """A matte (H, W), the colours that go with it (H, W, 3), and what else is known."""

    alpha: Alpha
    foreground: Rgb
    seconds: float | None = None
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    model: str = ""


class Rival(Protocol):
    """Anything that answers; ``ours`` tells our models from what they are compared with."""

    label: str
    ours: bool

    def warm_up(self, picture: Picture) -> None:
        """Do once what later pictures need not wait for."""

    def answer(self, pair: Pair, picture: Picture) -> Answer:
        """The answer for one picture; raises a typed error if there is none."""


class OurModel:
    """A model of cleancut, with all of its pipeline."""

    ours = True

    def __init__(self, label: str, engine: Engine, options: Options) -> None:
        self.label = label
        self._engine = engine
        self._options = options

    def warm_up(self, picture: Picture) -> None:
        """Load the network and run it once."""
        self._engine.cutout(picture, options=self._options)

    def answer(self, pair: Pair, picture: Picture) -> Answer:  # noqa: ARG002
        """Seconds are the engine's, without reading the file and without loading the network."""
        result = self._engine.cutout(picture, options=self._options)
        spent = sum(ms for stage, ms in result.timings.items() if stage not in ("decode", "load"))
        confidence = getattr(result, "confidence", None)
        return Answer(
            result.alpha,
            result.foreground,
            seconds=spent / 1000,
            confidence=None if confidence is None else float(confidence),
            notes=result.notes,
            model=result.model,
        )


class Mattes:
    """Another tool's mattes: ``FOLDER/SET/STEM.png``, grey or cutouts; ``FOLDER/STEM.png`` too."""

    ours = False

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputNotFound(f"--mattes: {folder} is not a folder", hint="give FOLDER/SET/*.png")
        self.label = folder.resolve().name
        self._folder = folder

    def warm_up(self, picture: Picture) -> None:
        """Nothing to do."""

    def answer(self, pair: Pair, picture: Picture) -> Answer:
        """Read the matte; its time is not known."""
        for path in (self._folder / pair.set / pair.stem, self._folder / pair.stem):
            file = path.with_name(f"{path.name}.png")
            if file.is_file():
                alpha, foreground = read_matte(file, picture.rgb)
                return Answer(alpha, foreground)
        raise InputNotFound(f"{self.label} has no such matte")


class Rembg:
    """The real rembg, run before in a process of its own; its mattes are kept by picture."""

    ours = False

    def __init__(self, kept: Path) -> None:
        self.label = f"rembg {rembg_peer.NAMES[REMBG_MODEL]}"
        self._kept = kept

    def warm_up(self, picture: Picture) -> None:
        """Nothing to do."""

    def answer(self, pair: Pair, picture: Picture) -> Answer:
        """The kept matte; rembg keeps the picture's colours."""
        matte = self._kept / _kept_name(pair)
        told = matte.with_suffix(".txt")
        said = told.read_text("utf-8") if told.is_file() else "it did not get to it"
        if not matte.is_file():
            raise UnreadableImage(f"rembg: {said}")
        alpha, foreground = read_matte(matte, picture.rgb)
        return Answer(alpha, foreground, seconds=float(said))


def run_rembg(
    pairs: Sequence[Pair], venv: Path, cache: Path, *, tell: Callable[[str], None]
) -> Rembg:
    """Cut with rembg what is not kept in ``cache`` yet, in one process; with our weights.

    ``venv`` is or becomes the peer's environment. Raises ``MissingDependency``, ``WeightsMissing``,
    ``RunError``.
    """
    name = rembg_peer.NAMES[REMBG_MODEL]
    kept = cache / f"rembg-{rembg_peer.VERSION}-{name}"
    kept.mkdir(parents=True, exist_ok=True)
    targets = {pair: kept / _kept_name(pair) for pair in pairs}
    todo = [(str(pair.image.absolute()), str(matte)) for pair, matte in targets.items()
            if not matte.is_file()]  # fmt: skip
    if not todo:
        return Rembg(kept)
    weights = resolve(find(REMBG_MODEL)).path
    peer = rembg_peer.prepare(venv.absolute(), tell=tell)
    tell(f"{name} cuts {len(todo)} pictures with rembg; kept in {kept} for the next time")
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        work = Path(folder)
        rembg_peer.lend_weights({REMBG_MODEL: weights}, work / "rembg")
        jobs = work / "jobs.json"
        jobs.write_text(json.dumps(todo), "utf-8")
        side = rembg_side(peer, work / "rembg")
        run_once(
            [side.python, "-P", str(_CHILD), name, str(jobs)],
            side.env,
            timeout_s=600 + _SECONDS_A_PICTURE * len(todo),
        )
    return Rembg(kept)


def _kept_name(pair: Pair) -> str:
    try:
        digest = hashlib.sha256(pair.image.read_bytes()).hexdigest()
    except OSError:
        return "unreadable.png"
    return f"{digest[:32]}.png"
