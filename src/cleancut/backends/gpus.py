"""NVIDIA GPUs as the driver shows them to this process, asked through libcuda.

The library comes with the driver and answers as the runtime will be answered: it knows
``CUDA_VISIBLE_DEVICES`` and MIG, and says why it finds nothing. nvidia-smi does neither, and many
containers lack it. Names: CUDA Driver API reference.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

VISIBLE = "CUDA_VISIBLE_DEVICES"

_Device: TypeAlias = c_int
_NO_DEVICE = 100
#: Library and kernel module are of different versions, as after an update without a restart.
_MISMATCH = (803, 804)
_MAJOR, _MINOR, _MULTIPROCESSORS = 75, 76, 16


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU that CUDA shows this process, ``index`` as it counts them.

    ``uuid`` names it whatever else is visible ("GPU-…"; of a MIG slice that of its card).
    ``compute`` is the compute capability.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int
    compute: tuple[int, int]
    multiprocessors: int

    def __str__(self) -> str:
        major, minor = self.compute
        return f"{self.name}, {self.memory_bytes / 2**30:.0f} GiB, compute {major}.{minor}"


@dataclass(frozen=True, slots=True)
class Driver:
    """What the NVIDIA driver offers; ``cuda`` is the newest CUDA that it runs, None without one.

    ``problem`` is one clause where there is no GPU to be had, and ``remedy`` what to do about it.
    """

    cuda: tuple[int, int] | None = None
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
    remedy: str = ""


@lru_cache(maxsize=1)
def driver() -> Driver:
    """The driver and the GPUs visible to this process; asked once, never raises.

    It initialises CUDA, which does not survive a fork: processes are to be spawned after it.
    """
    library = _library()
    if library is None:
        return Driver(
            problem="no NVIDIA driver is installed",
            remedy="install the NVIDIA driver (in a container: docker run --gpus all)",
        )
    try:
        return _ask(library)
    except AttributeError as error:  # a library older than the functions that are asked for
        return Driver(problem=f"the NVIDIA driver is too old ({error})", remedy="update the driver")


def names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """One value of ``CUDA_VISIBLE_DEVICES`` for each GPU that a child may be given.

    The entries of the parent's own as they stand (indices, "GPU-…", "MIG-…"), since a child counts
    anew; as CUDA does, what follows an index of -1 is not there. Empty where no GPU can be used.
    """
    if not driver().gpus:
        return ()
    if VISIBLE not in environ:
        return tuple(str(gpu.index) for gpu in driver().gpus)
    entries = [entry.strip() for entry in environ[VISIBLE].split(",")]
    valid = next((at for at, entry in enumerate(entries) if entry in ("", "-1")), len(entries))
    # CUDA shows one MIG slice only, however many are named, so these cannot be counted.
    count = valid if entries[0].startswith("MIG-") else min(valid, len(driver().gpus))
    return tuple(entries[:count])


def _library() -> Any:
    """libcuda, None where there is no driver."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def _ask(cuda: Any) -> Driver:
    version = c_int(0)
    cuda.cuDriverGetVersion(byref(version))
    newest = (version.value // 1000, version.value % 1000 // 10)
    count = c_int(0)
    status = cuda.cuInit(0) or cuda.cuDeviceGetCount(byref(count))
    if status not in (0, _NO_DEVICE):
        problem, remedy = f"the NVIDIA driver fails: {_error(cuda, status)}", "run: nvidia-smi"
        if status in _MISMATCH:
            remedy = "restart the machine, so that the driver's parts are of one version"
        return Driver(newest, problem=problem, remedy=remedy)
    if status == _NO_DEVICE or count.value == 0:
        return Driver(newest, problem=_none(), remedy=_show())
    return Driver(newest, tuple(_gpu(cuda, index) for index in range(count.value)))


def _none() -> str:
    value = os.environ.get(VISIBLE)
    hidden = f"{VISIBLE}={value!r} hides every GPU"
    return "the NVIDIA driver finds no GPU" if value is None else hidden


def _show() -> str:
    if VISIBLE not in os.environ:
        return "run: nvidia-smi"
    return f"run: unset {VISIBLE}, or set it to one that nvidia-smi -L lists"


def _gpu(cuda: Any, index: int) -> Gpu:
    device = _Device(0)
    cuda.cuDeviceGet(byref(device), index)
    name, size, uuid = (c_char * 128)(), c_size_t(0), (c_char * 16)()
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(byref(size), device)
    cuda.cuDeviceGetUuid(byref(uuid), device)

    def attribute(number: int) -> int:
        value = c_int(0)
        cuda.cuDeviceGetAttribute(byref(value), number, device)
        return value.value

    digits = bytes(uuid).hex()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return Gpu(
        index=index,
        uuid=f"GPU-{'-'.join(parts)}",
        name=name.value.decode("utf-8", "replace"),
        memory_bytes=size.value,
        compute=(attribute(_MAJOR), attribute(_MINOR)),
        multiprocessors=attribute(_MULTIPROCESSORS),
    )


def _error(cuda: Any, status: int) -> str:
    text = c_char_p()
    cuda.cuGetErrorName.argtypes = [c_int, POINTER(c_char_p)]
    cuda.cuGetErrorName(status, byref(text))
    return f"{(text.value or b'CUDA error').decode()} ({status})"
