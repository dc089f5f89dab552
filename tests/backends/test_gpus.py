# ruff: noqa: N802 -- the names are those of the CUDA Driver API
from __future__ import annotations

import ctypes
from typing import Any

import pytest

from cleancut.backends import gpus


class Library:
    """libcuda as ctypes has it: functions that write through pointers and return a status."""

    def __init__(self, *, count: int = 2, init: int = 0, cuda: int = 13000) -> None:
        self._count, self._init, self._cuda = count, init, cuda
        self.cuGetErrorName = _ErrorName()

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = self._cuda
        return 0

    def cuInit(self, flags: int) -> int:
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self._count
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = f"Card {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:
        size._obj.value = 24 << 30
        return 0

    def cuDeviceGetUuid(self, uuid: Any, device: Any) -> int:
        uuid._obj.raw = bytes(range(16))
        return 0

    def cuDeviceGetAttribute(self, value: Any, number: int, device: Any) -> int:
        value._obj.value = {75: 8, 76: 6, 16: 84}[number]
        return 0


class _ErrorName:
    argtypes: Any = None

    def __call__(self, status: int, text: Any) -> int:
        text._obj.value = b"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"
        return 0


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    gpus.driver.cache_clear()
    yield
    gpus.driver.cache_clear()


def has(monkeypatch: pytest.MonkeyPatch, library: Any) -> gpus.Driver:
    monkeypatch.setattr(gpus, "_library", lambda: library)
    return gpus.driver()


def test_each_card_is_told_with_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = has(monkeypatch, Library())
    assert (found.cuda, found.problem) == ((13, 0), "")
    assert [str(gpu) for gpu in found.gpus] == [
        "Card 0, 24 GiB, compute 8.6",
        "Card 1, 24 GiB, compute 8.6",
    ]
    assert found.gpus[1].uuid == "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert found.gpus[1].multiprocessors == 84


@pytest.mark.parametrize(
    ("library", "visible", "problem", "remedy"),
    [
        (None, None, "no NVIDIA driver is installed", "install the NVIDIA driver"),
        (Library(init=100), None, "finds no GPU", "nvidia-smi"),
        (Library(count=0), None, "finds no GPU", "nvidia-smi"),
        (Library(init=100), "", "CUDA_VISIBLE_DEVICES='' hides every GPU", "unset CUDA_VISIBLE"),
        (Library(init=803), None, r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)", "restart"),
        (Library(init=999), None, "(999)", "nvidia-smi"),
        (object(), None, "too old", "update the driver"),
    ],
)
def test_what_hinders_is_told_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
    library: Any,
    visible: str | None,
    problem: str,
    remedy: str,
) -> None:
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    found = has(monkeypatch, library)
    assert found.gpus == ()
    assert problem in found.problem
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ("0", "1")),
        ("3,5", ("3", "5")),
        (" GPU-1a , GPU-2b ", ("GPU-1a", "GPU-2b")),
        ("0,-1,1", ("0",)),
        ("MIG-a,MIG-b,MIG-c", ("MIG-a", "MIG-b", "MIG-c")),
        ("", ()),
    ],
)
def test_a_child_is_given_one_of_what_its_parent_has(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, names: tuple[str, ...]
) -> None:
    has(monkeypatch, Library())
    environ = {} if visible is None else {gpus.VISIBLE: visible}
    assert gpus.names(environ) == names


def test_without_a_usable_gpu_there_is_nothing_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, Library(init=100))
    assert gpus.names({gpus.VISIBLE: "0,1"}) == ()


def test_a_machine_without_driver_has_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert gpus._library() is None
