"""What this machine offers: processor, its bf16 instructions, CPU quota, GPUs, installed runtimes.

Reads small files only; no runtime is imported. Everything here is a guess from the outside that a
session confirms when it opens.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

#: CPU flags that change which kernels a runtime uses, hence which runtime is faster.
_SPEED_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_tile",
    "asimdhp",
    "bf16",
    "sve",
)
#: Fast bf16 needs one of these; OpenVINO otherwise runs f32 whatever the hint says.
_BF16_FLAGS = ("avx512_bf16", "amx_bf16")

_CPUINFO = Path("/proc/cpuinfo")
_PROC_SELF_CGROUP = Path("/proc/self/cgroup")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_NVIDIA_SIGNS = (
    Path("/proc/driver/nvidia/version"),
    Path("/dev/nvidiactl"),
    Path("/usr/lib/wsl/lib/nvidia-smi"),
)


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """Instruction sets of the first processor; empty where the system does not list them."""
    for line in _cpuinfo():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """The processor's marketing name, or the architecture where there is none."""
    for line in _cpuinfo():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    return os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine()


def has_bf16() -> bool:
    """True if the processor multiplies bf16 in hardware (AVX512-BF16 or AMX); unknown is False."""
    return not cpu_flags().isdisjoint(_BF16_FLAGS)


def cpu_limit() -> int:
    """Cores this process may use: affinity and container quota, rounded up, at least 1.

    Runtimes count the host's cores; in a container with a quota that means many threads fighting
    for few cores.
    """
    try:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    except OSError:
        cores = 0
    cores = cores or os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is None:
        return cores
    return max(1, min(cores, int(-(-quota // 1))))


def thread_count() -> int:
    """Threads a runtime should start: one a physical core, within ``cpu_limit``.

    A second thread on a core that already multiplies matrices takes its registers' time.
    """
    counts = {}
    for line in _cpuinfo():
        name, _, value = line.partition(":")
        if name.strip() in ("siblings", "cpu cores") and value.strip().isdigit():
            counts[name.strip()] = int(value)
    threads_a_core = max(1, counts.get("siblings", 1) // max(1, counts.get("cpu cores", 1)))
    return max(1, min(cpu_limit(), (os.cpu_count() or 1) // threads_a_core))


def _cgroup_quota() -> float | None:
    """Cores granted by cgroup v2 ``cpu.max`` or v1 ``cpu.cfs_quota_us``; None if unlimited."""
    quotas = []
    for folder in _cgroup_folders():
        try:
            v2 = (folder / "cpu.max").read_text("utf-8").split()
            quotas.append(int(v2[0]) / int(v2[1]))
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            pass  # "max", or not a version 2 group
        try:
            quota = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
            period = int((folder / "cpu.cfs_period_us").read_text("utf-8"))
            quotas.append(quota / period)
        except (OSError, ValueError, ZeroDivisionError):
            pass
    return min((q for q in quotas if q > 0), default=None)


def _cgroup_folders() -> list[Path]:
    """The groups whose limits apply to this process, innermost to the root."""
    folders = [_CGROUP_ROOT, _CGROUP_ROOT / "cpu"]
    try:
        lines = _PROC_SELF_CGROUP.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return folders
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            base = _CGROUP_ROOT
        elif "cpu" in controllers.split(","):
            base = _CGROUP_ROOT / "cpu"
        else:
            continue
        folder = base / group.lstrip("/")
        while base in folder.parents:
            folders.append(folder)
            folder = folder.parent
    return folders


def nvidia_gpu() -> bool:
    """True if an NVIDIA driver is loaded here, whether or not any runtime can use it."""
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    return any(sign.exists() for sign in _NVIDIA_SIGNS)


def fingerprint() -> str:
    """One line that changes when a measured choice of runtime may no longer hold."""
    flags = ",".join(flag for flag in _SPEED_FLAGS if flag in cpu_flags())
    gpu = "nvidia" if nvidia_gpu() else "none"
    return f"{sys.platform}|{platform.machine()}|{cpu_model()}|{flags}|{cpu_limit()}|gpu:{gpu}"


def installed(module: str) -> dict[str, str]:
    """Distributions that provide ``module`` by name and version, from its ``.dist-info`` folders.

    Empty if the module cannot be imported; ``{module: "?"}`` if it lies there without metadata.
    ``importlib.metadata`` would do the same for 40 ms of imports (it loads an e-mail parser).
    """
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return {}
    if spec is None or not spec.origin:
        return {}
    found = {}
    try:
        names = [entry.name for entry in Path(spec.origin).parents[1].iterdir()]
    except OSError:
        names = []
    for name in names:
        stem, dot, _ = name.partition(".dist-info")
        distribution, _, version = stem.rpartition("-")
        distribution = distribution.replace("_", "-").lower()
        # openvino-telemetry and onnxruntime-extensions are neighbours, not the runtime.
        if dot and distribution in _DISTRIBUTIONS[module]:
            found[distribution] = version
    return found or {module: "?"}


_DISTRIBUTIONS = {
    "onnxruntime": frozenset(
        {
            "onnxruntime",
            "onnxruntime-gpu",
            "onnxruntime-directml",
            "onnxruntime-rocm",
            "onnxruntime-migraphx",
            "onnxruntime-openvino",
            "onnxruntime-silicon",
            "onnxruntime-qnn",
        }
    ),
    "openvino": frozenset({"openvino"}),
}


@lru_cache(maxsize=1)
def _cpuinfo() -> tuple[str, ...]:
    try:
        first, _, _ = _CPUINFO.read_text("utf-8", errors="replace").partition("\n\n")
    except OSError:
        return ()
    return tuple(first.splitlines())


def _sysctl(name: str) -> str:
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
