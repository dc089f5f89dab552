from __future__ import annotations

import os
from pathlib import Path

import pytest

from cleancut.backends import machine

CPUINFO = """processor\t: 0
model name\t: Quick CPU 9000
siblings\t: 8
cpu cores\t: 4
flags\t\t: fpu avx2 {flag}

processor\t: 1
model name\t: other
"""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    for cached in (machine.cpu_flags, machine.cpu_model, machine._cpuinfo):
        cached.cache_clear()


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "_CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(machine, "_PROC_SELF_CGROUP", tmp_path / "self")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_quota_all_cores_are_used(cgroup: Path) -> None:
    write(cgroup / "cpu.max", "max 100000\n")
    assert machine.cpu_limit() == 16


@pytest.mark.parametrize(("line", "cores"), [("250000 100000", 3), ("50000 100000", 1)])
def test_a_version_2_quota_limits_the_cores(cgroup: Path, line: str, cores: int) -> None:
    write(cgroup / "cpu.max", line)
    assert machine.cpu_limit() == cores


def test_the_quota_of_an_outer_group_holds_too(cgroup: Path) -> None:
    write(cgroup / "self", "0::/pod/box\n")
    write(cgroup / "pod" / "cpu.max", "400000 100000")
    write(cgroup / "pod" / "box" / "cpu.max", "max 100000")
    assert machine.cpu_limit() == 4


def test_a_version_1_quota_limits_the_cores(cgroup: Path) -> None:
    write(cgroup / "self", "3:cpu,cpuacct:/docker/abc\n2:memory:/x\n")
    write(cgroup / "cpu" / "docker" / "abc" / "cpu.cfs_quota_us", "200000")
    write(cgroup / "cpu" / "docker" / "abc" / "cpu.cfs_period_us", "100000")
    write(cgroup / "cpu" / "cpu.cfs_quota_us", "-1")
    write(cgroup / "cpu" / "cpu.cfs_period_us", "100000")
    assert machine.cpu_limit() == 2


def test_affinity_limits_the_cores(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert machine.cpu_limit() == 1


@pytest.mark.parametrize("text", ["", "x y", "100000", "100000 0", "\xff"])
def test_a_senseless_quota_is_ignored(cgroup: Path, text: str) -> None:
    write(cgroup / "cpu.max", text)
    assert machine.cpu_limit() == 16


@pytest.mark.parametrize(
    ("flag", "bf16"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512f", False)]
)
def test_bf16_is_read_from_the_processors_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, bf16: bool
) -> None:
    write(tmp_path / "cpuinfo", CPUINFO.format(flag=flag))
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    assert machine.has_bf16() is bf16
    assert machine.cpu_model() == "Quick CPU 9000"


def test_one_thread_a_physical_core(
    cgroup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cpuinfo", CPUINFO.format(flag=""))
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert machine.thread_count() == 8
    write(cgroup / "cpu.max", "300000 100000")
    assert machine.thread_count() == 3


def test_without_cpuinfo_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "none")
    assert machine.has_bf16() is False
    assert machine.cpu_model()


def test_the_fingerprint_tells_machines_apart(
    cgroup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    write(tmp_path / "cpuinfo", CPUINFO.format(flag="avx512_bf16"))
    first = machine.fingerprint()
    assert first == machine.fingerprint()
    write(cgroup / "cpu.max", "200000 100000")
    assert machine.fingerprint() != first


def test_installed_names_every_wheel_that_shares_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "onnxruntime" / "__init__.py", "raise RuntimeError('must not be imported')")
    for name in (
        "onnxruntime-1.31.1",
        "onnxruntime_gpu-1.30.0",
        "onnxruntime_extensions-0.1",
        "numpy-2.0",
    ):
        write(tmp_path / f"{name}.dist-info" / "METADATA", "")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "onnxruntime", raising=False)
    assert machine.installed("onnxruntime") == {
        "onnxruntime": "1.31.1",
        "onnxruntime-gpu": "1.30.0",
    }
