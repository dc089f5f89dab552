from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from cleancut.video.frame import Frame, VideoInfo
from cleancut.video.reading import open_video
from cleancut.video.text_out import plain_text
from tests.video.written import GREEN, written

RATE = 48000
CLICKS = (0.5, 1.0, 1.5)


def loud(path: Path, codec: str, *, texts: str | None = None, late: int = 0) -> Path:
    """Two seconds at 25 frames a second, with a click every half second and, maybe, subtitles.

    ``late``: by how many frames the pictures begin after the sound.
    """
    packets: list[Any] = []
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        audio = container.add_stream(codec, rate=RATE, layout="stereo")
        audio.metadata["language"] = "fra"
        lines: Any = None
        if texts:
            lines = container.add_mux_stream(texts)
            lines.time_base = Fraction(1, 1000)
            lines.metadata["language"] = "deu"
            lines.disposition = Disposition.forced
        container.metadata["title"] = "Clicks"
        container.set_chapters(
            [
                {
                    "id": n,
                    "start": n,
                    "end": n + 1,
                    "time_base": Fraction(1),
                    "metadata": {"title": t},
                }
                for n, t in enumerate(("one", "two"))
            ]
        )
        for number in range(50):
            rgb = np.full((32, 32, 3), number * 5, np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number + late, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        packets += sound(audio)
        for number in range(2 if texts else 0):
            packet = av.Packet(f"Line {number} <i>é</i>".encode())
            packet.pts = packet.dts = 1000 * number + 200
            packet.duration, packet.time_base = 700, Fraction(1, 1000)
            packet.stream, packet.is_keyframe = lines, True
            packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def sound(stream: Any) -> list[Any]:
    wave = np.zeros((2, 2 * RATE), np.float32)
    for click in CLICKS:
        wave[:, int(click * RATE) : int(click * RATE) + 96] = 0.9
    resampler = av.AudioResampler(stream.codec_context.format.name, "stereo", RATE)
    packets = []
    for start in range(0, wave.shape[1], 1024):
        piece = np.ascontiguousarray(wave[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        for ready in resampler.resample(frame):
            packets += stream.encode(ready)
    return [*packets, *stream.encode(None)]


def clicks(path: Path) -> list[float]:
    """When the clicks are heard."""
    found: list[float] = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "stereo", RATE)
        for frame in container.decode(audio=0):
            assert frame.pts is not None
            start = float(frame.pts * frame.time_base)
            for ready in resampler.resample(frame):
                for place in np.flatnonzero(np.abs(ready.to_ndarray()[0]) > 0.3):
                    at = start + place / RATE
                    if not found or at - found[-1] > 0.2:
                        found.append(at)
                start += ready.samples / RATE
    return found


def taken(
    source: Path, target: Path, *, span: tuple[int, int] | None = None, **video: Any
) -> tuple[VideoInfo, tuple[str, ...]]:
    """Put green pictures in the place of the source's, all or frames of ``span``; the notes."""
    with open_video(str(source)) as reader:
        info = replace(reader.info, width=32, height=32)
        times = [frame.pts for frame in reader.frames()]
    chosen = times if span is None else times[span[0] : span[1]]
    rgb = np.full((32, 32, 3), 90, np.uint8)
    shown = [Frame(pts, rgb, rgb) for pts in chosen]
    edge = None if span is None else (chosen[0], times[span[1]])
    notes = written(target, shown, info=info, options=GREEN, source=str(source), span=edge, **video)
    with open_video(str(target)) as reader:
        return reader.info, notes


SOURCES = [
    ("s.mp4", "aac", "a.mp4", "aac"),
    ("s.mp4", "aac", "a.mov", "aac"),
    ("s.mp4", "aac", "a.mkv", "aac"),
    ("s.mp4", "aac", "a.webm", "opus"),
    ("s.mkv", "libopus", "a.webm", "opus"),
    ("s.mkv", "libopus", "a.mov", "aac"),
    ("s.mov", "pcm_s16le", "a.mov", "pcm_s16le"),
    ("s.mov", "pcm_s16le", "a.mp4", "aac"),
    ("s.ts", "aac", "a.mp4", "aac"),
]


@pytest.mark.parametrize(("source", "encoder", "target", "codec"), SOURCES)
def test_sound_comes_along_in_sync(
    tmp_path: Path, source: str, encoder: str, target: str, codec: str
) -> None:
    before = loud(tmp_path / source, encoder)
    info, notes = taken(before, tmp_path / target)

    assert [track.codec for track in info.tracks] == [codec]
    assert clicks(tmp_path / target) == pytest.approx(CLICKS, abs=0.003)
    copied = codec == ("opus" if encoder == "libopus" else encoder)
    assert [note.split(":")[0] for note in notes] == ([] if copied else ["sound_encoded"])


@pytest.mark.parametrize(("source", "encoder", "target", "codec"), SOURCES)
def test_sound_is_cut_to_the_span(
    tmp_path: Path, source: str, encoder: str, target: str, codec: str
) -> None:
    before = loud(tmp_path / source, encoder)
    taken(before, tmp_path / target, span=(20, 35))

    assert clicks(tmp_path / target) == pytest.approx([0.2], abs=0.003)
    with av.open(str(tmp_path / target)) as container:
        frames = list(container.decode(audio=0))
    assert frames[-1].time is not None
    assert frames[-1].time < 0.6


def test_pictures_that_begin_later_than_the_sound_still_do(tmp_path: Path) -> None:
    before = loud(tmp_path / "s.mp4", "aac", late=10)
    info, _ = taken(before, tmp_path / "a.mp4")

    assert info.start_pts * info.time_base == pytest.approx(0.4, abs=1e-3)
    assert clicks(tmp_path / "a.mp4") == pytest.approx(CLICKS, abs=0.003)


@pytest.mark.parametrize(
    ("target", "codec"), [("a.mkv", "subrip"), ("a.webm", "webvtt"), ("a.mp4", "mov_text")]
)
def test_subtitles_come_along(tmp_path: Path, target: str, codec: str) -> None:
    before = loud(tmp_path / "s.mkv", "aac", texts="subrip")
    info, notes = taken(before, tmp_path / target)

    assert [track.codec for track in info.tracks if track.kind == "subtitle"] == [codec]
    assert any(note.startswith("subtitles_rewritten") for note in notes) == (codec != "subrip")
    assert lines(tmp_path / target, codec) == [(0.2, 0.7, "Line 0 é"), (1.2, 0.7, "Line 1 é")]
    with av.open(str(tmp_path / target)) as container:
        track = container.streams.subtitles[0]
        assert track.language == "deu"
        assert target == "a.mp4" or track.disposition & Disposition.forced  # mp4 has no such flag


def test_subtitles_are_cut_to_the_span(tmp_path: Path) -> None:
    before = loud(tmp_path / "s.mkv", "aac", texts="subrip")
    for target, codec in (("a.mkv", "subrip"), ("a.webm", "webvtt")):
        taken(before, tmp_path / target, span=(20, 35))

        assert lines(tmp_path / target, codec) == [(0.0, 0.1, "Line 0 é"), (0.4, 0.2, "Line 1 é")]


def lines(path: Path, codec: str) -> list[tuple[float, float, str]]:
    found = []
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            text = plain_text(bytes(packet), codec) if packet.size else ""
            if text and packet.pts is not None:
                base = packet.time_base
                start, lasts = packet.pts * base, (packet.duration or 0) * base
                found.append((round(float(start), 3), round(float(lasts), 3), text))
    return found


def test_titles_chapters_and_languages_are_kept(tmp_path: Path) -> None:
    before = loud(tmp_path / "s.mkv", "aac")
    info, _ = taken(before, tmp_path / "a.mkv", span=(20, 45))

    assert info.tracks[0].language == "fra"
    with av.open(str(tmp_path / "a.mkv")) as container:
        chapters = [
            (float(c["start"] * (c["time_base"] or 0)), c["metadata"]["title"])
            for c in container.chapters()
        ]
        assert container.metadata["title"] == "Clicks"
    assert chapters == [(0.0, "one"), (pytest.approx(0.2, abs=1e-3), "two")]


def test_no_audio_means_none(tmp_path: Path) -> None:
    before = loud(tmp_path / "s.mp4", "aac")

    assert taken(before, tmp_path / "a.mp4", audio=False)[0].tracks == ()


def test_broken_sound_costs_a_note_and_not_the_video(tmp_path: Path) -> None:
    before = loud(tmp_path / "s.mkv", "aac")
    data = bytearray(before.read_bytes())
    with av.open(str(before)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size > 8]
    for packet in packets:
        start = data.index(packet)
        data[start : start + len(packet)] = b"\xff" * len(packet)
    before.write_bytes(data)

    info, notes = taken(before, tmp_path / "a.webm")

    assert (info.width, info.duration_s) == (32, pytest.approx(2, abs=0.1))
    assert any(note.startswith("sound_broken") for note in notes)


def test_a_source_that_is_gone_costs_the_sound_alone(tmp_path: Path) -> None:
    before = loud(tmp_path / "s.mp4", "aac")
    with open_video(str(before)) as reader:
        info = replace(reader.info, width=32, height=32)
    rgb = np.full((32, 32, 3), 90, np.uint8)
    notes = written(
        tmp_path / "a.mp4",
        [Frame(0, rgb, rgb)],
        info=info,
        options=GREEN,
        source=str(tmp_path / "gone.mp4"),
    )

    assert [note.split(":")[0] for note in notes] == ["no_sound"]


@pytest.mark.parametrize(
    ("codec", "body", "text"),
    [
        ("subrip", "<font color=red>A</font>\r\n <b>B</b>", "A\nB"),
        ("mov_text", b"\0\2Hi\0\0\0\x10styl", "Hi"),
        ("ass", r"0,0,Default,,0,0,0,,{\i1}Yes, you\N{\i0}too", "Yes, you\ntoo"),
        ("webvtt", "a < b & c", "a < b & c"),
        ("subrip", b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_plain_text_is_without_styles(codec: str, body: str | bytes, text: str) -> None:
    assert plain_text(body.encode() if isinstance(body, str) else body, codec) == text
