from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cleancut.backends import select
from cleancut.catalog import Recipe, custom, find
from cleancut.errors import BackendUnavailable, WeightsMissing
from cleancut.models import load as loading
from cleancut.models.echo import SPEC, EchoModel
from cleancut.models.load import Placing, load
from tests.backends.graphs import conv


def test_echo_needs_no_weights_and_answers_with_luminance() -> None:
    model = load(SPEC)
    assert isinstance(model, EchoModel)
    picture = np.zeros((500, 300, 3), np.uint8)
    picture[..., 1] = 255
    alpha = model.predict(picture).alpha
    assert max(alpha.shape) == 256
    assert alpha.max() == pytest.approx(0.7152, abs=1e-4)


def test_only_the_wanted_output_is_computed(tmp_path: Path) -> None:
    spec = custom(conv(tmp_path / "net.onnx"), {"size": 16, "output": "alpha"})
    session = loading.open_session(spec, Placing(backend="ort"))
    assert list(session.outputs) == ["alpha"]
    first = replace(spec, recipe=Recipe(size=(16, 16)))
    assert list(loading.open_session(first, Placing(backend="ort")).outputs) == ["alpha"]


def test_an_unknown_family_is_told(tmp_path: Path) -> None:
    spec = replace(custom(conv(tmp_path / "net.onnx")), family="diffusion")
    with pytest.raises(BackendUnavailable, match="diffusion"):
        load(spec, Placing(backend="ort"))


def test_weights_that_are_not_here_name_the_command() -> None:
    with pytest.raises(WeightsMissing) as caught:
        load(find("silueta"))
    assert caught.value.hint == "run: cleancut models pull silueta"


def test_a_clear_expectation_is_not_measured_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first picture must not wait ten seconds to learn that bf16 is twice as fast."""
    probed: list[bool] = []
    real = select.open_best

    def recorded(*args, probe, candidates, **rest):  # type: ignore[no-untyped-def]
        probed.append(probe)  # and opened where every processor can: this one may have no bf16
        plain = [one for one in candidates if one.precision == "f32"]
        return real(*args, probe=False, candidates=plain, **rest)

    monkeypatch.setattr(select, "open_best", recorded)
    monkeypatch.setattr("cleancut.backends.machine.has_bf16", lambda: True)
    spec = replace(custom(conv(tmp_path / "net.onnx"), {"size": 16}), bf16=True)
    loading.open_session(spec, Placing())
    loading.open_session(spec, Placing(measure=True))
    loading.open_session(replace(spec, bf16=False), Placing())
    assert probed == [False, True, True]
