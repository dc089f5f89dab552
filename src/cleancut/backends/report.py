"""What ``cleancut doctor`` says about runtimes: what is there, what hinders it, what mends it."""

from __future__ import annotations

from dataclasses import dataclass

from cleancut.backends import machine


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
    """Processor, each runtime, and an NVIDIA GPU if there is one. Imports the runtimes."""
    findings = [_processor(), _ort(), _openvino()]
    if machine.nvidia_gpu():
        findings.append(_nvidia(findings[1]))
    return findings


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
    if len(wheels) > 1:
        return Finding(
            "onnxruntime",
            True,
            version,
            found,
            problem=f"{' and '.join(sorted(wheels))} overwrite each other's files",
            remedy=machine.GPU_WHEEL
            if machine.nvidia_gpu()
            else f"pip uninstall -y {' '.join(sorted(wheels))} && pip install onnxruntime",
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


def _nvidia(ort: Finding) -> Finding:
    name = "NVIDIA GPU"
    if "CUDAExecutionProvider" not in ort.devices:
        return Finding(
            name,
            True,
            problem="the installed ONNX Runtime has no CUDA provider",
            remedy=machine.GPU_WHEEL,
        )
    from cleancut.backends.ort import missing_library

    if why := missing_library("CUDAExecutionProvider"):
        return Finding(
            name,
            True,
            problem=f"CUDA libraries do not load: {why}",
            remedy="pip install 'onnxruntime-gpu[cuda,cudnn]'",
        )
    return Finding(name, True, devices=("CUDAExecutionProvider",))
