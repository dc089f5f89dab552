"""A student of a few weights, as a run's folder, for tests that only need one to be there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cleancut.distill import log
from cleancut.distill.config import TrainConfig, config_text
from cleancut.imaging.encode import encode, encode_mask


class Tiny(nn.Module):
    """Red is subject: a convolution at half the size, enlarged again."""

    def __init__(self, slope: float = 12.0) -> None:
        super().__init__()
        self.inside = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.out = nn.Conv2d(16, 1, 1)
        with torch.no_grad():
            self.inside.weight.zero_()
            self.inside.weight[0, 0] = 1 / 9
            self.inside.weight[1, 1] = 1 / 9
            self.inside.weight[2:] += 1e-4 * torch.arange(14 * 27).reshape(14, 3, 3, 3)
            self.out.weight.zero_()
            self.out.weight[0, 0], self.out.weight[0, 1] = slope, -slope
            self.out.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.inside(image))
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        logits: Tensor = self.out(x)
        return logits


def make_run(folder: Path, monkeypatch: pytest.MonkeyPatch, **config: object) -> Path:
    """A run of ``Tiny``; the file's weights differ from those that it is built with."""
    from cleancut.distill.nets import build

    monkeypatch.setattr(build, "build", lambda *_: Tiny(slope=-3.0))
    run = folder / "run"
    run.mkdir()
    made = TrainConfig(name="tiny", size=64, **config)  # type: ignore[arg-type]
    (run / "config.toml").write_text(config_text(made))
    kept = {"step": 7, "model": Tiny(0.0).state_dict(), "ema": Tiny().state_dict()}
    torch.save(kept, run / "checkpoint.pt")
    lines = log.Log(run / "log.jsonl", 0)
    lines.add_evaluation(0, {"set": {"mad": 90.0}})
    for step in range(1, 8):
        lines.add(log.Step(step, 1 / step, {"l1": 0.6 / step, "bce": 0.4 / step}, 1e-4, 2.0 * step))
    lines.add_evaluation(7, {"set": {"mad": 30.0}})
    return run


def red_on_green(height: int = 48, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A red box on green, (H, W, 3) uint8, and its matte in 0..1."""
    alpha = np.zeros((height, width), np.float32)
    alpha[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1.0
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = 255 * alpha, 255 * (1 - alpha)
    return rgb, alpha


def write_pairs(folder: Path, names: tuple[str, ...] = ("boxes",), count: int = 3) -> Path:
    """Sets of ``red_on_green`` pictures."""
    for name in names:
        for part in ("image", "alpha"):
            (folder / name / part).mkdir(parents=True)
        for number in range(count):
            rgb, alpha = red_on_green(48 + 16 * number)
            (folder / name / "image" / f"{number}.png").write_bytes(encode(rgb))
            (folder / name / "alpha" / f"{number}.png").write_bytes(encode_mask(alpha))
    return folder
