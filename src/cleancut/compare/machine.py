"""The machine that a comparison ran on, and whether a network can run on its GPU."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from contextlib import suppress

from cleancut.backends.machine import cpu_limit, cpu_model
from cleancut.compare.comparison import Machine

#: nvidia-smi may take seconds to wake a sleeping driver.
_PATIENCE_S = 20.0


def machine() -> Machine:
    """This machine; ``cores`` are the processors that this process may use."""
    return Machine(
        cpu=cpu_model(),
        cores=cpu_limit(),
        memory_mb=_memory_mb(),
        gpus=gpus(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
    )


def gpus() -> tuple[str, ...]:
    """The names of the graphics processors that NVIDIA's driver or OpenVINO shows; () if none."""
    if names := ask_nvidia("--query-gpu=name"):
        return names
    from cleancut.backends.report import report

    found = next((one for one in report() if one.name == "openvino"), None)
    devices = found.devices if found else ()
    return tuple(f"OpenVINO {device}" for device in devices if device.startswith("GPU"))


def gpu_hindrance() -> str:
    """Why ``device="gpu"`` cannot work here, "" if a runtime says that it can.

    That a session really opens is not tried.
    """
    from cleancut.backends.report import report

    findings = {finding.name: finding for finding in report()}
    nvidia = findings.get("NVIDIA GPU")
    if nvidia is not None and not nvidia.problem:
        return ""
    if any(device.startswith("GPU") for device in findings["openvino"].devices):
        return ""
    # Listed by every CUDA wheel, with a GPU or without one.
    idle = ("CPU", "CUDA", "Tensorrt", "Azure")
    if any(not device.startswith(idle) for device in findings["onnxruntime"].devices):
        return ""
    return nvidia.problem if nvidia is not None else "this machine shows no GPU"


def ask_nvidia(*words: str) -> tuple[str, ...]:
    """The lines that ``nvidia-smi`` answers, without heads and units; () where it does not."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = subprocess.run(
            [program, *words, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    if done.returncode != 0:
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())


def _memory_mb() -> float | None:
    """Memory in MB (10^6 bytes) of the machine; a container's limit is not looked at."""
    with suppress(OSError, ValueError, AttributeError):  # not on Windows
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return size / 1e6 if size > 0 else None
    return None
