from __future__ import annotations

import pytest

from cleancut import Options
from cleancut.errors import BadOption
from cleancut.video.options import PICTURE_OPTIONS, VideoOptions, check_for_video, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        ("90.5", 90.5),
        (".25", 0.25),
        ("1:30", 90.0),
        ("90:00", 5400.0),
        ("01:02:03.25", 3723.25),
        (" 7 ", 7.0),
    ],
)
def test_times_are_seconds_or_clocks(text: str, seconds: float) -> None:
    assert parse_time(text, "start") == seconds


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1:60", "1:75:00", "1:2:3:4", "1e3", "١", "nan", "1:", ":", "1 30"]
)
def test_what_is_no_time_is_said_with_an_example(text: str) -> None:
    with pytest.raises(BadOption, match="--from") as caught:
        parse_time(text, "start")
    assert "1:30" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "10", "stop": "10"},
        {"start": "1:00", "stop": "0:30"},
        {"stop": "0"},
        {"matte_only": True, "side_by_side": True},
        {"engine": "image", "ratio": 0.5},
        {"engine": "best"},
        {"codec": "av1"},
        {"look_ahead": 9},
        {"ratio": 2.0},
        {"audio": "no"},
    ],
)
def test_contradictions_and_wrong_values_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        VideoOptions(**changes)  # type: ignore[arg-type]


def test_json_holds_what_was_changed_and_comes_back() -> None:
    options = VideoOptions(engine="image", start="1:00", audio=False)
    assert options.to_json() == '{"audio":false,"engine":"image","start":"1:00"}'
    assert VideoOptions.from_mapping({"start": "1:00"}).start_s == 60.0
    with pytest.raises(BadOption, match="unknown option"):
        VideoOptions.from_mapping({"colour": 1})


@pytest.mark.parametrize(
    "changes", [{"crop": True}, {"shadow": "keep"}, {"only_mask": True}, {"format": "png"}]
)
def test_options_of_pictures_are_refused_for_videos(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption, match="for pictures"):
        check_for_video(Options(**changes), VideoOptions())  # type: ignore[arg-type]


def test_a_matte_has_no_background() -> None:
    with pytest.raises(BadOption, match="--matte-only and --background"):
        check_for_video(Options(background="#fff"), VideoOptions(matte_only=True))


def test_options_that_a_video_shares_are_fields_of_options() -> None:
    known = set(Options.__dataclass_fields__)
    assert set(PICTURE_OPTIONS) <= known
