"""Kept results must not outlive the pixels that they were made of.

Means of 16 x 16 blocks of colours and matte, for pictures made here, are compared with those that
were measured when ``PIPELINE_VERSION`` was last raised. Runtimes and processors differ by less than
the tolerance; a change of the pipeline that is larger needs a new version, or old caches would go
on serving the old pixels. ``python -m tests.cache.test_pixels`` measures anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import Guidance, cutout
from cleancut.result import Result
from cleancut.version import PIPELINE_VERSION

KEPT = Path(__file__).with_name("pixels.json")
#: In 1/255 of the full scale, on the mean of a block.
TOLERANCE = 0.25

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "best": {"refine": "best"},
    "off": {"refine": "off", "decontaminate": False},
    "edges": {"threshold": 0.5, "feather": "4", "grow": "2", "keep_largest": True},
    "drop": {"shadow": "drop", "crop": True, "margin": "20%"},
    "blur": {"background": "blur:6"},
    "mask": {"only_mask": True, "fill_holes": True, "shrink": "3"},
    "small": {"max_side_px": 64, "background": "#204060"},
    "canvas": {"canvas": "96x160", "scale": "80%", "background": "blur:3", "shadow": "drop"},
    "sheet": {"canvas": "8x6mm@120", "sheet": "4x3cm", "crop": True, "margin": "10%"},
    "clicked": {"guidance": Guidance(remove_points="50%,50%", keep_box="10%,10%,90%,90%")},
}


def _photo() -> NDArray[np.uint8]:
    """A soft-edged bright figure with a hole and a hair on a dark slope with grain, 112 x 144."""
    y, x = np.mgrid[:112, :144].astype(np.float64)
    body = np.clip((34 - np.hypot(y - 56, x - 66)) / 6 + 0.5, 0, 1)
    hole = np.clip((9 - np.hypot(y - 60, x - 60)) / 2 + 0.5, 0, 1)
    hair = np.clip(2.2 - np.abs(x - 100 - (y - 30) / 3), 0, 1) * (np.abs(y - 30) < 16)
    alpha = np.maximum(body * (1 - hole), 0.7 * hair)[..., None]
    grain = np.random.default_rng(7).normal(0, 3, (112, 144, 3))
    ground = np.stack([20 + x / 8, 30 + y / 9, 25 + 0 * x], axis=2)
    figure = np.stack([230 - y / 6, 225 + 0 * x, 200 + x / 7], axis=2)
    return np.clip(ground * (1 - alpha) + figure * alpha + grain, 0, 255).astype(np.uint8)


def _means(result: Result) -> list[list[float]]:
    """Mean of every block, one list a channel: red, green, blue (over black), matte; 0..255."""
    colours = result.foreground if result.composite is None else result.composite
    alpha = result.alpha[..., None]
    shown = colours.astype(np.float64) * (alpha if result.composite is None else 1)
    layers = np.dstack([shown, 255.0 * alpha])
    height, width = (side // 16 * 16 for side in layers.shape[:2])
    blocks = layers[:height, :width].reshape(height // 16, 16, width // 16, 16, 4)
    return [
        [round(float(mean), 2) for mean in channel]
        for channel in blocks.mean(axis=(1, 3)).reshape(-1, 4).T
    ]


def _measured(name: str) -> list[list[float]]:
    return _means(cutout(_photo(), model="echo", **CASES[name]))


@pytest.mark.parametrize("name", CASES)
def test_pixels_change_only_with_the_version(name: str) -> None:
    kept = json.loads(KEPT.read_text("utf-8"))
    renew = "python -m tests.cache.test_pixels"
    assert kept["version"] == PIPELINE_VERSION, f"run: {renew}"
    before, now = kept["cases"][name], _measured(name)
    raised = f"pixels changed: raise PIPELINE_VERSION in cleancut/version.py, then run: {renew}"
    assert [len(channel) for channel in before] == [len(channel) for channel in now], raised
    furthest = np.abs(np.subtract(before, now)).max()
    assert furthest <= TOLERANCE, f"{raised} (a block differs by {furthest:.2f} of 255)"


if __name__ == "__main__":
    cases = {name: _measured(name) for name in CASES}
    lines = ",\n".join(f'  "{name}": {json.dumps(means)}' for name, means in cases.items())
    KEPT.write_text(f'{{"version": {PIPELINE_VERSION}, "cases": {{\n{lines}\n}}}}\n', "utf-8")
