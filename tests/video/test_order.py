from __future__ import annotations

from fractions import Fraction

import pytest

from cleancut import Options
from cleancut.errors import BadOption
from cleancut.video.options import VideoOptions
from cleancut.video.order import Part, VideoOrder


def test_an_order_survives_json() -> None:
    order = VideoOrder(
        source="a.mp4",
        target="b.webm",
        options=Options(model="echo", background="#fff"),
        video=VideoOptions(start="3"),
        rate="30000/1001",
        jobs=2,
        part=Part(3, 10, None),
    )
    assert VideoOrder.from_json(order.to_json()) == order
    plain = VideoOrder(source="a", target="b.webm")
    assert VideoOrder.from_json(plain.to_json()) == plain


@pytest.mark.parametrize(
    "changes",
    [
        {"source": ""},
        {"target": ""},
        {"jobs": 0},
        {"threads": 0},
        {"rate": "0"},
        {"rate": "x"},
        {"rate": "1/0"},
        {"part_s": 0.0},
        {"options": Options(crop=True)},
    ],
)
def test_wrong_values_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        VideoOrder(**{"source": "a", "target": "b.webm", **changes})  # type: ignore[arg-type]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(BadOption, match="unknown field"):
        VideoOrder.from_json('{"source":"a","target":"b.webm","options":{},"video":{},"who":1}')


def test_a_rate_may_be_a_fraction() -> None:
    rate = VideoOrder(source="a", target="b.webm", rate="30000/1001").frame_rate()
    assert rate == Fraction(30000, 1001)
