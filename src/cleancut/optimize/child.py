"""What needs onnx and NNCF: run as ``python -m cleancut.optimize.child`` in a process of its own.

Their imports (four seconds), their memory (3 GB for IS-Net) and their output stay out of the
program that wants the copy. NNCF decides where a graph is quantised and quantises the weights;
ranges of activations are measured and set by us.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cleancut import errors
from cleancut.errors import CleancutError, OutOfMemory, SetupError, WeightsError
from cleancut.extras import extra

PLAIN, QUANTISED, EXTREMES = "plain.onnx", "quantised.onnx", "extremes.onnx"
SAMPLE, SITES, WISHES = "sample.npy", "sites.json", "wishes.json"
TIMEOUT_S = 1800.0
_MARK = "cleancut-optimize:"


def in_own_process(action: str, *arguments: str) -> dict[str, Any]:
    """Run ``place`` or ``assemble`` in a new process and return its answer.

    Raises what the action raises, ``WeightsError`` or ``OutOfMemory`` where the process dies.
    """
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "cleancut.optimize.child", action, *arguments]
    try:
        with tempfile.TemporaryDirectory() as scratch:  # NNCF's telemetry keeps its id at home
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                env={
                    **os.environ,
                    "PYTHONPATH": path,
                    "HOME": scratch,
                    "ORT_DISABLE_TELEMETRY": "1",
                },
                timeout=TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"quantising took more than {TIMEOUT_S / 60:.0f} minutes") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise _died(done.returncode, done.stderr)
    answer: dict[str, Any] = json.loads(lines[-1].removeprefix(_MARK))
    if "error" in answer:
        kind: type[CleancutError] = getattr(errors, answer["error"])
        raise kind(answer["message"], hint=answer["hint"])
    return answer


def place(source: Path, output: str, folder: Path) -> dict[str, Any]:
    """Write the plain, the quantised and the measuring graph of ``source`` into ``folder``.

    ``output`` is the one to keep (empty: the first); ``folder`` holds a sample input.
    """
    import numpy as np

    with extra("optimize"):
        import nncf
        from nncf.quantization.advanced_parameters import QuantizationParameters
    import onnx

    from cleancut.optimize.graph import as_float, sites_of, weighted_layers, with_extremes
    from cleancut.weights.convert import prune_outputs

    pruned = folder / "pruned.onnx"
    prune_outputs(source, pruned, output)
    plain = as_float(onnx.load(pruned))
    pruned.unlink()
    onnx.save(plain, folder / PLAIN)
    name, sample = plain.graph.input[0].name, np.load(folder / SAMPLE)
    # One picture: what it says about activations is replaced by what all of them say.
    quantised = nncf.quantize(
        plain,
        nncf.Dataset([sample], lambda array: {name: array}),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=1,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            disable_bias_correction=True,
            activations_quantization_params=QuantizationParameters(per_channel=False),
        ),
    )
    onnx.save(quantised, folder / QUANTISED)
    sites = sites_of(quantised)
    if not sites:
        raise SetupError(
            "nothing of this network can be computed in 8 bits", hint="use it as it is"
        )
    onnx.save(with_extremes(plain, [site.name for site in sites]), folder / EXTREMES)
    rows = [[site.name, site.together, site.first, site.last] for site in sites]
    (folder / SITES).write_text(json.dumps(rows), "utf-8")
    return {"layers": weighted_layers(quantised), "tools": {"nncf": nncf.__version__}}


def assemble(folder: Path, target: Path) -> dict[str, Any]:
    """Write the quantised graph with the ranges and kept sites that ``folder`` asks for."""
    import onnx

    from cleancut.optimize.graph import with_ranges

    wishes = json.loads((folder / WISHES).read_text("utf-8"))
    ranges = {name: (low, high) for name, (low, high) in wishes["ranges"].items()}
    model, kept = with_ranges(
        onnx.load(folder / QUANTISED), onnx.load(folder / PLAIN), ranges, wishes["keep"]
    )
    target.write_bytes(model.SerializeToString(deterministic=True))
    return {"kept": list(kept), "tools": {"onnx": onnx.__version__}}


def _died(status: int, stderr: str) -> CleancutError:
    if status == -9:  # the kernel's way to say so
        return OutOfMemory(
            "quantising ran out of memory", hint="IS-Net needs 4 GB; free memory and run it again"
        )
    last = (stderr.strip().splitlines() or ["no message"])[-1]
    return WeightsError(
        f"quantising ended with status {status}: {last[:200]}",
        hint="it may have run out of memory or disk space; run the command again",
    )


def _main(arguments: list[str]) -> None:
    answer: dict[str, Any]
    try:
        if arguments[0] == "place":
            answer = place(Path(arguments[1]), arguments[2], Path(arguments[3]))
        else:
            answer = assemble(Path(arguments[1]), Path(arguments[2]))
    except CleancutError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except MemoryError:
        answer = {"error": "OutOfMemory", "message": "quantising ran out of memory", "hint": ""}
    except OSError as error:
        answer = {"error": "WeightsError", "message": f"quantising: {error}", "hint": ""}
    except Exception as error:  # whatever NNCF cannot do with this graph
        line = (str(error).strip().splitlines() or [""])[0][:200]
        answer = {
            "error": "SetupError",
            "message": f"this network cannot be quantised ({type(error).__name__}: {line})",
            "hint": "use it as it is",
        }
    sys.stdout.write(f"\n{_MARK}{json.dumps(answer)}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
