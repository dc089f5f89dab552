from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cleancut.backends import gpus, ort, select
from cleancut.backends.base import Placement
from cleancut.backends.bound import fetch
from cleancut.backends.fake import FakeSession
from cleancut.bench import child_batches, child_stream
from cleancut.bench import gpu as module
from cleancut.bench.gpu import MARKERS, GpuPlan, gpu
from cleancut.bench.gpu_rows import GpuBench, difference, measure_rembg, measure_stream, steady_rate
from cleancut.bench.measure import Figure, Sample
from cleancut.bench.report import Report
from cleancut.bench.sides import Side, our_side
from cleancut.cli.main import main
from cleancut.errors import BadOption, InferenceFailed, InputNotFound, OutOfMemory
from tests.batch.pictures import folder_of
from tests.bench.test_start import no_weights


def quiet(line: str) -> None:
    pass


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"only": frozenset({9})}, "no measurement 9"),
        ({"runs": 0}, "0 runs"),
        ({"models": ()}, "no model is not what both sides have"),
        ({"models": ("isnet", "modnet"), "peer_venv": Path("rembg")}, "modnet is not"),
        ({"pictures": 7}, "--pictures"),
        ({"seconds": 0.0}, "--seconds"),
    ],
)
def test_what_cannot_be_measured_is_refused(values: dict[str, object], match: str) -> None:
    with pytest.raises(BadOption, match=match):
        GpuPlan(**values)  # type: ignore[arg-type]


def test_any_network_is_measured_where_rembg_is_left_out(tmp_path: Path) -> None:
    assert GpuPlan(models=("modnet",)).models == ("modnet",)
    side = our_side({"modnet": tmp_path / "modnet.onnx"}, tmp_path)
    assert side.names["modnet"] == "modnet"


def test_without_a_gpu_there_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpus, "driver", lambda: gpus.Driver(problem="no driver"))
    assert main(["bench", "gpu"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "[backend-unavailable]" in said.err
    assert "cleancut bench gpu --device cpu" in said.err


def test_a_folder_without_pictures_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in ("isnet", "u2netp"):
        (tmp_path / f"{model}.onnx").touch()
    monkeypatch.setattr(module, "resolve", lambda spec: type("Found", (), {"path": tmp_path}))
    for folder, match in ((tmp_path, "no pictures"), (tmp_path / "x", "no such folder")):
        with pytest.raises(InputNotFound, match=match):
            gpu(GpuPlan(device="cpu", folder=folder), quiet)


def test_missing_weights_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_weights(tmp_path, monkeypatch)
    assert main(["bench", "gpu", "--device", "cpu", "--no-rembg"]) == 3


def test_the_card_is_named_and_a_processor_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    card = gpus.Gpu(0, "GPU-1", "Card X", 80 << 30, (9, 0), 132)
    monkeypatch.setattr(gpus, "driver", lambda: gpus.Driver((13, 0), (card,)))
    placement = Placement("ort", "gpu", "f32", "CUDAExecutionProvider", "")
    monkeypatch.setattr(select, "candidates", lambda **_: [placement])
    named = module._device(GpuPlan())
    assert named == "Card X, 80 GiB, compute 9.0, driver for CUDA 13.0"
    assert module._device(GpuPlan(device="cpu")).startswith("NO GPU")


def test_a_stream_is_timed_once_it_runs() -> None:
    done = [2.0, 6.0, *(7.0 + 0.01 * n for n in range(18))]
    assert steady_rate(Sample(9.0, None, json.dumps({"done": done}))) == pytest.approx(100)
    assert steady_rate(Sample(9.0, None, json.dumps({"done": [1.0]}))) is None


def test_differences_are_told_everywhere_and_at_edges() -> None:
    believed = np.array([[0.0, 0.5], [0.99, 1.0]], np.float32)
    asked = believed + np.array([[0.0, 0.02], [0.0, -0.06]], np.float32)
    found = difference([(asked, believed)])
    assert found["mean"] == pytest.approx(0.02)
    assert found["greatest"] == pytest.approx(0.06)
    assert found["mean at edges"] == found["greatest at edges"] == pytest.approx(0.02)
    assert "mean at edges" not in difference([(believed * 0, believed * 0)])


def bench_of(tmp_path: Path, device: str, ran_on: str, done: int = 20) -> GpuBench:
    """A bench whose sides answer at once, ours ten times as fast as rembg."""
    (images := tmp_path / "images").mkdir(parents=True)
    for number in range(20):
        (images / f"{number}.jpg").touch()

    def side(name: str, step: float) -> Side:
        told = {"done": [step * n for n in range(done)], "device": ran_on, "runs_on": "there"}
        told |= {"per_s": {"1": 70.0, "8": 120.0}, "stopped": ""}
        sample = Sample(1.0, None, json.dumps(told))
        return Side(name, "python", (), (), (), {"isnet": "i"}, {}, lambda argv, env: sample)

    sides = {"rembg": side("rembg", 0.1), "cleancut": side("cleancut", 0.01)}
    bench = GpuBench(sides, device, "auto", ("isnet",), runs=2, seconds=1.0)
    bench.work, bench.images = tmp_path, images
    return bench


def test_share_of_the_network_and_times_of_rembg_come_from_one_run(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "gpu", ran_on="gpu")
    stream, share = measure_stream(bench)
    (times,) = measure_rembg(bench)
    assert stream.cleancut is not None
    assert stream.rembg is not None
    assert (stream.cleancut.median, stream.rembg.median) == pytest.approx((100, 10))
    assert share.cleancut is not None
    assert (share.cleancut.median, share.met) == (pytest.approx(100 / 1.2), True)
    assert times.cleancut is not None
    assert (times.cleancut.median, times.met) == (pytest.approx(10), True)
    assert bench.notes == ["1: isnet alone on there, pictures a second by batch: 1: 70.0, 8: 120.0"]


def test_a_share_of_what_ran_differently_is_not_told(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "gpu", ran_on="gpu")
    bench.alone["isnet"], bench.places["isnet"] = Figure((120.0,)), "ort gpu f16"
    (stream,) = measure_stream(bench)
    assert stream.ratio == pytest.approx(10)
    assert bench.notes == [
        "2: no share for isnet: alone it ran on ort gpu f16, in the stream on there"
    ]


def test_what_ran_elsewhere_or_lost_pictures_is_no_figure(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "gpu", ran_on="cpu")
    assert all(row.cleancut is None for row in measure_stream(bench))
    assert "isnet: cleancut failed: cleancut ran on the cpu: there" in bench.notes
    bench = bench_of(tmp_path / "b", "cpu", ran_on="cpu", done=19)
    assert all(row.cleancut is None for row in measure_stream(bench))
    assert any("did 19 of 20" in note for note in bench.notes)


def test_a_network_that_takes_batches_is_tried_with_all_until_one_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = []

    def answer(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sizes.append(len(feeds["x"]))
        if len(feeds["x"]) == 8:
            raise OutOfMemory("too much")
        return {"y": feeds["x"]}

    session = FakeSession(answer, inputs={"x": (None, 3, 4, 4)}, outputs=["y"])
    monkeypatch.setattr(child_batches, "open_session", lambda *_: session)
    child_batches.main("u2netp", "cpu", "auto", "0.02")
    told = json.loads(capsys.readouterr().out)
    assert list(told["per_s"]) == ["1", "2", "4"]
    assert told["stopped"].startswith("8 pictures")
    assert (told["device"], max(sizes)) == ("cpu", 8)


def test_the_network_alone_runs_where_its_input_lies(tmp_path: Path) -> None:
    """On the processor the same code as on a GPU, with real arrays bound to a real session."""
    import onnx
    from onnx import TensorProto, helper

    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 4]) for name in "xy"
    ]
    node = helper.make_node("Sigmoid", ["x"], ["y"])
    graph = helper.make_graph([node], "half", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "half.onnx")
    session = ort.open_session(tmp_path / "half.onnx", device="cpu")
    run = child_batches.bound_run(session, (5, 3, 4, 4))
    answer = run()["y"]  # type: ignore[index]
    noise = np.random.default_rng(0).random((5, 3, 4, 4), np.float32)
    assert np.allclose(fetch(answer), 1 / (1 + np.exp(-noise)), atol=1e-6)
    assert child_batches.rate(run, 2, 0.02) > 0
    with pytest.raises(InferenceFailed):
        child_batches.bound_run(session, (5, 2, 4, 4))()


def test_our_stream_does_every_picture_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "in", 5)
    out = tmp_path / "out"
    child_stream.main("cleancut", "echo", str(folder), str(out), "cpu", "auto")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(told["done"]) == len(list(out.glob("shelf*/*.png"))) == 5
    assert (told["device"], told["done"]) == ("cpu", sorted(told["done"]))


def test_table_and_document_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = []

    def fake(plan: GpuPlan, tell: object) -> Report:
        plans.append(plan)
        return Report("2030-01-02", plan.runs, "Card X", (), (), ("the note",))

    monkeypatch.setattr(module, "gpu", fake)
    (document := tmp_path / "doc.md").write_text("\n".join(MARKERS), "utf-8")
    words = ["bench", "gpu", str(tmp_path), "-m", "isnet", "--only", "1,3"]
    assert main([*words, "--write", str(document)]) == 0
    assert main(["bench", "gpu", "--device", "cpu", "--no-rembg"]) == 0
    assert "Card X" in capsys.readouterr().out
    assert "the note" in document.read_text("utf-8")
    first, second = plans
    assert (first.device, first.models, first.only) == ("gpu", ("isnet",), {1, 3})
    assert first.peer_venv == Path(".venv-rembg-gpu")
    assert (second.device, second.models, second.peer_venv) == ("cpu", ("isnet", "u2netp"), None)
