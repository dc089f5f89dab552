from __future__ import annotations

import dataclasses
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cleancut import Engine, Options
from cleancut.batch.thumbs import SIDE_PX, thumbnail


def shown(disc: NDArray[np.uint8], **changes: object) -> Image.Image:
    encoded = Engine().encoded(disc, model="echo", **changes)  # type: ignore[arg-type]
    return Image.open(io.BytesIO(thumbnail(encoded)))


def test_a_thumbnail_has_the_cutout_s_transparency_and_shape(disc: NDArray[np.uint8]) -> None:
    wide = np.repeat(np.repeat(disc, 8, axis=0), 16, axis=1)
    thumb = shown(wide)
    assert max(thumb.size) == SIDE_PX
    assert thumb.size[0] == 2 * thumb.size[1] * disc.shape[1] // disc.shape[0]
    alpha = np.asarray(thumb.convert("RGBA"))[..., 3]
    assert alpha.min() < 10
    assert alpha.max() > 245


def test_what_is_written_without_transparency_is_shown_so(disc: NDArray[np.uint8]) -> None:
    corner = np.asarray(shown(disc, format="jpg").convert("RGBA"))[0, 0]
    assert corner[3] == 255
    assert corner[:3].min() > 245  # JPEG is written on white
    red = np.asarray(shown(disc, background="#ff0000").convert("RGBA"))[0, 0]
    assert tuple(red > 200) == (True, False, False, True)


def test_a_thumbnail_of_a_matte_is_grey(disc: NDArray[np.uint8]) -> None:
    pixels = np.asarray(shown(disc, only_mask=True).convert("RGB")).astype(int)
    assert np.abs(pixels[..., 0] - pixels[..., 2]).max() < 8


def test_a_zip_is_shown_as_the_cutout_that_it_holds(disc: NDArray[np.uint8]) -> None:
    encoded = Engine(Options(model="echo")).encoded(disc, format="zip")
    kept = dataclasses.replace(encoded, result=None, cached=True)  # as it comes out of a cache
    shown_fresh, shown_kept = (
        np.asarray(Image.open(io.BytesIO(thumbnail(one))).convert("RGBA"), np.int16)
        for one in (encoded, kept)
    )
    assert np.abs(shown_fresh[..., 3] - shown_kept[..., 3]).max() <= 8
    assert shown_kept[0, 0, 3] == 0
