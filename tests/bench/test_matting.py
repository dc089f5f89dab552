from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench import matting
from cleancut.bench.child_matting import main
from cleancut.bench.matting import measure, prepare, trimap_of
from cleancut.errors import InputNotFound, MissingDependency

PYTHON = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"


def _pair(folder: Path, stem: str) -> None:
    for kind in ("image", "alpha"):
        (folder / "alphamatting_train" / kind).mkdir(parents=True, exist_ok=True)
    alpha = np.zeros((60, 80), np.uint8)
    cv2.circle(alpha, (40, 30), 15, 255, -1, cv2.LINE_AA)
    rgb = np.where(alpha[..., None] > 127, (200, 120, 40), (20, 60, 160)).astype(np.uint8)
    cv2.imwrite(str(folder / "alphamatting_train" / "image" / f"{stem}.png"), rgb)
    cv2.imwrite(str(folder / "alphamatting_train" / "alpha" / f"{stem}.png"), alpha)


def quiet(line: str) -> None:
    pass


def test_both_sides_are_measured_on_the_same_trimaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stem in ("a", "b"):
        _pair(tmp_path, stem)
    python = tmp_path / "venv" / PYTHON
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(matting, "_enlarged", lambda rgb, alpha, pixels: (rgb, alpha))

    def run(argv: list[str], timeout_s: float) -> str:
        if "-c" in argv:
            return ""
        _, _, task, side, folder, rounds = argv
        if side == "pymatting":  # stands in with the trimap itself, and cannot do one picture
            (Path(folder) / side).mkdir()
            given = np.load(Path(folder) / "a.npz")
            np.save(Path(folder) / side / "a.npy", given["trimap"])
            told = {"seconds": {"a": [5.0]}, "failed": {"b": "ValueError: no"}, "peak_mb": 1.0}
            return f"warning\n{json.dumps(told)}"
        main(task, side, Path(folder), int(rounds))
        return capsys.readouterr().out

    rows, notes = measure(tmp_path, venv=tmp_path / "venv", tell=quiet, rounds=1, run=run)
    figures = {row.metric: row for row in rows}
    error = figures["closed form, MAD x 1000"]
    assert error.cleancut is not None
    assert error.pymatting is not None
    assert error.cleancut < error.pymatting
    assert error.target == pytest.approx(0.95 * error.pymatting)
    seconds = figures["closed form"]
    assert seconds.pymatting == 5
    assert 0 < (seconds.cleancut or 0) < 5
    assert figures["refine best, 12 megapixels"].cleancut
    assert "pymatting: b: ValueError: no" in notes


def test_the_true_trimap_reaches_ten_pixels_beyond_what_is_soft() -> None:
    alpha = np.zeros((50, 60), np.float32)
    alpha[:, 30:] = 1
    alpha[:, 30] = 0.5
    trimap = trimap_of(alpha)[25]
    assert np.flatnonzero(trimap == 0.5).tolist() == list(range(20, 41))


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="no pictures"):
        measure(tmp_path, venv=tmp_path, tell=quiet)


def test_a_new_environment_is_made_and_a_failure_names_its_reason(tmp_path: Path) -> None:
    steps: list[list[str]] = []

    def run(argv: list[str], timeout_s: float) -> str:
        steps.append(argv)
        if "venv" in argv:
            (tmp_path / "new" / PYTHON).parent.mkdir(parents=True)
            (tmp_path / "new" / PYTHON).touch()
        return ""

    assert prepare(tmp_path / "new", tell=quiet, run=run) == tmp_path / "new" / PYTHON
    assert [("venv" in s, "pip" in s, "-c" in s) for s in steps] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]

    def fail(argv: list[str], timeout_s: float) -> str:
        raise subprocess.CalledProcessError(1, argv, "", "x\nERROR: no such thing\n")

    with pytest.raises(MissingDependency, match="no such thing"):
        prepare(tmp_path / "new", tell=quiet, run=fail)
    with pytest.raises(MissingDependency, match="not a virtual environment"):
        prepare(tmp_path, tell=quiet, run=run)
