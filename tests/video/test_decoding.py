"""Spans are exact, times are the source's, broken pieces are told."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from cleancut.video.reading import open_video
from tests.video.clips import HEIGHT, WIDTH, X264, mark, marks, picture, write_clip

X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=8:open-gop=1:bframes=3"}
OPEN = {"preset": "veryfast", "x264-params": "keyint=8:open-gop=1:bframes=3:scenecut=0"}
REFRESH = {"preset": "veryfast", "x264-params": "keyint=12:intra-refresh=1"}
INTERLACED = {"preset": "veryfast", "x264-params": "keyint=8:interlaced=1:tff=1"}
FAST = {"g": "8", "deadline": "realtime", "cpu-used": "8"}
GOP = {"g": "8", "bf": "2"}
VARIABLE = [sum((1, 2, 3, 7, 30)[i * i % 5] for i in range(number)) for number in range(41)][1:]

KINDS: dict[str, dict[str, Any]] = {
    "a.mp4": {},
    "open.mp4": {"options": OPEN},
    "open.mkv": {"options": OPEN},
    "open.ts": {"options": OPEN},
    "refresh.mp4": {"options": REFRESH},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "hevc.ts": {"codec": "libx265", "options": X265},
    "a.avi": {"codec": "mpeg4", "options": GOP},
    "h264.avi": {"options": X264},
    "a.mpg": {"codec": "mpeg2video", "options": GOP},
    "mpeg2.ts": {"codec": "mpeg2video", "options": GOP},
    "a.flv": {"codec": "flv1", "options": {"g": "8"}},
    "a.wmv": {"codec": "wmv2", "options": {"g": "8"}},
    "a.mxf": {"codec": "mpeg2video", "options": GOP},
    "a.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "format_": "mjpeg"},
    "a.ivf": {"codec": "libvpx-vp9", "options": FAST},
    "a.webm": {"codec": "libvpx-vp9", "options": FAST},
    "raw.h264": {"options": X264, "format_": "h264"},
    "variable.mp4": {"times": VARIABLE, "time_base": Fraction(1, 90)},
    "variable.mkv": {"times": VARIABLE, "time_base": Fraction(1, 1000)},
    "fields.mkv": {"options": INTERLACED},
}


@pytest.mark.parametrize("name", KINDS)
def test_spans_together_are_the_whole_to_the_bit(name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / name, count=40, **KINDS[name])
    with open_video(clip) as reader:
        whole = marks(reader)
        times = [pts for pts, *_ in whole]
        assert len(whole) == 40
        assert all(after > before for before, after in pairwise(times))
        cuts = [None, times[3], times[9] + 1, times[17], times[18], times[33], None]
        parts = [mark for start, stop in pairwise(cuts) for mark in marks(reader, start, stop)]
        assert parts == whole
        assert marks(reader, times[-1] + 1) == []
        assert marks(reader, times[5], times[5]) == []


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", count=40, **KINDS["variable.mkv"])
    with open_video(clip) as reader:
        frames = list(reader.frames())
        assert reader.info.time_base == Fraction(1, 1000)
        assert [frame.pts for frame in frames] == VARIABLE
        assert reader.info.start_pts == VARIABLE[0]
        lengths = [after - before for before, after in pairwise(VARIABLE)]
        assert [frame.duration for frame in frames[:-1]] == lengths


def test_two_iterators_of_one_reader_do_not_disturb_each_other(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "a.mp4", count=20)) as reader:
        whole = marks(reader)
        pairs = list(zip(reader.frames(), reader.frames(whole[8][0]), strict=False))
        assert [mark(one) for one, _ in pairs] == whole[:12]
        assert [mark(other) for _, other in pairs] == whole[8:]


def test_a_stream_without_times_is_counted_and_says_so(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "a.h264", format_="h264")) as reader:
        assert [frame.pts for frame in reader.frames()] == list(range(10))
        assert not reader.info.seekable
        assert any(note.startswith("timestamps:") for note in reader.notes)


def test_joined_transport_streams_are_read_to_the_end_from_anywhere(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "a.ts", count=40).read_bytes()
    (tmp_path / "b.ts").write_bytes(data + data)
    with open_video(tmp_path / "a.ts") as reader:
        assert reader.info.seekable
    with open_video(tmp_path / "b.ts") as reader:
        assert not reader.info.seekable
        whole = marks(reader)
        assert len(whole) == 80
        assert [mark[0] for mark in whole] == sorted({mark[0] for mark in whole})
        assert marks(reader, whole[45][0]) == whole[45:]
        assert any(note.startswith("timestamps:") for note in reader.notes)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_what_is_there_of_a_cut_off_file_is_read(name: str, tmp_path: Path) -> None:
    front = {"movflags": "faststart"} if name == "a.mp4" else {}
    clip = write_clip(tmp_path / name, count=80, container=front)
    with open_video(clip) as reader:
        whole = marks(reader)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with open_video(clip) as reader:
        found = marks(reader)
        assert 8 < len(found) < 75
        assert found[:8] == whole[:8]
        if name != "a.ts":  # it has no place that says how long it should be
            assert any(note.startswith("truncated:") for note in reader.notes)


def test_broken_packets_are_left_out_and_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", count=80)
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    clip.write_bytes(data)
    with open_video(clip) as reader:
        assert 20 < len(marks(reader)) <= 80
        assert any(note.startswith("damaged:") for note in reader.notes)


def test_notes_are_told_of_a_span_that_was_not_read_to_its_end(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", count=80)
    data = bytearray(clip.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    clip.write_bytes(data)
    with open_video(clip) as reader:
        count = len(marks(reader))
    with open_video(clip) as reader:
        frames = reader.frames()
        for _ in range(count - 1):
            next(frames)
        assert any(note.startswith("damaged:") for note in reader.notes)


def test_fields_are_made_whole_frames(tmp_path: Path) -> None:
    def comb(number: int) -> av.VideoFrame:
        rows = picture(number)[..., :3].copy()
        rows[1::2] = picture(number + 8)[1::2, :, :3]
        return av.VideoFrame.from_ndarray(rows, "rgb24")

    clip = write_clip(tmp_path / "a.mkv", options=INTERLACED | {"crf": "4"}, source=comb, count=12)
    with open_video(clip) as reader:
        frames = list(reader.frames())
        assert any(note.startswith("interlaced:") for note in reader.info.notes)
    assert [frame.pts for frame in frames] == [number * 40 for number in range(12)]
    red = frames[6].rgb[8:-8, :40, 0].astype(int)
    assert abs(red[1::2] - red[::2]).mean() < 12  # 40 apart as they were filmed


def test_frames_that_change_their_size_are_scaled_to_the_first(tmp_path: Path) -> None:
    parts = [
        write_clip(tmp_path / "a.h264", format_="h264").read_bytes(),
        write_clip(tmp_path / "b.h264", format_="h264", size=(96, 80)).read_bytes(),
    ]
    joined = tmp_path / "c.h264"
    joined.write_bytes(b"".join(parts))
    with open_video(joined) as reader:
        frames = list(reader.frames())
        assert len(frames) == 20
        assert {frame.rgb.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
        assert any(note.startswith("size_change:") for note in reader.notes)
    assert abs(frames[12].rgb.astype(int).mean() - picture(2, 96, 80)[..., :3].mean()) < 3
