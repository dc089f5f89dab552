from __future__ import annotations

import numpy as np
import pytest

from cleancut.matting.light import brightened, hard_light


def _scene(subject: float, ground: float, side: int = 200):  # type: ignore[no-untyped-def]
    """A disc on a ground with some texture, uint8, and its matte."""
    y, x = np.mgrid[:side, :side]
    alpha = (np.hypot(y - side / 2, x - side / 2) < side / 4).astype(np.float32)
    texture = 1 + 0.1 * np.sin(x / 5) * np.sin(y / 7)
    grey = np.where(alpha > 0, subject, ground) * texture
    rgb = np.rint(np.clip(grey, 0, 1)[..., None] * 255).repeat(3, 2).astype(np.uint8)
    return rgb, alpha


def test_a_dark_picture_is_brightened_to_the_middle_and_a_fair_one_is_not() -> None:
    dark, _ = _scene(0.1, 0.03)
    lifted = brightened(dark)
    assert lifted is not None
    assert lifted.dtype == np.uint8
    assert 0.3 < np.median(lifted) / 255 < 0.7
    assert brightened(_scene(0.6, 0.3)[0]) is None
    assert brightened(_scene(0.9, 0.02)[0]) is None  # a lamp at night


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deeper_pictures_are_brightened_alike(kind: type) -> None:
    dark, _ = _scene(0.1, 0.03)
    deep = dark.astype(np.uint16) * 257 if kind is np.uint16 else dark.astype(np.float32) / 255
    lifted, plain = brightened(deep), brightened(dark)
    assert lifted is not None
    assert plain is not None
    assert lifted.dtype == kind
    top = 65535 if kind is np.uint16 else 1
    assert np.abs(lifted / top - plain / 255).max() < 0.01


@pytest.mark.parametrize("level", [0, 1, 20])
def test_where_there_is_nothing_to_see_nothing_is_brightened(level: int) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (60, 80, 3)).astype(np.uint8)
    assert brightened(np.full((60, 80, 3), level, np.uint8)) is None
    assert brightened(noise + np.uint8(level)) is None


def test_blown_out_and_backlit_subjects_are_named() -> None:
    assert "blown out" in str(hard_light(*_scene(1.2, 0.5)))
    assert "against the light" in str(hard_light(*_scene(0.05, 0.8)))
    assert hard_light(*_scene(0.5, 1.0)) is None  # a product on white
    assert hard_light(*_scene(0.05, 0.3)) is None
    rgb, alpha = _scene(0.05, 0.8)
    assert hard_light(rgb, np.zeros_like(alpha)) is None
    assert hard_light(rgb, np.ones_like(alpha)) is None


def test_a_dark_coat_before_a_light_wall_with_a_lit_face_is_no_silhouette() -> None:
    rgb, alpha = _scene(0.05, 0.8)
    assert hard_light(rgb, alpha) is not None
    rgb[60:80, 80:120] = 180  # an eighth of the subject
    assert hard_light(rgb, alpha) is None
