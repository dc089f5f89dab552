"""What is opened, what is refused and in which words; hostile files."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleancut.errors import CleancutError, ImageTooLarge, InputNotFound, NoVideoStream
from cleancut.errors import UnreadableVideo as Unreadable
from cleancut.video.reading import open_video
from tests.video.clips import write_clip

PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"
DASH = b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period/></MPD>"
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (bytes(5000), "nothing but zero bytes"),
        (np.random.default_rng(0).bytes(5000), "no video that can be read"),
        (b"Dear diary,\n" * 100, "text"),
        (PLAYLIST, "playlist"),
        (b"ffconcat version 1.0\nfile 'secret.mp4'\n", "playlist"),
        (DASH, "playlist"),
        (SDP, "text"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "is a picture"),
        (b"GIF89a\1\0\1\0\0\0\0", "cut off"),
        (struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0), "cut off"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8"])
def test_what_is_no_video_is_named(data: bytes, words: str, name: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "secret.mp4")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Unreadable, match=words) as caught:
        open_video(tmp_path / name)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "http://example.com/a.mp4",
        "https://example.com/a.mp4",
        "rtsp://example.com/a",
        "concat:secret.mp4|secret.mp4",
        "subfile:,,start,0,end,0,,:secret.mp4",
        "data:video/mp4;base64,AAAA",
        "pipe:0",
        "file:secret.mp4",
        "cache:secret.mp4",
        "nothing.mp4",
        "",
        "a\0b",
        os.devnull,
    ],
)
def test_only_files_are_opened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "secret.mp4")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputNotFound):
        open_video(name)


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not have")
@pytest.mark.parametrize("name", ["concat:a|b.mp4", "%05d.mp4", "a*b[1].mp4", "http:x.mp4"])
def test_a_file_may_have_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_clip(tmp_path / name).parent)
    with open_video(name) as reader:
        assert len(list(reader.frames())) == 10


def test_sound_alone_and_sound_with_a_cover_are_no_videos(tmp_path: Path) -> None:
    for cover in (False, True):
        path = tmp_path / f"{cover}.m4a"
        with av.open(str(path), "w", format="mp4") as file:
            sound = file.add_stream("aac", rate=8000)
            picture: Any = file.add_stream("mjpeg", rate=1) if cover else None
            if picture is not None:
                picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
                picture.disposition = 1 << 10
                file.mux(picture.encode(av.VideoFrame(64, 48, "yuvj420p")))
                file.mux(picture.encode(None))
            wave = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            wave.sample_rate, wave.pts = 8000, 0
            file.mux(sound.encode(wave))
            file.mux(sound.encode(None))
        with pytest.raises(NoVideoStream, match="cover" if cover else "no video"):
            open_video(path)


def test_tracks_are_listed_and_the_default_video_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        streams: list[Any] = [file.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream, size in zip(streams, (32, 64), strict=True):
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
        streams[0].disposition, streams[1].disposition = 0, 1
        sound = file.add_stream("aac", rate=8000)
        sound.metadata["language"] = "fin"
        for stream in streams:
            file.mux(stream.encode(av.VideoFrame(stream.width, stream.height, "yuv420p")))
            file.mux(stream.encode(None))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        wave.sample_rate, wave.pts = 8000, 0
        file.mux(sound.encode(wave))
        file.mux(sound.encode(None))
    with open_video(path) as reader:
        assert (reader.info.width, reader.info.height) == (64, 64)
        assert any(note.startswith("several_videos:") for note in reader.info.notes)
        (track,) = reader.info.tracks
        assert (track.index, track.kind, track.codec, track.language) == (2, "audio", "aac", "fin")


def test_what_a_container_says_is_known_before_the_first_frame(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "a.mp4", count=20)) as reader:
        info = reader.info
    assert (info.kind, info.codec, info.frames, info.rate) == ("stream", "h264", 20, Fraction(25))
    assert info.duration_s == pytest.approx(0.8)
    assert info.seekable
    assert info.notes == ()


def test_sizes_are_limited_before_a_frame_is_decoded(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", size=(400, 300), count=2)
    with pytest.raises(ImageTooLarge, match="400 x 300") as caught:
        open_video(clip, max_megapixels=0.1)
    assert "--max-megapixels" in caught.value.hint
    with open_video(clip, max_megapixels=0.12) as reader:
        assert len(list(reader.frames())) == 2
    y4m = tmp_path / "b.y4m"
    y4m.write_bytes(b"YUV4MPEG2 W60000 H60000 F25:1 C420\nFRAME\n" + bytes(5000))
    with pytest.raises((ImageTooLarge, Unreadable)):
        open_video(y4m)


def test_a_stream_that_grows_beyond_the_limit_ends_in_words(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.h264", format_="h264").read_bytes()
    large = write_clip(tmp_path / "b.h264", format_="h264", size=(800, 600)).read_bytes()
    joined = tmp_path / "c.h264"
    joined.write_bytes(small + large)
    with open_video(joined, max_megapixels=0.1) as reader:
        assert 7 <= len(list(reader.frames())) <= 10
        assert any(note.startswith("damaged:") for note in reader.notes)


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "a.mp4", count=1)) as reader:
        (frame,) = reader.frames()
    assert frame.duration == 512


def test_absurd_pixel_shapes_are_left_out_with_a_note(tmp_path: Path) -> None:
    def absurd(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(20)

    with open_video(write_clip(tmp_path / "a.mov", "png", "rgb24", setup=absurd)) as reader:
        assert reader.info.sample_aspect == 1
        assert any(note.startswith("aspect:") for note in reader.info.notes)


def test_a_closed_reader_gives_no_more_frames(tmp_path: Path) -> None:
    reader = open_video(write_clip(tmp_path / "a.mp4"))
    frames = reader.frames()
    next(frames)
    reader.close()
    assert list(frames) == []


FUZZ = """
import random, sys
from pathlib import Path
from cleancut.errors import CleancutError
from cleancut.video.reading import open_video

rounds, seed, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
dice = random.Random(seed)
files = [(path, path.read_bytes()) for path in sorted(folder.glob("seed*"))]
for number in range(rounds):
    path, data = files[number % len(files)]
    data = bytearray(data)
    reach = len(data) if dice.random() < 0.5 else min(len(data), 600)
    for _ in range(dice.choice((1, 2, 5, 30))):
        data[dice.randrange(reach)] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
    if dice.random() < 0.2:
        data = data[: dice.randrange(1, len(data))]
    broken = folder / ("x" + path.suffix)
    broken.write_bytes(data)
    try:
        with open_video(broken, max_megapixels=1) as reader:
            for count, frame in enumerate(reader.frames()):
                assert frame.rgb.shape == (reader.info.height, reader.info.width, 3)
                if count > 100:
                    break
            half = reader.info.start_pts + (reader.info.frames or 10) // 2
            next(reader.frames(half), None)
    except CleancutError:
        pass
    except BaseException:
        (folder / f"found{number}{path.suffix}").write_bytes(data)
        raise
print("done")
"""


def _fuzz(folder: Path, rounds: int, seed: int) -> None:
    write_clip(folder / "seed.mp4", count=12)
    write_clip(folder / "seed.mkv", count=12)
    write_clip(folder / "seed.ts", count=12)
    fast = {"deadline": "realtime", "cpu-used": "8"}
    write_clip(folder / "seed.webm", "libvpx-vp9", "yuva420p", options=fast, alpha=True, count=4)
    write_clip(folder / "seed.avi", "mpeg4", count=12)
    write_clip(folder / "seed.mov", "qtrle", "argb", alpha=True, count=4)
    write_clip(folder / "seed.gif", "gif", "rgb8", count=4)
    write_clip(folder / "seedp.png", "apng", "rgba", format_="apng", alpha=True, count=4)
    write_clip(folder / "seed.webp", "libwebp_anim", "yuva420p", alpha=True, count=4)
    script = folder / "fuzz.py"
    script.write_text(FUZZ)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), str(rounds), str(seed), str(folder)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert done.stderr == ""  # nor do FFmpeg's own lines come out
    assert done.stdout == "done\n"


def test_flipped_bytes_end_in_an_error_of_ours_or_a_video(tmp_path: Path) -> None:
    _fuzz(tmp_path, 180, seed=7)


@pytest.mark.slow
def test_many_flipped_bytes(tmp_path: Path) -> None:
    _fuzz(tmp_path, 4000, seed=11)


def test_errors_are_ours() -> None:
    assert issubclass(Unreadable, CleancutError)
    assert (Unreadable.kind, NoVideoStream.kind) == ("input", "input")
