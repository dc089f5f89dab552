"""What ``cleancut doctor`` says about runtimes: what is there, what hinders it, what mends it."""

from __future__ import annotations

from dataclasses import dataclass

from cleancut.backends import cuda, gpus, machine


@dataclass(frozen=True, slots=True)
class Finding:
    """One runtime or device.

    ``devices`` lists what it can run on. ``problem`` is one clause, empty if all is well, and
    ``remedy`` the one command that mends it, empty if none does.
    """

    name: str
    installed: bool
    version: str = ""
    devices: tuple[str, ...] = ()
    problem: str = ""
    remedy: str = ""


def report() -> list[Finding]:
    """Processor, each runtime, and NVIDIA GPUs if there are any. Imports the runtimes."""
    runtime = _ort()
    usable = runtime.installed and not runtime.problem
    return [_processor(), runtime, _openvino(), *(_nvidia() if usable else [])]


def _processor() -> Finding:
    traits = [f"{machine.cpu_limit()} cores usable"]
    traits.append("bf16 instructions" if machine.has_bf16() else "no bf16 instructions")
    return Finding("processor", True, machine.cpu_model(), tuple(traits))


def _ort() -> Finding:
    wheels = machine.installed("onnxruntime")
    if not wheels:
        return Finding(
            "onnxruntime",
            False,
            problem="not installed",
            remedy="pip install onnxruntime",
        )
    version = ", ".join(f"{name} {number}" for name, number in sorted(wheels.items()))
    try:
        from cleancut.backends import ort

        found = ("CPUExecutionProvider", *ort.gpu_providers())
    except Exception as error:  # a broken wheel may fail with anything
        return Finding(
            "onnxruntime",
            True,
            version,
            problem=f"cannot be imported: {error}",
            remedy="pip install --force-reinstall onnxruntime",
        )
    return Finding("onnxruntime", True, version, found)


def _openvino() -> Finding:
    wheels = machine.installed("openvino")
    if not wheels:
        return Finding("openvino", False, problem="not installed", remedy="pip install openvino")
    version = next(iter(wheels.values()))
    try:
        from cleancut.backends import openvino

        found = openvino.devices()
    except Exception as error:
        return Finding(
            "openvino",
            True,
            version,
            problem=f"cannot be imported: {error}",
            remedy="pip install --force-reinstall openvino",
        )
    return Finding("openvino", True, version, found)


def _nvidia() -> list[Finding]:
    """Each GPU that CUDA shows, and what keeps ONNX Runtime from using it; none on most machines.

    A GPU wheel that the CPU wheel covers is told without a GPU too: somebody wanted one.
    """
    from cleancut.backends import ort

    found = ort.obstacle()
    driver = gpus.driver()
    if not machine.nvidia_gpu() and driver.cuda is None:
        wheels = machine.installed("onnxruntime")
        if "onnxruntime-gpu" not in wheels:
            return []
        found = (None if ort.gpu_providers() else cuda.covered(wheels)) or found
    problem, remedy = (found.problem, found.remedy) if found else ("", "")
    version = (
        "none found"
        if driver.cuda is None
        else f"driver for CUDA {driver.cuda[0]}.{driver.cuda[1]}"
    )
    devices = tuple(f"{gpu.index}: {gpu}" for gpu in driver.gpus)
    return [Finding("NVIDIA GPU", True, version, devices, problem, remedy)]
