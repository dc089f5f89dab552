"""GIF, APNG and animated WebP: every frame, its time, its transparency, how often it repeats."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleancut.errors import ImageTooLarge, UnreadableVideo
from cleancut.video import animation_in
from cleancut.video.animation_scan import scan
from cleancut.video.reading import open_video
from tests.video.clips import marks, picture

COUNT = 6
DURATIONS = [100, 50, 200, 40, 120, 300]


def images(*, alpha: bool = True, palette: bool = False) -> list[Image.Image]:
    found = [Image.fromarray(picture(number)) for number in range(COUNT)]
    if not alpha:
        found = [image.convert("RGB") for image in found]
    return [image.quantize(64) for image in found] if palette else found


def save(path: Path, frames: list[Image.Image], **more: Any) -> Path:
    settings = {"save_all": True, "append_images": frames[1:], "duration": DURATIONS} | more
    frames[0].save(path, **settings)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_lossless_animations_come_back_to_the_bit(name: str, tmp_path: Path) -> None:
    more = {"lossless": True, "exact": True} if name == "a.webp" else {}
    path = save(tmp_path / name, images(), loop=3, **more)
    with open_video(path) as reader:
        frames = list(reader.frames())
        info = reader.info
    assert (info.kind, info.frames, info.repeats, info.has_alpha) == ("animation", COUNT, 3, True)
    assert [frame.duration * info.time_base * 1000 for frame in frames] == DURATIONS  # type: ignore[operator]
    assert [info.seconds(frame.pts) for frame in frames][:3] == [0, 0.1, 0.15]
    assert info.duration_s == pytest.approx(0.81)
    for number, frame in enumerate(frames):
        true = picture(number)
        assert frame.alpha is not None
        assert np.array_equal(np.rint(frame.alpha * 255), true[..., 3])
        assert np.array_equal(frame.rgb[true[..., 3] > 0], true[..., :3][true[..., 3] > 0])


def test_a_gif_keeps_times_transparency_and_repeats(tmp_path: Path) -> None:
    frames_in = [picture(number) for number in range(COUNT)]
    for number, pixels in enumerate(frames_in):
        pixels[..., 3] = np.where(np.arange(64) > 20 + number, 255, 0)
    path = save(tmp_path / "a.gif", list(map(Image.fromarray, frames_in)), loop=2, disposal=2)
    with open_video(path) as reader:
        frames = list(reader.frames())
        info = reader.info
    assert (info.time_base, info.repeats) == (Fraction(1, 100), 3)
    assert [frame.duration for frame in frames] == [d // 10 for d in DURATIONS]
    assert info.has_alpha
    for number, frame in enumerate(frames):
        assert frame.alpha is not None
        assert np.array_equal(np.rint(frame.alpha * 255), frames_in[number][..., 3])


def test_frames_of_a_gif_are_laid_over_those_before_them(tmp_path: Path) -> None:
    ground = Image.new("RGB", (64, 48), (200, 30, 30))
    second = ground.copy()
    second.paste((20, 200, 20), (10, 10, 20, 20))
    third = second.copy()
    third.paste((20, 20, 200), (30, 30, 40, 40))
    path = save(tmp_path / "a.gif", [ground, second, third], duration=50)
    with open_video(path) as reader:
        last = list(reader.frames())[-1]
        assert not reader.info.has_alpha
        assert reader.info.repeats == 1
    assert last.alpha is None
    assert np.array_equal(last.rgb, np.asarray(third))


def test_spans_and_second_readings(tmp_path: Path) -> None:
    with open_video(save(tmp_path / "a.png", images())) as reader:
        whole = marks(reader)
        middle = whole[3][0]
        assert marks(reader, None, middle) + marks(reader, middle) == whole
        assert not reader.info.seekable


def test_haste_is_slowed_as_browsers_do(tmp_path: Path) -> None:
    with open_video(save(tmp_path / "a.gif", images(), duration=10)) as reader:
        assert {frame.duration for frame in reader.frames()} == {10}
        assert any(note.startswith("hasty_frames:") for note in reader.notes)


def test_exact_fractions_of_an_apng_are_kept(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", images())
    data = bytearray(path.read_bytes())
    at = 8
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if name == b"fcTL":
            struct.pack_into(">HH", data, at + 8 + 20, 1001, 30000)
            crc = zlib.crc32(data[at + 4 : at + 8 + size])
            struct.pack_into(">I", data, at + 8 + size, crc)
        at += size + 12
    path.write_bytes(data)
    found = scan(path)
    assert found is not None
    assert {duration * found.time_base for duration in found.durations} == {Fraction(1001, 30000)}


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.jpg"])
def test_a_still_picture_is_sent_to_cut(name: str, tmp_path: Path) -> None:
    Image.fromarray(picture(0)).convert("RGB").save(tmp_path / name)
    with pytest.raises(UnreadableVideo, match="is a picture") as caught:
        open_video(tmp_path / name)
    assert caught.value.hint == f"run: cleancut cut {tmp_path / name}"


def test_one_frame_that_is_meant_to_move_is_a_video(tmp_path: Path) -> None:
    images()[0].save(tmp_path / "a.gif", save_all=True, append_images=[], duration=100, loop=0)
    with open_video(tmp_path / "a.gif") as reader:
        assert [frame.duration for frame in reader.frames()] == [10]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_a_cut_off_animation_gives_what_is_there(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / name, images())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    try:
        with open_video(path) as reader:
            found = list(reader.frames())
            assert 1 <= len(found) < COUNT
            assert any(note.startswith("truncated:") for note in reader.notes)
    except UnreadableVideo:
        assert name == "a.webp"  # libwebp wants the whole of it
    path.write_bytes(data[:60])
    with pytest.raises(UnreadableVideo):
        open_video(path)


def test_bombs_are_refused_before_a_frame_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.gif", images())
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH", data, 6, 60000, 60000)
    path.write_bytes(data)
    with pytest.raises(ImageTooLarge):
        open_video(path)
    path = save(tmp_path / "b.png", images())
    monkeypatch.setattr(animation_in, "_MOST_FRAMES", COUNT - 1)
    with pytest.raises(ImageTooLarge, match="more than an animation may have"):
        open_video(path, max_megapixels=64 * 48 / 1e6)
