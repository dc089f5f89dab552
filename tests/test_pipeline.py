from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut import pipeline
from cleancut.backends.base import Placement
from cleancut.errors import ImageTooLarge, NoSubject
from cleancut.imaging.picture import Picture
from cleancut.models.base import Prediction
from cleancut.models.echo import SPEC, EchoModel
from cleancut.options import Options
from cleancut.panel import single
from cleancut.pipeline import matte
from cleancut.subject import is_cut_out, model_view
from tests.imaging.conftest import adobe_rgb


class Says:
    """A model that answers with the matte it was made with, and remembers what it saw."""

    spec = SPEC
    placement = Placement("fake", "cpu", "f32", "numpy", "")

    def __init__(self, alpha: NDArray[np.float32]) -> None:
        self.alpha = alpha
        self.seen: NDArray[np.uint8] | None = None

    def predict(self, rgb, state=None):  # type: ignore[no-untyped-def]
        self.seen = rgb
        return Prediction(self.alpha)


def cutout(picture, model, options, **how):  # type: ignore[no-untyped-def]
    return pipeline.cutout(picture, single(model), options, **how)


def test_a_uniform_half_transparent_picture_keeps_its_colour() -> None:
    picture = Picture(np.broadcast_to(np.array((200, 100, 50), np.uint8), (64, 64, 3)).copy())
    model = Says(np.full((16, 16), 0.5, np.float32))
    result = cutout(picture, model, Options())
    assert np.abs(result.foreground.astype(int) - (200, 100, 50)).max() <= 1
    on_white = cutout(picture, model, Options(background="white")).composite
    assert on_white is not None
    assert on_white[32, 32].tolist() == [227, 177, 152]


def test_hidden_colours_are_cleared_unless_kept(disc: NDArray[np.uint8]) -> None:
    model = EchoModel()
    bright = np.clip(disc.astype(int) + 1, 0, 255).astype(np.uint8)  # black becomes (1, 1, 1)
    alpha = Says(model.predict(disc).alpha)
    cleared = cutout(Picture(bright), alpha, Options())
    kept = cutout(Picture(bright), alpha, Options(keep_hidden_rgb=True))
    assert cleared.foreground[0, 0].tolist() == [0, 0, 0]
    assert kept.foreground[0, 0].tolist() == [1, 1, 1]
    assert cleared.alpha[0, 0] == 0
    assert cleared.foreground[48, 64].tolist() == [255, 255, 255]


def test_a_picture_without_a_subject_says_so_or_fails() -> None:
    picture = Picture(np.full((32, 32, 3), 90, np.uint8))
    model = Says(np.full((8, 8), 0.01, np.float32))
    notes = cutout(picture, model, Options()).notes
    assert [note.split(":")[0] for note in notes] == ["no_subject"]
    with pytest.raises(NoSubject, match=r"1\.00%"):
        cutout(picture, model, Options(fail_if_empty=True))


def test_a_small_subject_that_the_model_is_sure_of_is_a_subject() -> None:
    picture = Picture(np.full((400, 500, 3), 90, np.uint8))
    bird = np.zeros((400, 500), np.float32)
    bird[100:108, 200:212] = 1  # .05 % of the frame
    assert cutout(picture, Says(bird), Options()).notes == ()
    assert cutout(picture, Says(bird * np.float32(0.6)), Options()).notes != ()


def test_incoming_transparency_is_multiplied_in() -> None:
    own = np.ones((20, 20), np.float32)
    own[:, :1] = 0.5
    picture = Picture(np.full((20, 20, 3), 200, np.uint8), alpha=own)
    result = cutout(picture, Says(np.full((5, 5), 0.8, np.float32)), Options())
    assert result.alpha[5, 0] == pytest.approx(0.4)
    assert result.alpha[5, 9] == pytest.approx(0.8)


def test_a_picture_that_is_cut_out_already_comes_back_as_it_is() -> None:
    own = np.zeros((20, 20), np.float32)
    own[5:15, 5:15] = 1
    own[5, 5] = 0.3
    rgb = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    picture = Picture(rgb, alpha=own)
    model = Says(np.zeros((4, 4), np.float32))
    assert is_cut_out(picture)
    result = cutout(picture, model, Options())
    assert model.seen is None
    assert result.notes[0].startswith("already_cut:")
    assert (result.alpha == own).all()
    assert (result.foreground[own > 0] == rgb[own > 0]).all()
    assert cutout(picture, model, Options(recut=True)).alpha.max() == 0
    assert model.seen is not None


def test_the_model_never_sees_what_hides_under_transparent_pixels() -> None:
    own = np.ones((40, 40), np.float32)
    own[:2] = 0
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[:2] = (255, 0, 255)
    view = model_view(Picture(rgb, alpha=own))
    assert view[0, 0].tolist() == [255, 255, 255]
    light = np.full((40, 40, 3), 250, np.uint8)
    assert model_view(Picture(light, alpha=own))[0, 0].tolist() == [64, 64, 64]


def test_a_plain_picture_is_shown_to_the_model_without_a_copy(disc: NDArray[np.uint8]) -> None:
    assert model_view(Picture(disc)) is disc


def test_crop_margin_and_shrinking(disc: NDArray[np.uint8]) -> None:
    plain = cutout(Picture(disc), EchoModel(), Options(crop=True))
    assert abs(plain.alpha.shape[0] - 60) <= 3
    assert abs(plain.alpha.shape[1] - 60) <= 3
    wide = cutout(Picture(disc), EchoModel(), Options(crop=True, margin="50"))
    assert wide.alpha.shape[0] == plain.alpha.shape[0] + 100  # reaches outside the picture
    assert wide.alpha[0].max() == 0
    small = cutout(Picture(disc), EchoModel(), Options(max_side_px=64))
    assert small.alpha.shape == (48, 64)
    assert small.foreground.shape == (48, 64, 3)
    assert small.box is not None
    assert small.box.width < 40


def test_shrinking_does_not_let_hidden_colours_bleed_in() -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    rgb[..., 0] = 255
    rgb[:, 50:] = (0, 255, 0)  # the background is green
    alpha = np.zeros((100, 100), np.float32)
    alpha[:, :50] = 1
    options = Options(max_side_px=33, keep_hidden_rgb=True, decontaminate=False)
    small = cutout(Picture(rgb), Says(alpha), options)
    visible = small.alpha > 0.2
    assert small.foreground[visible][:, 1].max() <= 3


def test_blurred_background_is_cropped_with_the_subject(disc: NDArray[np.uint8]) -> None:
    result = cutout(
        Picture(disc), EchoModel(), Options(background="blur:4", crop=True, margin="80")
    )
    assert result.composite is not None
    assert result.composite.shape[:2] == result.alpha.shape
    assert result.composite.max() == 255


def test_a_background_picture_reaches_to_the_edges_of_a_wide_crop() -> None:
    alpha = np.zeros((60, 60), np.float32)
    alpha[10:50, 10:50] = 1
    picture = Picture(np.full((60, 60, 3), 90, np.uint8))
    ramp = np.linspace(0, 255, 240).astype(np.uint8)
    behind = Picture(np.repeat(np.tile(ramp, (240, 1))[..., None], 3, axis=2))
    for margin in ("5", "40"):
        options = Options(background="behind.png", crop=True, margin=margin)
        result = cutout(picture, Says(alpha), options, background=behind)
        assert result.composite is not None
        assert result.composite.shape[:2] == result.alpha.shape
        # Stretched edge pixels would leave the ramp flat outside the picture.
        assert (np.diff(result.composite[0, :, 0].astype(int)) > 0).all()


def test_strip_drops_exif_and_dpi_but_never_the_profile() -> None:
    picture = Picture(np.zeros((8, 8, 3), np.uint8), exif=b"MM\0*", dpi=(300, 300))
    model = Says(np.ones((8, 8), np.float32))
    kept = cutout(picture, model, Options())
    stripped = cutout(picture, model, Options(strip=True))
    assert (kept.exif, kept.dpi) == (b"MM\0*", (300, 300))
    assert (stripped.exif, stripped.dpi) == (None, None)


def test_minmax_is_done_only_on_request_and_where_the_recipe_has_it() -> None:
    model = Says(np.array([[0.2, 0.6], [0.2, 0.6]], np.float32))
    picture = Picture(np.zeros((2, 2, 3), np.uint8))
    assert matte(picture, model).max() == pytest.approx(0.6)
    assert matte(picture, model, minmax=True).max() == pytest.approx(0.6)
    recipe = dataclasses.replace(SPEC.recipe, minmax=True)
    model.spec = dataclasses.replace(SPEC, recipe=recipe)
    assert matte(picture, model, minmax=True).max() == pytest.approx(1.0)


def test_arguments_are_not_mutated(disc: NDArray[np.uint8]) -> None:
    before = disc.copy()
    cutout(Picture(disc), EchoModel(), Options(background="#123456", crop=True))
    assert (disc == before).all()


def test_the_soft_edge_carries_no_old_background() -> None:
    """A red disc on green, true alpha known: the rim must be red, not brown."""
    y, x = np.mgrid[:400, :400]
    alpha = np.clip((120 - np.hypot(y - 200, x - 200)) / 6 + 0.5, 0, 1).astype(np.float32)
    red, green = np.array((220, 30, 30.0)), np.array((20, 200, 40.0))
    mixed = alpha[..., None] * red + (1 - alpha[..., None]) * green
    result = cutout(Picture(np.rint(mixed).astype(np.uint8)), Says(alpha), Options())
    rim = (result.alpha > 0.2) & (result.alpha < 0.8)
    assert np.abs(result.foreground[rim] - red).mean() < 12
    assert np.abs(mixed[rim] - red).mean() > 60


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_background_looks_alike_through_the_profile_of_the_picture(dtype, disc) -> None:  # type: ignore[no-untyped-def]
    icc = adobe_rgb()
    step = np.iinfo(dtype).max // 255
    picture = Picture(disc.astype(dtype) * step, icc=icc)
    page = Picture(np.broadcast_to(np.array((255, 0, 0), np.uint8), (30, 40, 3)).copy())
    red = Options(background="#ff0000")
    file = Options(background="red.png")
    for options, background in ((red, None), (file, page)):
        result = cutout(picture, EchoModel(), options, background=background)
        assert result.composite is not None
        assert result.icc == icc
        # sRGB red is (219, 0, 0) in Adobe RGB.
        assert np.abs(result.composite[0, 0] / step - (219, 0, 0)).max() <= 2
    # A background in the same space needs no conversion.
    same = cutout(picture, EchoModel(), file, background=dataclasses.replace(page, icc=icc))
    assert same.composite is not None
    assert (same.composite[0, 0] / step).tolist() == [255, 0, 0]


def test_a_face_drawn_in_outlines_on_white_is_see_through_and_that_is_said() -> None:
    y, x = np.mgrid[:160, :160]
    far = np.hypot(y - 80, x - 80)
    outline = np.where((far < 60) & (far > 52), 0, 255).astype(np.uint8)
    filled = np.where(far < 60, 0, 255).astype(np.uint8)
    model = Says(np.zeros((16, 16), np.float32))

    def notes(grey: NDArray[np.uint8], **options: bool) -> str:
        picture = Picture(np.repeat(grey[..., None], 3, axis=2))
        found = cutout(picture, model, Options(model="auto", **options))  # type: ignore[arg-type]
        assert found.models == ("graphic",)
        return " ".join(found.notes)

    assert "open_outline: 75%" in notes(outline)
    assert "--fill-holes" in notes(outline)
    assert "open_outline" not in notes(filled)
    assert "open_outline" not in notes(outline, fill_holes=True)


def _off_centre() -> tuple[Picture, Says]:
    """A red disc in the upper left of a blue picture, 120 x 200."""
    y, x = np.mgrid[:120, :200]
    alpha = np.clip((25 - np.hypot(y - 40, x - 50)) / 3 + 0.5, 0, 1).astype(np.float32)
    rgb = alpha[..., None] * (220, 30, 30) + (1 - alpha[..., None]) * (20, 30, 200)
    return Picture(np.rint(rgb).astype(np.uint8)), Says(alpha)


def test_the_subject_is_scaled_and_placed_and_its_box_says_where() -> None:
    picture, model = _off_centre()
    plain = cutout(picture, model, Options())
    for options, left, top in (
        (Options(scale="50%"), 0.5, 0.5),
        (Options(scale="90%", position="100% 0%"), 1.0, 0.0),
        (Options(position="30% 70%"), 0.3, 0.7),
    ):
        placed = cutout(picture, model, options)
        box = placed.box
        assert box is not None
        assert placed.alpha.shape == (120, 200)
        assert box.left == pytest.approx(left * (200 - box.width), abs=1.5)
        assert box.top == pytest.approx(top * (120 - box.height), abs=1.5)
        if options.scale:
            assert box.height == pytest.approx(120 * int(options.scale[:2]) / 100, abs=2)
        assert placed.coverage == plain.coverage  # of the picture, as it says
        seen = placed.alpha > 0.1
        rim = plain.foreground[plain.alpha > 0.1][:, 2].max()
        assert placed.foreground[seen][:, 2].max() < rim + 15  # no more blue than there was
        assert (placed.foreground[placed.alpha < 1 / 600] == 0).all()


def test_background_and_shadow_go_with_a_placed_subject() -> None:
    picture, model = _off_centre()
    options = Options(scale="50%", position="100% 50%", background="white", shadow="drop:60,90,2,9")
    placed = cutout(picture, model, options)
    assert placed.composite is not None
    assert placed.composite[40, 50].tolist() == [255, 255, 255]  # where the disc was
    assert placed.composite[60, 170, 0] > 190  # where it is
    assert (placed.composite[95, 170] < 200).all()  # its shadow below it
    behind = cutout(picture, model, options.with_(shadow=None, background="blur:4")).composite
    assert behind is not None
    assert behind[40, 50, 2] > 150  # out of focus, without a ghost of the disc


def test_a_placed_subject_in_a_crop_and_margins_of_its_own() -> None:
    picture, model = _off_centre()
    crop = cutout(picture, model, Options(crop=True, margin="10 0 30 20"))
    box = crop.box
    assert box is not None
    height, width = crop.alpha.shape
    assert (box.left, box.top, height - box.bottom, width - box.right) == (20, 10, 30, 0)
    centred = cutout(picture, model, Options(crop=True, margin="10 0 30 20", position="center"))
    box = centred.box
    assert box is not None
    assert centred.alpha.shape == (height, width)
    assert abs(box.left - (width - box.right)) <= 1


def test_a_picture_without_a_subject_is_not_placed() -> None:
    picture = Picture(np.full((32, 48, 3), 90, np.uint8))
    result = cutout(picture, Says(np.zeros((8, 8), np.float32)), Options(scale="50%"))
    assert result.alpha.shape == (32, 48)
    assert result.box is None


def test_the_output_is_shrunk_to_its_megapixels_after_the_crop() -> None:
    picture, model = _off_centre()
    small = cutout(picture, model, Options(max_output_megapixels=0.006, background="white"))
    assert small.composite is not None
    assert small.alpha.shape == small.composite.shape[:2] == (60, 100)
    cropped = cutout(picture, model, Options(max_output_megapixels=0.006, crop=True))
    assert cropped.alpha.shape == cutout(picture, model, Options(crop=True)).alpha.shape
    tiny = cutout(picture, model, Options(max_output_megapixels=0.006, max_side_px=50))
    assert tiny.alpha.shape == (30, 50)


def test_a_zip_of_a_cutout_is_its_colours_and_its_matte() -> None:
    from cleancut.imaging.decode import decode
    from cleancut.imaging.zipped import read_zip

    picture, model = _off_centre()
    result = cutout(picture, model, Options(format="zip"))
    colour, matte = (decode(file).rgb for file in read_zip(result.encode()))
    assert np.abs(matte[..., 0] / 255 - result.alpha).max() <= 0.5 / 255 + 1e-6
    # Red everywhere: neither the old blue nor black in the corners or in the soft edge.
    assert (colour[..., 0] > 110).all()
    assert (colour[..., 2] < 150).all()
    on_white = cutout(picture, model, Options(format="zip", background="white"))
    colour, matte = (decode(file).rgb for file in read_zip(on_white.encode()))
    assert colour[0, 0].min() > 250
    assert matte[0, 0, 0] == 0


def test_binarise_leaves_no_soft_edge(disc: NDArray[np.uint8]) -> None:
    soft = Says(np.clip(disc[..., 0].astype(np.float32) / 255 * 0.7, 0, 1))
    alpha = cutout(Picture(disc), soft, Options(model="echo", binarise=True)).alpha
    assert sorted(np.unique(alpha)) == [0, 1]
    assert alpha[48, 64] == 1


def test_alpha_matting_solves_the_band_between_its_levels(disc: NDArray[np.uint8]) -> None:
    alpha = disc[..., 0].astype(np.float32) / 255
    blurry = Says(np.asarray(cv2.GaussianBlur(alpha, (0, 0), 4)))
    options = Options(model="echo", refine="off", decontaminate=False)
    plain = cutout(Picture(disc), blurry, options).alpha
    solved = cutout(Picture(disc), blurry, options.with_(alpha_matting="240,10,5")).alpha
    assert np.abs(solved - alpha).mean() < 0.3 * np.abs(plain - alpha).mean()


def test_a_colour_that_lets_through_adds_to_the_alpha(disc: NDArray[np.uint8]) -> None:
    half = Says(np.full((96, 128), 0.5, np.float32))
    picture = Picture(np.full((96, 128, 3), 200, np.uint8))
    result = cutout(picture, half, Options(background="#00000080"))
    assert result.composite is None
    level = 0x80 / 255
    assert result.alpha[5, 5] == pytest.approx(0.5 + 0.5 * level, abs=1e-3)
    share = 0.5 / (0.5 + 0.5 * level)
    assert abs(int(result.foreground[5, 5, 0]) - 200 * share) <= 1
    clear = cutout(picture, half, Options(background="#0000"))
    assert clear.alpha[5, 5] == pytest.approx(0.5, abs=1e-3)


def test_a_margin_makes_no_picture_beyond_the_limit(disc: NDArray[np.uint8]) -> None:
    """A margin of 20000 pixels makes 1.6 gigapixels of the smallest picture."""
    for margin in ("20000", "0 20000", "3000"):
        with pytest.raises(ImageTooLarge, match="margin") as caught:
            cutout(
                Picture(disc), EchoModel(), Options(crop=True, margin=margin, max_megapixels=0.2)
            )
        assert "margin" in caught.value.hint
    usual = Options(crop=True, margin="50%", max_megapixels=0.01)
    assert cutout(Picture(disc), EchoModel(), usual).alpha.size <= 4 * disc[..., 0].size
