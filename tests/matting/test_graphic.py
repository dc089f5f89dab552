from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleancut.errors import BadArray
from cleancut.matting.graphic import NOTABLY_OPEN, Graphic, open_share, unmix_graphic

from .drawings import Drawing, drawing, garment, lettering, linear, product, radial

WHITE = (255, 255, 255)


def found(rgb: np.ndarray) -> Graphic:
    graphic = unmix_graphic(rgb)
    assert graphic is not None
    return graphic


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    ok, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def error(alpha: np.ndarray, d: Drawing) -> float:
    """MAD x 1000."""
    return 1000 * float(np.abs(alpha - d.alpha).mean())


@pytest.mark.parametrize("background", [WHITE, (0, 0, 0), (172, 27, 0), (17, 54, 29)])
def test_drawing_on_one_colour_is_exact(background: tuple[int, int, int]) -> None:
    d = drawing(background)
    g = found(d.rgb)
    assert g.alpha.dtype == np.float32
    assert error(g.alpha, d) < 0.3
    assert g.background.flat
    assert np.allclose(g.background.colour, np.array(background) / 255)
    assert 0.7 <= g.certainty <= 1


def test_holes_of_letters_are_transparent() -> None:
    d = drawing(WHITE)
    y, x = d.hole
    assert d.alpha[y, x] == 0
    assert found(d.rgb).alpha[y, x] == 0


def test_a_part_in_the_background_colour_is_transparent_too() -> None:
    d = drawing(WHITE)
    y, x = np.argwhere(d.alpha == 1)[len(np.argwhere(d.alpha == 1)) // 2]
    rgb = d.rgb.copy()
    rgb[y - 3 : y + 4, x - 3 : x + 4] = 255
    assert found(rgb).alpha[y, x] == 0


@pytest.mark.parametrize("ground", [linear, radial])
def test_gradient_behind_a_drawing_is_followed(ground: object) -> None:
    d = drawing(ground)
    g = found(d.rgb)
    assert error(g.alpha, d) < 1
    assert not g.background.flat


def test_noise_in_the_background_is_background() -> None:
    d = drawing((90, 140, 200), noise=2)
    g = found(d.rgb)
    assert error(g.alpha, d) < 1
    assert (g.alpha[:20] == 0).all()


@pytest.mark.parametrize("background", [WHITE, (40, 90, 60)])
def test_jpeg_leaves_no_crumbs_around_a_drawing(background: tuple[int, int, int]) -> None:
    d = drawing(background)
    g = found(jpeg(d.rgb, 85))
    assert error(g.alpha, d) < 5
    far = cv2.dilate((d.alpha > 0).astype(np.uint8), np.ones((13, 13))) == 0
    assert g.alpha[far].max() == 0


@pytest.mark.parametrize("background", [WHITE, (40, 90, 60)])
@pytest.mark.parametrize("sigma", [1, 2, 3])
def test_blurred_drawing_is_unmixed_over_the_whole_width_of_its_edges(
    sigma: float, background: tuple[int, int, int]
) -> None:
    d = drawing(background)
    g = found(cv2.GaussianBlur(d.rgb, (0, 0), sigma))
    truth = cv2.GaussianBlur(d.alpha, (0, 0), sigma)
    assert 1000 * np.abs(g.alpha - truth).mean() < 1.5
    soft = (truth > 0.3) & (truth < 0.7)
    assert np.abs(g.alpha - truth)[soft].mean() < 0.04


@pytest.mark.parametrize("times", [2, 3])
def test_enlarged_drawing_is_unmixed(times: int) -> None:
    d = drawing((112, 249, 71))
    rgb, truth = (
        cv2.resize(part, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
        for part in (d.rgb, d.alpha)
    )
    assert 1000 * np.abs(found(rgb).alpha - truth.clip(0, 1)).mean() < 2


def test_linear_ramp_around_a_disc_keeps_its_alpha_and_colour() -> None:
    y, x = np.mgrid[:400, :400]
    truth = np.clip((120 - np.hypot(y - 200, x - 200)) / 12 + 0.5, 0, 1)
    red, green = np.array((220, 30, 30.0)), np.array((20, 200, 40.0))
    mixed = truth[..., None] * red + (1 - truth[..., None]) * green
    g = found(np.rint(mixed).astype(np.uint8))
    assert np.abs(g.alpha - truth).max() < 0.08
    rim = (truth > 0.2) & (truth < 0.8)
    assert np.abs(g.foreground[rim] - red).mean() < 4


def test_gap_that_a_blur_has_filled_is_still_a_gap() -> None:
    truth = np.zeros((200, 300), np.float32)
    truth[40:160, 40:147] = truth[40:160, 153:260] = 1
    truth = cv2.GaussianBlur(truth, (0, 0), 3)
    assert truth[100].min() == 0
    assert 0.2 < truth[100, 150] < 0.5
    mixed = truth[..., None] * np.float32((20, 60, 160)) + (1 - truth[..., None]) * 255
    g = found(np.rint(mixed).astype(np.uint8))
    assert abs(g.alpha[100, 150] - truth[100, 150]) < 0.05


def test_tint_of_the_same_hue_beside_a_darker_part_stays_opaque() -> None:
    rgb = np.full((200, 300, 3), 255, np.uint8)
    rgb[40:160, 40:150] = (30, 60, 210)
    rgb[40:160, 150:260] = (143, 158, 233)
    alpha = found(rgb).alpha
    assert (alpha[40:160, 40:260] == 1).all()
    blurred = found(cv2.GaussianBlur(rgb, (0, 0), 2)).alpha
    assert blurred[60:140, 60:240].min() > 0.97


def test_glow_that_fades_over_a_hundred_pixels_is_none() -> None:
    y, x = np.mgrid[:400, :400]
    glow = np.clip((170 - np.hypot(y - 200, x - 200)) / 100, 0, 1)[..., None]
    mixed = glow * np.float64((220, 30, 30)) + (1 - glow) * 255
    assert unmix_graphic(np.rint(mixed).astype(np.uint8)) is None


@pytest.mark.parametrize("quality", [85, 95])
@pytest.mark.parametrize("background", [WHITE, (225, 232, 240)])
def test_thin_letters_in_a_jpeg_are_found(quality: int, background: tuple[int, int, int]) -> None:
    d = lettering((25, 40, 110), background)
    assert error(found(jpeg(d.rgb, quality)).alpha, d) < 4


@pytest.mark.parametrize("side", [60, 90, 140])
@pytest.mark.parametrize("quality", [75, 95])
def test_small_plain_photographed_thing_is_none(side: int, quality: int) -> None:
    assert unmix_graphic(jpeg(garment(side), quality)) is None


def test_soft_pixels_show_the_drawn_colour_and_others_keep_theirs() -> None:
    d = drawing((112, 249, 71))
    g = found(d.rgb)
    soft = (d.alpha > 0.2) & (d.alpha < 0.8)
    raw = np.abs(d.rgb[soft].astype(float) - d.foreground[soft]).mean()
    assert raw > 20
    assert np.abs(g.foreground[soft].astype(float) - d.foreground[soft]).mean() < 0.1 * raw
    hard = (g.alpha == 0) | (g.alpha == 1)
    assert (g.foreground[hard] == d.rgb[hard]).all()


def test_put_back_on_its_background_it_is_the_picture_again() -> None:
    d = drawing((112, 249, 71))
    g = found(d.rgb)
    a = g.alpha[..., None]
    again = a * g.foreground + (1 - a) * np.float32((112, 249, 71))
    assert np.quantile(np.abs(again - d.rgb), 0.999) <= 2


@pytest.mark.parametrize(("dtype", "top"), [(np.uint16, 65535), (np.float32, 1)])
def test_every_depth_gives_the_same(dtype: type, top: int) -> None:
    d = drawing((40, 90, 60))
    reference = found(d.rgb)
    g = found((d.rgb * (top / 255)).astype(dtype))
    assert g.foreground.dtype == dtype
    assert np.abs(g.alpha - reference.alpha).max() < 0.01
    assert np.abs(g.foreground * (255 / top) - reference.foreground).max() <= 1.01


def test_arguments_are_left_alone() -> None:
    d = drawing(WHITE)
    rgb = d.rgb.copy()
    g = found(rgb)
    assert (rgb == d.rgb).all()
    assert not np.shares_memory(g.foreground, rgb)


@pytest.mark.parametrize("how", ["as it is", "jpeg", "enlarged", "blurred", "poor jpeg"])
def test_photographed_product_on_white_is_none(how: str) -> None:
    rgb = product()
    quality = {"jpeg": 88, "poor jpeg": 20}.get(how)
    if quality:
        data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        rgb = cv2.imdecode(data, cv2.IMREAD_COLOR)
    elif how == "enlarged":
        rgb = cv2.resize(rgb, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    elif how == "blurred":
        rgb = cv2.GaussianBlur(rgb, (0, 0), 2)
    assert unmix_graphic(rgb) is None


def test_drawing_on_a_photograph_is_none() -> None:
    rng = np.random.default_rng(3)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 3)
    d = drawing(scene.astype(np.float32) * 4 - 380)
    assert unmix_graphic(d.rgb) is None


def test_flat_art_in_a_thin_frame_is_none() -> None:
    d = drawing(WHITE)
    rgb = cv2.copyMakeBorder(d.rgb, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    assert unmix_graphic(rgb) is None


def test_shading_through_the_background_colour_is_none() -> None:
    rgb = np.full((300, 400, 3), (225, 45, 55), np.uint8)
    shade = np.linspace(-40, 40, 260)[None, :, None]
    rgb[60:240, 70:330] = np.rint(np.float64((225, 45, 55)) + shade).clip(0, 255)
    assert unmix_graphic(rgb) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (15, 15), (16, 16), (16, 4000)])
@pytest.mark.parametrize("level", [0, 255])
def test_blank_pictures_of_any_size_are_none(size: tuple[int, int], level: int) -> None:
    assert unmix_graphic(np.full((*size, 3), level, np.uint8)) is None


def test_noise_is_none() -> None:
    rng = np.random.default_rng(0)
    assert unmix_graphic(rng.integers(0, 256, (200, 200, 3), np.uint8)) is None


def test_views_that_are_not_contiguous_give_the_same() -> None:
    d = drawing((40, 90, 60))
    bgr = np.ascontiguousarray(d.rgb[..., ::-1])
    assert (found(bgr[..., ::-1]).alpha == found(d.rgb).alpha).all()


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(BadArray, match="not finite"):
        unmix_graphic(np.full((40, 40, 3), np.nan, np.float32))
    with pytest.raises(BadArray, match="not a colour picture"):
        unmix_graphic(np.zeros((40, 40), np.uint8))


def test_open_share_counts_what_outlines_enclose() -> None:
    y, x = np.mgrid[:120, :140]
    far = np.hypot(y - 60, x - 70)
    face, letter, disc = ((far < 50) & (far > least) for least in (46, 25, -1))
    assert open_share(face.astype(np.float32)) == pytest.approx(46**2 / 50**2, abs=0.02)
    assert open_share(letter.astype(np.float32)) < NOTABLY_OPEN
    assert open_share(disc.astype(np.float32)) == 0
    assert open_share((far < 65).astype(np.float32)) == 0  # cut by the frame
    cut = face & (x > 70)
    assert open_share(cut.astype(np.float32)) == 0
    assert open_share(np.zeros((30, 30), np.float32)) == 0
    assert open_share(np.ones((30, 30), np.float32)) == 0
