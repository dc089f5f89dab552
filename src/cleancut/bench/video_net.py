"""Time Robust Video Matting on frames in memory, beside its graph in one piece; a script.

Ours is ``RecurrentModel.predict``: shrink, network, guided filter, alpha and colours at full size.
Beside it runs what its authors publish: the whole of it as one graph, from the full frame to the
full matte, here made of the same weights and shown the same small frame. Both begin with 8-bit
pixels; decoding and encoding are left out. The sides take turns, so that a busy machine is busy for
all of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cleancut.backends import select
from cleancut.catalog import find
from cleancut.errors import BackendUnavailable
from cleancut.models.load import Placing, load
from cleancut.models.recurrent import MEMORY, RecurrentModel, first_memory, small_size
from cleancut.weights.resolve import resolve

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, State, Tensor
    from cleancut.backends.base import Session

HEIGHT, WIDTH, RATIO = 720, 1280, 0.375
_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class NetTime:
    """Milliseconds a frame: the median and the fastest of ``runs``; where it ran.

    ``cpu_ms`` is the median of what it took from all processors together, which a busy machine
    changes less.
    """

    side: str
    runs_on: str
    ms: float
    fastest_ms: float
    cpu_ms: float
    runs: int


def time_net(runs: int = 30, height: int = HEIGHT, width: int = WIDTH) -> list[NetTime]:
    """Both sides on every runtime that is here, "auto" (what is used) first.

    Raises ``WeightsMissing`` where rvm is not pulled.
    """
    spec = find("rvm")
    frames = [_frame(seed, height, width) for seed in range(4)]
    sides: dict[tuple[str, str], Callable[[Rgb], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Fixed shapes, as a whole graph has them at its fastest.
        whole = whole_graph(resolve(spec).path, Path(folder) / "whole.onnx", height, width)
        chosen = load(spec)
        sides["cleancut auto", str(chosen.placement)] = _ours(chosen)
        for backend, precision in (("ort", "f32"), ("openvino", "f32"), ("openvino", "bf16")):
            try:
                model = load(spec, Placing(backend=backend, precision=precision))  # type: ignore[arg-type]
                session = select.open_session(whole, model.placement)
            except BackendUnavailable:
                continue
            sides["cleancut", str(model.placement)] = _ours(model)
            sides["one graph", str(model.placement)] = _theirs(session, height, width)
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {side: [] for side in sides}
    for turn in range(runs + 2):
        for side, run in sides.items():
            begun, cpu = time.perf_counter(), time.process_time()
            run(frames[turn % len(frames)])
            taken[side].append((time.perf_counter() - begun, time.process_time() - cpu))
    return [_told(side, where, taken[side, where][2:]) for side, where in sides]


def whole_graph(split: Path, target: Path, height: int, width: int, ratio: float = RATIO) -> Path:
    """Write ``split`` with shrinking and fast guided filter inside, for frames of one size.

    Inputs ``src`` (1, 3, height, width) in 0..1 and the memory, outputs ``pha``, ``fgr`` and the
    memory: the published interface. Returns ``target``.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(split)
    graph = model.graph
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == "src":
                node.input[at] = "small"
    small = small_size(height, width, ratio)
    constants: dict[str, Any] = {
        "small_sizes": np.array([1, 3, *small], np.int64),
        "full_sizes": np.array([1, 4, height, width], np.int64),
        "border": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        "epsilon": np.float32(_EPSILON),
        "zero": np.float32(0),
        "one": np.float32(1),
        "parts": np.array([3, 1], np.int64),
    }
    inside = _nodes(helper.make_node)
    nodes = [type(node).FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    graph.node.extend([inside[0], *nodes, *inside[1:]])
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    value = helper.make_tensor_value_info
    frame = value("src", TensorProto.FLOAT, [1, 3, height, width])
    memory = [
        value(name, TensorProto.FLOAT, list(zeros.shape))
        for name, zeros in first_memory(*small).items()
    ]
    outputs = [port for port in graph.output if port.name != "matte"]
    made = [value("pha", TensorProto.FLOAT, None), value("fgr", TensorProto.FLOAT, None)]
    rebuilt = helper.make_graph(
        list(graph.node), "whole", [frame, *memory], [*made, *outputs], list(graph.initializer)
    )
    onnx.save(
        helper.make_model(rebuilt, opset_imports=model.opset_import, ir_version=model.ir_version),
        target,
    )
    return target


def _nodes(node: Callable[..., Any]) -> list[Any]:
    """Shrinking, and the fast guided filter after the network (He and Sun, 2015)."""
    linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    mean = {"kernel_shape": [3, 3], "strides": [1, 1]}
    return [
        node("Resize", ["src", "", "", "small_sizes"], ["small"], **linear),
        node("ReduceMean", ["small"], ["small_grey"], axes=[1], keepdims=1),
        node("Concat", ["small", "small_grey", "matte"], ["both"], axis=1),
        node("Pad", ["both", "border"], ["wide"], mode="edge"),
        node("Split", ["wide"], ["x", "y"], axis=1),
        node("Mul", ["x", "y"], ["xy"]),
        node("Mul", ["x", "x"], ["xx"]),
        node("Concat", ["x", "y", "xy", "xx"], ["summed"], axis=1),
        node("AveragePool", ["summed"], ["means"], **mean),
        node("Split", ["means"], ["mx", "my", "mxy", "mxx"], axis=1),
        node("Mul", ["mx", "my"], ["mx_my"]),
        node("Mul", ["mx", "mx"], ["mx_mx"]),
        node("Sub", ["mxy", "mx_my"], ["covariance"]),
        node("Sub", ["mxx", "mx_mx"], ["variance"]),
        node("Add", ["variance", "epsilon"], ["regular"]),
        node("Div", ["covariance", "regular"], ["A"]),
        node("Mul", ["A", "mx"], ["A_mx"]),
        node("Sub", ["my", "A_mx"], ["b"]),
        node("Resize", ["A", "", "", "full_sizes"], ["A_full"], **linear),
        node("Resize", ["b", "", "", "full_sizes"], ["b_full"], **linear),
        node("ReduceMean", ["src"], ["grey"], axes=[1], keepdims=1),
        node("Concat", ["src", "grey"], ["guide"], axis=1),
        node("Mul", ["A_full", "guide"], ["product"]),
        node("Add", ["product", "b_full"], ["refined"]),
        node("Split", ["refined", "parts"], ["residual", "alpha"], axis=1),
        node("Add", ["residual", "src"], ["colours"]),
        node("Clip", ["colours", "zero", "one"], ["fgr"]),
        node("Clip", ["alpha", "zero", "one"], ["pha"]),
    ]


def _ours(model: Any) -> Callable[[Rgb], object]:
    assert isinstance(model, RecurrentModel)
    at_ratio = model.at_ratio(RATIO)
    state: State | None = None

    def run(rgb: Rgb) -> Tensor:
        nonlocal state
        prediction = at_ratio.predict(rgb, state)
        state = prediction.state
        return prediction.alpha

    return run


def _theirs(session: Session, height: int, width: int) -> Callable[[Rgb], object]:
    memory = first_memory(*small_size(height, width, RATIO))

    def run(rgb: Rgb) -> Tensor:
        nonlocal memory
        source = np.multiply(rgb.transpose(2, 0, 1), np.float32(1 / 255), dtype=np.float32)
        answer = session.run({"src": np.ascontiguousarray(source)[None], **memory})
        memory = {f"{name}i": answer[f"{name}o"] for name in MEMORY}
        return answer["pha"]

    return run


def _frame(seed: int, height: int, width: int) -> Rgb:
    """Smooth noise with a lighter figure that moves with ``seed``."""
    random = np.random.default_rng(seed)
    tiny = random.integers(0, 128, (height // 40, width // 40, 3), dtype=np.uint8)
    frame: Tensor = cv2.resize(tiny, (width, height), interpolation=cv2.INTER_CUBIC)
    centre = (width // 2 + 5 * seed, height)
    cv2.ellipse(frame, centre, (width // 8, height // 2), 0, 0, 360, (200, 180, 160), -1)
    cv2.circle(frame, (centre[0], height // 3), height // 8, (210, 170, 150), -1)
    return frame


def _told(side: str, where: str, taken: list[tuple[float, float]]) -> NetTime:
    walls, cpus = zip(*taken, strict=True)
    return NetTime(
        side,
        where,
        round(median(walls) * 1000, 1),
        round(min(walls) * 1000, 1),
        round(median(cpus) * 1000, 1),
        len(taken),
    )


def main(runs: str = "30") -> None:
    """Print the figures as JSON."""
    print(json.dumps([asdict(figure) for figure in time_net(int(runs))], indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:2])
