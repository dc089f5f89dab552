from __future__ import annotations

import numpy as np

from cleancut.optimize.scenes import scene


def test_a_number_is_always_the_same_picture_and_another_number_another() -> None:
    (first, matte), (again, same), (other, _) = scene(5), scene(5), scene(6)
    assert np.array_equal(first, again)
    assert np.array_equal(matte, same)
    assert not np.array_equal(first, other)


def test_pictures_have_a_subject_a_ground_and_edges_between() -> None:
    for number in range(6):
        rgb, alpha = scene(number)
        assert (rgb.shape, rgb.dtype) == ((480, 640, 3), np.uint8)
        assert (alpha.shape, alpha.dtype) == ((480, 640), np.float32)
        assert alpha.min() == 0.0
        assert alpha.max() == 1.0
        assert 0.02 < alpha.mean() < 0.8
        assert ((alpha > 0.02) & (alpha < 0.98)).mean() > 0.0005


def test_the_texture_falls_off_with_frequency_like_a_photograph() -> None:
    grey = scene(7)[0].mean(axis=2)
    power = np.abs(np.fft.rfft2(grey - grey.mean())) ** 2
    frequency = np.hypot(np.fft.fftfreq(480)[:, None], np.fft.rfftfreq(640)[None])
    low = power[(frequency > 0.005) & (frequency < 0.02)].mean()
    high = power[(frequency > 0.2) & (frequency < 0.3)].mean()
    assert low > 100 * high
