"""Which pictures are shown, which part of them, and what is drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.compare.answers import Answered, Answers
from cleancut.compare.comparison import PictureScore, System
from cleancut.compare.gallery import CROP, Gallery, choose, gallery, telling_box
from cleancut.compare.pictures import Shot

HERE = Path("nowhere")


def shot(stem: str, group: str = "people") -> Shot:
    return Shot(group, stem, group, HERE, None, "0" * 64)  # type: ignore[arg-type]


def score(system: str, stem: str, **figures: float) -> PictureScore:
    return PictureScore(system=system, set="people", stem=stem, figures=figures)


def test_the_picture_on_which_systems_differ_most_comes_first() -> None:
    scores = [
        *(score(f"s{n}", "calm", mad=10.0 + n) for n in range(6)),
        *(score(f"s{n}", "wild", mad=10.0 * n) for n in range(6)),
        # One that is blind to it, and a network alone, do not make a picture telling.
        *(score(f"s{n}", "blind", mad=900.0 if n == 3 else 10.0) for n in range(6)),
        *(score(f"s{n}:raw", "calm", mad=500.0 * n) for n in range(6)),
    ]
    picked = choose([shot("blind"), shot("calm"), shot("wild")], scores, most=1)
    assert [(one.stem, why) for one, why in picked] == [("wild", "systems differ most on it")]


def test_every_group_has_its_turn() -> None:
    shots = [shot(f"p{n}") for n in range(9)] + [shot("dog", "animals"), shot("mug", "products")]
    groups = [one.group for one, _ in choose(shots, (), most=4)]
    assert groups == ["people", "people", "animals", "products"]


def test_the_crop_is_where_the_soft_band_is_densest() -> None:
    truth = np.zeros((400, 600), np.float32)
    truth[100:300, 100:400] = 1.0
    truth[220:260, 430:480] = 0.5
    top, left, side = telling_box(truth.shape, truth, [])
    assert top <= 220
    assert left <= 430
    assert top + side >= 260
    assert left + side >= 480
    assert top + side <= 400
    assert left + side <= 600


@pytest.mark.parametrize("known", [True, False])
def test_without_a_soft_truth_the_crop_is_where_mattes_differ_on_the_outline(known: bool) -> None:
    right = np.zeros((400, 400), np.float32)
    right[100:300, 100:300] = 1.0
    wrong, blind = right.copy(), np.zeros_like(right)
    wrong[80:120, 80:120] = 1.0
    top, left, side = telling_box(right.shape, right if known else None, [right, wrong, right])
    assert top < 100 < top + side
    assert left < 100 < left + side
    # One that saw nothing differs most inside; the outline is what is worth a look.
    top, left, side = telling_box(right.shape, right if known else None, [right, right, blind])
    part = right[top : top + side, left : left + side]
    assert 0 < part.mean() < 1


@dataclass
class Made:
    """A picture with truth, and answers on disk."""

    folder: Path
    systems: list[System] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)

    def answer(self, id_: str, pixels: np.ndarray) -> None:
        self.systems.append(System(id=id_, title=id_, kind="ours", tool="cleancut", model=id_))
        self.paths[id_] = self.folder / f"{id_}.png"
        cv2.imwrite(str(self.paths[id_]), pixels)

    def of(self, system: System | str, picture: object) -> Answered | None:
        id_ = system if isinstance(system, str) else system.id
        return Answered(self.paths[id_]) if id_ in self.paths else None


def drawn(folder: Path) -> tuple[Made, Shot]:
    height, width = 120, 160
    rng = np.random.default_rng(3)
    image = rng.integers(0, 255, (height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    alpha[30:90, 40:120] = 255
    cv2.imwrite(str(folder / "image.png"), image)
    cv2.imwrite(str(folder / "alpha.png"), alpha)
    digest = hashlib.sha256((folder / "image.png").read_bytes()).hexdigest()
    made = Made(folder)
    made.answer("right", np.dstack([image, alpha]))
    made.answer("nothing", np.dstack([image, np.zeros_like(alpha)]))
    made.answer("small", np.dstack([image, alpha])[:50])
    return made, Shot("people", "one", "people", folder / "image.png", folder / "alpha.png", digest)


def pixels(webp: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(webp, np.uint8), cv2.IMREAD_UNCHANGED))


def test_tiles_show_transparency_and_errors(tmp_path: Path) -> None:
    made, one = drawn(tmp_path)
    answers: Answers = made  # type: ignore[assignment]
    shown = gallery([one], made.systems, answers, scores=())
    (exhibit,) = shown.exhibits
    tiles = {tile.system: tile for tile in exhibit.tiles}
    assert set(tiles) == {"right", "nothing"}
    assert exhibit.missing == ("small",), "of another size than its picture"
    whole = pixels(tiles["right"].whole)
    assert whole.shape == (120, 160, 4)
    assert whole[60, 80, 3] == 255
    assert whole[10, 10, 3] == 0
    assert pixels(tiles["right"].crop).shape == (CROP, CROP, 4)
    assert tiles["nothing"].error is not None
    lost = pixels(tiles["nothing"].error)[60, 80, :3].astype(int)
    assert lost[0] - lost[2] > 150, "lost is blue"
    assert tiles["right"].error is not None
    assert pixels(tiles["right"].error)[..., :3].min() > 235, "right is white"


def test_a_picture_that_is_gone_becomes_a_line(tmp_path: Path) -> None:
    made, one = drawn(tmp_path)
    one.image.unlink()
    shown = gallery([one], made.systems, made)  # type: ignore[arg-type]
    assert shown.exhibits == Gallery().exhibits
    assert "people/one" in shown.skipped[0]
