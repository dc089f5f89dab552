from __future__ import annotations

import re

import pytest

from cleancut.backends import cuda, gpus
from cleancut.backends.cuda import Build
from tests.backends import nvidia

WHEEL = {"onnxruntime-gpu": "1.31.1"}
BOTH = {"onnxruntime": "1.32.0", **WHEEL}
WHOLE = Build(BOTH, provider=True, cuda=(13, 0))


@pytest.fixture(autouse=True)
def a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "driver", nvidia.driver)


def test_nothing_is_in_the_way_of_a_whole_installation() -> None:
    assert cuda.obstacle(WHOLE) is None
    assert cuda.obstacle(Build(WHEEL, provider=True)) is None  # a build that hides its version


@pytest.mark.parametrize(
    ("build", "driver", "problem", "hint"),
    [
        (WHOLE, nvidia.NO_DRIVER, "no NVIDIA driver", "install the NVIDIA driver"),
        (
            Build({"onnxruntime": "1.32.0"}, provider=False),
            None,
            "no CUDA provider",
            "cleancut[gpu]",
        ),
        (
            Build(BOTH, provider=False),
            None,
            "onnxruntime 1.32.0 lies on top of onnxruntime-gpu 1.31.1",
            "run: pip install --force-reinstall --no-deps onnxruntime-gpu==1.31.1",
        ),
        (WHOLE, nvidia.driver((12, 4)), "runs CUDA 12.4, .* needs CUDA 13", "update the NVIDIA"),
        (
            WHOLE,
            nvidia.driver((13, 0), nvidia.card(compute=(6, 1))),
            r"Card, 16 GiB, compute 6.1 is too old for CUDA 13",
            "use --device cpu",
        ),
        (
            Build(WHEEL, provider=True, cuda=(13, 0), missing=("libcublas.so.13", "libcudnn.so.9")),
            None,
            r"libcublas.so.13, libcudnn.so.9 not found",
            "run: pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'",
        ),
        (
            Build(WHEEL, provider=True, missing=("libnvinfer.so.10",)),
            None,
            "libnvinfer",
            "'onnxruntime-gpu[cuda,cudnn]==1.31.1' 'tensorrt==10.*'",
        ),
    ],
)
def test_each_obstacle_is_one_clause_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
    build: Build,
    driver: gpus.Driver | None,
    problem: str,
    hint: str,
) -> None:
    if driver is not None:
        monkeypatch.setattr(gpus, "driver", lambda: driver)
    found = cuda.obstacle(build)
    assert found is not None
    assert re.search(problem, found.problem)
    assert hint in found.hint


def test_a_wheel_alone_is_covered_by_nothing() -> None:
    assert cuda.covered(WHEEL) is None
    assert cuda.covered({"onnxruntime": "1.32.0"}) is None


def test_without_driver_no_other_wheel_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "driver", lambda: nvidia.NO_DRIVER)
    found = cuda.obstacle(Build(BOTH, provider=False))
    assert found is not None
    assert "pip" not in found.hint
