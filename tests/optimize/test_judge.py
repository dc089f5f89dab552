from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut.backends.fake import FakeSession
from cleancut.errors import InputNotFound
from cleancut.models.echo import EchoModel
from cleancut.optimize import judge
from cleancut.optimize.judge import Figures


def pairs_of(path: Path, **sets: int) -> Path:
    for name, count in sets.items():
        for part in ("image", "alpha"):
            (path / name / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            grey = np.full((12, 16), number * 4 % 256, np.uint8)
            Image.fromarray(grey).save(path / name / "alpha" / f"{number:03}.png")
            Image.fromarray(np.dstack([grey] * 3)).save(path / name / "image" / f"{number:03}.png")
    return path


def test_pairs_are_spread_evenly_over_the_sets_and_over_each_set(tmp_path: Path) -> None:
    truths = judge.choose_truths(pairs_of(tmp_path, many=70, few=5))
    counts = {name: sum(pair.set == name for pair in truths.pairs) for name in ("many", "few")}
    assert counts == {"many": 24, "few": 5}
    assert truths.pairs[-1].stem == "069"  # sets come in order, and the whole of each is spanned
    assert (truths.kind, len(truths)) == ("pairs", 29)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        judge.choose_truths(tmp_path)


def test_scenes_are_the_truth_where_there_are_no_pairs() -> None:
    truths = judge.choose_truths(None)
    name, rgb, alpha = next(truths.each())
    assert (name, truths.kind, rgb.shape[:2]) == ("generated", "generated", alpha.shape)


def test_a_network_is_scored_on_each_picture_at_its_full_size(tmp_path: Path) -> None:
    truths = judge.choose_truths(pairs_of(tmp_path, grey=3))
    told: list[int] = []
    scores = judge.score(EchoModel(), truths, lambda done, *_: told.append(done), "echo")
    assert list(scores) == ["grey"]
    assert [round(figures.mad, 2) for figures in scores["grey"]] == [0.0, 0.0, 0.0]
    assert told == [1, 2, 3]


def test_figures_are_compared_set_by_set() -> None:
    original = {
        "a": [Figures(1.0, 0.1, 0.9), Figures(3.0, 0.3, 0.7)],
        "b": [Figures(5.0, 0.5, 0.5)],
    }
    int8 = {"a": [Figures(2.0, 0.2, 0.8), Figures(4.0, 0.4, 0.6)], "b": [Figures(5.0, 0.6, 0.5)]}
    first, second = judge.compare(original, int8)
    assert (first.name, first.pictures, first.mad) == ("a", 2, (2.0, 3.0))
    assert first.grad == pytest.approx((0.2, 0.3))
    assert second.grad == (0.5, 0.6)


def test_two_mattes_are_so_far_apart() -> None:
    flat, full = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    assert judge.apart([flat, full], [flat, full]) == (0.0, 1.0)
    assert judge.apart([flat, full], [full, full]) == (500.0, 0.5)


def test_a_race_runs_both_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "_RACE_S", 0.0)
    order: list[str] = []

    def session(name: str) -> FakeSession:
        def function(_: object) -> dict[str, np.ndarray]:
            order.append(name)
            return {"y": np.zeros(1)}

        return FakeSession(function, inputs={"x": (1,)}, outputs=("y",))

    one, other = judge.race(session("one"), session("other"), {"x": np.zeros(1, np.float32)})
    assert order == ["one", "other"] * 7
    assert one >= 0.0
    assert other >= 0.0
