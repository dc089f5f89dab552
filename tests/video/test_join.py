from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cleancut.errors import OutputNotWritable
from cleancut.options import Options
from cleancut.video.form import output_form
from cleancut.video.join import join
from cleancut.video.options import VideoOptions
from cleancut.video.part import append_facts, read_facts
from tests.video.written import GREEN, INFO, PTS, back, frames, seconds, written

FORMS = [
    ("a.webm", Options(), {}),
    ("a.mov", Options(), {}),
    ("a.mkv", Options(), {}),
    ("a.mp4", GREEN, {}),
    ("a.mkv", GREEN, {"codec": "h265"}),
    ("a.apng", Options(), {}),
    ("a.webp", Options(quality=100), {}),
]


@pytest.mark.parametrize(("name", "options", "video"), FORMS)
def test_three_parts_are_one(
    tmp_path: Path, name: str, options: Options, video: dict[str, str]
) -> None:
    whole = tmp_path / f"whole{Path(name).suffix}"
    options = options if options.quality == 100 else options.with_(quality=95)
    written(whole, options=options, **video)
    written(tmp_path / name, cuts=(3, 8), options=options, **video)

    one, expected = back(whole)
    three, read = back(tmp_path / name)

    assert np.array_equal(seconds(three, read), seconds(one, expected))
    assert [frame.duration for frame in read] == [frame.duration for frame in expected]
    for frame, original in zip(read, expected, strict=True):
        off = np.abs(frame.rgb.astype(int) - original.rgb)
        if original.alpha is not None:
            assert frame.alpha is not None
            assert np.abs(frame.alpha - original.alpha).max() < 0.05
            off = off[original.alpha > 0.95]
        assert off.mean() < 2.5


def test_decoded_frames_do_not_depend_on_where_lossless_parts_end(tmp_path: Path) -> None:
    written(tmp_path / "a.mkv")
    written(tmp_path / "b.mkv", cuts=(1, 2, 9))

    for one, other in zip(back(tmp_path / "a.mkv")[1], back(tmp_path / "b.mkv")[1], strict=True):
        assert one.pts == other.pts
        assert np.array_equal(one.rgb, other.rgb)
        assert one.alpha is not None
        assert other.alpha is not None
        assert np.array_equal(one.alpha, other.alpha)


def test_a_later_start_becomes_zero(tmp_path: Path) -> None:
    late = [replace(frame, pts=frame.pts + 10**12 - 7) for frame in frames(alpha=False)]
    written(tmp_path / "a.mp4", late, info=replace(INFO, start_pts=10**12 - 7), options=GREEN)

    _, read = back(tmp_path / "a.mp4")

    assert read[0].pts == 0
    assert [frame.pts for frame in read] == list(PTS)


def test_parts_keep_times_that_matroska_cannot(tmp_path: Path) -> None:
    shown = [replace(frame, pts=frame.pts - 5000) for frame in frames(alpha=False)]
    written(tmp_path / "a.mov", shown, cuts=(4,), options=GREEN)

    assert [frame.pts for frame in back(tmp_path / "a.mov")[1]] == list(PTS)


def test_b_frames_come_out_in_order(tmp_path: Path) -> None:
    options = GREEN.with_(compress="small")
    written(tmp_path / "a.mp4", cuts=(5,), options=options)
    written(tmp_path / "a.mkv", cuts=(5,), options=options)

    assert [frame.pts for frame in back(tmp_path / "a.mp4")[1]] == list(PTS)
    info, read = back(tmp_path / "a.mkv")
    assert np.abs(seconds(info, read) - np.array(PTS) / 90000).max() <= 0.0006


def test_parts_that_are_cut_off_are_not_used(tmp_path: Path) -> None:
    written(tmp_path / "a.webm")
    part = tmp_path / "parts" / "0.mkv"
    part.write_bytes(part.read_bytes()[:-40])
    form = output_form("a.webm", VideoOptions(), Options(), INFO)
    before = (tmp_path / "a.webm").read_bytes()

    with pytest.raises(OutputNotWritable) as caught:
        join(
            [part],
            tmp_path / "a.webm",
            source="",
            info=INFO,
            form=form,
            video=VideoOptions(),
            span=None,
        )

    assert "--fresh" in caught.value.hint
    assert (tmp_path / "a.webm").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.webm", "parts"]


def test_parts_whose_packets_are_not_those_of_their_report_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.webm")
    part = tmp_path / "parts" / "0.mkv"
    facts = read_facts(part)
    facts.ticks, facts.durations = facts.ticks[:-1], facts.durations[:-1]
    append_facts(part, facts)
    form = output_form("a.webm", VideoOptions(), Options(), INFO)

    with pytest.raises(OutputNotWritable, match="--fresh"):
        join(
            [part],
            tmp_path / "b.webm",
            source="",
            info=INFO,
            form=form,
            video=VideoOptions(),
            span=None,
        )

    assert not (tmp_path / "b.webm").exists()


def test_parts_of_another_size_are_refused(tmp_path: Path) -> None:
    form = output_form("a.mp4", VideoOptions(), GREEN, INFO)
    written(tmp_path / "a.mp4", options=GREEN)
    one = (tmp_path / "parts" / "0.mkv").rename(tmp_path / "one.mkv")
    written(tmp_path / "a.mp4", frames(alpha=False, size=(32, 32)), options=GREEN)
    parts = [one, tmp_path / "parts" / "0.mkv"]

    with pytest.raises(OutputNotWritable, match="encoded differently"):
        join(
            parts,
            tmp_path / "b.mp4",
            source="",
            info=INFO,
            form=form,
            video=VideoOptions(),
            span=None,
        )

    assert not (tmp_path / "b.mp4").exists()


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "a.webm")
    before = (tmp_path / "a.webm").read_bytes()

    with pytest.raises(OutputNotWritable, match="input itself"):
        written(tmp_path / "a.webm", source=str(tmp_path / "a.webm"))

    assert (tmp_path / "a.webm").read_bytes() == before


def test_a_replaced_target_keeps_its_permissions_and_its_link(tmp_path: Path) -> None:
    real = tmp_path / "real.webm"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "a.webm").symlink_to(real)
    written(tmp_path / "a.webm")

    assert (tmp_path / "a.webm").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert len(back(real)[1]) == len(PTS)


def test_facts_behind_a_part_hold_what_matroska_does_not(tmp_path: Path) -> None:
    shown = [replace(f, pts=f.pts + 77, duration=number) for number, f in enumerate(frames())]
    written(tmp_path / "a.webm", shown)

    facts = read_facts(tmp_path / "parts" / "0.mkv")

    assert facts.start == 77
    assert facts.durations == list(range(len(PTS)))
    assert facts.ticks == list(PTS)
