from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import sources
from cleancut.errors import ImageTooLarge, InputNotFound
from cleancut.guidance import PICTURES, Guidance
from cleancut.imaging.adopt import from_array
from cleancut.options import parse_background


def test_every_kind_of_source_gives_the_same_pixels(
    disc: NDArray[np.uint8], tmp_path: Path
) -> None:
    place = tmp_path / "disc.png"
    Image.fromarray(disc).save(place)
    data = place.read_bytes()
    kinds = (place, str(place), data, memoryview(data), io.BytesIO(data), Image.open(place), disc)
    for source in (*kinds, from_array(disc)):
        assert np.array_equal(sources.read(source, max_megapixels=1).rgb, disc)
    assert [sources.is_file(source) for source in kinds] == [True] * 5 + [False] * 2


def test_limits_hold_for_every_kind(disc: NDArray[np.uint8]) -> None:
    held = io.BytesIO()
    Image.fromarray(disc).save(held, "PNG")
    for source in (disc, Image.fromarray(disc), held.getvalue()):
        with pytest.raises(ImageTooLarge):
            sources.read(source, max_megapixels=0.01)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_guidance_have_the_same_limits(name: str, disc: NDArray[np.uint8]) -> None:
    guidance = Guidance(**{name: disc})
    with pytest.raises(ImageTooLarge, match=f"--{name}"):
        sources.read_guidance(guidance, from_array(disc), max_megapixels=0.01)


def test_guidance_that_says_nothing_is_none(disc: NDArray[np.uint8]) -> None:
    picture = from_array(disc)
    assert sources.read_guidance(None, picture, max_megapixels=1) is None
    assert sources.read_guidance(Guidance(), picture, max_megapixels=1) is None


def test_a_background_is_named_where_it_is_missing() -> None:
    backdrops = sources.Backdrops()
    assert backdrops.read(None, 1) is None
    assert backdrops.read(parse_background("white"), 1) is None
    with pytest.raises(InputNotFound, match="--background"):
        backdrops.read(parse_background("nowhere.png"), 1)
