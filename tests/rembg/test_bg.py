from __future__ import annotations

import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from cleancut import errors
from cleancut.rembg import remove

from .fakes import HALF, ORANGE, clothes, flat, halves, known, opened, png

# As inspect.signature(rembg.remove) of rembg 2.0.86 says.
RECORDED = [
    ("data", inspect.Parameter.empty),
    ("alpha_matting", False),
    ("alpha_matting_foreground_threshold", 240),
    ("alpha_matting_background_threshold", 10),
    ("alpha_matting_erode_size", 10),
    ("session", None),
    ("only_mask", False),
    ("post_process_mask", False),
    ("decontaminate", False),
    ("vitmatte", False),
    ("vitmatte_model", None),
    ("bgcolor", None),
    ("force_return_bytes", False),
    ("args", inspect.Parameter.empty),
    ("kwargs", inspect.Parameter.empty),
]


def over_white(rgba: np.ndarray) -> tuple[int, ...]:
    """Colour of the first pixel on white, as a browser shows it."""
    *colour, alpha = (float(v) for v in rgba[0, -1])
    return tuple(round((c * alpha + 255 * (255 - alpha)) / 255) for c in colour)


def soft_edge() -> np.ndarray:
    """Matte (150, 200) of something that ends at column 100, 4 pixels soft."""
    return np.repeat(np.clip((102 - np.arange(200)) / 4.5, 0, 1)[None], 150, axis=0)


def test_signature_is_rembgs_but_for_the_one_default_that_is_documented() -> None:
    parameters = inspect.signature(remove).parameters.values()
    ours = [(p.name, p.default) for p in parameters]
    assert ours == [(n, True if n == "decontaminate" else d) for n, d in RECORDED]
    kinds = {p.name: p.kind for p in parameters}
    assert kinds.pop("args") == inspect.Parameter.VAR_POSITIONAL
    assert kinds.pop("kwargs") == inspect.Parameter.VAR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_import_loads_no_third_party_package() -> None:
    code = (
        "import sys, cleancut.rembg;"
        "heavy = {'numpy', 'PIL', 'cv2', 'onnxruntime', 'openvino', 'onnx', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.decode().strip() == "[]"


def test_answer_has_the_type_of_the_input() -> None:
    session, pixels = known(halves()), flat()
    as_bytes = remove(png(pixels), session=session)
    assert isinstance(as_bytes, bytes)
    image = opened(as_bytes)
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (32, 24))
    as_pil = remove(Image.fromarray(pixels), session=session)
    assert isinstance(as_pil, Image.Image)
    assert (as_pil.mode, as_pil.size) == ("RGBA", (32, 24))
    as_array = remove(pixels, session=session)
    assert isinstance(as_array, np.ndarray)
    assert (as_array.dtype, as_array.shape) == (np.uint8, (24, 32, 4))
    assert np.array_equal(as_array, np.asarray(as_pil))
    assert np.array_equal(as_array, np.asarray(image))


def test_only_mask_is_grey_in_every_type() -> None:
    session, pixels = known(halves(right=HALF)), flat()
    wanted = np.where(halves() > 0, 255, 128)
    array = remove(pixels, session=session, only_mask=True)
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.uint8
    assert np.array_equal(array, wanted)
    image = remove(Image.fromarray(pixels), session=session, only_mask=True)
    assert isinstance(image, Image.Image)
    assert image.mode == "L"
    data = remove(png(pixels), session=session, only_mask=True, bgcolor=(1, 2, 3, 255))
    assert isinstance(data, bytes)
    assert opened(data).mode == "L"
    assert np.array_equal(np.asarray(opened(data)), wanted)


@pytest.mark.parametrize("make", [Image.fromarray, np.asarray, png])
def test_force_return_bytes_works_for_every_input(make) -> None:  # type: ignore[no-untyped-def]
    data = remove(make(flat()), session=known(halves()), force_return_bytes=True)
    assert isinstance(data, bytes)
    assert opened(data).mode == "RGBA"


def test_positional_arguments_come_in_rembgs_order() -> None:
    session = known(halves(right=HALF))
    mask = remove(flat(), False, 240, 10, 10, session, True, True)
    assert isinstance(mask, np.ndarray)
    assert mask.ndim == 2
    assert set(np.unique(mask)) <= {0, 255}


def test_a_half_transparent_pixel_is_right_on_white() -> None:
    cut = remove(flat(), session=known(halves(right=HALF)))
    assert isinstance(cut, np.ndarray)
    assert tuple(cut[0, -1]) == (*ORANGE, 128)
    assert over_white(cut) == (227, 177, 152)


def test_rembg_pixels_are_those_that_rembg_makes() -> None:
    # Stored by rembg 2.0.86 for this picture and mask: dark, and darker still on white.
    cut = remove(flat(), session=known(halves(right=HALF)), rembg_pixels=True)
    assert isinstance(cut, np.ndarray)
    assert tuple(cut[0, -1]) == (100, 50, 25, 128)
    assert over_white(cut) == (177, 152, 140)
    assert tuple(cut[0, 0]) == (*ORANGE, 255)


def test_rembg_pixels_follow_pillows_arithmetic_everywhere() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (24, 32, 4), np.uint8)
    mask = rng.integers(0, 256, (24, 32), np.uint8)
    session = known(mask / np.float32(255))
    cut = remove(pixels, session=session, rembg_pixels=True, bgcolor=(10, 200, 90, 77))
    naive = Image.composite(
        Image.fromarray(pixels), Image.new("RGBA", (32, 24), 0), Image.fromarray(mask)
    )
    wanted = Image.alpha_composite(Image.new("RGBA", (32, 24), (10, 200, 90, 77)), naive)
    assert np.array_equal(cut, np.asarray(wanted))
    alone = remove(pixels, session=session, rembg_pixels=True, only_mask=True)
    assert np.array_equal(alone, mask)


def test_decontaminate_takes_the_old_background_out_and_can_be_left_out() -> None:
    red, blue = np.array([220.0, 20, 20]), np.array([20.0, 20, 220])
    alpha = soft_edge()
    mixed = np.rint(alpha[..., None] * red + (1 - alpha[..., None]) * blue).astype(np.uint8)
    session = known(alpha)
    soft = (alpha > 0.3) & (alpha < 0.7)
    clean = remove(mixed, session=session)
    plain = remove(mixed, session=session, decontaminate=False)
    assert isinstance(clean, np.ndarray)
    assert isinstance(plain, np.ndarray)
    assert np.array_equal(plain[soft][:, :3], mixed[soft])
    assert np.abs(plain[soft][:, :3] - red).max() > 90
    assert np.abs(clean[soft][:, :3] - red).max() < 25
    assert np.array_equal(clean[..., 3], plain[..., 3])


def test_putalpha_keeps_every_colour_and_the_callers_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    image = Image.fromarray(pixels)
    cut = remove(image, session=known(halves()), putalpha=True)
    assert isinstance(cut, Image.Image)
    assert np.array_equal(np.asarray(cut)[..., :3], pixels)
    assert image.mode == "RGB"
    hidden = np.asarray(remove(image, session=known(halves())))
    assert not hidden[:, 16:].any()


def test_post_process_mask_leaves_no_soft_pixel() -> None:
    noisy = halves(left=0.9, right=0.2)
    noisy[3, 30] = 1.0
    mask = remove(flat(), session=known(noisy), only_mask=True, post_process_mask=True)
    assert isinstance(mask, np.ndarray)
    assert np.array_equal(mask, np.where(halves() > 0, 255, 0))


@pytest.mark.parametrize(
    ("colour", "wanted"),
    [
        ((255, 255, 255, 255), (227, 177, 152, 255)),
        ((255, 255, 255), (227, 177, 152, 255)),
        ([0, 0, 0, 0], (200, 100, 50, 128)),
        ((0, 0, 0, 128), (133, 67, 33, 192)),
    ],
)
def test_bgcolor_lies_behind_the_subject(colour, wanted) -> None:  # type: ignore[no-untyped-def]
    cut = remove(flat(), session=known(halves(right=HALF)), bgcolor=colour)
    assert isinstance(cut, np.ndarray)
    assert cut.shape == (24, 32, 4)
    assert tuple(cut[0, -1]) == wanted
    assert tuple(cut[0, 0]) == (*ORANGE, 255)


def test_alpha_matting_solves_the_band_from_the_colours() -> None:
    truth = soft_edge()
    bright, dark = np.array([230.0, 200, 60]), np.array([10.0, 30, 50])
    mixed = np.rint(truth[..., None] * bright + (1 - truth[..., None]) * dark).astype(np.uint8)
    rough = np.repeat((np.arange(200) < 96).astype(np.float32)[None], 150, axis=0)
    session = known(rough)
    plain = remove(mixed, session=session)
    cut = remove(mixed, alpha_matting=True, alpha_matting_erode_size=20, session=session)
    assert isinstance(plain, np.ndarray)
    assert isinstance(cut, np.ndarray)
    off = [float(np.abs(c[..., 3] / 255 - truth).mean()) for c in (plain, cut)]
    assert off[0] > 0.015
    assert off[1] < 0.003
    soft = (truth > 0.3) & (truth < 0.7)
    assert np.abs(cut[soft][:, :3] - bright).max() < 25
    assert np.abs(plain[soft][:, :3] - bright).max() > 60


def test_alpha_matting_keeps_the_matte_where_nothing_is_sure() -> None:
    faint = halves(left=0.5, right=0.2)
    cut = remove(flat(), alpha_matting=True, session=known(faint))
    assert isinstance(cut, np.ndarray)
    assert np.array_equal(cut[..., 3], np.where(halves() > 0, 128, 51))


def test_incoming_transparency_is_multiplied_in() -> None:
    pixels = flat((*ORANGE, 255))
    pixels[:12, :, 3] = 100
    cut = remove(pixels, session=known(halves()))
    matted = remove(pixels, session=known(halves()), alpha_matting=True, alpha_matting_erode_size=3)
    for answer in (cut, matted):
        assert isinstance(answer, np.ndarray)
        assert set(np.unique(answer[3:12, 3:10, 3])) == {100}
        assert set(np.unique(answer[12:20, 3:10, 3])) == {255}


def test_a_picture_that_is_cut_out_is_not_cut_again_unless_asked() -> None:
    pixels = flat((*ORANGE, 255))
    pixels[:, 20:, 3] = 0
    session = known(halves())
    kept = remove(pixels, session=session)
    again = remove(pixels, session=session, recut=True)
    assert isinstance(kept, np.ndarray)
    assert isinstance(again, np.ndarray)
    assert np.array_equal(kept[..., 3], pixels[..., 3])
    assert not again[:, 16:, 3].any()


def test_profile_exif_and_resolution_survive(srgb_profile, exif_block) -> None:  # type: ignore[no-untyped-def]
    exif = b"Exif\0\0" + exif_block()
    data = png(flat(), icc_profile=srgb_profile, exif=exif, dpi=(300, 300))
    cut = remove(data, session=known(halves()))
    assert isinstance(cut, bytes)
    for image in (opened(cut), remove(opened(data), session=known(halves()))):
        assert isinstance(image, Image.Image)
        assert image.info["icc_profile"] == srgb_profile
        assert image.getexif()[0x010F] == "Maker"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_orientation_is_applied_once(exif_block) -> None:  # type: ignore[no-untyped-def]
    pixels = flat()
    pixels[:, :8] = 0
    data = png(pixels, exif=b"Exif\0\0" + exif_block(6))
    cut = remove(data, session=known(np.ones((32, 24))))
    assert isinstance(cut, bytes)
    image = opened(cut)
    assert image.size == (24, 32)
    assert image.getexif().get(0x0112, 1) == 1
    assert not np.asarray(image)[:8, :, :3].any()
    assert np.asarray(image)[8:, :, 0].min() == 200


def test_sixteen_bits_stay_sixteen_bits() -> None:
    grey = np.full((24, 32), 30000, np.uint16)
    cut = remove(grey, session=known(halves()))
    assert isinstance(cut, np.ndarray)
    assert cut.dtype == np.uint16
    assert tuple(cut[0, 0]) == (30000, 30000, 30000, 65535)
    image = remove(Image.fromarray(grey), session=known(halves()))
    assert isinstance(image, Image.Image)
    assert np.asarray(image)[0, 0].tolist() == [117, 117, 117, 255]
    data = remove(grey, session=known(halves()), force_return_bytes=True)
    assert isinstance(data, bytes)
    assert data[24] == 16  # bit depth in the PNG header


def test_channels_come_back_in_the_order_they_came() -> None:
    bgr = flat(ORANGE[::-1])
    cut = remove(bgr, session=known(halves()))
    assert isinstance(cut, np.ndarray)
    assert tuple(cut[0, 0]) == (*ORANGE[::-1], 255)


def test_clothes_come_stacked_or_one_by_one() -> None:
    found = np.zeros((768, 768), int)
    found[:256], found[256:512, 384:] = 1, 3
    pixels, session = flat(height=48, width=64), clothes(found)
    stacked = remove(pixels, session=session)
    assert isinstance(stacked, np.ndarray)
    assert stacked.shape == (144, 64, 4)
    masks = remove(Image.fromarray(pixels), session=session, only_mask=True)
    assert isinstance(masks, Image.Image)
    assert (masks.mode, masks.size) == ("L", (64, 144))
    upper, lower, full = np.split(np.asarray(masks), 3)
    assert upper[:14].min() == 255
    assert not upper[18:].any()
    assert not lower.any()
    assert full[18:30, 36:].min() == 255
    assert not full[:14].any()
    attire = remove(pixels, session=session, only_mask=True, cloth_category="attire")
    assert np.array_equal(attire, np.maximum(upper, full))
    assert np.array_equal(remove(pixels, session=session, only_mask=True, cc="upper"), upper)


def test_any_object_with_rembgs_predict_is_a_session() -> None:
    class Foreign:
        def predict(self, img: Image.Image, *args: object, **kwargs: object) -> list[Image.Image]:
            return [Image.new("L", img.size, 255), Image.new("L", img.size, 0)]

    cut = remove(flat(), session=Foreign())
    assert isinstance(cut, np.ndarray)
    assert cut.shape == (48, 32, 4)
    assert cut[:24, :, 3].min() == 255
    assert not cut[24:].any()


def test_one_session_serves_many_threads() -> None:
    rng = np.random.default_rng(1)
    session = known(rng.random((24, 32)))
    pictures = [rng.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(16)]
    alone = [remove(p, session=session) for p in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda p: remove(p, session=session), pictures))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("data", ["photo.jpg", None, 3, object()])
def test_what_is_no_picture_is_a_value_error(data) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="not supported") as caught:
        remove(data, session=known(halves()))
    assert isinstance(caught.value, errors.InputError)
    assert caught.value.hint


def test_bytes_that_are_no_picture_are_what_pillow_calls_them() -> None:
    with pytest.raises(UnidentifiedImageError) as caught:
        remove(b"this is a text", session=known(halves()))
    assert isinstance(caught.value, errors.UnreadableImage)


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4, 3), np.int64)])
def test_other_arrays_are_a_type_error(array) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError) as caught:
        remove(array, session=known(halves()))
    assert isinstance(caught.value, errors.BadArray)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"vitmatte": True}, ValueError),
        ({"sam_prompt": []}, ValueError),
        ({"api_key": "x"}, ValueError),
        ({"bgcolor": (1, 2)}, ValueError),
        ({"bgcolor": "white"}, ValueError),
        ({"bgcolor": (0, 0, 256, 0)}, ValueError),
        ({"alpha_matting": True, "alpha_matting_erode_size": -1}, ValueError),
        ({"alpha_matting": True, "alpha_matting_foreground_threshold": 300}, ValueError),
        ({"rembg_pixels": True, "putalpha": True}, ValueError),
        ({"cc": "upper"}, ValueError),
        ({"session": 3}, ValueError),
        ({"only_masks": True}, TypeError),
    ],
)
def test_arguments_that_cannot_be_met_are_refused(arguments, error) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        remove(flat(), **{"session": known(halves()), **arguments})
    assert isinstance(caught.value, errors.BadOption)
    assert caught.value.hint


def test_sets_of_extras_meant_for_both_functions_are_accepted() -> None:
    cut = remove(flat(), session=known(halves()), providers=["CPUExecutionProvider"])
    assert isinstance(cut, np.ndarray)


@pytest.mark.weights
@pytest.mark.usefixtures("real_models")
def test_u2netp_finds_a_disc() -> None:
    from cleancut.rembg import new_session

    y, x = np.mgrid[:300, :400]
    inside = (x - 200) ** 2 + (y - 150) ** 2 < 90**2
    pixels = np.where(inside[..., None], (200, 60, 30), (225, 230, 235)).astype(np.uint8)
    session = new_session("u2netp")
    mask = remove(pixels, session=session, only_mask=True)
    assert isinstance(mask, np.ndarray)
    found = mask > 127
    assert (found & inside).sum() / (found | inside).sum() > 0.9
    # rembg's recipe: the matte is stretched to the full range.
    assert mask.min() == 0
    assert mask.max() == 255
