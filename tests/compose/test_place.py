from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.compose.crop import Box, subject_box
from cleancut.compose.place import move_to, place
from cleancut.options import Placing


def _ellipse(height: int, width: int, box: Box, soft: float = 3.0) -> NDArray[np.float32]:
    """A soft-edged ellipse that fills ``box``."""
    y, x = np.mgrid[:height, :width] + 0.5
    tall, wide = box.height / 2, box.width / 2
    far = np.hypot((y - box.top - tall) / tall, (x - box.left - wide) / wide)
    return np.clip((1 - far) * min(tall, wide) / soft, 0, 1).astype(np.float32)


def _cutout(box: Box, size: tuple[int, int] = (120, 200)) -> tuple[NDArray[np.uint8], NDArray]:  # type: ignore[type-arg]
    alpha = _ellipse(*size, box)
    rgb = np.empty((*size, 3), np.uint8)
    rgb[:] = (10, 250, 30)  # a loud background that must never be seen again
    rgb[alpha > 0] = (200, 60, 120)
    return rgb, alpha


BOX = Box(20, 30, 70, 60)
FRAME = Box(0, 0, 200, 120)


def test_a_move_alone_is_one_of_whole_pixels_and_changes_none() -> None:
    rgb, alpha = _cutout(BOX)
    box = subject_box(alpha)
    assert box is not None
    placed, matte = place(rgb, alpha, box, FRAME, Placing(None, 1.0, 0.0))
    dx, dy = 200 - box.right, -box.top
    assert matte.shape == alpha.shape
    assert (matte[: dy or None, dx:] == alpha[-dy:, :-dx]).all()
    assert (placed[: dy or None, dx:] == rgb[-dy:, :-dx]).all()
    assert matte.sum() == pytest.approx(alpha.sum(), rel=0.01)


@pytest.mark.parametrize(
    ("scale", "x", "y"), [*itertools.product((0.1, 0.37, 0.7, 1.0), (0.0, 0.3, 1.0), (0.0, 0.5))]
)
def test_the_box_gets_its_share_of_the_frame_and_its_place(
    scale: float, x: float, y: float
) -> None:
    rgb, alpha = _cutout(BOX)
    box = subject_box(alpha)
    assert box is not None
    _, matte = place(rgb, alpha, box, FRAME, Placing(scale, x, y))
    now = subject_box(matte)
    assert now is not None
    assert matte.shape == (120, 200)
    grown = scale * min(200 / box.width, 120 / box.height)
    assert now.width == pytest.approx(box.width * grown, abs=2 + grown)
    assert now.height == pytest.approx(box.height * grown, abs=2 + grown)
    assert now.left == pytest.approx(x * (200 - box.width * grown), abs=1.5 + 0.5 * grown)
    assert now.top == pytest.approx(y * (120 - box.height * grown), abs=1.5 + 0.5 * grown)


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("hidden", [False, True])
def test_nothing_of_the_hidden_colours_bleeds_in(scale: float, hidden: bool) -> None:
    rgb, alpha = _cutout(BOX)
    placed, matte = place(rgb, alpha, BOX, FRAME, Placing(scale, 0.5, 0.5), hidden=hidden)
    seen = matte >= 1 / 510
    assert np.abs(placed[seen].astype(int) - (200, 60, 120)).max() <= 1
    if not hidden:
        assert (placed[matte < 1e-6] == 0).all()


def test_sixteen_bits_stay_sixteen() -> None:
    rgb, alpha = _cutout(BOX)
    deep = rgb.astype(np.uint16) * 257
    placed, matte = place(deep, alpha, BOX, FRAME, Placing(0.5, 0.5, 0.5))
    assert placed.dtype == np.uint16
    assert np.abs(placed[matte > 0.01].astype(int) - np.array((200, 60, 120)) * 257).max() <= 2


def test_a_faint_wisp_far_from_the_box_moves_along_and_is_not_cut() -> None:
    rgb, alpha = _cutout(BOX)
    y, x = np.mgrid[:120, :200]
    wisp = 0.08 * np.exp(-(((x - 120) / 9.0) ** 2) - ((y - 45) / 6.0) ** 2)
    both = np.maximum(alpha, wisp).astype(np.float32)
    box = subject_box(both)
    assert box is not None
    assert box.right < 75  # the wisp is too faint to count
    for placing in (Placing(0.2, 0.1, 0.5), Placing(None, 0.1, 0.9)):
        move = move_to(box, FRAME, placing)
        _, matte = place(rgb, both, box, FRAME, placing)
        mass = float(wisp.sum()) * move.scale**2
        after = subject_box(matte)
        assert after is not None
        found = float(matte[:, after.right + 1 :].sum())
        assert found == pytest.approx(mass, rel=0.1)
        assert np.abs(np.diff(matte[:, after.right + 2 :], axis=1)).max() < 0.03


def test_the_subject_comes_from_beyond_a_crop() -> None:
    """The frame of a crop is filled from the whole picture, not from what the crop left."""
    rgb, alpha = _cutout(BOX)
    frame = Box(15, 25, 75, 65)
    placed, matte = place(rgb, alpha, BOX, frame, Placing(0.5, 0.5, 0.5))
    assert placed.shape == (40, 60, 3)
    box = subject_box(matte)
    assert box is not None
    assert abs(box.left - (60 - box.right)) <= 1
    assert abs(box.top - (40 - box.bottom)) <= 1


def test_position_original_keeps_the_centre_inside_the_frame() -> None:
    centre = move_to(BOX, FRAME, Placing(0.25))
    assert centre.scale * 45 + centre.left == pytest.approx(45)
    assert centre.scale * 45 + centre.top == pytest.approx(45)
    large = move_to(BOX, FRAME, Placing(1.0))  # 200 wide: there is one place only
    assert large.scale * BOX.left + large.left == pytest.approx(0)


def test_a_speck_can_fill_a_frame_in_little_memory() -> None:
    alpha = np.zeros((300, 400), np.float32)
    alpha[100:102, 200:203] = 1
    rgb = np.full((300, 400, 3), 77, np.uint8)
    box = Box(200, 100, 203, 102)
    placed, matte = place(rgb, alpha, box, Box(0, 0, 400, 300), Placing(1.0, 0.5, 0.5))
    assert matte[150, 200] == pytest.approx(1, abs=0.02)
    assert placed[150, 200].tolist() == [77, 77, 77]
    assert (matte > 0.5).mean() == pytest.approx(0.85, abs=0.15)


def test_arguments_are_not_changed() -> None:
    rgb, alpha = _cutout(BOX)
    before = rgb.copy(), alpha.copy()
    for placing in (Placing(0.5, 0.5, 0.5), Placing(2.0, 0.5, 0.5), Placing(None, 0.0, 0.0)):
        place(rgb, alpha, BOX, FRAME, placing)
    assert (rgb == before[0]).all()
    assert (alpha == before[1]).all()


def test_any_picture_can_be_placed_anywhere() -> None:
    rng = np.random.default_rng(5)
    for _ in range(400):
        height, width = (int(side) for side in rng.integers(1, 40, 2))
        alpha = (rng.random((height, width)) * (rng.random() > 0.3)).astype(np.float32)
        box = subject_box(alpha)
        if box is None:
            continue
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        grow = [int(side) for side in rng.integers(0, 30, 4)]
        frame = Box(
            box.left - grow[0], box.top - grow[1], box.right + grow[2], box.bottom + grow[3]
        )
        scale = float(rng.choice([0.1, 0.5, 1.0])) if rng.random() > 0.2 else None
        x, y = (None if share < 0 else float(share) for share in rng.choice([0, 0.31, 1, -1], 2))
        placed, matte = place(rgb, alpha, box, frame, Placing(scale, x, y))
        assert placed.shape == (frame.height, frame.width, 3)
        assert matte.shape == placed.shape[:2]
        assert matte.dtype == np.float32
        assert 0 <= matte.min() <= matte.max() <= 1
        size = move_to(box, frame, Placing(scale, x, y)).scale * min(box.width, box.height)
        assert matte.max() > 0 or size < 2
