from __future__ import annotations

import numpy as np
import pytest

from cleancut.distill.looks import VIEW_KINDS, joined, look, view_of, views_agreement
from cleancut.engine import Engine
from cleancut.options import Options
from tests.distill.photos import disc


def test_a_view_is_mirrored_shrunk_both_or_neither() -> None:
    rgb = disc(at=0.25)
    sizes = [view_of(rgb, view).shape[:2] for view in range(len(VIEW_KINDS))]
    assert sizes == [(48, 64), (36, 48), (48, 64), (36, 48)]
    assert view_of(rgb, 0) is rgb
    assert np.array_equal(view_of(rgb, 2), rgb[:, ::-1])
    left = [view_of(rgb, view)[:, :10].mean() > 50 for view in range(4)]
    assert left == [True, False, False, True]


@pytest.mark.parametrize("view", range(4))
def test_the_matte_of_every_view_lies_on_the_photograph(view: int) -> None:
    rgb = disc(at=0.25)
    engine = Engine(Options(model="echo", refine="off", decontaminate=False))
    matte, models, confidence, coverage = look(engine, rgb, view)
    assert matte.dtype == np.uint8
    assert np.abs(matte.astype(int) - rgb[..., 0]).mean() < 3
    assert models == ("echo",)
    assert 0 < confidence < 1
    assert coverage == pytest.approx(rgb.mean() / 255, abs=0.02)


def test_mattes_are_averaged_with_rounding_and_the_spread_is_their_range() -> None:
    mattes = [np.full((2, 3), value, np.uint8) for value in (250, 255, 254, 0)]
    mean, spread = joined(mattes)
    assert (mean[0, 0], spread[0, 0]) == (190, 255)
    mean, spread = joined(mattes[1:3])
    assert (mean[0, 0], spread[0, 0]) == (255, 1)  # 254.5, up


def test_agreement_is_the_overlap_of_the_views() -> None:
    left, right = disc(at=0.3)[..., 0], disc(at=0.7)[..., 0]
    assert views_agreement([left, left]) == 1
    assert views_agreement([left, right]) < 0.3
    assert views_agreement([left]) > 0.8
    assert views_agreement([left // 2]) == 0
    half = views_agreement([left, left, right])
    assert views_agreement([left, right]) < half < 1
    nothing = np.zeros((9, 9), np.uint8)
    assert views_agreement([nothing, nothing]) == 1
