from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cleancut.backends.fake import FakeSession
from cleancut.catalog import Recipe, find
from cleancut.errors import InferenceFailed
from cleancut.models.saliency import SaliencyModel

SMALL = replace(find("isnet"), recipe=Recipe(size=(8, 12)))


def _session(output, *, outputs=("matte",), inputs=("picture",)):  # type: ignore[no-untyped-def]
    return FakeSession(
        lambda feeds: dict.fromkeys(outputs, output),
        inputs=dict.fromkeys(inputs, (1, 3, 8, 12)),
        outputs=list(outputs),
    )


def test_state_is_handed_back_untouched() -> None:
    model = SaliencyModel(SMALL, _session(np.full((1, 1, 8, 12), 0.25, np.float32)))
    memory = {"r1i": np.ones(1, np.float32)}
    prediction = model.predict(np.zeros((20, 30, 3), np.uint8), memory)
    assert prediction.state is memory
    assert prediction.alpha.shape == (8, 12)
    assert (prediction.alpha == 0.25).all()


def test_the_first_output_is_taken_unless_the_recipe_names_one() -> None:
    both = _session(np.ones((1, 1, 8, 12), np.float32), outputs=("first", "second"))
    assert SaliencyModel(SMALL, both)._output == "first"
    named = replace(SMALL, recipe=replace(SMALL.recipe, output="second"))
    assert SaliencyModel(named, both)._output == "second"
    with pytest.raises(InferenceFailed, match="third"):
        SaliencyModel(replace(SMALL, recipe=replace(SMALL.recipe, output="third")), both)


def test_a_network_with_two_inputs_is_refused() -> None:
    session = _session(np.ones((1, 1, 8, 12), np.float32), inputs=("picture", "trimap"))
    with pytest.raises(InferenceFailed, match="picture, trimap"):
        SaliencyModel(SMALL, session)


def test_class_scores_are_probabilities() -> None:
    scores = np.stack([np.zeros((8, 12)), np.ones((8, 12)), np.full((8, 12), 2.0)])[None]
    model = SaliencyModel(SMALL, _session(scores.astype(np.float32)))
    probabilities = model.class_scores(np.zeros((8, 12, 3), np.uint8))
    assert probabilities.shape == (3, 8, 12)
    assert np.allclose(probabilities.sum(axis=0), 1)
    assert probabilities[2, 0, 0] == pytest.approx(np.exp(2) / (1 + np.e + np.exp(2)), rel=1e-5)
