from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.matting.shadow import drop_shadow, keep_shadow, under

Array = NDArray[Any]


def _still(
    light: tuple[int, int, int] = (230, 228, 224), peak: float = 0.5, rough: float = 0.0
) -> tuple[Array, Array, Array]:
    """A red ball on a lit ground that falls off to the right: picture, matte, true shadow."""
    y, x = np.mgrid[:300, :400].astype(np.float32)
    noise = np.random.default_rng(0)
    ground = np.array(light) - 30 * (x / 400)[..., None] ** 2 + noise.normal(0, 1, (300, 400, 3))
    ground += rough * noise.normal(0, 1, (75, 100)).repeat(4, 0).repeat(4, 1)[..., None]
    alpha = np.clip(60 - np.hypot(y - 140, x - 200) + 0.5, 0, 1).astype(np.float32)
    shadow = (peak * np.exp(-(((y - 205) / 22) ** 2) - ((x - 215) / 80) ** 2)).astype(np.float32)
    ball = np.array((190, 40, 50))
    mixed = alpha[..., None] * ball + (1 - alpha[..., None]) * ground * (1 - shadow[..., None])
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), alpha, shadow


@pytest.mark.parametrize("light", [(230, 228, 224), (140, 140, 140), (90, 140, 210)], ids=str)
@pytest.mark.parametrize("peak", [0.2, 0.5])
def test_a_known_shadow_is_recovered(light: tuple[int, int, int], peak: float) -> None:
    rgb, alpha, shadow = _still(light, peak)
    found = keep_shadow(rgb, alpha)
    assert found.notes == ()
    seen = (alpha < 0.9) & (shadow > 0.05)
    assert np.abs(found.opacity - shadow)[seen].mean() < 0.12 * shadow[seen].mean()
    assert found.opacity[(shadow < 0.003) & (alpha == 0)].mean() < 0.002
    assert not found.opacity[alpha == 1].any()


def test_sixteen_bits_give_the_same_shadow() -> None:
    rgb, alpha, _ = _still()
    deep = keep_shadow(rgb.astype(np.uint16) * 257, alpha).opacity
    assert np.allclose(deep, keep_shadow(rgb, alpha).opacity, atol=1e-3)


def test_busy_ground_gives_no_shadow_and_says_so() -> None:
    rgb, alpha, _ = _still(rough=40)
    found = keep_shadow(rgb, alpha)
    assert not found.opacity.any()
    assert found.notes[0].startswith("no_shadow: ")


@pytest.mark.parametrize("kind", ["no shadow", "dark", "no subject", "all subject"])
def test_nothing_to_find_is_said(kind: str) -> None:
    rgb, alpha, _ = _still(peak=0.0, light=(35, 35, 35) if kind == "dark" else (230, 228, 224))
    if kind.endswith(" subject"):
        alpha = np.full_like(alpha, kind.startswith("all"))
    found = keep_shadow(rgb, alpha)
    assert not found.opacity.any()
    assert len(found.notes) == 1


def test_an_object_beside_the_subject_is_no_shadow() -> None:
    rgb, alpha, _ = _still(peak=0.0)
    rgb[150:230, 262:330] = (40, 90, 200)  # a blue box: tinted
    assert keep_shadow(rgb, alpha).opacity.max() < 0.05
    rgb[150:230, 262:330] = 12  # a black one: too dark and sharp
    assert keep_shadow(rgb, alpha).opacity.max() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5)], ids=str)
def test_tiny_pictures_do_no_harm(size: tuple[int, int]) -> None:
    rgb = np.full((*size, 3), 200, np.uint8)
    alpha = np.zeros(size, np.float32)
    alpha[0, 0] = 1
    assert keep_shadow(rgb, alpha).opacity.shape == size
    assert drop_shadow(alpha, blur_px=300, distance_px=5).shape == size


def test_a_dropped_shadow_falls_away_from_the_light() -> None:
    alpha = np.zeros((200, 200), np.float32)
    alpha[80:120, 80:120] = 1
    for angle, (down, right) in {90.0: (1, 0), 135.0: (0.7, 0.7), 0.0: (0, -1)}.items():
        cast = drop_shadow(alpha, opacity=0.5, angle_deg=angle, distance_px=20, blur_px=8)
        y, x = np.mgrid[:200, :200]
        assert (cast * y).sum() / cast.sum() == pytest.approx(99.5 + 20 * down, abs=0.5)
        assert (cast * x).sum() / cast.sum() == pytest.approx(99.5 + 20 * right, abs=0.5)
        assert cast.max() == pytest.approx(0.5, abs=0.01)
        assert cast.sum() == pytest.approx(0.5 * alpha.sum(), rel=0.02)


def test_a_wide_blur_keeps_its_width() -> None:
    alpha = np.zeros((400, 400), np.float32)
    alpha[:, :200] = 1
    row = drop_shadow(alpha, opacity=1, blur_px=60)[200]
    assert row[200 - 30] == pytest.approx(0.84, abs=0.02)  # one standard deviation
    assert row[200 + 30] == pytest.approx(0.16, abs=0.02)


def test_under_equals_putting_both_on_the_background() -> None:
    random = np.random.default_rng(3)
    colour = random.integers(0, 256, (30, 40, 3), np.uint8)
    alpha, shadow = random.random((2, 30, 40), np.float32)
    ground = random.integers(0, 256, (30, 40, 3)).astype(np.float64)
    colours, matte = under(colour, alpha, shadow)
    once = colours * matte[..., None] + ground * (1 - matte[..., None])
    darkened = ground * (1 - shadow[..., None])
    twice = colour * alpha[..., None] + darkened * (1 - alpha[..., None])
    assert np.abs(once - twice).max() <= 0.51


def test_without_a_shadow_nothing_changes() -> None:
    rgb, alpha, _ = _still()
    colours, matte = under(rgb, alpha, np.zeros_like(alpha))
    assert np.array_equal(colours, rgb)
    assert np.array_equal(matte, alpha)
    assert not np.shares_memory(colours, rgb)


def test_wrong_sizes_and_values_are_refused() -> None:
    rgb, alpha, shadow = _still()
    with pytest.raises(BadArray):
        keep_shadow(rgb, alpha[1:])
    with pytest.raises(BadArray):
        under(rgb, alpha, shadow[1:])
    for knobs in ({"opacity": 2.0}, {"blur_px": -1.0}, {"angle_deg": float("nan")}):
        with pytest.raises(BadOption):
            drop_shadow(alpha, **knobs)
