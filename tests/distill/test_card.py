from __future__ import annotations

from pathlib import Path

import pytest

from cleancut.distill.card import model_card
from cleancut.distill.curve import draw_curves, smoothed
from cleancut.distill.evaluate import Evaluation
from cleancut.distill.origin import Origin, Pictures, Teacher
from cleancut.errors import InputNotFound
from tests.distill.students import make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_run(tmp_path, monkeypatch, start="some/where/modnet.onnx", seed=5)


def test_the_card_says_what_it_was_made_of_and_how_good_it_is(run: Path) -> None:
    origin = Origin(
        photographs=(Pictures("clo", 9, 8, "clothes", "somebody", "CC0", free=True),),
        teachers=(Teacher("isnet", "teacher", 8, "Apache-2.0", "DIS5K, research only", "unclear"),),
    )
    figures = Evaluation("tiny", {"people": {"mad": 5.25, "mse": 1.0, "grad": 0.5}}, {"people": 3})
    text = model_card(
        run,
        origin=origin,
        evaluations=[figures],
        command="cleancut distill eval tiny",
        machine="a machine",
        curves="tiny.png",
    )
    for said in (
        "# tiny\n",
        "8    | clothes | somebody | CC0",
        "The training data of isnet (DIS5K, research only) come with terms of their own",
        "5.25",
        "`cleancut distill eval tiny`",
        "Seed 5",
        "7 steps in 0.2 minutes on a machine",
        "![loss and evaluations against steps](tiny.png)",
        "## Limits",
        "Commercial use, by the terms of everything below read together: unclear.",
    ):
        assert said in text, said


def test_no_local_path_stands_in_the_card(run: Path) -> None:
    text = model_card(run)
    assert "some/where" not in text
    assert str(run.parent) not in text
    assert 'start = "modnet.onnx"' in text


def test_a_folder_without_a_run_has_no_card(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        model_card(tmp_path)
    with pytest.raises(InputNotFound):
        draw_curves(tmp_path)


def test_curves_are_drawn_on_white(run: Path) -> None:
    from cleancut.imaging.decode import decode
    from cleancut.imaging.files import read_bytes

    target = draw_curves(run)
    picture = decode(read_bytes(target))
    assert picture.width == 1800
    assert (picture.rgb[0] == 255).all()
    assert (picture.rgb < 60).all(axis=-1).any()


def test_smoothing_keeps_the_length_and_the_mean_of_a_line() -> None:
    import numpy as np

    ramp = np.arange(1000.0)
    smooth = smoothed(ramp, 0.1)
    assert len(smooth) == 1000
    assert np.abs(smooth[60:-60] - ramp[60:-60]).max() < 1e-6
    assert smoothed(np.ones(1)) == 1.0
