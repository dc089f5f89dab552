"""Mattes that whole commands make of clips with true mattes, and how far they are off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cleancut.bench.measure import run_once
from cleancut.bench.sides import Side
from cleancut.bench.video_peers import Remover
from cleancut.errors import RunError
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes
from cleancut.imaging.pairs import Pair, find_pairs, read_truth
from cleancut.metrics import mad
from cleancut.video.metrics import dtssd

if TYPE_CHECKING:
    from cleancut.arrays import Alpha

#: Frames a second of clips that are numbered pictures; nothing depends on it.
_RATE = 25


@dataclass(frozen=True, slots=True)
class TrueClip:
    """A clip as numbered pictures with a true matte each, in order."""

    name: str
    pairs: tuple[Pair, ...]


#: Writes the mattes of a clip as numbered pictures into a folder: grey, or cutouts.
Matting = Callable[[TrueClip, Path], None]


def find_clips(folder: Path) -> tuple[TrueClip, ...]:
    """The clips of ``folder``: CLIP/image/NNNNN.* and CLIP/alpha/NNNNN.png; ``InputNotFound``."""
    found = find_pairs(folder).pairs
    clips = groupby(sorted(found, key=lambda pair: (pair.set, pair.stem)), lambda pair: pair.set)
    return tuple(TrueClip(name, tuple(pairs)) for name, pairs in clips)


def scored(clips: tuple[TrueClip, ...], matting: Matting, work: Path) -> tuple[float, float] | str:
    """MAD and dtSSD, means over clips; or why there are none."""
    figures = []
    for clip in clips:
        folder = work / clip.name
        folder.mkdir()
        try:
            matting(clip, folder)
        except RunError as error:
            return f"{clip.name}: {error.message}"
        made = sorted(folder.glob("*.png"))
        if len(made) != len(clip.pairs):
            return f"{clip.name}: {len(made)} mattes of {len(clip.pairs)} frames"
        truths = [read_truth(pair.alpha) for pair in clip.pairs]
        mattes = [_matte(path, truth.shape) for path, truth in zip(made, truths, strict=True)]
        off = fmean(mad(matte, truth) for matte, truth in zip(mattes, truths, strict=True))
        figures.append((off, dtssd(mattes, truths)))
    return fmean(one[0] for one in figures), fmean(one[1] for one in figures)


def matted_by_ours(side: Side, model: str, clip: TrueClip, folder: Path) -> None:
    """``cleancut video`` on the numbered pictures, its matte as numbered pictures."""
    words = ["video", str(clip.pairs[0].image.parent), "-o", str(folder / "%05d.png")]
    side.run(*words, "--matte-only", "--model", model, "--fresh", "--quiet")


def matted_by_rembg(side: Side, model: str, clip: TrueClip, folder: Path) -> None:
    """``rembg b`` on the raw frames, only masks."""
    raw = folder / "frames.rgb24"
    height, width = _raw(clip, raw)
    words = ["b", "-om", "-m", side.names[model], "-o", str(folder / "%05d.png")]
    argv = [*side.command, *words, str(width), str(height)]
    run_once(argv, side.env, feed=raw, answer=folder / "answer.bin")
    raw.unlink()


def matted_by_remover(remover: Remover, clip: TrueClip, folder: Path) -> None:
    """backgroundremover's matte video of a nearly lossless video of the clip."""
    numbered = folder / "numbered"
    numbered.mkdir()
    for number, pair in enumerate(clip.pairs):
        cv2.imwrite(str(numbered / f"{number:05}.png"), _pixels(pair)[..., ::-1])
    video, matte = numbered / "clip.mp4", numbered / "matte.mp4"
    remover.join_pictures(numbered / "%05d.png", _RATE, video)
    remover.matte(video, matte)
    remover.split(matte, folder)


def _raw(clip: TrueClip, target: Path) -> tuple[int, int]:
    """Write the frames as raw rgb24; (height, width)."""
    height = width = 0
    with target.open("wb") as out:
        for pair in clip.pairs:
            pixels = _pixels(pair)
            height, width = pixels.shape[:2]
            out.write(pixels.tobytes())
    return height, width


def _pixels(pair: Pair) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rgb = decode(read_bytes(pair.image)).rgb
    return np.ascontiguousarray(rgb if rgb.dtype == np.uint8 else (rgb // 257).astype(np.uint8))


def _matte(path: Path, shape: tuple[int, ...]) -> Alpha:
    """A matte of ``shape`` (H, W); ``RunError`` for one of another size."""
    matte = read_truth(path)
    if matte.shape != shape:
        raise RunError(f"{path.name} is {matte.shape[1]}x{matte.shape[0]}")
    return matte
