from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.bench.score import Scored
from cleancut.bench.thumbs import SIDE, Gallery, draw

ONE = np.ones((6, 9), np.float32)
RGB = np.full((6, 9, 3), 200, np.uint8)


def opened(jpeg: bytes) -> NDArray[np.uint8]:
    """RGB of a small picture."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)


def test_the_worst_are_kept_from_the_worst_on() -> None:
    gallery = Gallery(2)
    for stem, mad in (("a", 3.0), ("b", 9.0), ("c", 1.0), ("d", 5.0), ("e", 5.0)):
        gallery.offer(Scored("set", stem, {"mad": mad}, np.zeros(256)), RGB, ONE, ONE, RGB)
    assert [worst.scored.stem for worst in gallery.worst] == ["b", "d"]


@pytest.mark.parametrize(
    ("alpha", "truth", "colour"),
    [(1, 0, (255, 0, 0)), (0, 1, (0, 0, 255)), (1, 1, (255, 255, 255))],
)
def test_red_is_kept_in_error_and_blue_lost(
    alpha: int, truth: int, colour: tuple[int, int, int]
) -> None:
    pixel = opened(draw(RGB, ONE * truth, ONE * alpha, RGB)["difference"])[3, 4]
    assert np.abs(pixel.astype(int) - colour).max() < 4


def test_a_large_picture_becomes_small_and_a_thin_one_stays() -> None:
    tall = np.zeros((3000, 2, 3), np.uint16)
    shown = opened(
        draw(tall, tall[..., 0] * np.float32(0), tall[..., 0] * np.float32(0), tall)["input"]
    )
    assert shown.shape[:2] == (SIDE, 1)
    assert opened(draw(RGB, ONE, ONE, RGB)["cutout"]).shape == (6, 9, 3)
