"""Networks, pairs and configurations that are trained in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper, save_model
from torch import nn

from cleancut.distill.config import Data, LossWeights, Shares, TrainConfig
from cleancut.distill.data import Pictures
from cleancut.distill.labels import Labels
from cleancut.distill.pairs import labels_of
from cleancut.imaging.encode import encode
from cleancut.imaging.pairs import find_pairs
from tests.distill.photos import disc

SHARES = Shares(photo=0.7, composite=0.3, portrait=0.0, drawn=0.0, empty=0.0)


def make_pairs(folder: Path, count: int = 6, *, height: int = 48, width: int = 64) -> Path:
    """Grey discs on a dark ground, and their mattes."""
    for name in ("image", "alpha"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        matte = disc(at=0.35 + 0.3 * number / count, height=height, width=width)
        rgb = (30 + matte * 0.6).astype(np.uint8)
        (folder / "image" / f"p{number}.png").write_bytes(encode(rgb, format="png"))
        (folder / "alpha" / f"p{number}.png").write_bytes(encode(matte, format="png"))
    return folder


def labels_in(folder: Path, count: int = 6) -> Labels:
    """Labels of so many discs."""
    return labels_of(find_pairs(make_pairs(folder / "pairs", count)).pairs, folder / "labels")


def config_with(**changes: object) -> TrainConfig:
    """A run of six steps on a processor in float32."""
    values: dict[str, object] = {
        "start": "",
        "size": 64,
        "batch": 2,
        "steps": 6,
        "rate": 1e-2,
        "warmup": 2,
        "ema": 0.5,
        "precision": "f32",
        "save_every": 2,
        "eval_every": 3,
        "data": Data(shares=SHARES),
        "losses": LossWeights(gradient=0.5),
    }
    return TrainConfig(**{**values, **changes})  # type: ignore[arg-type]


def pictures_for(config: TrainConfig, folder: Path) -> Pictures:
    """Training pictures of discs."""
    return Pictures(config, labels_in(folder), ())


class Small(nn.Module):
    """Two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        answer: torch.Tensor = self.layers(image)
        return answer


def small_net(config: TrainConfig, run: Path | None = None) -> nn.Module:
    """In place of ``started``."""
    torch.manual_seed(config.seed)
    return Small()


def small_onnx(
    path: Path, *, nhwc: bool = False, half: bool = False, sigmoid: bool = True, size: int = 64
) -> Path:
    """A 3x3 convolution of three colours to a matte, and its recipe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    number = np.float16 if half else np.float32
    weight = rng.normal(0, 0.3, (1, 3, 3, 3)).astype(number)
    bias = np.zeros(1, number)
    nodes = []
    at = "input"
    shape, out = [1, 3, size, size], [1, 1, size, size]
    if half:
        nodes.append(helper.make_node("Cast", [at], ["halved"], to=TensorProto.FLOAT16))
        at = "halved"
    if nhwc:
        shape, out = [1, size, size, 3], [1, size, size, 1]
        nodes.append(helper.make_node("Transpose", [at], ["planes"], perm=[0, 3, 1, 2]))
        at = "planes"
    nodes.append(helper.make_node("Conv", [at, "w", "b"], ["score"], pads=[1, 1, 1, 1]))
    at = "score"
    nodes.append(helper.make_node("Sigmoid" if sigmoid else "HardSigmoid", [at], ["matte"]))
    at = "matte"
    if nhwc:
        nodes.append(helper.make_node("Transpose", [at], ["last"], perm=[0, 2, 3, 1]))
        at = "last"
    if half:
        nodes.append(helper.make_node("Cast", [at], ["grown"], to=TensorProto.FLOAT))
        at = "grown"
    nodes.append(helper.make_node("Identity", [at], ["alpha"]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("alpha", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    layout = 'layout = "nhwc"\n' if nhwc else ""
    path.with_suffix(".toml").write_text(f"size = {size}\nmean = 0.4\nstd = 0.3\n{layout}", "utf-8")
    return path
