from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.distill.pairs import labels_of, split
from cleancut.errors import BadArray, BadOption, UnreadableImage
from cleancut.imaging.pairs import Pair, find_pairs
from tests.distill.small import make_pairs


def _named(count: int) -> list[Pair]:
    return [Pair("s", f"p{number}", Path("a"), Path("b")) for number in range(count)]


@pytest.mark.parametrize(("count", "held"), [(4, 1), (19, 1), (40, 4), (900, 50)])
def test_a_tenth_is_held_back_and_always_the_same(count: int, held: int) -> None:
    pairs = _named(count)
    learnt, kept = split(pairs)
    assert len(kept) == held
    assert {*learnt, *kept} == {*pairs}
    assert split(pairs[::-1])[1][0] in kept


def test_three_pairs_are_too_few() -> None:
    with pytest.raises(BadOption, match="too few"):
        split(_named(3))


def test_pairs_become_labels_that_are_believed(tmp_path: Path) -> None:
    pairs = find_pairs(make_pairs(tmp_path / "mine", 2)).pairs
    labels = labels_of(pairs, tmp_path / "labels")
    row = labels.rows[0]
    assert (row.agreement, row.prefix, row.width, row.height) == (1.0, "pairs", 64, 48)
    truth = cv2.imread(str(pairs[0].alpha), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(labels.matte(row), truth)
    assert row.coverage == pytest.approx(truth.mean() / 255, abs=1e-5)
    assert labels.spread(row).max() == 0
    before = cv2.imread(str(pairs[0].image))[..., ::-1].astype(int)
    assert np.abs(labels.rgb(row) - before).mean() < 2


def test_large_pictures_are_copied_small(tmp_path: Path) -> None:
    pairs = find_pairs(make_pairs(tmp_path / "mine", 1, height=600, width=2400)).pairs
    labels = labels_of(pairs, tmp_path / "labels")
    row = labels.rows[0]
    assert (row.width, row.height) == (1024, 256)
    assert labels.rgb(row).shape == (256, 1024, 3)
    assert labels.matte(row).shape == (256, 1024)


def test_copies_are_made_once_and_after_a_kill_anew(tmp_path: Path) -> None:
    pairs = find_pairs(make_pairs(tmp_path / "mine", 2)).pairs
    (tmp_path / "labels" / "mattes").mkdir(parents=True)
    (tmp_path / "labels" / "mattes" / "left.png").write_bytes(b"half")
    labels_of(pairs, tmp_path / "labels")
    assert not (tmp_path / "labels" / "mattes" / "left.png").exists()
    made = (tmp_path / "labels" / "labels.jsonl").stat().st_mtime_ns
    labels_of(pairs, tmp_path / "labels")
    assert (tmp_path / "labels" / "labels.jsonl").stat().st_mtime_ns == made


def test_other_pairs_than_before_are_refused(tmp_path: Path) -> None:
    pairs = find_pairs(make_pairs(tmp_path / "mine", 2)).pairs
    labels_of(pairs, tmp_path / "labels")
    with pytest.raises(BadOption, match="other ones than when this run began"):
        labels_of(pairs[:1], tmp_path / "labels")


def test_a_bad_pair_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    pairs = find_pairs(make_pairs(tmp_path / "mine", 2)).pairs
    pairs[1].alpha.write_bytes(pairs[1].alpha.read_bytes()[:60])
    with pytest.raises(UnreadableImage, match="mine/p1"):
        labels_of(pairs, tmp_path / "labels")
    small = make_pairs(tmp_path / "other", 1, height=32)
    pairs[1].alpha.write_bytes((small / "alpha" / "p0.png").read_bytes())
    with pytest.raises(BadArray, match="mine/p1"):
        labels_of(pairs, tmp_path / "labels")
