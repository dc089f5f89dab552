from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cleancut.catalog import find
from cleancut.engine import Engine
from cleancut.errors import BadOption, LicenceRefused, WeightsMissing
from cleancut.models.base import Prediction
from cleancut.options import Options
from cleancut.panel import Panel
from cleancut.video import choose
from cleancut.video.choose import choose_matter
from cleancut.video.frame import VideoInfo
from cleancut.video.options import VideoOptions
from cleancut.video.recurrent_matter import RecurrentMatter
from cleancut.video.steady import ImageMatter
from tests.video.scenes import moving_disc

INFO = VideoInfo("stream", 128, 96, Fraction(1, 25))
SCENE = moving_disc(3)


class Sees:
    def __init__(self, name: str, matte: Any) -> None:
        self.spec, self.placement, self.matte = find(name), SimpleNamespace(), matte

    def predict(self, rgb: Any, state: Any = None) -> Prediction:
        return Prediction(self.matte, state={})


class Staff(Engine):
    """An engine whose networks see what the test wants; without ``image`` none is pulled."""

    def __init__(self, image: Any, recurrent: Any = None) -> None:
        super().__init__()
        self.image, self.recurrent = image, recurrent

    def panel_for(self, options: Options) -> tuple[Panel, tuple[str, ...]]:
        if self.image is None:
            raise WeightsMissing("no model is on this machine yet")
        return Panel(lambda: Sees("isnet", self.image)), ("auto_model: a note",)

    def model_for(self, options: Options) -> tuple[Any, tuple[str, ...]]:
        return Sees(options.model, self.recurrent), ()


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "is_pulled", lambda spec: True)
    monkeypatch.setattr(
        "cleancut.models.faces.load_faces", lambda *_: SimpleNamespace(find=lambda view: ())
    )


def chosen(staff: Engine, options: Options | None = None, **video: Any) -> tuple[Any, str]:
    matter, notes = choose_matter(
        staff, options or Options(), VideoOptions(**video), INFO, SCENE.frames
    )
    return matter, next(note for note in notes if note.startswith("engine: "))


def test_auto_is_an_image_model_where_rvm_is_not_pulled_and_says_how_to_get_it() -> None:
    matter, note = chosen(Staff(SCENE.truths[0]))
    assert isinstance(matter, ImageMatter)
    assert "cleancut models pull rvm" in note
    assert "GPL-3.0" in note


@pytest.mark.usefixtures("pulled")
def test_auto_is_rvm_where_it_finds_what_the_image_models_find() -> None:
    matter, note = chosen(Staff(SCENE.truths[0], SCENE.truths[0]))
    assert isinstance(matter, RecurrentMatter)
    assert note == "engine: rvm, since 3 of 3 sampled frames show people"


@pytest.mark.usefixtures("pulled")
def test_auto_is_an_image_model_where_rvm_sees_nothing() -> None:
    matter, note = chosen(Staff(SCENE.truths[0], np.zeros_like(SCENE.truths[0])))
    assert isinstance(matter, ImageMatter)
    assert "0 of 3" in note


@pytest.mark.usefixtures("pulled")
def test_a_face_needs_no_more_than_fair_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    part = SCENE.truths[0].copy()
    part[:40] = 0
    engine = Staff(SCENE.truths[0], part)
    assert isinstance(chosen(engine)[0], ImageMatter)
    monkeypatch.setattr(
        "cleancut.models.faces.load_faces", lambda *_: SimpleNamespace(find=lambda view: (1,))
    )
    assert isinstance(chosen(engine)[0], RecurrentMatter)


@pytest.mark.usefixtures("pulled")
def test_auto_without_any_image_model_is_rvm() -> None:
    matter, note = chosen(Staff(None, SCENE.truths[0]))
    assert isinstance(matter, RecurrentMatter)
    assert "only network" in note


@pytest.mark.usefixtures("pulled")
def test_commercial_only_refuses_rvm() -> None:
    only = Options(commercial_only=True)
    matter, note = chosen(Staff(SCENE.truths[0], SCENE.truths[0]), only)
    assert isinstance(matter, ImageMatter)
    assert "--commercial-only" in note
    with pytest.raises(LicenceRefused):
        chosen(Staff(SCENE.truths[0]), only, engine="rvm")


@pytest.mark.usefixtures("pulled")
def test_what_is_named_is_meant() -> None:
    engine = Staff(SCENE.truths[0], SCENE.truths[0])
    assert isinstance(chosen(engine, Options(model="u2netp"))[0], ImageMatter)
    assert isinstance(chosen(engine, engine="image")[0], ImageMatter)
    assert isinstance(chosen(engine, engine="rvm")[0], RecurrentMatter)
    assert isinstance(chosen(engine, Options(model="rvm"))[0], RecurrentMatter)


@pytest.mark.parametrize(("engine", "model"), [("rvm", "isnet"), ("image", "rvm")])
def test_engine_and_model_may_not_contradict_each_other(engine: str, model: str) -> None:
    with pytest.raises(BadOption, match=model):
        chosen(Staff(None), Options(model=model), engine=engine)


@pytest.mark.usefixtures("pulled")
def test_samples_too_small_to_tell_are_no_people() -> None:
    tiny = tuple(
        replace(frame, rgb=frame.rgb[:8, :8], view=frame.view[:8, :8]) for frame in SCENE.frames
    )
    engine = Staff(SCENE.truths[0], SCENE.truths[0])
    matter, _ = choose_matter(engine, Options(), VideoOptions(), INFO, tiny)
    assert isinstance(matter, ImageMatter)
