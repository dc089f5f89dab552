from __future__ import annotations

import numpy as np
import pytest

from cleancut.matting.transparency import NOTABLE, semi_transparent_share


def _scene(*, rim: float, glass: float = 0.0, side: int = 400):  # type: ignore[no-untyped-def]
    y, x = np.mgrid[:side, :side]
    away = np.hypot(y - side / 2, x - side / 2)
    alpha = np.clip((0.3 * side - away) / rim + 0.5, 0, 1)
    if glass:
        alpha[away < glass * side] = 0.5
    return alpha.astype(np.float32)


def test_glass_is_found_with_its_share_and_hair_is_not() -> None:
    assert semi_transparent_share(_scene(rim=3)) == 0
    assert semi_transparent_share(_scene(rim=14)) < NOTABLE
    share = semi_transparent_share(_scene(rim=3, glass=0.15))
    assert share == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("side", [120, 3000])
def test_it_is_alike_at_every_size(side: int) -> None:
    share = semi_transparent_share(_scene(rim=side / 130, glass=0.15, side=side))
    assert share == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 2)])
def test_any_shape_and_no_subject(shape: tuple[int, int]) -> None:
    assert semi_transparent_share(np.zeros(shape, np.float32)) == 0
    assert semi_transparent_share(np.ones(shape, np.float32)) == 0
