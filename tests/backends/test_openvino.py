from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cleancut.backends import machine, openvino
from cleancut.errors import BackendUnavailable
from tests.backends import graphs

#: Not imported by name, which would bring its telemetry and write into the home folder.
runtime = openvino.openvino


def blobs(cache: Path) -> list[Path]:
    return sorted(cache.glob("openvino-*/*.blob"))


def answer(path: Path, cache: Path | None) -> np.ndarray:
    session = openvino.open_session(path, device="cpu", cache_dir=cache)
    return session.run({"picture": graphs.picture()})["logits"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return graphs.conv(tmp_path / "m.onnx")


def test_importing_leaves_the_converter_and_telemetry_out() -> None:
    code = (
        "import sys; from cleancut.backends import openvino; "
        "print([m for m in sys.modules if 'ovc' in m or 'telemetry' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_a_converter_that_is_loaded_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = object()
    monkeypatch.setitem(sys.modules, openvino._CONVERTER, loaded)  # type: ignore[arg-type]
    with openvino._without_converter():
        assert sys.modules[openvino._CONVERTER] is loaded
    assert sys.modules[openvino._CONVERTER] is loaded


def test_the_second_session_is_loaded_from_the_cache(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = answer(model, cache)
    assert len(blobs(cache)) == 1
    written = blobs(cache)[0].stat().st_mtime_ns
    session = openvino.open_session(model, device="cpu", cache_dir=cache)
    assert session._compiled.get_property("LOADED_FROM_CACHE") is True
    assert np.array_equal(session.run({"picture": graphs.picture()})["logits"], first)
    assert [blob.stat().st_mtime_ns for blob in blobs(cache)] == [written]


@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "noise"])
def test_a_damaged_cache_only_costs_time(
    model: Path, tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    right = answer(model, cache)
    blob = blobs(cache)[0]
    whole = blob.read_bytes()
    blob.chmod(0o600)
    noise = np.random.default_rng(0).bytes(len(whole))
    blob.write_bytes(
        {
            "empty": b"",
            "half": whole[: len(whole) // 2],
            "zeros": bytes(len(whole)),
            "noise": noise,
        }[damage]
    )
    assert np.array_equal(answer(model, cache), right)
    assert np.array_equal(answer(model, cache), right)
    assert capfd.readouterr() == ("", "")


def test_other_users_may_read_a_shared_cache(model: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        answer(model, tmp_path / "cache")
    finally:
        os.umask(before)
    (blob,) = blobs(tmp_path / "cache")
    assert blob.stat().st_mode & 0o777 == 0o444
    assert blob.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_cache_that_cannot_be_written_is_done_without(
    model: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "taken").write_text("not a folder")
    cache = tmp_path / "taken" if kind == "a file" else tmp_path / "taken" / "cache"
    assert np.array_equal(answer(model, cache), answer(model, None))


def test_a_full_disk_is_done_without(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = openvino._compile_into

    def full(core: object, path: Path, target: str, config: dict, *rest: object) -> object:
        if "CACHE_DIR" in config:
            raise RuntimeError("Can't write: No space left on device")
        return real(core, path, target, config, *rest)

    monkeypatch.setattr(openvino, "_compile_into", full)
    assert answer(model, tmp_path / "cache").shape == (1, 4, 16, 16)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_killed_process_leaves_nothing_that_is_used(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    class Killed(BaseException):
        pass

    real = openvino._compile_into

    def half(core: object, path: Path, target: str, config: dict, *rest: object) -> object:
        real(core, path, target, config, *rest)
        for blob in Path(config["CACHE_DIR"]).glob("*.blob"):
            blob.chmod(0o600)
            os.truncate(blob, 100)
        raise Killed

    monkeypatch.setattr(openvino, "_compile_into", half)
    monkeypatch.setattr(openvino.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(Killed):
        answer(model, cache)
    monkeypatch.undo()
    assert blobs(cache) == []
    left = list(cache.glob(".compiling-*"))
    assert len(left) == 1
    old = time.time() - 2 * openvino._ABANDONED_AFTER_S
    os.utime(left[0], (old, old))
    answer(model, cache)
    assert len(blobs(cache)) == 1
    assert list(cache.glob(".compiling-*")) == []


def test_other_weights_under_the_same_path_are_compiled_anew(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = answer(model, cache)
    before = model.stat()
    monkeypatch.setattr(graphs, "weights", lambda: np.ones((4, 3, 3, 3), np.float32))
    graphs.conv(model)
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
    assert before.st_size == model.stat().st_size
    assert not np.allclose(answer(model, cache), first)
    assert len(blobs(cache)) == 1  # the old one is gone


def test_settings_do_not_share_an_entry(model: Path, tmp_path: Path) -> None:
    openvino.open_session(model, device="cpu", cache_dir=tmp_path / "c")
    openvino.open_session(model, device="cpu", cache_dir=tmp_path / "c", outputs=["alpha"])
    openvino.open_session(model, device="cpu", cache_dir=tmp_path / "c", threads=1)
    assert len(blobs(tmp_path / "c")) == 3


def test_a_gpu_that_is_not_there_is_refused(model: Path) -> None:
    if any(name.startswith("GPU") for name in openvino.devices()):
        pytest.skip("this machine has an Intel GPU")
    with pytest.raises(BackendUnavailable, match="finds no GPU"):
        openvino.open_session(model, device="gpu")
    with pytest.raises(BackendUnavailable, match=r"finds no GPU\.7"):
        openvino.open_session(model, device="gpu", provider="GPU.7")


def test_bf16_is_what_is_computed_or_refused(model: Path) -> None:
    if machine.has_bf16():
        session = openvino.open_session(model, device="cpu", precision="bf16")
        used = session._compiled.get_property("INFERENCE_PRECISION_HINT")
        assert used == runtime.Type.bf16
    else:
        with pytest.raises(BackendUnavailable, match="does not compute bf16"):
            openvino.open_session(model, device="cpu", precision="bf16")


def test_bf16_is_refused_where_the_device_lacks_it() -> None:
    class Old:
        def get_property(self, *_: str) -> list[str]:
            return ["FP32", "INT8"]

    with pytest.raises(BackendUnavailable, match="does not compute bf16") as caught:
        openvino._check_precision(Old(), "CPU", "bf16")
    assert "--precision f32" in caught.value.hint


def test_a_failed_request_is_not_used_again(model: Path) -> None:
    session = openvino.open_session(model, device="cpu")
    session.run({"picture": graphs.picture()})

    class Broken:
        def set_input_tensor(self, *_: object) -> None:
            raise RuntimeError("Exception from plugin\nbroken state")

    session._idle[:] = [Broken()]
    with pytest.raises(Exception, match="broken state"):
        session.run({"picture": graphs.picture()})
    assert session._idle == []
    assert session.run({"picture": graphs.picture()})["alpha"].shape == (1, 4, 16, 16)


def test_outputs_that_are_not_wanted_are_cut_off(model: Path) -> None:
    session = openvino.open_session(model, device="cpu", outputs=["logits"])
    assert [port.get_any_name() for port in session._compiled.outputs] == ["logits"]


def test_other_weights_in_a_file_beside_the_model_are_compiled_anew(tmp_path: Path) -> None:
    path = graphs.external(tmp_path / "m.onnx", "w.bin")
    cache = tmp_path / "cache"
    x = np.zeros(4, np.float32)
    for number in (1, 2):
        np.full(4, number, np.float32).tofile(tmp_path / "w.bin")
        os.utime(tmp_path / "w.bin", (number, number))
        session = openvino.open_session(path, device="cpu", cache_dir=cache)
        assert (session.run({"x": x})["y"] == number).all()


def test_fixed_shapes_are_kept_apart_in_the_cache(tmp_path: Path) -> None:
    model = graphs.conv(tmp_path / "m.onnx", size=None)
    for size in (16, 32, 16):
        session = openvino.open_session(
            model,
            device="cpu",
            cache_dir=tmp_path / "cache",
            shapes={"picture": (1, 3, size, size)},
        )
        assert session.inputs["picture"] == (1, 3, size, size)
        feed = np.zeros((1, 3, size, size), np.float32)
        assert session.run({"picture": feed})["alpha"].shape == (1, 4, size, size)
    assert len(list((tmp_path / "cache").glob("openvino-*"))) == 2
