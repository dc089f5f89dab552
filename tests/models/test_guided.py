from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.models.guided import full_alpha, full_colours, linear_model


def smooth(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, channels)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return (blurred - blurred.min()) / np.ptp(blurred)


def test_a_matte_that_is_linear_in_its_guide_is_found_again() -> None:
    small = np.ascontiguousarray(smooth(0, 32, 48).transpose(2, 0, 1))
    guides = np.concatenate([small, small.mean(axis=0, keepdims=True)])
    matte = np.float32(0.5) * guides + np.float32(0.1)
    slopes, offsets = linear_model(small, matte)
    assert slopes.shape == offsets.shape == (4, 32, 48)
    assert np.abs(slopes * guides + offsets - matte).max() < 3e-3  # the regularisation
    assert np.median(slopes) == pytest.approx(0.5, abs=0.05)


def test_a_flat_frame_gives_the_mean_of_the_matte() -> None:
    matte = np.zeros((4, 8, 8), np.float32)
    matte[:, 3:6, 3:6] = 0.9
    slopes, offsets = linear_model(np.full((3, 8, 8), 0.4, np.float32), matte)
    assert np.abs(slopes).max() < 1e-3
    assert offsets[3, 4, 4] == pytest.approx(0.9, abs=1e-3)
    assert offsets[3, 0, 0] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_alpha_follows_the_full_frame(kind: type) -> None:
    top = 1 if kind is np.float32 else np.iinfo(kind).max
    frame = (smooth(1, 60, 90) * top).astype(kind)
    alpha = full_alpha(frame, np.full((6, 9), 2, np.float32), np.full((6, 9), -0.5, np.float32))
    expected = np.clip(2 * (frame / top).mean(axis=2) - 0.5, 0, 1)
    assert alpha.dtype == np.float32
    assert np.abs(alpha - expected).max() < 1e-5


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_colours_are_the_linear_model_between_and_the_frame_elsewhere(kind: type) -> None:
    top = np.iinfo(kind).max
    frame = (smooth(2, 60, 90) * top).astype(kind)
    slopes = cv2.resize(smooth(3, 6, 9) - 0.5, (15, 10)).transpose(2, 0, 1)
    offsets = cv2.resize(smooth(4, 6, 9) * 0.2, (15, 10)).transpose(2, 0, 1)
    alpha = np.zeros((60, 90), np.float32)
    alpha[20:40, :50], alpha[40:] = 0.5, 1.0
    colours = full_colours(frame, alpha, slopes, offsets)
    gain, shift = (cv2.resize(p.transpose(1, 2, 0), (90, 60)) for p in (slopes + 1, offsets))
    expected = np.clip(gain * frame + shift * top, 0, top)
    between = (slice(20, 40), slice(0, 50))
    assert colours.dtype == kind
    assert np.abs(colours[between] - expected[between]).max() < 0.51 + top * 1e-4
    assert not np.array_equal(colours[between], frame[between])
    colours[between] = frame[between]
    assert np.array_equal(colours, frame)


def test_many_pixels_are_worked_out_in_parts() -> None:
    frame = np.full((300, 400, 3), 100, np.uint8)
    none = np.zeros((3, 8, 8), np.float32)
    lighter = full_colours(frame, np.full((300, 400), 0.5, np.float32), none, none + 0.1)
    assert set(lighter.ravel()) == {126}  # 100 + 25.5, rounded


def test_without_soft_pixels_the_frame_is_copied() -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    none = np.zeros((3, 4, 4), np.float32)
    colours = full_colours(frame, np.ones((8, 8), np.float32), none, none)
    colours[0, 0] = 255
    assert not frame.any()
