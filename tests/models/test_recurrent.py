from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from cleancut.backends.fake import FakeSession
from cleancut.catalog import catalog
from cleancut.errors import BadOption, InferenceFailed
from cleancut.models.recurrent import (
    CHANNELS,
    MEMORY,
    RecurrentModel,
    check_state,
    downsample_ratio,
    first_memory,
    small_size,
)

Feeds = Mapping[str, np.ndarray]
ROW = replace(catalog()["rvm"], path=None)


def remembered(feeds: Feeds) -> dict[str, np.ndarray]:
    return {f"{name}o": feeds[f"{name}i"] + 1 for name in MEMORY}


def matte_of(feeds: Feeds) -> dict[str, np.ndarray]:
    """Alpha is the red of the frame, and half of that in later frames; colours as they are."""
    source = feeds["src"]
    matte = np.zeros((1, 4, *source.shape[2:]), np.float32)
    matte[:, 3] = source[:, 0] * (0.5 if feeds["r1i"].any() else 1)
    return {"matte": matte, **remembered(feeds)}


def linear_of(feeds: Feeds) -> dict[str, np.ndarray]:
    shape = (1, 4, *feeds["src"].shape[2:])
    return {
        "A": np.full(shape, 0, np.float32),
        "b": np.full(shape, 0.25, np.float32),
        **remembered(feeds),
    }


def session(
    function: object = matte_of, outputs: tuple[str, ...] = ("matte",), size: tuple[int, int] = ()
) -> FakeSession:
    sides: dict[str, tuple[int | None, ...]] = dict.fromkeys(("src", *MEMORY), (None, None))
    if size:
        sides = {
            name: (size[0] >> level, size[1] >> level)
            for level, name in enumerate(("src", *MEMORY))
        }
    inputs = {"src": (1, 3, *sides["src"])}
    inputs |= {f"{name}i": (1, CHANNELS[name], *sides[name]) for name in MEMORY}
    return FakeSession(
        function,  # type: ignore[arg-type]
        inputs=inputs,
        outputs=[*outputs, *(f"{name}o" for name in MEMORY)],
    )


def picture(height: int = 90, width: int = 120) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, width // 2 :] = 255
    return frame


def test_the_matte_comes_at_the_size_of_the_frame() -> None:
    prediction = RecurrentModel(ROW, session()).predict(picture())
    assert prediction.alpha.shape == (90, 120)
    assert prediction.alpha[:, :50].max() < 0.01
    assert prediction.alpha[:, 70:].min() > 0.99
    assert prediction.foreground is not None
    assert prediction.foreground.dtype == np.uint8
    assert prediction.foreground.shape == (90, 120, 3)


def test_the_state_goes_from_frame_to_frame_and_is_not_changed() -> None:
    model = RecurrentModel(ROW, session())
    first = model.predict(picture())
    assert first.state is not None
    kept = {name: value.copy() for name, value in first.state.items()}
    second = model.predict(picture(), first.state)
    assert second.alpha[:, 70:].max() == pytest.approx(0.5, abs=0.01)
    assert all(np.array_equal(first.state[name], kept[name]) for name in kept)
    assert np.array_equal(model.predict(picture(), None).alpha, first.alpha)


def test_look_and_finish_are_predict_in_two_steps() -> None:
    model = RecurrentModel(ROW, session())
    coarse = model.look(picture())
    parts = model.finish(picture(), coarse)
    assert np.array_equal(parts.alpha, model.predict(picture()).alpha)
    assert parts.state is coarse.state


def test_a_learned_filter_is_only_applied_here() -> None:
    model = RecurrentModel(ROW, session(linear_of, ("A", "b")))
    prediction = model.predict(picture())
    assert np.allclose(prediction.alpha, 0.25)
    assert prediction.foreground is not None
    assert set(prediction.foreground.ravel()) == {64, 255}  # 0 + .25, and 1.25 clipped


@pytest.mark.parametrize(
    ("frame", "ratio"),
    [
        ((720, 1280), 0.375),
        ((1920, 1080), 0.25),
        ((2160, 3840), 0.125),
        ((720, 1080), 0.40825),
        ((512, 512), 1.0),
        ((1, 4000), 0.128),
    ],
)
def test_the_usual_ratio_is_the_published_one(frame: tuple[int, int], ratio: float) -> None:
    assert downsample_ratio(*frame) == pytest.approx(ratio, abs=1e-5)


@pytest.mark.parametrize(
    ("frame", "ratio", "small"),
    [
        ((720, 1280), 0.375, (272, 480)),
        ((720, 1080), 512 / 1080, (336, 512)),
        ((1080, 1920), 512 / 1920, (288, 512)),
        ((31, 17), 1.0, (32, 16)),
        ((1, 4000), 0.128, (16, 512)),
    ],
)
def test_the_network_sees_multiples_of_16(
    frame: tuple[int, int], ratio: float, small: tuple[int, int]
) -> None:
    assert small_size(*frame, ratio) == small


def test_the_ratio_is_that_of_the_copy_only() -> None:
    seen: list[tuple[int, ...]] = []

    def look(feeds: Feeds) -> dict[str, np.ndarray]:
        seen.append(feeds["src"].shape)
        return matte_of(feeds)

    model = RecurrentModel(ROW, session(look))
    frame = picture(480, 640)
    for one in (model, model.at_ratio(0.25), model, model.at_ratio(0.25).at_ratio(None)):
        one.predict(frame)
    default, quarter = (1, 3, 304, 416), (1, 3, 128, 160)
    assert seen == [default, quarter, default, default]


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.5])
def test_an_impossible_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(BadOption, match="ratio"):
        RecurrentModel(ROW, session()).at_ratio(ratio)


def test_a_state_of_another_size_is_refused() -> None:
    model = RecurrentModel(ROW, session())
    state = model.predict(picture(480, 640)).state
    with pytest.raises(InferenceFailed, match="another size") as caught:
        model.predict(picture(320, 640), state)
    assert "state=None" in caught.value.hint
    with pytest.raises(InferenceFailed, match="another size"):
        model.at_ratio(0.25).predict(picture(480, 640), state)


def test_an_empty_memory_has_the_shape_that_comes_back() -> None:
    memory = first_memory(96, 128)
    assert [memory[f"{name}i"].shape for name in MEMORY] == [
        (1, 16, 48, 64),
        (1, 20, 24, 32),
        (1, 40, 12, 16),
        (1, 64, 6, 8),
    ]
    check_state(memory, 96, 128)


def test_each_size_gets_one_session_of_its_own() -> None:
    opened: list[tuple[int, ...]] = []

    def reopen(shapes: Mapping[str, tuple[int, ...]]) -> FakeSession:
        opened.append(shapes["src"])
        return session(size=shapes["src"][2:])  # type: ignore[arg-type]

    model = RecurrentModel(ROW, session(size=(272, 480)), reopen)
    wide, square = picture(720, 1280), picture(640, 640)
    for frame in (wide, square, wide, square):
        assert model.predict(frame).alpha.shape == frame.shape[:2]
    model.at_ratio(0.5).predict(square)
    assert opened == [(1, 3, 352, 352), (1, 3, 320, 320)]


def test_nonsense_from_the_network_is_an_error() -> None:
    def broken(feeds: Feeds) -> dict[str, np.ndarray]:
        return matte_of(feeds) | {"matte": np.full((1, 4, 96, 128), np.nan, np.float32)}

    with pytest.raises(InferenceFailed, match="NaN"):
        RecurrentModel(ROW, session(broken)).predict(picture(96, 128))


@pytest.mark.parametrize("outputs", [("b",), ("A",), ("fgr", "pha")])
def test_a_graph_without_the_right_outputs_is_refused(outputs: tuple[str, ...]) -> None:
    with pytest.raises(InferenceFailed, match="has no output"):
        RecurrentModel(ROW, session(outputs=outputs))


def test_a_graph_without_memory_is_refused() -> None:
    bare = FakeSession(matte_of, inputs={"src": (1, 3, None, None)}, outputs=["matte"])
    with pytest.raises(InferenceFailed, match="has no input 'r1i'"):
        RecurrentModel(ROW, bare)
