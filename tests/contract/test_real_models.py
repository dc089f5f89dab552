"""The models whose weights live in packages, on the two real photographs of the demo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import Engine, Options
from cleancut.bench.pictures import fetch_demo_pictures
from cleancut.catalog import find
from cleancut.cli.main import main
from cleancut.models.load import Placing, load
from cleancut.options import PrecisionChoice

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("real_models")]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    astronaut, chelsea = fetch_demo_pictures(tmp_path_factory.mktemp("photos"))
    return {"astronaut": astronaut, "chelsea": chelsea}


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    a, b = one > 0.5, other > 0.5
    return float((a & b).sum() / (a | b).sum())


#: (row, column) in 512 x 512: face, suit; and sky, flag and shuttle behind her.
ASTRONAUT_IN, ASTRONAUT_OUT = [(120, 220), (400, 250)], [(30, 60), (60, 480)]


@pytest.mark.parametrize("name", ["u2netp", "isnet", "modnet"])
def test_a_person_is_cut_out(name: str, photos: dict[str, Path]) -> None:
    result = Engine(Options(model=name)).cutout(photos["astronaut"])
    assert result.alpha.shape == (512, 512)
    assert all(result.alpha[point] > 0.95 for point in ASTRONAUT_IN)
    assert all(result.alpha[point] < 0.05 for point in ASTRONAUT_OUT)
    assert 0.25 < result.coverage < 0.7
    assert result.notes == ()


@pytest.mark.convert
@pytest.mark.usefixtures("pulled_selfies")
@pytest.mark.parametrize(("name", "rows"), [("selfie", 512), ("selfie-landscape", 288)])
def test_a_converted_selfie_model_cuts_out_a_person(
    name: str, rows: int, photos: dict[str, Path]
) -> None:
    """The landscape net sees a picture of its own aspect, 16:9, as in a video call."""
    with Image.open(photos["astronaut"]) as image:
        rgb = np.asarray(image.convert("RGB"))[:rows]
    engine = Engine()
    alpha = engine.matte(rgb, model=name)
    assert alpha[120, 220] > 0.95
    assert all(alpha[point] < 0.05 for point in ASTRONAUT_OUT)
    assert _iou(alpha, engine.matte(rgb, model="modnet")) > 0.9


@pytest.mark.convert
@pytest.mark.usefixtures("pulled_rvm")
@pytest.mark.parametrize("precision", ["f32", "auto"])
def test_the_translated_video_model_cuts_out_a_moving_person(
    precision: PrecisionChoice, photos: dict[str, Path]
) -> None:
    with Image.open(photos["astronaut"]) as image:
        rgb = np.asarray(image.convert("RGB"))
    model, state = load(find("rvm"), Placing(precision=precision)), None
    for shift in (0, 6, 12):
        frame = np.ascontiguousarray(np.roll(rgb, shift, axis=1)[:, :448])
        prediction = model.predict(frame, state)
        state = prediction.state
        alpha, colours = prediction.alpha, prediction.foreground
        assert alpha.shape == (512, 448)
        sure = 0.95 if shift else 0.8  # it is surer of what it has seen before
        assert all(alpha[row, column + shift] > sure for row, column in ASTRONAUT_IN)
        assert alpha[30, 60] < 0.05
        portrait = Engine().matte(frame, model="modnet")
        assert _iou(alpha[:300], portrait[:300]) > 0.9  # below she holds a helmet
        assert colours is not None
        assert np.array_equal(colours[alpha == 1], frame[alpha == 1])


@pytest.mark.parametrize("name", ["u2netp", "isnet"])
def test_a_cat_is_cut_out(name: str, photos: dict[str, Path]) -> None:
    result = Engine(Options(model=name)).cutout(photos["chelsea"])
    height, width = result.alpha.shape
    assert result.alpha[height // 2, width // 2] > 0.95
    assert 0.3 < result.coverage < 0.95


def test_general_and_portrait_nets_agree_on_a_portrait(photos: dict[str, Path]) -> None:
    engine = Engine()
    isnet = engine.matte(photos["astronaut"], model="isnet")
    modnet = engine.matte(photos["astronaut"], model="modnet")
    u2netp = engine.matte(photos["astronaut"], model="u2netp")
    assert _iou(isnet, modnet) > 0.9
    assert _iou(isnet, u2netp) > 0.85


@pytest.mark.parametrize("name", ["u2netp", "isnet", "modnet"])
def test_the_backend_that_auto_takes_agrees_with_onnx_runtime_in_f32(
    name: str, photos: dict[str, Path]
) -> None:
    with Image.open(photos["astronaut"]) as image:
        rgb = np.asarray(image.convert("RGB"))
    spec = find(name)
    chosen = load(spec).predict(rgb).alpha
    exact = load(spec, Placing(backend="ort", precision="f32")).predict(rgb).alpha
    assert np.abs(chosen - exact).mean() < 0.002
    assert np.mean((chosen > 0.5) != (exact > 0.5)) < 0.002


@pytest.mark.parametrize("name", ["u2netp", "isnet"])
def test_a_flat_picture_has_no_subject(name: str) -> None:
    result = Engine(Options(model=name)).cutout(np.full((300, 400, 3), 120, np.uint8))
    assert result.coverage < 0.01
    assert [note.split(":")[0] for note in result.notes] == ["no_subject"]


def test_auto_believes_the_portrait_network_about_a_person(photos: dict[str, Path]) -> None:
    engine = Engine()
    quick = engine.cutout(photos["astronaut"])
    assert quick.models[0] == "modnet"
    thorough = engine.cutout(photos["astronaut"], refine="best")
    assert "isnet" in thorough.models
    assert _iou(quick.alpha, thorough.alpha) > 0.97
    for result in (quick, thorough):
        assert result.confidence is not None
        assert result.confidence > 0.8
        assert result.reasons == ()


def test_auto_un_mixes_a_drawing_without_a_network(tmp_path: Path) -> None:
    page = np.full((300, 400, 3), 250, np.uint8)
    page[80:220, 100:300] = (200, 30, 40)
    page[120:180, 150:250] = 250
    result = Engine().cutout(page)
    assert result.models == ("graphic",)
    assert set(np.unique(result.alpha)) == {0, 1}
    assert result.alpha[150, 200] == 0
    assert result.alpha[100, 110] == 1


def test_the_command_line_tells_what_ran(
    photos: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cut.png"
    assert main(["cut", str(photos["chelsea"]), "-o", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] in facts["models"]
    assert set(facts["models"]) <= {"isnet", "modnet", "u2netp"}
    assert facts["confidence"] > 0.8
    assert facts["timings_ms"]["total"] > 0
    with Image.open(out) as image:
        assert image.mode == "RGBA"
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert all(f"{name} runs on" in text for name in ("u2netp", "isnet", "modnet"))
    assert "measured:" in text
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out.count(": ok") >= 3


def test_a_half_transparent_pixel_over_white_is_right_on_a_real_edge(
    photos: dict[str, Path],
) -> None:
    """Compositing the saved cutout over white equals asking for a white background."""
    engine = Engine(Options(model="modnet"))
    cut = engine.cutout(photos["astronaut"])
    white = engine.cutout(photos["astronaut"], background="white")
    page = Image.new("RGBA", cut.image.size, "white")
    page.alpha_composite(cut.image)
    difference = np.abs(np.asarray(page.convert("RGB")).astype(int) - np.asarray(white.image))
    assert difference.max() <= 1
