"""The same picture and options give the same pixels through every surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import Engine, Options, cutout
from cleancut.cli.main import main

CASES: list[tuple[dict[str, object], list[str]]] = [
    ({}, []),
    ({"crop": True, "margin": "5%"}, ["--crop", "--margin", "5%"]),
    ({"background": "#abc"}, ["--background", "#abc"]),
    ({"background": "blur:3"}, ["--background", "blur:3"]),
    ({"only_mask": True}, ["--only-mask"]),
    ({"max_side_px": 50, "keep_hidden_rgb": True}, ["--max-side", "50", "--keep-hidden-rgb"]),
    ({"decontaminate": False}, ["--no-decontaminate"]),
]


@pytest.mark.parametrize(("values", "flags"), CASES, ids=lambda value: str(value))
def test_library_engine_command_line_and_batch_agree(
    values: dict[str, object], flags: list[str], disc: NDArray[np.uint8], tmp_path: Path
) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    tinted = np.clip(disc * np.array((1, 0.8, 0.6)) + 10, 0, 255).astype(np.uint8)
    Image.fromarray(tinted).save(photo)
    assert main(["cut", str(photo), "-o", str(out), "--model", "echo", "-q", *flags]) == 0
    options = Options.from_mapping({**values, "model": "echo"})
    by_function = cutout(photo, options=options).encode("png")
    by_engine = Engine(options).cutout(photo).encode("png")
    words = ["-o", str(tmp_path / "many"), "--model", "echo", "-q", *flags]
    assert main(["batch", str(photo), *words]) == 0
    by_batch = (tmp_path / "many" / "photo.png").read_bytes()
    assert by_function == by_engine == out.read_bytes() == by_batch
