from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cleancut.backends
from cleancut.backends import gpus, machine, ort, select
from cleancut.backends.base import Placement, Session
from cleancut.backends.fake import FakeSession
from cleancut.errors import BackendUnavailable, OutOfMemory, WeightsCorrupt
from tests.backends import graphs
from tests.backends import nvidia as pretended

BF16 = Placement("openvino", "cpu", "bf16", "CPU", "the processor computes bf16")
F32 = Placement("ort", "cpu", "f32", "CPUExecutionProvider", "ONNX Runtime runs f32 everywhere")
BOTH = [BF16, F32]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend to be some machine: ``here(bf16=True, ort=("onnxruntime",), openvino=True)``."""

    def pretend(
        *,
        bf16: bool = True,
        ort: tuple[str, ...] = ("onnxruntime",),
        openvino: bool = True,
        nvidia: bool = False,
    ) -> None:
        wheels = {
            "onnxruntime": dict.fromkeys(ort, "1.31.1"),
            "openvino": {"openvino": "2026.4.1"} if openvino else {},
        }
        monkeypatch.setattr(machine, "installed", wheels.__getitem__)
        monkeypatch.setattr(machine, "has_bf16", lambda: bf16)
        monkeypatch.setattr(machine, "nvidia_gpu", lambda: nvidia)
        driver = pretended.driver() if nvidia else pretended.NO_DRIVER
        monkeypatch.setattr(gpus, "driver", lambda: driver)

    return pretend


class Bench:
    """Opens fake sessions and says how long each takes; records what was open together."""

    def __init__(self, times: Mapping[str, float | Exception]) -> None:
        self.times = times
        self.opened: list[str] = []
        self.samples = 0

    def open(self, _: Path, placement: Placement, **__: Any) -> Session:
        self.opened.append(str(placement))
        time = self.times[str(placement)]
        if isinstance(time, Exception):
            raise time
        return FakeSession(
            lambda feeds: {"y": feeds["x"]}, inputs={"x": (1,)}, outputs=["y"], placement=placement
        )

    def measure(self, session: Session, *_: object) -> float:
        time = self.times[str(session.placement)]
        assert isinstance(time, float)
        return time

    def sample(self) -> dict[str, np.ndarray]:
        self.samples += 1
        return {"x": np.ones(1)}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    def make(times: Mapping[str, float | Exception]) -> Bench:
        made = Bench(times)
        monkeypatch.setattr(select, "open_session", made.open)
        return made

    return make


def best(bench: Bench, cache: Path | None, **more: Any) -> Session:
    arguments: dict[str, Any] = {"key": "sha", "candidates": BOTH, "cache_dir": cache} | more
    return select.open_best(Path("m.onnx"), sample=bench.sample, measure=bench.measure, **arguments)


def names(placements: list[Placement]) -> list[str]:
    return [str(placement) for placement in placements]


def test_bf16_comes_first_where_processor_and_model_allow_it(here: Callable[..., None]) -> None:
    here(bf16=True)
    assert names(select.candidates(bf16_ok=True)) == ["openvino cpu bf16", "ort cpu f32"]
    assert names(select.candidates(bf16_ok=False)) == ["ort cpu f32", "openvino cpu f32"]
    here(bf16=False)
    assert names(select.candidates(bf16_ok=True)) == ["ort cpu f32", "openvino cpu f32"]


def test_without_openvino_only_onnx_runtime_is_tried(here: Callable[..., None]) -> None:
    here(openvino=False)
    assert names(select.candidates(bf16_ok=True)) == ["ort cpu f32"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"backend": "ort"}, ["ort cpu f32"]),
        ({"backend": "openvino"}, ["openvino cpu bf16"]),
        ({"precision": "f32"}, ["ort cpu f32", "openvino cpu f32"]),
        ({"precision": "bf16"}, ["openvino cpu bf16"]),
        ({"backend": "openvino", "precision": "f32", "device": "cpu"}, ["openvino cpu f32"]),
    ],
)
def test_a_request_is_obeyed(
    here: Callable[..., None], request_: dict[str, Any], expected: list[str]
) -> None:
    here(bf16=True)
    assert names(select.candidates(bf16_ok=True, **request_)) == expected


def test_bf16_is_obeyed_even_where_the_model_loses_accuracy(here: Callable[..., None]) -> None:
    here(bf16=True)
    assert names(select.candidates(bf16_ok=False, precision="bf16")) == ["openvino cpu bf16"]
    assert names(select.candidates(bf16_ok=False, backend="openvino")) == ["openvino cpu f32"]


@pytest.mark.parametrize(
    ("machine_", "request_", "hint"),
    [
        ({"openvino": False}, {"backend": "openvino"}, "pip install openvino"),
        ({"ort": ()}, {"backend": "ort"}, "pip install onnxruntime"),
        ({"ort": (), "openvino": False}, {}, "pip install onnxruntime"),
        ({"bf16": False}, {"precision": "bf16"}, "--precision f32"),
        ({"openvino": False}, {"precision": "bf16"}, "pip install openvino"),
        ({}, {"backend": "ort", "precision": "bf16"}, "--backend openvino"),
        ({}, {"precision": "f16"}, "--precision f32"),
        ({}, {"precision": "f16", "device": "cpu"}, "--precision f32"),
        ({"openvino": False}, {"device": "gpu"}, "install the NVIDIA driver"),
        ({"openvino": False, "nvidia": True}, {"device": "gpu"}, "pip install 'cleancut[gpu]'"),
        (
            {"openvino": False, "nvidia": True, "ort": ("onnxruntime", "onnxruntime-gpu")},
            {"device": "gpu"},
            "run: pip install --force-reinstall --no-deps onnxruntime-gpu==1.31.1",
        ),
        ({"ort": (), "openvino": False}, {"device": "gpu"}, "pip install 'cleancut[gpu]'"),
        ({"nvidia": True}, {"backend": "openvino", "device": "gpu"}, "Intel's driver"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_next_step(
    here: Callable[..., None], machine_: dict[str, Any], request_: dict[str, Any], hint: str
) -> None:
    here(**machine_)
    with pytest.raises(BackendUnavailable) as caught:
        select.candidates(bf16_ok=True, **request_)
    assert hint in caught.value.hint


def test_a_gpu_wheel_without_a_gpu_does_not_make_a_candidate(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort, "gpu_providers", lambda: ("CUDAExecutionProvider",))
    here(ort=("onnxruntime-gpu",), nvidia=False)
    assert "ort gpu f32" not in names(select.candidates(bf16_ok=True))
    here(ort=("onnxruntime-gpu",), nvidia=True)
    assert names(select.candidates(bf16_ok=False))[0] == "ort gpu f32"
    assert "ort gpu f32" not in names(select.candidates(bf16_ok=True, device="cpu"))


def test_rounded_products_only_where_accuracy_was_shown_or_nothing_was_asked(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort, "gpu_providers", lambda: ("CUDAExecutionProvider",))
    here(ort=("onnxruntime-gpu",), nvidia=True)

    def first(**request: Any) -> str:
        return names(select.candidates(device="gpu", backend="ort", **request))[0]

    assert first(bf16_ok=True) == "ort gpu tf32"
    assert first(bf16_ok=False) == "ort gpu f32"
    assert first(bf16_ok=True, precision="f32") == "ort gpu f32"


def test_tensorrt_is_taken_by_name_only_and_f16_names_it(
    here: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine of one network says nothing of the next, which would be built for minutes."""
    here(ort=("onnxruntime-gpu",), nvidia=True, openvino=False)
    both = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
    monkeypatch.setattr(ort, "gpu_providers", lambda: both)
    monkeypatch.setattr(ort, "obstacle", lambda: None)
    found = select.candidates(bf16_ok=True, device="gpu")
    assert [placement.provider for placement in found] == ["CUDAExecutionProvider"]
    with pytest.raises(BackendUnavailable, match="only TensorRT computes f16") as caught:
        select.candidates(bf16_ok=True, device="gpu", precision="f16")
    assert "--backend tensorrt" in caught.value.hint


def test_a_complete_request_is_called_requested(here: Callable[..., None]) -> None:
    here()
    found = select.candidates(backend="ort", device="cpu", precision="f32", bf16_ok=True)
    assert [placement.reason for placement in found] == ["requested"]


def test_the_faster_one_wins_and_the_reason_says_by_how_much(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    run = bench({"openvino cpu bf16": 0.391, "ort cpu f32": 0.852})
    session = best(run, tmp_path)
    assert str(session.placement) == "openvino cpu bf16"
    assert session.placement.reason == "measured: 391 ms, ort f32 852 ms"
    assert run.opened == ["ort cpu f32", "openvino cpu bf16"]  # the winner is not opened twice


def test_a_surprising_winner_is_opened_again(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    run = bench({"openvino cpu bf16": 0.9, "ort cpu f32": 0.3})
    session = best(run, tmp_path)
    assert str(session.placement) == "ort cpu f32"
    assert run.opened == ["ort cpu f32", "openvino cpu bf16", "ort cpu f32"]


def test_a_difference_within_the_noise_does_not_overturn_the_expected(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    session = best(bench({"openvino cpu bf16": 0.100, "ort cpu f32": 0.095}), tmp_path)
    assert str(session.placement) == "openvino cpu bf16"


def test_the_choice_is_remembered(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    best(bench({"openvino cpu bf16": 0.9, "ort cpu f32": 0.3}), tmp_path)
    later = bench({"openvino cpu bf16": 0.1, "ort cpu f32": 0.3})
    session = best(later, tmp_path)
    assert later.opened == ["ort cpu f32"]
    assert later.samples == 0
    assert session.placement.reason == "measured: 300 ms, openvino bf16 900 ms"


@pytest.mark.parametrize("what", ["other weights", "other machine", "other runtime", "other list"])
def test_a_remembered_choice_holds_only_for_the_same_question(
    tmp_path: Path, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from cleancut.backends import probe

    best(bench({"openvino cpu bf16": 0.9, "ort cpu f32": 0.3}), tmp_path)
    again: dict[str, Any] = {}
    if what == "other weights":
        again["key"] = "another sha"
    elif what == "other machine":
        monkeypatch.setattr(probe, "fingerprint", lambda: "linux|arm64")
    elif what == "other runtime":
        monkeypatch.setattr(probe, "installed", lambda module: {module: "99"})
    else:
        again["candidates"] = BOTH[::-1]
    later = bench({"openvino cpu bf16": 0.1, "ort cpu f32": 0.3})
    assert str(best(later, tmp_path, **again).placement) == "openvino cpu bf16"
    assert later.samples == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"placement": 3}', '{"placement": {"reason": 1}}', "\x00\xff"]
)
def test_a_damaged_note_is_measured_again_and_rewritten(
    tmp_path: Path, bench: Callable[..., Bench], text: str
) -> None:
    times = {"openvino cpu bf16": 0.9, "ort cpu f32": 0.3}
    best(bench(times), tmp_path)
    (note,) = tmp_path.glob("placement-*.json")
    right = note.read_text()
    note.write_bytes(text.encode("latin-1"))
    later = bench(times)
    assert str(best(later, tmp_path).placement) == "ort cpu f32"
    assert later.samples == 1
    assert note.read_text() == right
    assert [path.name for path in tmp_path.iterdir()] == [note.name]


@pytest.mark.parametrize("why", ["no folder", "not writable", "told not to"])
def test_without_measuring_the_expected_one_is_taken_and_called_that(
    tmp_path: Path, bench: Callable[..., Bench], why: str
) -> None:
    (tmp_path / "file").touch()
    cache = {"no folder": None, "not writable": tmp_path / "file" / "x", "told not to": tmp_path}
    run = bench({"openvino cpu bf16": 0.9, "ort cpu f32": 0.3})
    session = best(run, cache[why], probe=why != "told not to")
    assert run.opened == ["openvino cpu bf16"]
    assert run.samples == 0
    assert session.placement.reason == "not measured: the processor computes bf16"


def test_a_choice_measured_earlier_is_used_even_if_told_not_to_measure(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    run = bench({"openvino cpu bf16": 0.9, "ort cpu f32": 0.3})
    best(run, tmp_path)
    assert str(best(run, tmp_path, probe=False).placement) == "ort cpu f32"
    known = select.known("sha", BOTH, tmp_path)
    assert known is not None
    assert str(known) == "ort cpu f32"


def test_a_candidate_that_fails_is_dropped_and_named(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    run = bench({"openvino cpu bf16": OutOfMemory("no memory left"), "ort cpu f32": 0.3})
    session = best(run, tmp_path)
    assert str(session.placement) == "ort cpu f32"
    assert session.placement.reason == "measured: 300 ms, openvino bf16 failed (no memory left)"


def test_if_all_fail_each_is_listed(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    run = bench(
        {"openvino cpu bf16": OutOfMemory("no memory"), "ort cpu f32": BackendUnavailable("gone")}
    )
    with pytest.raises(BackendUnavailable, match=r"ort cpu f32: gone.*bf16: no memory"):
        best(run, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_file_is_not_taken_for_a_bad_runtime(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    run = bench({"openvino cpu bf16": 0.1, "ort cpu f32": WeightsCorrupt("damaged")})
    with pytest.raises(WeightsCorrupt):
        best(run, tmp_path)


def test_a_remembered_runtime_that_is_gone_gives_way(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    best(bench({"openvino cpu bf16": 0.3, "ort cpu f32": 0.9}), tmp_path)
    run = bench({"openvino cpu bf16": BackendUnavailable("driver gone"), "ort cpu f32": 0.9})
    session = best(run, tmp_path)
    assert str(session.placement) == "ort cpu f32"
    assert "driver gone" in session.placement.reason


def test_a_request_with_one_answer_is_not_measured(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    run = bench({"ort cpu f32": BackendUnavailable("gone")})
    with pytest.raises(BackendUnavailable, match=r"^gone$"):
        best(run, tmp_path, candidates=[F32])
    assert run.samples == 0


def test_the_real_runtimes_compete_and_the_winner_answers(tmp_path: Path) -> None:
    path = graphs.conv(tmp_path / "m.onnx")
    session = select.open_best(
        path,
        key="sha",
        candidates=select.candidates(bf16_ok=False, device="cpu"),
        sample=lambda: {"picture": graphs.picture()},
        cache_dir=tmp_path / "cache",
        outputs=["alpha"],
    )
    assert session.placement.reason.startswith("measured: ")
    assert list(session.run({"picture": graphs.picture()})) == ["alpha"]


def test_choosing_loads_no_runtime() -> None:
    code = (
        "import sys; from cleancut.backends import select, fake; "
        "select.candidates(bf16_ok=True, device='cpu'); "
        "print(sorted({'numpy', 'onnxruntime', 'openvino', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_runtime_that_cannot_be_imported_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cleancut.backends, "ort")
    monkeypatch.setitem(sys.modules, "cleancut.backends.ort", None)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable, match="ort cannot be loaded") as caught:
        select.open_session(tmp_path / "m.onnx", F32)
    assert "pip install onnxruntime" in caught.value.hint


def test_int8_runs_on_the_processor_only_openvino_first() -> None:
    found = select.candidates(precision="int8", bf16_ok=False)
    assert {placement.precision for placement in found} == {"int8"}
    assert {placement.device for placement in found} == {"cpu"}
    backends = [placement.backend for placement in found]
    assert backends == sorted(backends, key=["openvino", "ort"].index)
    with pytest.raises(BackendUnavailable, match="processor only"):
        select.candidates(precision="int8", device="gpu", bf16_ok=False)
    assert "int8" not in {p.precision for p in select.candidates(bf16_ok=True)}


def test_tensorrt_is_asked_for_by_name(here: Callable[..., None]) -> None:
    here(ort=("onnxruntime-gpu",))
    (found,) = select.candidates(backend="tensorrt", precision="f16", bf16_ok=True)
    assert (found.backend, found.device, found.precision) == ("ort", "gpu", "f16")
    assert found.provider == "TensorrtExecutionProvider"
    (plain,) = select.candidates(backend="tensorrt", bf16_ok=True)
    assert plain.precision == "f32"
    with pytest.raises(BackendUnavailable, match="NVIDIA GPUs only"):
        select.candidates(backend="tensorrt", device="cpu", bf16_ok=True)
    with pytest.raises(BackendUnavailable, match="bf16"):
        select.candidates(backend="tensorrt", precision="bf16", bf16_ok=True)


def test_tensorrt_that_cannot_be_had_is_an_error_and_never_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "driver", pretended.driver)
    net = graphs.conv(tmp_path / "net.onnx")
    found = select.candidates(backend="tensorrt", bf16_ok=True)
    with pytest.raises(BackendUnavailable, match="no TensorrtExecutionProvider") as caught:
        select.open_best(net, key="k", candidates=found, sample=dict)
    assert "cleancut[gpu]" in caught.value.hint
