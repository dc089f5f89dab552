from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cleancut.compose.background import over, solid_colour
from cleancut.options import Options
from cleancut.video.dress import Dresser, checkerboard
from cleancut.video.frame import ColourTags, Frame, VideoInfo
from cleancut.video.mattes import Matted
from cleancut.video.options import VideoOptions

GREEN = (0, 177, 64)


def _info(bits: int = 8, colour: ColourTags = ColourTags()) -> VideoInfo:  # noqa: B008
    return VideoInfo("stream", 64, 48, Fraction(1, 25), bits=bits, colour=colour)


def _matted(dtype: Any = np.uint8, **more: Any) -> Matted:
    """A red square with a soft edge on blue."""
    x = np.arange(64, dtype=np.float32)
    alpha = np.clip(np.minimum(x - 10, 50 - x) / 8, 0, 1) * np.ones((48, 1), np.float32)
    mixed = alpha[..., None] * np.float32([200, 30, 30])
    mixed = mixed + (1 - alpha[..., None]) * np.float32([20, 20, 220])
    rgb: Any = np.rint(mixed * (257 if dtype == np.uint16 else 1)).astype(dtype)
    view = rgb if dtype == np.uint8 else (rgb >> 8).astype(np.uint8)
    frame = Frame(7, rgb, view, duration=1)
    return Matted(frame, np.ascontiguousarray(alpha), **more)


def _dress(matted: Matted, video: VideoOptions | None = None, **options: Any) -> Frame:
    info = _info(8 * matted.frame.rgb.dtype.itemsize)
    with Dresser(Options(**options), video or VideoOptions(), info) as dresser:
        made = dresser.dress(matted)
        assert dresser.alpha == (made.alpha is not None)
        assert dresser.size == (made.rgb.shape[1], made.rgb.shape[0])
        assert dresser.info.has_alpha == dresser.alpha
    assert (made.pts, made.duration) == (7, 1)
    return made


def test_a_cutout_has_its_alpha_and_lost_the_old_background() -> None:
    matted = _matted()
    made = _dress(matted)
    assert made.alpha is matted.alpha
    soft = (matted.alpha > 0.2) & (matted.alpha < 1)
    assert made.rgb[soft][:, 2].mean() < 45 < matted.frame.rgb[soft][:, 2].mean()


def test_without_decontamination_colours_are_the_frames() -> None:
    matted = _matted(foreground=np.zeros((48, 64, 3), np.uint8))
    assert _dress(matted, decontaminate=False).rgb is matted.frame.rgb


def test_the_networks_own_colours_are_taken() -> None:
    own = np.full((48, 64, 3), 99, np.uint8)
    assert _dress(_matted(foreground=own)).rgb is own


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_over_a_colour_nothing_is_transparent(dtype: Any, scale: int) -> None:
    made = _dress(_matted(dtype), background="#00b140")
    assert made.alpha is None
    assert made.rgb.dtype == dtype
    assert (made.rgb[:, :8] == np.array(GREEN) * scale).all()
    middle = made.rgb[:, 30].astype(int)
    assert np.abs(middle - np.array([200, 30, 30]) * scale).max() <= scale
    assert np.abs(made.view.astype(int) - made.rgb // scale).max() <= 1


def test_a_colour_that_lets_through_is_a_transparent_video() -> None:
    made = _dress(_matted(), background="#ff000080")
    assert made.alpha is not None
    assert made.alpha[0, 0] == pytest.approx(128 / 255, abs=1e-3)
    assert (made.rgb[0, 0] == (255, 0, 0)).all()


def test_matte_only_is_grey_in_the_sources_depth_and_tagged_as_such() -> None:
    video = VideoOptions(matte_only=True)
    matted = _matted(np.uint16)
    made = _dress(matted, video)
    assert made.rgb.dtype == np.uint16
    assert np.abs(made.rgb / 65535 - matted.alpha[..., None]).max() < 1e-4
    hdr = Dresser(Options(), video, _info(10, ColourTags(9, 16, 9)))
    assert hdr.info.colour == ColourTags(1, 1, 1)


def test_side_by_side_shows_the_original_and_the_cutout_on_a_checkerboard() -> None:
    matted = _matted()
    made = _dress(matted, VideoOptions(side_by_side=True))
    assert made.rgb.shape == (48, 128, 3)
    assert (made.rgb[:, :64] == matted.frame.rgb).all()
    board = checkerboard(matted.frame.rgb)
    assert (made.rgb[:, 64:72] == board[:, :8]).all()
    assert sorted({int(level) for level in np.unique(board)}) == [204, 255]


def test_side_by_side_with_a_background_shows_that() -> None:
    made = _dress(_matted(), VideoOptions(side_by_side=True), background="#00b140")
    assert (made.rgb[:, 64:72] == GREEN).all()


def test_edges_are_those_of_pictures_and_old_colours_are_estimated_anew() -> None:
    matted = _matted(foreground=np.full((48, 64, 3), 99, np.uint8))
    made = _dress(matted, threshold=0.5)
    assert made.alpha is not None
    assert set(np.unique(made.alpha)) == {0.0, 1.0}
    assert not (made.rgb == 99).all()


def test_hdr_frames_keep_their_depth_and_have_a_view_with_the_same_background() -> None:
    matted = _matted(np.uint16)
    tags = ColourTags(9, 16, 9)
    with Dresser(Options(background="white"), VideoOptions(), _info(10, tags)) as dresser:
        made = dresser.dress(matted)
    assert abs(made.rgb[0, 0].mean() / 65535 - 0.58) < 0.01
    assert (made.view[0, 0] == 255).all()
    assert np.abs(made.rgb[:, 30].astype(int) - matted.frame.rgb[:, 30]).max() <= 257


def test_what_is_put_together_is_exact() -> None:
    matted = _matted()
    made = _dress(matted, background="#00b140", decontaminate=False)
    rgb = matted.frame.rgb
    assert (made.rgb == over(rgb, matted.alpha, solid_colour(rgb, GREEN))).all()


def test_arguments_are_left_alone() -> None:
    matted = _matted()
    before = matted.frame.rgb.copy(), matted.alpha.copy()
    for background in ("white", "blur", None):
        _dress(matted, background=background, feather="2")
    assert (matted.frame.rgb == before[0]).all()
    assert (matted.alpha == before[1]).all()
