"""Make a stored ONNX file out of downloaded parts: cut outputs or ends off, convert TensorFlow.js.

Run as ``python -m cleancut.weights.convert`` in a process of its own, so that a crash, the memory
and the log lines of onnx and TensorFlow stay out of the program that wants the model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut import errors
from cleancut.catalog import WeightFile
from cleancut.errors import CleancutError, WeightsCorrupt, WeightsError
from cleancut.extras import extra
from cleancut.weights import tfjs
from cleancut.weights.reach import keep_only, reachable

if TYPE_CHECKING:
    from onnx import ModelProto

TIMEOUT_S = {"prune": 300.0, "tfjs": 900.0, "rvm": 300.0, "deeplab": 300.0}
_MARK = "cleancut-convert:"


def prepare(weight: WeightFile, parts: list[Path], target: Path, keep: str = "") -> dict[str, str]:
    """Write the runnable ONNX of verified ``parts`` to ``target``.

    ``keep`` names the output to keep (empty: the first). Returns the versions of the tools used.
    Raises ``WeightsCorrupt`` if the parts are not a model, ``MissingDependency`` without the
    extra ``convert`` where it is needed.
    """
    inputs = [str(part) for part in parts]
    return _in_own_process(weight.prepare, [*inputs, str(target), keep], TIMEOUT_S[weight.prepare])


def check_tools(weight: WeightFile) -> None:
    """Raise ``MissingDependency`` before a download whose conversion could not run."""
    if weight.prepare == "tfjs":
        from importlib.util import find_spec

        with extra("convert"):
            for name in ("tensorflow", "tf2onnx"):
                if find_spec(name) is None:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def prune_outputs(source: Path, target: Path, keep: str = "") -> None:
    """Keep one output of an ONNX file and only what it needs; a symbolic batch becomes 1.

    ``keep`` is the output's name (empty: the first). Height and width stay as they are.
    """
    import onnx

    try:
        model = onnx.load(source, load_external_data=False)
        _prune(model, keep)
        onnx.checker.check_model(model)
        target.write_bytes(model.SerializeToString(deterministic=True))
    except (onnx.checker.ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise WeightsCorrupt(
            f"{source.name} is not a usable ONNX model ({_line(error)})"
        ) from error
    except Exception as error:
        # protobuf's DecodeError has moved between its releases; anything but a full disk is it.
        if isinstance(error, OSError | CleancutError):
            raise
        raise WeightsCorrupt(f"{source.name} is not an ONNX model ({_line(error)})") from error


def tfjs_to_onnx(graph: Path, weights: Path, target: Path, keep: str = "") -> None:
    """Convert a TensorFlow.js graph model (JSON and one .bin) to ONNX, opset 17, NHWC input."""
    with extra("convert"), _numpy_1_names():
        tfjs.to_onnx(graph, weights, target)
    prune_outputs(target, target, keep)


def _split(paths: list[str], target: Path) -> dict[str, str]:
    """The graph of Robust Video Matting without its full-size part; says what was done."""
    from cleancut.weights import rvm, rvm_cut

    if len(paths) == 2:
        rvm.to_onnx(Path(paths[0]), Path(paths[1]), target)
        return {"graph": "small frame to small matte"}
    cut = rvm_cut.to_onnx(Path(paths[0]), target)
    return {"graph": "cut before the full size" if cut else "whole: the place to cut was not found"}


def _prune(model: ModelProto, keep: str) -> None:
    import onnx

    graph = model.graph
    names = [output.name for output in graph.output]
    if not names or (keep and keep not in names):
        raise WeightsCorrupt(f"the model has no output {keep!r} (it has {', '.join(names[:12])})")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.initializer):
        raise WeightsCorrupt("the model keeps its weights in another file")
    keep_only(graph.output, {keep or names[0]})
    nodes, needed = reachable(graph.node, [keep or names[0]])
    del graph.node[:]
    graph.node.extend(nodes)
    keep_only(graph.initializer, needed)
    weights = {tensor.name for tensor in graph.initializer}
    keep_only(graph.input, needed)
    keep_only(graph.value_info, needed)
    for value in graph.input:
        shape = value.type.tensor_type.shape
        if value.name not in weights and shape.dim and not shape.dim[0].HasField("dim_value"):
            shape.dim[0].dim_value = 1


@contextmanager
def _numpy_1_names() -> Iterator[None]:
    """tf2onnx 1.17 still calls ``numpy.product``, which numpy 2 has dropped."""
    import numpy as np

    if hasattr(np, "product"):
        yield
        return
    np.product = np.prod  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del np.product  # type: ignore[attr-defined]


def _in_own_process(kind: str, arguments: list[str], timeout_s: float) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    env = {
        **os.environ,
        "PYTHONPATH": path,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        __spec__.name if __spec__ else __name__,
        kind,
        *arguments,
    ]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            # Keras writes its settings into the user's home otherwise.
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                env={**env, "KERAS_HOME": scratch},
                timeout=timeout_s,
                stdin=subprocess.DEVNULL,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"the conversion took more than {timeout_s:.0f} s") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if not lines:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise WeightsError(
            f"the conversion ended with status {done.returncode}: {last[:200]}",
            hint="it may have run out of memory or disk space; run the command again",
        )
    answer = json.loads(lines[-1].removeprefix(_MARK))
    if "error" in answer:
        kind_of_error: type[CleancutError] = getattr(errors, answer["error"])
        raise kind_of_error(answer["message"], hint=answer["hint"])
    return dict(answer["tools"])


def _versions(names: Iterable[str]) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _main(arguments: list[str]) -> None:
    kind, *paths, target, keep = arguments
    answer: dict[str, Any]
    try:
        if kind == "prune":
            prune_outputs(Path(paths[0]), Path(target), keep)
            tools = _versions(["onnx"])
        elif kind == "rvm":
            tools = _versions(["onnx"]) | _split(paths, Path(target))
        elif kind == "deeplab":
            from cleancut.weights import deeplab

            deeplab.to_onnx(Path(paths[0]), [Path(path) for path in paths[1:]], Path(target))
            tools = _versions(["onnx"])
        else:
            tfjs_to_onnx(Path(paths[0]), Path(paths[1]), Path(target), keep)
            tools = _versions(["onnx", "tf2onnx", "tensorflow", "tensorflow-cpu"])
        answer = {"tools": tools}
    except CleancutError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except OSError as error:
        answer = {"error": "WeightsError", "message": f"conversion: {error}", "hint": ""}
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
