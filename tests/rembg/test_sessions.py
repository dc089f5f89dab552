from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cleancut.rembg import Session, remove
from cleancut.rembg.faults import BadArgument

from .fakes import HALF, KnownModel, clothes, flat, halves, known


def test_predict_gives_masks_of_the_pictures_size() -> None:
    session = known(np.array([[1, HALF]]))
    masks = session.predict(Image.fromarray(flat(height=30, width=60)))
    assert [(mask.mode, mask.size) for mask in masks] == [("L", (60, 30))]
    mask = np.asarray(masks[0])
    assert mask[15, 0] == 255
    assert mask[15, 59] == pytest.approx(128, abs=12)


def test_predict_leaves_orientation_to_the_caller() -> None:
    image = Image.fromarray(flat())
    image.getexif()[0x0112] = 6
    image.info["exif"] = image.getexif().tobytes()
    session = known(halves())
    assert session.predict(image)[0].size == image.size
    assert "exif" in image.info
    turned = remove(image, session=session, only_mask=True)
    assert isinstance(turned, Image.Image)
    assert turned.size == image.size[::-1]


def test_masks_are_stretched_only_where_the_recipe_says_so() -> None:
    faint = halves(left=0.6, right=0.2)
    image = Image.fromarray(flat())
    stretched = np.asarray(known(faint, minmax=True).predict(image)[0])
    plain = np.asarray(known(faint).predict(image)[0])
    assert np.array_equal(stretched, np.where(halves() > 0, 255, 0))
    assert np.array_equal(plain, np.where(halves() > 0, 153, 51))


def test_a_subclass_that_changes_predict_is_asked() -> None:
    class Inverted(Session):
        def predict(self, img, *args, **kwargs):  # type: ignore[no-untyped-def]
            return [Image.eval(mask, lambda v: 255 - v) for mask in super().predict(img)]

    base = known(halves())
    session = Inverted("inverted", KnownModel(halves()), base.options)
    mask = remove(flat(), session=session, only_mask=True)
    assert np.array_equal(mask, np.where(halves() > 0, 0, 255))


def test_clothes_have_no_rims_of_another_class() -> None:
    # Between classes 1 and 3 rembg, which scales the numbers, finds class 2.
    found = np.full((768, 768), 1)
    found[:, 384:] = 3
    upper, lower, full = clothes(found).predict(Image.fromarray(flat(height=90, width=130)))
    assert not np.asarray(lower).any()
    total = np.asarray(upper).astype(int) + np.asarray(full)
    assert np.abs(total - 255).max() <= 1


@pytest.mark.parametrize("name", ["cc", "cloth_category"])
def test_one_kind_of_clothes_gives_one_mask(name: str) -> None:
    session = clothes(np.full((768, 768), 2))
    masks = session.predict(Image.fromarray(flat()), **{name: "lower"})
    assert len(masks) == 1
    assert np.asarray(masks[0]).min() == 255


def test_an_unknown_kind_of_clothes_is_refused() -> None:
    with pytest.raises(BadArgument, match="hat"):
        clothes(np.zeros((768, 768), int)).predict(Image.fromarray(flat()), cc="hat")
