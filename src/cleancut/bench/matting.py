"""Refinement by time and memory, and closed-form matting beside pymatting on true trimaps."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.bench.peer import MARK, Run, run_quietly
from cleancut.bench.report import table
from cleancut.errors import InputNotFound, MissingDependency

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

MARKERS = ("<!-- bench matting: begin -->", "<!-- bench matting: end -->")
REQUIREMENT = "pymatting==1.1.16"
_SET = "alphamatting_train"
_TIMEOUT_S = 3600.0
_CHILD = Path(__file__).with_name("child_matting.py")
#: The unknown band reaches this far beyond the pixels that are truly soft.
_BAND_PX = 10
_MATTE_SIDE = 1024


@dataclass(frozen=True, slots=True)
class MattingRow:
    """One figure of both sides; less is better. ``target`` is what ``cleancut`` may reach."""

    metric: str
    unit: str
    pymatting: float | None
    cleancut: float | None
    target: float | None = None


def measure(
    folder: Path,
    *,
    venv: Path,
    tell: Callable[[str], None],
    rounds: int = 3,
    run: Run | None = None,
) -> tuple[list[MattingRow], list[str]]:
    """Rows and notes over ``folder``, which holds alphamatting_train/{image,alpha}/STEM.*.

    ``venv`` is where pymatting is, or is put. ``run(argv, timeout_s)`` runs a command and returns
    its stdout; a seam. Raises ``InputNotFound`` and ``MissingDependency``.
    """
    run = run or run_quietly
    pictures = _pictures(folder / _SET)
    python = prepare(venv, tell=tell, run=run)
    with tempfile.TemporaryDirectory() as work:
        trimaps, large = Path(work) / "trimaps", Path(work) / "large"
        trimaps.mkdir()
        large.mkdir()
        for stem, (rgb, alpha) in pictures.items():
            np.savez(trimaps / f"{stem}.npz", rgb=rgb, trimap=trimap_of(alpha))
        for size in (2, 12):
            (large / str(size)).mkdir()
            rgb, matte = _enlarged(*next(iter(pictures.values())), size * 1_000_000)
            np.savez(large / str(size) / "picture.npz", rgb=rgb, matte=matte)

        def child(python: str, task: str, side: str, at: Path) -> dict[str, Any]:
            tell(f"{task} {side} {at.name}")
            argv = [python, str(_CHILD), task, side, str(at), str(rounds)]
            told: dict[str, Any] = json.loads(run(argv, _TIMEOUT_S).strip().splitlines()[-1])
            return told

        theirs = child(str(python), "solve", "pymatting", trimaps)
        ours = child(sys.executable, "solve", "cleancut", trimaps)
        rows, notes = _compare(pictures, trimaps, theirs, ours)
        for size, level in ((2, "fast"), (2, "best"), (12, "fast"), (12, "best")):
            told = child(sys.executable, "refine", level, large / str(size))
            seconds = [s for times in told["seconds"].values() for s in times]
            target = {(2, "fast"): 0.08, (2, "best"): 0.3, (12, "best"): 1.5}.get((size, level))
            what = f"refine {level}, {size} megapixels"
            rows.append(MattingRow(what, "s", None, median(seconds) if seconds else None, target))
            most = 2000.0 if size == 12 else None
            rows.append(MattingRow(f"{what}, peak memory", "MB", None, told["peak_mb"], most))
    return rows, notes


def to_markdown(rows: Sequence[MattingRow], notes: Sequence[str]) -> str:
    """The figures of both sides and the targets, then the notes."""

    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"

    body = [
        (
            f"{row.metric}, {row.unit}" if row.unit else row.metric,
            *(cell(value) for value in (row.pymatting, row.cleancut, row.target)),
        )
        for row in rows
    ]
    lines = table(("", "pymatting", "cleancut", "target"), body)
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def trimap_of(alpha: Alpha) -> Alpha:
    """The true trimap of ``alpha`` (H, W): 0.5 where it is soft and 10 pixels around."""
    reach = 2 * _BAND_PX + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    soft = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), disc) > 0
    return np.where(soft, 0.5, alpha).astype(np.float32)


def prepare(folder: Path, *, tell: Callable[[str], None], run: Run) -> Path:
    """The interpreter of an environment with pymatting, made in ``folder`` if it is not there.

    An environment that somebody else made is used if it is complete and never changed. Raises
    ``MissingDependency``.
    """
    windows = sys.platform == "win32"
    python = folder / ("Scripts/python.exe" if windows else "bin/python")
    check = [str(python), "-c", "import pymatting"]
    try:
        if not python.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise MissingDependency(
                    f"{folder} is not a virtual environment", hint="give another folder"
                )
            tell(f"making {folder}")
            run([sys.executable, "-m", "venv", str(folder)], _TIMEOUT_S)
            (folder / MARK).touch()
        if (folder / MARK).exists():
            tell(f"installing {REQUIREMENT} into {folder}")
            quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
            run([str(python), "-m", "pip", "install", *quiet, REQUIREMENT], _TIMEOUT_S)
        run(check, _TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise MissingDependency(
            f"{REQUIREMENT} cannot be had in {folder}: {said[-1] if said else error}"[:250],
            hint=f"delete {folder} and run again, or give a folder where it is installed",
        ) from error
    return python


def _pictures(folder: Path) -> dict[str, tuple[Rgb, Alpha]]:
    """Picture and true alpha by stem."""
    found: dict[str, tuple[Rgb, Alpha]] = {}
    for path in sorted((folder / "alpha").glob("*.png")):
        images = sorted((folder / "image").glob(f"{path.stem}.*"))
        bgr = cv2.imread(str(images[0])) if images else None
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if bgr is None or grey is None:
            continue
        rgb = np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)
        found[path.stem] = rgb, grey.astype(np.float32) / np.float32(255)
    if not found:
        raise InputNotFound(
            f"{folder} holds no pictures with alpha",
            hint="it needs image/STEM.* and alpha/STEM.png",
        )
    return found


def _enlarged(rgb: Rgb, alpha: Alpha, pixels: int) -> tuple[Rgb, Alpha]:
    """The picture at ``pixels`` pixels, and a matte as a net of 1024 x 1024 would give it."""
    scale = (pixels / alpha.size) ** 0.5
    size = (round(alpha.shape[1] * scale), round(alpha.shape[0] * scale))
    large = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
    matte = cv2.resize(alpha, (_MATTE_SIDE, _MATTE_SIDE), interpolation=cv2.INTER_AREA)
    return large.astype(np.uint8), cv2.GaussianBlur(matte, (0, 0), 2).astype(np.float32)


def _compare(
    pictures: Mapping[str, tuple[Rgb, Alpha]],
    work: Path,
    theirs: dict[str, Any],
    ours: dict[str, Any],
) -> tuple[list[MattingRow], list[str]]:
    """Error and time over the pictures that both sides could do."""
    notes = [f"pymatting: {stem}: {why}" for stem, why in theirs["failed"].items()]
    notes += [f"cleancut: {stem}: {why}" for stem, why in ours["failed"].items()]
    both = sorted(set(theirs["seconds"]) & set(ours["seconds"]))
    if not both:
        return [], [*notes, "closed form: no picture that both sides could do"]

    def mad(side: str) -> list[float]:
        truth = [pictures[stem][1] for stem in both]
        found = [np.load(work / side / f"{stem}.npy") for stem in both]
        return [1000 * float(np.abs(f - t).mean()) for f, t in zip(found, truth, strict=True)]

    errors = mad("pymatting"), mad("cleancut")
    times = [[median(side["seconds"][stem]) for stem in both] for side in (theirs, ours)]
    ratios = [b / a for a, b in zip(*times, strict=True)]
    better = sum(b < a for a, b in zip(*errors, strict=True))
    notes.append(f"closed form: ours has the smaller error in {better} of {len(both)} pictures")
    their_mad, our_mad = fmean(errors[0]), fmean(errors[1])
    return [
        MattingRow("closed form, MAD x 1000", "", their_mad, our_mad, 0.95 * their_mad),
        MattingRow("closed form", "s", median(times[0]), median(times[1]), median(times[0]) / 5),
        MattingRow("closed form, time ratio by picture", "", 1.0, median(ratios), 0.2),
        MattingRow("closed form, peak memory", "MB", theirs["peak_mb"], ours["peak_mb"]),
    ], notes
