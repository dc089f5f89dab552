"""Why CUDA cannot be used here, as one clause and the one command that mends it.

Checked before a session is opened: ONNX Runtime itself falls back to the CPU and says so in a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cleancut.backends import gpus
from cleancut.backends.gpus import Driver

GPU_EXTRA = "pip install 'cleancut[gpu]'"
#: The oldest compute capability that a CUDA of this major version has code for.
_OLDEST = {12: (5, 0), 13: (7, 5)}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """``problem`` is one clause, ``remedy`` a command, or what else to do."""

    problem: str
    remedy: str

    @property
    def hint(self) -> str:
        """The remedy as an error's hint."""
        command = self.remedy.startswith(("pip ", "nvidia-smi"))
        return f"run: {self.remedy}" if command else self.remedy


@dataclass(frozen=True, slots=True)
class Build:
    """The installed ONNX Runtime: its ``wheels`` by name and version, and what it can do.

    ``provider`` says whether the provider that is wanted is compiled in, ``cuda`` is the version it
    was built for, ``missing`` are the libraries that the provider needs and does not find.
    """

    wheels: Mapping[str, str]
    provider: bool
    cuda: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


def obstacle(build: Build) -> Obstacle | None:
    """What keeps ``build`` from running on a GPU of this machine; the driver comes first."""
    driver = gpus.driver()
    if driver.problem:
        return Obstacle(driver.problem, driver.remedy)
    if not build.provider:
        return covered(build.wheels) or Obstacle(
            "the installed ONNX Runtime has no CUDA provider", GPU_EXTRA
        )
    return _too_old(driver, build.cuda) or _incomplete(build)


def covered(wheels: Mapping[str, str]) -> Obstacle | None:
    """The CPU wheel's files lie on top of the GPU wheel's, as happens when both are installed.

    They share their names, and the one that is unpacked last wins: with pip on a bare environment
    the CPU wheel, with uv either. Only to be asked where no GPU provider is compiled in.
    """
    if not {"onnxruntime", "onnxruntime-gpu"} <= wheels.keys():
        return None
    version = wheels["onnxruntime-gpu"]
    return Obstacle(
        f"onnxruntime {wheels['onnxruntime']} lies on top of onnxruntime-gpu {version}",
        f"pip install --force-reinstall --no-deps onnxruntime-gpu=={version}",
    )


def _too_old(driver: Driver, cuda: tuple[int, ...]) -> Obstacle | None:
    if not cuda:
        return None
    if driver.cuda is not None and driver.cuda[0] < cuda[0]:
        has = ".".join(map(str, driver.cuda))
        return Obstacle(
            f"the NVIDIA driver runs CUDA {has}, the installed ONNX Runtime needs CUDA {cuda[0]}",
            f"update the NVIDIA driver to one that nvidia-smi shows with CUDA {cuda[0]} or newer",
        )
    oldest = _OLDEST.get(cuda[0], (0, 0))
    # The first is the one that is used.
    if driver.gpus and driver.gpus[0].compute < oldest:
        return Obstacle(
            f"{driver.gpus[0]} is too old for CUDA {cuda[0]}, which the installed ONNX Runtime"
            f" is built for (compute {oldest[0]}.{oldest[1]} or newer)",
            "use --device cpu",
        )
    return None


def _incomplete(build: Build) -> Obstacle | None:
    if not build.missing:
        return None
    version = build.wheels.get("onnxruntime-gpu")
    pinned = "" if version in (None, "?") else f"=={version}"
    remedy = f"pip install 'onnxruntime-gpu[cuda,cudnn]{pinned}'"
    for name in build.missing:  # "libnvinfer.so.10": the newest TensorRT need not be the one
        if name.startswith("libnvinfer.so."):
            remedy += f" 'tensorrt=={name.rpartition('.')[2]}.*'"
    return Obstacle(f"{', '.join(build.missing)} not found", remedy)
