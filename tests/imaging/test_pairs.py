from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cleancut.errors import BadArray, BadOption, CleancutError, InputNotFound
from cleancut.imaging.pairs import find_pairs, read_matte, read_truth
from tests.bench.scenes import disc, two_sets, write, write_pair


def test_a_folder_of_sets_is_found_in_order(tmp_path: Path) -> None:
    found = find_pairs(two_sets(tmp_path))
    assert [pair.name for pair in found.pairs] == ["hard/p", "hard/q", "soft/a", "soft/b", "soft/c"]
    assert found.sets == ("hard", "soft")
    assert found.skipped == ()


def test_one_set_bears_the_name_of_its_folder(tmp_path: Path) -> None:
    found = find_pairs(two_sets(tmp_path) / "soft")
    assert [pair.name for pair in found.pairs] == ["soft/a", "soft/b", "soft/c"]


def test_sets_and_pictures_can_be_limited(tmp_path: Path) -> None:
    two_sets(tmp_path)
    (tmp_path / "notes").mkdir()
    found = find_pairs(tmp_path, only=["soft"], limit=2)
    assert [pair.name for pair in found.pairs] == ["soft/a", "soft/b"]
    assert found.skipped == ()
    with pytest.raises(BadOption, match="'sofa'") as caught:
        find_pairs(tmp_path, only=["sofa"])
    assert "hard, soft" in caught.value.hint


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    two_sets(tmp_path)
    (tmp_path / "notes").mkdir()
    write(tmp_path / "soft" / "image" / "lonely.jpg", disc())
    write(tmp_path / "hard" / "alpha" / "orphan.png", disc())
    write(tmp_path / "soft" / "image" / "a.jpg", disc())
    (tmp_path / "soft" / "image" / "SOURCE.md").touch()
    found = find_pairs(tmp_path)
    assert len(found.pairs) == 5
    assert sorted(line.partition(":")[0] for line in found.skipped) == [
        "hard/alpha/orphan.png", "notes", "soft/image/a.png", "soft/image/lonely.jpg",
    ]  # fmt: skip


def test_a_folder_without_pairs_is_an_error_that_says_how_to_lay_them_out(tmp_path: Path) -> None:
    (tmp_path / "set" / "image").mkdir(parents=True)
    (tmp_path / "set" / "alpha").mkdir()
    for folder in (tmp_path, tmp_path / "set", tmp_path / "nowhere"):
        with pytest.raises(InputNotFound) as caught:
            find_pairs(folder)
        assert "SET/alpha/STEM.png" in caught.value.hint


def test_a_truth_is_a_grey_picture_of_any_depth_or_an_alpha_channel(tmp_path: Path) -> None:
    matte = disc()
    expected = matte.astype(np.float32) / np.float32(255)
    colours = np.random.default_rng(0).integers(0, 256, (*matte.shape, 3), np.uint8)
    opaque = np.full_like(matte, 255)
    for name, pixels in {
        "grey": matte,
        "deep": matte.astype(np.uint16) * 257,
        "triple": np.dstack([matte] * 3),
        "cutout": np.dstack([colours, matte]),
        "grey with an opaque alpha": np.dstack([matte, matte, matte, opaque]),
    }.items():
        truth = read_truth(write(tmp_path / f"{name}.png", pixels))
        assert truth.dtype == np.float32
        assert np.abs(truth - expected).max() < 1e-6, name


def test_a_picture_in_colours_is_no_truth(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    with pytest.raises(BadArray, match="in colours"):
        read_truth(write(tmp_path / "photo.png", colours))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(CleancutError):
        read_truth(tmp_path / "broken.png")


def test_a_cutout_brings_its_own_colours_and_a_matte_keeps_the_pictures(tmp_path: Path) -> None:
    matte = disc()
    rgb = np.full((*matte.shape, 3), 50, np.uint8)
    grey = write(tmp_path / "grey.png", matte)
    cutout = write(tmp_path / "cutout.png", np.dstack([rgb + 100, matte]))
    assert read_matte(grey, rgb)[1] is rgb
    alpha, colours = read_matte(cutout, rgb)
    assert np.array_equal(alpha, read_matte(grey, rgb)[0])
    assert int(colours[24, 32, 0]) == 150
    with pytest.raises(BadArray, match="64x48"):
        read_matte(grey, rgb[:-1])


def test_limit_counts_pairs_and_not_files(tmp_path: Path) -> None:
    write(tmp_path / "image" / "0.png", disc())
    write_pair(tmp_path, "1", disc())
    assert [pair.stem for pair in find_pairs(tmp_path, limit=1).pairs] == ["1"]
