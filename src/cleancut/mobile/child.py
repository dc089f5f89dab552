"""What needs TensorFlow or coremltools: ``python -m cleancut.mobile.child``, a process of its own.

Their imports, their memory and what they write on the way stay out of the program that asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cleancut import errors
from cleancut.catalog import Recipe
from cleancut.errors import CleancutError, InferenceFailed, OutOfMemory

ORDER, NETWORK, FEEDS, ANSWERS = "order.json", "network.onnx", "feeds.npz", "answers.npz"
TIMEOUT_S = 1800.0
_MARK = "cleancut-mobile:"


def in_own_process(folder: Path, to: str, form: str, recipe: Recipe, about: dict[str, str]) -> Any:
    """Convert ``folder``/network.onnx in a new process and return its answer, plain JSON values.

    It writes ``folder``/model, and for a runtime that runs here ``folder``/answers.npz to the
    pictures in ``folder``/feeds.npz. Raises what the conversion raises, ``InferenceFailed`` or
    ``OutOfMemory`` where the process dies.
    """
    order = {"to": to, "form": form, "recipe": asdict(recipe), "about": about}
    (folder / ORDER).write_text(json.dumps(order), "utf-8")
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as home:  # Keras and coremltools keep settings there
        env = {
            **os.environ,
            "PYTHONPATH": path,
            "HOME": home,
            "KERAS_HOME": home,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "cleancut.mobile.child", str(folder)],
                capture_output=True,
                text=True,
                errors="replace",
                env=env,
                timeout=TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InferenceFailed(
                f"the conversion took more than {TIMEOUT_S / 60:.0f} minutes"
            ) from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise _died(done.returncode, done.stderr)
    answer = json.loads(lines[-1].removeprefix(_MARK))
    if "error" in answer:
        kind: type[CleancutError] = getattr(errors, answer["error"])
        raise kind(answer["message"], hint=answer["hint"])
    return answer


def _died(status: int, said: str) -> CleancutError:
    if status in (-9, 137):
        return OutOfMemory("the conversion was killed, most likely for want of memory")
    last = (said.strip().splitlines() or ["no message"])[-1]
    return InferenceFailed(
        f"the conversion ended with status {status}: {last[:200]}",
        hint="take another network, or export it --to onnx-web",
    )


def _tflite(folder: Path, order: dict[str, Any]) -> dict[str, Any]:
    import numpy as np
    import onnx

    from cleancut.mobile import tflite

    nhwc = order["recipe"]["layout"] == "nhwc"
    target = folder / "model"
    target.write_bytes(tflite.convert(onnx.load(folder / NETWORK), order["form"], nhwc=nhwc))
    with np.load(folder / FEEDS) as feeds:
        pictures = [feeds[name] for name in feeds.files]
    nhwc_pictures = pictures if nhwc else [feed.transpose(0, 2, 3, 1).copy() for feed in pictures]
    given = tflite.answers(target, nhwc_pictures)
    # Class scores come as NHWC too; the recipe reads them as the original gave them.
    back = [one if nhwc else one.transpose(0, 3, 1, 2) for one in given]
    np.savez(folder / ANSWERS, *back)
    return {}


def _coreml(folder: Path, order: dict[str, Any]) -> dict[str, Any]:
    # coremltools imports them if they are there: seconds and gigabytes, and two LLVMs that abort.
    sys.modules.update(dict.fromkeys(("tensorflow", "torch"), None))  # type: ignore[arg-type]
    import onnx

    from cleancut.mobile import coreml

    recipe = Recipe.from_mapping(order["recipe"], "order")
    target = folder / "model.mlpackage"
    coreml.convert(onnx.load(folder / NETWORK), order["form"], recipe, target, about=order["about"])
    return coreml.facts(target)


def _main(folder: Path) -> None:
    answer: dict[str, Any]
    try:
        order = json.loads((folder / ORDER).read_text("utf-8"))
        answer = {"tflite": _tflite, "coreml": _coreml}[order["to"]](folder, order)
    except CleancutError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except OSError as error:
        answer = {"error": "OutputNotWritable", "message": f"conversion: {error}", "hint": ""}
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
