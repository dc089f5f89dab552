from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cleancut.errors import OutputNotWritable
from cleancut.options import Options
from cleancut.video.form import output_form
from cleancut.video.frame import ColourTags, Frame
from cleancut.video.options import VideoOptions
from cleancut.video.stream_out import encoder_options
from cleancut.video.writing import open_writer
from tests.video.written import (
    GREEN,
    INFO,
    LAST,
    PTS,
    back,
    frames,
    seconds,
    tagged,
    written,
)

TIMES = np.array(PTS) / 90000
#: Target, options of the video, mean error of alpha and of visible colours (of 255), of times (s).
TRANSPARENT = [
    ("a.webm", {}, 0.6, 2.5, 0.0006),
    ("a.mkv", {"codec": "vp9"}, 0.6, 2.5, 0.0006),
    ("a.mov", {}, 0.6, 1.0, 0.0),
    ("a.mkv", {}, 0.26, 0.0, 0.0006),
]
OPAQUE = [
    ("a.mp4", {}, 2.5, 0.0),
    ("a.mp4", {"codec": "h265"}, 2.5, 0.0),
    ("a.mov", {}, 2.5, 0.0),
    ("a.mkv", {}, 2.5, 0.0006),
    ("a.webm", {}, 2.5, 0.0006),
    ("a.mov", {"codec": "prores"}, 1.5, 0.0),
    ("a.mkv", {"codec": "ffv1"}, 0.0, 0.0006),
]


@pytest.mark.parametrize(("name", "video", "alpha_off", "colour_off", "time_off"), TRANSPARENT)
def test_alpha_forms_are_read_back_frame_by_frame(
    tmp_path: Path,
    name: str,
    video: dict[str, str],
    alpha_off: float,
    colour_off: float,
    time_off: float,
) -> None:
    shown = frames()
    written(tmp_path / name, shown, options=Options(quality=95), **video)

    info, read = back(tmp_path / name)

    assert info.has_alpha
    assert len(read) == len(shown)
    assert np.abs(seconds(info, read) - TIMES).max() <= time_off
    for frame, original in zip(read, shown, strict=True):
        assert frame.alpha is not None
        assert original.alpha is not None
        assert np.abs(frame.alpha - original.alpha).mean() * 255 <= alpha_off
        seen = original.alpha > 0.95
        off = np.abs(frame.view.astype(int) - original.rgb)[seen].mean()
        assert off <= colour_off


@pytest.mark.parametrize(("name", "video", "colour_off", "time_off"), OPAQUE)
def test_opaque_forms_are_read_back_frame_by_frame(
    tmp_path: Path, name: str, video: dict[str, str], colour_off: float, time_off: float
) -> None:
    shown = frames(alpha=False)
    written(tmp_path / name, shown, options=GREEN.with_(quality=95), **video)

    info, read = back(tmp_path / name)

    assert not info.has_alpha
    assert np.abs(seconds(info, read) - TIMES).max() <= time_off
    for frame, original in zip(read, shown, strict=True):
        assert frame.alpha is None
        assert np.abs(frame.view.astype(int) - original.rgb).mean() <= colour_off


def test_the_last_frame_lasts_as_long_as_in_the_source(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", options=GREEN)

    assert back(tmp_path / "a.mp4")[1][-1].duration == LAST


@pytest.mark.parametrize("height", [480, 720])
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_colours_of_untagged_videos_come_back_within_two_steps(
    tmp_path: Path, name: str, height: int
) -> None:
    info = tagged(width=96, height=height)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 177, 64), (128, 128, 128), (9, 9, 9)]
    rgb = np.zeros((height, 96, 3), np.uint8)
    for number, colour in enumerate(colours):
        rgb[:, 16 * number : 16 * number + 16] = colour
    shown = [replace(frames(1, alpha=False)[0], rgb=rgb, view=rgb)]
    written(tmp_path / name, shown, info=info, options=GREEN.with_(quality=100))

    found, read = back(tmp_path / name)

    middles = read[0].rgb[height // 2, 8::16].astype(int)
    assert np.abs(middles - colours).max() <= 2
    assert found.colour.matrix == (1 if height == 720 else 6)


@pytest.mark.parametrize(
    "colour",
    [ColourTags(1, 1, 1), ColourTags(9, 14, 9), ColourTags(5, 6, 5), ColourTags(1, 13, 1, True)],
)
def test_colour_tags_are_kept(tmp_path: Path, colour: ColourTags) -> None:
    written(tmp_path / "a.mp4", info=tagged(colour=colour), options=GREEN.with_(quality=100))

    info, read = back(tmp_path / "a.mp4")

    assert info.colour == colour
    assert np.abs(read[0].rgb.astype(int) - frames()[0].rgb).mean() < 2.5


@pytest.mark.parametrize(
    ("name", "options", "video"),
    [
        ("a.mp4", GREEN, {}),
        ("a.mp4", GREEN, {"codec": "h265"}),
        ("a.mov", Options(), {}),
        ("a.mkv", Options(), {}),
        ("a.mkv", GREEN, {}),
        ("a.webm", Options(), {}),
        ("a.mkv", GREEN, {"codec": "vp9"}),
    ],
)
def test_sample_aspect_is_kept(
    tmp_path: Path, name: str, options: Options, video: dict[str, str]
) -> None:
    wide = tagged(sample_aspect=Fraction(3, 2))
    written(tmp_path / name, info=wide, options=options, **video)

    info, read = back(tmp_path / name)

    assert info.sample_aspect == Fraction(3, 2)
    assert (info.width, info.height, len(read)) == (64, 48, len(PTS))


@pytest.mark.parametrize(
    ("name", "video", "options", "off"),
    [
        ("a.mov", {}, Options(quality=100), 150),
        ("a.mkv", {}, Options(), 0),
        ("a.mp4", {"codec": "h265"}, GREEN.with_(quality=100), 600),
    ],
)
def test_depth_survives_where_the_codec_has_it(
    tmp_path: Path, name: str, video: dict[str, str], options: Options, off: int
) -> None:
    shown = frames(deep=True)
    written(tmp_path / name, shown, info=tagged(bits=10), options=options, **video)

    info, read = back(tmp_path / name)

    assert info.bits > 8
    seen = shown[0].alpha > 0.95  # type: ignore[operator]
    assert read[0].rgb.dtype == np.uint16
    assert np.abs(read[0].rgb.astype(int) - shown[0].rgb)[seen].mean() <= off


def test_hdr_becomes_its_view_in_eight_bits_and_stays_itself_in_ten(tmp_path: Path) -> None:
    pq = ColourTags(9, 16, 9)
    info = tagged(bits=10, colour=pq)
    shown = [
        replace(frame, view=np.full_like(frame.view, 90))
        for frame in frames(alpha=False, deep=True)
    ]
    notes = written(tmp_path / "a.mp4", shown, info=info, options=GREEN)
    written(tmp_path / "b.mp4", shown, info=info, options=GREEN, codec="h265")

    flat, seen = back(tmp_path / "a.mp4")
    deep, _ = back(tmp_path / "b.mp4")

    assert [note.split(":")[0] for note in notes] == ["tone_mapped"]
    assert flat.colour == ColourTags(1, 1, 1)
    assert np.abs(seen[0].rgb.astype(int) - 90).max() <= 2
    assert (deep.colour, deep.bits) == (pq, 10)


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("a.mp4", GREEN, (64, 48)),
        ("a.webm", Options(), (63, 47)),
        ("a.mov", Options(), (63, 47)),
        ("a.mkv", Options(), (63, 47)),
    ],
)
def test_odd_sizes_stay_or_gain_one_pixel_with_a_note(
    tmp_path: Path, name: str, options: Options, size: tuple[int, int]
) -> None:
    shown = frames(size=(63, 47))
    info = replace(INFO, width=63, height=47)
    notes = written(tmp_path / name, shown, info=info, options=options)

    found, read = back(tmp_path / name)

    assert (found.width, found.height) == size
    assert [note.split(":")[0] for note in notes] == (["padded"] if size == (64, 48) else [])
    assert np.abs(read[0].view[:47, :63].astype(int) - shown[0].rgb)[20:27, 28:36].mean() < 6


def test_soft_edges_have_no_fringe_over_white_or_black(tmp_path: Path) -> None:
    shown = frames()
    bright = [replace(f, rgb=np.full_like(f.rgb, (250, 120, 120))) for f in shown]
    written(tmp_path / "a.webm", bright, options=Options(quality=95))

    read = back(tmp_path / "a.webm")[1]

    for frame, original in zip(read, bright, strict=True):
        assert frame.alpha is not None
        assert original.alpha is not None
        soft = (original.alpha > 0.02) & (original.alpha < 0.98)
        for ground in (0, 255):
            error = _over(frame.rgb, frame.alpha, ground) - _over(
                original.rgb, original.alpha, ground
            )
            assert np.abs(error)[soft].mean() < 5


def _over(rgb: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    return np.asarray(rgb * alpha[..., None] + ground * (1 - alpha[..., None]), np.float64)


def test_a_single_frame_is_a_video(tmp_path: Path) -> None:
    for name, options in (("a.webm", Options()), ("a.mov", Options()), ("a.mp4", GREEN)):
        written(tmp_path / name, frames(1, alpha=options is not GREEN), options=options)

        assert len(back(tmp_path / name)[1]) == 1


def test_mp4_begins_with_its_index(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", options=GREEN)
    data = (tmp_path / "a.mp4").read_bytes()

    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_players_are_told_of_vp9s_alpha(tmp_path: Path) -> None:
    written(tmp_path / "a.webm")

    with av.open(str(tmp_path / "a.webm")) as container:
        assert container.streams.video[0].metadata["ALPHA_MODE"] == "1"


def test_an_aborted_part_leaves_nothing(tmp_path: Path) -> None:
    form = output_form("a.webm", VideoOptions(), Options(), INFO)
    writer = open_writer(tmp_path / "p.mkv", form, INFO, Options(), size=(64, 48))
    writer.write(frames(1)[0])
    writer.abort()
    writer.abort()
    writer.close()

    assert list(tmp_path.iterdir()) == []


def test_a_part_without_frames_is_no_part(tmp_path: Path) -> None:
    form = output_form("a.webm", VideoOptions(), Options(), INFO)
    writer = open_writer(tmp_path / "p.mkv", form, INFO, Options(), size=(64, 48))
    with pytest.raises(OutputNotWritable):
        writer.close()

    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    form = output_form("a.webm", VideoOptions(), Options(), INFO)
    with pytest.raises(OutputNotWritable, match="folder does not exist"):
        open_writer(tmp_path / "no" / "p.mkv", form, INFO, Options(), size=(64, 48))


_FULL = """
import resource, signal, sys
from pathlib import Path
from typing import Any
from tests.video.written import written
from cleancut.errors import OutputNotWritable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    written(Path(sys.argv[1]) / "a.mkv")
except OutputNotWritable as error:
    print(error.message)
print(sorted(p.name for p in Path(sys.argv[1]).rglob("*") if p.is_file()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_a_full_disk_is_said_in_its_own_words_and_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert "cannot be written" in ran.stdout
    assert "large" in ran.stdout
    assert ran.stdout.strip().endswith("[]")


@pytest.mark.parametrize("compress", ["fast", "small"])
def test_x264_works_without_what_differs_from_run_to_run(compress: Any) -> None:
    options = encoder_options("h264", Options(compress=compress), alpha=False)

    assert options["x264-params"] == "mbtree=0"


@pytest.mark.parametrize(
    ("name", "options"), [("a.mp4", GREEN), ("a.webm", Options()), ("a.mov", Options())]
)
def test_the_same_frames_become_the_same_packets(
    tmp_path: Path, name: str, options: Options
) -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (12, 200, 232, 3), np.uint8)
    alpha = None if options is GREEN else np.ones((200, 232), np.float32)
    shown = [Frame(pts, rgb, rgb, alpha) for pts, rgb in zip(PTS, noise, strict=False)]
    found = set()
    for _ in range(3):
        written(tmp_path / name, shown, options=options)
        with av.open(str(tmp_path / name)) as container:
            found.add(b"".join(bytes(packet) for packet in container.demux(video=0)))

    assert len(found) == 1
