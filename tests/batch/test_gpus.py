from __future__ import annotations

from collections.abc import Mapping

import pytest

from cleancut import Options
from cleancut.backends import gpus as cuda
from cleancut.backends import machine, ort
from cleancut.batch import gpus
from cleancut.batch.fleet import Fleet
from cleancut.batch.gpus import chosen, local_runner
from cleancut.batch.local import LocalRunner
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import BackendUnavailable, BadOption
from tests.backends.nvidia import NO_DRIVER

GPU = Options(model="echo", device="gpu")
AUTO = Options(model="echo")
CONFIG = WorkerConfig(options=GPU.to_json(), memory=8_000_000)


def ids(wanted: str | None, environ: Mapping[str, str] | None = None) -> list[str]:
    return [one.id for one in chosen(wanted, GPU, environ or {})]


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four GPUs of a driver that is not there, and eight cores."""
    cards = tuple(cuda.Gpu(n, f"GPU-{n}a{n}b", "Card", 1 << 34, (9, 0), 100) for n in range(4))
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((13, 0), cards))
    monkeypatch.setattr(machine, "cpu_limit", lambda: 8)
    monkeypatch.setattr(machine, "thread_count", lambda: 8)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, ["0", "1", "2", "3"]),
        ("all", ["0", "1", "2", "3"]),
        ("2", ["0", "1"]),
        ("1,3", ["1", "3"]),
        ("3,", ["3"]),
        (" 2, 0,2", ["2", "0"]),
    ],
)
@pytest.mark.usefixtures("four")
def test_the_flag_names_all_a_number_or_a_list(wanted: str | None, expected: list[str]) -> None:
    assert ids(wanted) == expected


@pytest.mark.usefixtures("four")
def test_what_the_environment_shows_is_counted_from_0_and_handed_on_as_it_stands() -> None:
    shown = {cuda.VISIBLE: "GPU-2a,MIG-7c/1/0,3"}
    assert ids(None, shown) == ["GPU-2a", "MIG-7c/1/0", "3"]
    assert ids("1,", shown) == ["MIG-7c/1/0"]
    assert ids("GPU-2a,2", shown) == ["GPU-2a", "3"]


@pytest.mark.parametrize(
    ("wanted", "match"),
    [
        ("5", "5 GPUs cannot be had, 4 are visible"),
        ("0", "0 GPUs cannot be had"),
        ("0,4", "no single GPU '4'"),
        ("GPU-", "no single GPU 'GPU-'"),
        (",", "',' names none"),
        ("", "'' names none"),
        ("one", "no single GPU 'one'"),
    ],
)
@pytest.mark.usefixtures("four")
def test_gpus_that_are_not_there_are_refused(wanted: str, match: str) -> None:
    with pytest.raises(BadOption, match=match):
        ids(wanted)


def test_without_a_gpu_the_flag_is_an_error_and_its_lack_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda, "driver", lambda: NO_DRIVER)
    with pytest.raises(BackendUnavailable, match="--gpus: no NVIDIA driver") as failed:
        ids("all")
    assert failed.value.hint.startswith("install the NVIDIA driver")
    assert ids(None) == []  # who opens the network says why
    for options in (GPU.with_(device="cpu"), AUTO.with_(backend="openvino")):
        with pytest.raises(BadOption, match="not asked for"):
            chosen("all", options, {})


@pytest.mark.parametrize("wheel", ["onnxruntime", "onnxruntime-gpu"])
@pytest.mark.usefixtures("four")
def test_auto_takes_gpus_where_it_will_use_one(monkeypatch: pytest.MonkeyPatch, wheel: str) -> None:
    monkeypatch.setattr(machine, "nvidia_gpu", lambda: True)
    monkeypatch.setattr(machine, "installed", lambda _: {wheel: "1.30.0"})
    assert len(chosen(None, AUTO, {})) == (4 if wheel == "onnxruntime-gpu" else 0)


@pytest.mark.usefixtures("four")
def test_gpus_that_are_named_are_never_the_processor_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "installed", lambda _: {"onnxruntime": "1.30.0"})
    with pytest.raises(BackendUnavailable, match=r"--gpus: .* no CUDA provider") as failed:
        chosen("all", AUTO, {})
    assert failed.value.hint == "run: pip install 'cleancut[gpu]'"
    monkeypatch.setattr(ort, "obstacle", lambda: None)
    assert len(chosen("all", AUTO, {})) == 4


@pytest.mark.usefixtures("four")
def test_each_gpu_has_a_process_of_its_own_and_they_share_the_machine() -> None:
    runner = local_runner(CONFIG, GPU, environ={})
    assert isinstance(runner, Fleet)
    assert runner._names == tuple(f"GPU {n} (Card)" for n in range(4))
    assert [one._environ for one in runner._runners] == [{cuda.VISIBLE: f"{n}"} for n in range(4)]
    assert {one.workers for one in runner._runners} == {3}  # two cores each, and one more
    (config,) = {one._config for one in runner._runners}
    assert (config.memory, config.processes, config.threads) == (2_000_000, 4, 2)


@pytest.mark.usefixtures("four")
def test_many_cores_beside_one_gpu_are_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    one = local_runner(CONFIG, GPU, gpus="1,", environ={})
    assert isinstance(one, LocalRunner)
    assert (one._environ, one.workers) == ({cuda.VISIBLE: "1"}, 9)
    monkeypatch.setattr(machine, "cpu_limit", lambda: 4 * gpus.PICTURES_A_PROCESS)
    crew = local_runner(CONFIG, GPU, gpus="2", environ={})
    assert isinstance(crew, Fleet)
    seen = [runner._environ[cuda.VISIBLE] for runner in crew._runners]
    assert seen == ["0", "0", "1", "1"]
    assert local_runner(CONFIG, GPU, gpus="2", workers=5, environ={}).workers == 6
    with pytest.raises(BadOption, match="--workers"):
        local_runner(CONFIG, GPU, workers=0, environ={})


def test_without_gpus_nothing_changes() -> None:
    runner = local_runner(WorkerConfig(threads=3), AUTO.with_(device="cpu"), environ={})
    assert isinstance(runner, LocalRunner)
    assert (runner._environ, runner.workers, runner._config.processes) == ({}, 4, 1)
