from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.bench.retouch import KINDS, damaged, measure, strokes_on, to_markdown
from cleancut.errors import InputNotFound
from tests.matting.scenes import hairy_alpha, scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    truth = scene(hairy_alpha(300, 420))
    for name, pixels in (("image", truth.rgb), ("alpha", np.rint(255 * truth.alpha))):
        (tmp_path / "hair" / name).mkdir(parents=True)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "hair" / name / "a.png")
    return tmp_path


def test_strokes_follow_the_outline_and_stay_apart() -> None:
    truth = hairy_alpha(300, 420)
    strokes = [stroke for stroke, _ in strokes_on(truth)]
    assert len(strokes) == 3
    assert np.sum(strokes, axis=0).max() == 1
    assert all(0.05 < truth[stroke].mean() < 0.95 for stroke in strokes)
    assert not list(strokes_on(np.zeros((60, 80), np.float32)))


def test_what_is_rubbed_out_is_rubbed_out_there_only() -> None:
    truth = hairy_alpha(300, 420)
    stroke, width = next(strokes_on(truth))
    rubbed = damaged("rubbed", truth, truth, stroke, width)
    assert (rubbed <= truth).all()
    assert (truth - rubbed)[stroke].mean() > 0.02
    assert damaged("network", truth, truth, stroke, width) is truth


def test_strokes_gain_and_the_table_says_so(folder: Path) -> None:
    told: list[str] = []
    truth = hairy_alpha(300, 420)
    strokes = measure(folder, lambda rgb: truth, tell=told.append)
    assert told == ["hair/a"]
    assert len(strokes) == 3 * len(KINDS)
    for kind, share in (("rubbed", 0.8), ("true", 0.1)):
        own = [stroke for stroke in strokes if stroke.kind == kind]
        assert sum(s.after for s in own) < share * sum(s.before for s in own), kind
    text = to_markdown(strokes)
    assert text.count("| hair |") == len(KINDS)
    assert "0 of 3 |" in text


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        measure(tmp_path, lambda rgb: rgb[..., 0], tell=print)
