from __future__ import annotations

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from cleancut import engine as engines
from cleancut import errors
from cleancut.catalog import ModelSpec, find
from cleancut.engine import Engine
from cleancut.models import choose as choosing
from cleancut.options import Options
from cleancut.rembg import new_session, remove, sessions_names

from .fakes import KnownModel, flat, halves

CUSTOM = ("u2net_custom", "dis_custom", "ben_custom")


@pytest.fixture
def asked(monkeypatch):  # type: ignore[no-untyped-def]
    """Engines that answer with a known model; the options they were asked for."""
    calls: list[Options] = []

    def model_for(self: Engine, options: Options):  # type: ignore[no-untyped-def]
        calls.append(options)
        if options.device == "gpu":
            raise errors.BackendUnavailable("no GPU here", hint="run: cleancut doctor")
        choosing.choose(options)
        return KnownModel(halves()), ("chosen",)

    monkeypatch.setattr(Engine, "model_for", model_for)
    return calls


@pytest.fixture
def loads(monkeypatch):  # type: ignore[no-untyped-def]
    """A fresh shared engine, an auto model that is there, and the models that are loaded."""
    loaded: list[str] = []

    def load(spec: ModelSpec, placing: object) -> KnownModel:
        loaded.append(spec.id)
        return KnownModel(halves())

    monkeypatch.setattr("cleancut.models.load.load", load)
    monkeypatch.setattr(engines, "_shared", None)
    monkeypatch.setattr(choosing, "choose", lambda options: choosing.Choice(find("u2netp")))
    return loaded


def test_signature_begins_as_rembgs() -> None:
    parameters = inspect.signature(new_session).parameters
    assert list(parameters)[:3] == ["model_name", "args", "sess_opts"]
    assert parameters["model_name"].default == "auto"  # rembg: bria-rmbg, non-commercial
    assert parameters["sess_opts"].default is None


@pytest.mark.parametrize("name", [name for name in sessions_names if name not in CUSTOM])
def test_every_name_of_rembg_finds_its_row(asked, name: str) -> None:  # type: ignore[no-untyped-def]
    session = new_session(name)
    assert session.model_name == name
    assert asked[0].minmax
    row = choosing.choose(asked[0]).lead
    plain = {"bria-rmbg": "bria-rmbg-2.0", "isnet-general-use": "isnet"}
    plain |= {"birefnet-general-lite": "birefnet-lite", "birefnet-general-fp16": "birefnet-general"}
    assert row.id == plain.get(name, name.replace("_", "-"))


def test_fp16_asks_for_half_precision(asked) -> None:  # type: ignore[no-untyped-def]
    new_session("birefnet-general-fp16")
    assert asked[0].precision == "f16"


@pytest.mark.parametrize(("name", "size"), [(CUSTOM[0], 320), (CUSTOM[1], 1024), (CUSTOM[2], 1024)])
def test_custom_sessions_carry_rembgs_recipe(asked, tmp_path: Path, name: str, size: int) -> None:  # type: ignore[no-untyped-def]
    new_session(name, model_path=str(tmp_path / "own.onnx"))
    recipe = choosing.choose(asked[0]).lead.recipe
    assert recipe.size == (size, size)
    assert recipe.mean == ((0.485, 0.456, 0.406) if size == 320 else (0.5, 0.5, 0.5))
    assert recipe.std == ((0.229, 0.224, 0.225) if size == 320 else (1.0, 1.0, 1.0))
    assert (recipe.divide_by, recipe.minmax) == ("max", True)


def test_a_custom_model_runs(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CLEANCUT_CACHE", str(tmp_path / "cache"))
    side = [1, 3, 320, 320]
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)]
    graph = helper.make_graph(
        nodes, "mean", [value("x", 1, side)], [value("y", 1, [1, 1, 320, 320])]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "own.onnx")
    session = new_session("u2net_custom", model_path=str(tmp_path / "own.onnx"))
    pixels = flat((90, 90, 90), height=320, width=320)
    pixels[:, :160] = 220
    mask = remove(pixels, session=session, only_mask=True)
    assert isinstance(mask, np.ndarray)
    # The mean is no matte: only the stretching of the recipe makes it span 0..255.
    assert mask[:, :150].min() == 255
    assert mask[:, 170:].max() == 0


@pytest.mark.parametrize(
    ("providers", "place"),
    [
        (None, ("auto", "auto")),
        ([], ("auto", "auto")),
        (["CPUExecutionProvider"], ("auto", "cpu")),
        (("OpenVINOExecutionProvider", "CPUExecutionProvider"), ("openvino", "auto")),
        ([("CPUExecutionProvider", {})], ("auto", "cpu")),
    ],
)
def test_providers_become_backend_and_device(asked, providers, place) -> None:  # type: ignore[no-untyped-def]
    new_session("u2netp", providers=providers)
    assert [(o.backend, o.device) for o in asked] == [place]


def test_a_gpu_that_is_missing_is_an_error(asked) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(errors.BackendUnavailable):
        new_session("u2netp", providers=["CUDAExecutionProvider"])


def test_the_next_provider_is_taken_with_a_warning(asked) -> None:  # type: ignore[no-untyped-def]
    wanted = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.warns(RuntimeWarning, match="no GPU here"):
        session = new_session("u2netp", providers=wanted)
    assert session.options.device == "cpu"
    assert [o.device for o in asked] == ["gpu", "cpu"]


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("sam", {}, errors.BadOption),
        ("withoutbg", {"api_key": "x"}, errors.BadOption),
        ("atlascloud", {}, errors.BadOption),
        ("u2nett", {}, errors.UnknownModel),
        ("u2net_custom", {}, errors.BadOption),
        ("u2net_custom", {"model_path": "model.pt"}, errors.BadOption),
        ("u2net", {"model_path": "own.onnx"}, errors.BadOption),
        ("u2net", {"providers": ["NoSuchProvider"]}, errors.BadOption),
        ("u2net", {"providers": [("CUDAExecutionProvider", {"device_id": 1})]}, errors.BadOption),
    ],
)
def test_what_is_not_offered_is_a_value_error(asked, name, arguments, error) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError) as caught:
        new_session(name, **arguments)
    assert isinstance(caught.value, error)
    assert caught.value.hint


def test_an_unknown_keyword_is_a_type_error(asked) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="provider"):
        new_session("u2netp", provider=["CPUExecutionProvider"])


def test_missing_weights_are_not_downloaded_unasked(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for name in ("CLEANCUT_HOME", "CLEANCUT_CACHE", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("CLEANCUT_MODELS", "U2NET_HOME", "REMBG_HOME"):
        monkeypatch.delenv(name, raising=False)
    pulled: list[str] = []
    monkeypatch.setattr(
        "cleancut.weights.pull.pull", lambda specs: pulled.extend(spec.id for spec in specs)
    )
    with pytest.raises(errors.WeightsMissing, match="not on this machine") as caught:
        new_session("u2netp")
    assert caught.value.hint == "run: cleancut models pull u2netp"
    assert pulled == []
    remove(flat(), pull=True)  # nothing came, so the model of the package does it
    with pytest.raises(errors.WeightsMissing):
        new_session("u2netp", pull=True)
    assert pulled == ["isnet", "u2netp"]


@pytest.mark.parametrize("name", ["auto", "nano", "cleancut_nano"])
def test_the_model_of_the_package_needs_no_pull(name: str) -> None:
    session = new_session(name)
    assert session.model_name == ("cleancut-nano" if name == "auto" else name)
    assert remove(flat(), session=session).shape == (*flat().shape[:2], 4)


def test_thread_count_of_session_options_is_honoured(asked, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    made: list[int | None] = []
    monkeypatch.setattr(
        "cleancut.rembg.session_factory.Engine",
        lambda threads: made.append(threads) or Engine(threads=threads),
    )

    class SessionOptions:
        intra_op_num_threads = 7

    new_session("u2netp", sess_opts=SessionOptions())
    assert made == [7]


def test_remove_without_a_session_loads_the_model_once(loads) -> None:  # type: ignore[no-untyped-def]
    for _ in range(3):
        remove(flat())
    assert loads == ["u2netp"]
    session = new_session()
    assert session.model_name == "known"
    assert loads == ["u2netp"]


def test_sessions_of_one_model_share_it_even_when_made_at_once(loads) -> None:  # type: ignore[no-untyped-def]
    gate = threading.Barrier(6)

    def make(_: int) -> object:
        gate.wait()
        return new_session("u2netp")._model

    with ThreadPoolExecutor(6) as pool:
        models = list(pool.map(make, range(6)))
    assert loads == ["u2netp"]
    assert len(set(map(id, models))) == 1


def test_the_guide_names_every_session_of_rembg() -> None:
    guide = Path(__file__).parents[2].joinpath("docs", "from-rembg.md").read_text("utf-8")
    for name in [*sessions_names, "sam", "withoutbg", "atlascloud"]:
        assert f"`{name}`" in guide
