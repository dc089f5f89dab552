from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.errors import BadArray, BadOption
from cleancut.imaging.resize import upsample_alpha
from cleancut.matting import refine as module
from cleancut.matting.closed_form import Solution
from cleancut.matting.refine import refine, refine_trimap

from .scenes import Scene, hairy_alpha, scene


def _as_a_net_sees(s: Scene, side: int = 128, blur: float = 1.5) -> NDArray[np.float32]:
    """The true alpha, squashed and blurred: soft edges where the truth is sharp."""
    small = cv2.resize(s.alpha, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), blur).clip(0, 1).astype(np.float32)


def _error(alpha: NDArray[np.float32], s: Scene) -> float:
    return float(np.abs(alpha - s.alpha).mean())


@pytest.mark.parametrize("sharp", [False, True])
@pytest.mark.parametrize("level", ["fast", "best"])
def test_the_edge_is_found_in_the_picture(level: module.Level, sharp: bool) -> None:
    s = scene(hairy_alpha(480, 600))
    small = _as_a_net_sees(s, 256, 0.7) if sharp else _as_a_net_sees(s)
    before = s.rgb.copy(), small.copy()
    plain = refine(s.rgb, small, level="off")
    found = refine(s.rgb, small, level=level, sharp=sharp)
    assert found.notes == ()
    assert found.alpha.dtype == np.float32
    assert 0 <= found.alpha.min() <= found.alpha.max() <= 1
    assert _error(found.alpha, s) < (0.7 if sharp else 0.6) * _error(plain.alpha, s)
    assert (s.rgb == before[0]).all()
    assert (small == before[1]).all()


def test_off_is_cubic_interpolation() -> None:
    s = scene(hairy_alpha(90, 130))
    small = _as_a_net_sees(s, 64)
    assert (refine(s.rgb, small, level="off").alpha == upsample_alpha(small, 90, 130)).all()


def test_a_small_subject_is_solved_as_finely_as_a_large_one() -> None:
    s = scene(hairy_alpha(200, 240))
    small = _as_a_net_sees(s)
    wide = np.zeros((1200, 1440), np.float32)
    rgb = np.broadcast_to(s.rgb[0, 0], (1200, 1440, 3)).copy()
    rgb[500:700, 600:840] = s.rgb
    wide[500:700, 600:840] = upsample_alpha(small, 200, 240)
    found = refine(rgb, wide, level="fast").alpha[500:700, 600:840]
    assert _error(found, s) < 0.6 * _error(upsample_alpha(small, 200, 240), s)


def test_doubt_from_elsewhere_opens_what_the_net_was_sure_of() -> None:
    s = scene(hairy_alpha(240, 300))
    wrong = s.alpha.copy()
    wrong[100:140, 130:170] = 0  # a hole in the subject that the net is sure of
    unsure = np.zeros((60, 75), np.float32)
    unsure[22:38, 29:46] = 1
    hole = np.s_[105:135, 135:165]
    assert refine(s.rgb, wrong, level="best").alpha[hole].mean() < 0.2
    assert refine(s.rgb, wrong, level="best", unsure=unsure).alpha[hole].mean() > 0.8


@pytest.mark.parametrize("level", ["fast", "best"])
def test_every_depth_gives_the_same_matte(level: module.Level) -> None:
    s = scene(hairy_alpha(240, 300))
    small = _as_a_net_sees(s)
    wanted = refine(s.rgb, small, level=level).alpha
    for dtype, top in ((np.uint16, 65535), (np.float32, 1)):
        found = refine((s.rgb * (top / 255)).astype(dtype), small, level=level).alpha
        assert np.abs(found - wanted).mean() < 2e-3


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5, 0.06])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2), (70, 50)])
def test_a_matte_without_an_edge_stays_as_it_is(value: float, size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = refine(rgb, np.full((8, 8), value, np.float32), level="best")
    assert found.alpha.shape == size
    assert np.abs(found.alpha - value).max() < 1e-6
    assert bool(found.notes) == (0.05 < value < 0.95)


@pytest.mark.parametrize("size", [(1, 400), (400, 1), (3, 3), (2, 900), (33, 47)])
def test_odd_sizes_and_flat_pictures_stay_in_range(size: tuple[int, int]) -> None:
    small = np.random.default_rng(0).random((9, 13)).astype(np.float32)
    for rgb in (np.full((*size, 3), 77, np.uint8), np.full((*size, 3), 0.3, np.float32)):
        for level in ("fast", "best"):
            found = refine(rgb, small, level=level).alpha  # type: ignore[arg-type]
            assert found.shape == size
            assert 0 <= found.min() <= found.max() <= 1


def test_what_cannot_be_solved_is_the_nets_matte_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s = scene(hairy_alpha(120, 140))
    small = _as_a_net_sees(s)
    trimap = np.where(s.soft, np.float32(0.5), s.alpha)

    def fail(rgb: object, trimap: NDArray[np.float32], **_: object) -> Solution:
        return Solution(trimap, converged=False, iterations=9)

    monkeypatch.setattr(module.closed_form, "solve", fail)
    found = refine(s.rgb, small, level="best")
    assert found.notes[0].startswith("refine_gave_up: ")
    assert (found.alpha == upsample_alpha(small, 120, 140)).all()
    guided = refine_trimap(s.rgb, trimap, level="best", guess=s.alpha)
    assert guided.notes[0].startswith("refine_gave_up: ")
    assert (guided.alpha == s.alpha).all()


@pytest.mark.parametrize("level", ["off", "fast", "best"])
@pytest.mark.parametrize("guessed", [False, True])
def test_a_users_trimap_is_kept_exactly(
    level: module.Level, guessed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TRIMAP_PX", 40_000)
    s = scene(hairy_alpha(300, 360))
    near = cv2.dilate(s.soft.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    trimap = np.where(near, np.float32(0.5), s.alpha)
    guess = cv2.GaussianBlur(s.alpha, (0, 0), 3) if guessed else None
    found = refine_trimap(s.rgb, trimap, level=level, guess=guess)
    assert found.notes == ()
    assert (found.alpha[~near] == trimap[~near]).all()
    if level != "off":
        rough = trimap if guess is None else np.where(near, guess, trimap)
        assert _error(found.alpha, s) < 0.5 * _error(rough, s)


def test_a_trimap_of_one_side_is_solved_and_says_so() -> None:
    s = scene(hairy_alpha(100, 120))
    trimap = np.where(s.alpha > 0, np.float32(0.5), np.float32(0))
    found = refine_trimap(s.rgb, trimap, level="best")
    assert found.notes[0].startswith("trimap_one_sided: ")


def test_bad_input_is_refused() -> None:
    rgb, trimap = np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 0.5, np.float32)
    with pytest.raises(BadArray, match="matte"):
        refine(rgb, trimap * np.float32(np.nan), level="best")
    with pytest.raises(BadArray, match="unsure"):
        refine(rgb, trimap, level="best", unsure=trimap * 3)
    with pytest.raises(BadArray, match="differ in size"):
        refine_trimap(rgb, trimap[:5], level="best")
    with pytest.raises(BadArray, match="every pixel is unknown"):
        refine_trimap(rgb, trimap, level="best")
    for call in (refine, refine_trimap):
        with pytest.raises(BadOption):
            call(rgb, trimap, level="better")  # type: ignore[operator]


@pytest.mark.parametrize("level", ["fast", "best"])
def test_no_ring_of_haze_stays_around_the_edge(level) -> None:  # type: ignore[no-untyped-def]
    """A network's faint haze reaches further than the band that is solved."""
    y, x = np.mgrid[:400, :400]
    away = np.hypot(y - 200, x - 200) - 100
    truth = np.clip(0.5 - away / 2, 0, 1).astype(np.float32)
    rgb = np.rint(40 + 170 * truth[..., None].repeat(3, 2)).astype(np.uint8)
    haze = np.where((away > 2) & (away < 60), 0.025, 0).astype(np.float32)
    blurred = cv2.GaussianBlur(truth, (0, 0), 4)
    found = refine(rgb, np.maximum(blurred, haze), level=level).alpha
    assert found[(away > 20) & (away < 55)].max() < 0.004
    assert np.abs(found - truth).mean() < np.abs(blurred - truth).mean() / 2
