"""Colours against the formulas, depth, alpha, orientation."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cleancut.video.frame import ColourTags
from cleancut.video.pixels_in import PixelReader, enlarged, layout_of, tags_of
from cleancut.video.reading import open_video
from tests.video.clips import HEIGHT, WIDTH, picture, write_clip

#: Kr, Kb as BT.709, BT.601 and BT.2020 give them.
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
COLOURS = np.random.default_rng(3).random((6, 8, 3))
BLOCK = 16


def stored(matrix: int, full: bool, bits: int) -> NDArray[np.float64]:
    """Y, Cb, Cr of ``COLOURS`` by the definition of H.273."""
    red, blue = WEIGHTS[matrix]
    luma = COLOURS @ [red, 1 - red - blue, blue]
    cb = (COLOURS[..., 2] - luma) / (2 * (1 - blue))
    cr = (COLOURS[..., 0] - luma) / (2 * (1 - red))
    unit, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        planes = [luma * top, cb * top + 128 * unit, cr * top + 128 * unit]
    else:
        planes = [(16 + 219 * luma) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit]
    return np.clip(np.rint(planes), 0, top)


def frame_of(planes: list[NDArray[Any]], pix_fmt: str) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, values in zip(frame.planes, planes, strict=True):
        padded = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes())
    return frame


def blocks(values: NDArray[np.float64], size: tuple[int, int], bits: int) -> NDArray[Any]:
    grown = np.kron(values, np.ones(size))
    return grown.astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("pix_fmt", "bits", "chroma"),
    [
        ("yuv420p", 8, (8, 8)),
        ("yuv422p", 8, (16, 8)),
        ("yuv444p", 8, (16, 16)),
        ("yuv420p10le", 10, (8, 8)),
        ("yuv444p12le", 12, (16, 16)),
        ("yuv444p10be", 10, (16, 16)),
    ],
)
def test_colours_are_those_of_the_formulas(
    matrix: int, full: bool, pix_fmt: str, bits: int, chroma: tuple[int, int]
) -> None:
    luma, cb, cr = stored(matrix, full, bits)
    planes = [
        blocks(luma, (BLOCK, BLOCK), bits),
        blocks(cb, chroma, bits),
        blocks(cr, chroma, bits),
    ]
    if pix_fmt.endswith("be"):
        planes = [plane.byteswap() for plane in planes]
    frame = frame_of(planes, pix_fmt)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    rgb, alpha = PixelReader(layout_of(frame, tags_of(frame), "ffv1")[0]).read(frame)
    assert alpha is None
    assert rgb.dtype == (np.uint8 if bits == 8 else np.uint16)
    middles = rgb[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK] / np.iinfo(rgb.dtype).max
    # Stored values are rounded, and chroma weighs up to 1.9.
    assert abs(middles - COLOURS).max() < (2.5 / 255 if bits == 8 else 2.6 / 2**bits)


@pytest.mark.parametrize(
    ("height", "primaries", "transfer", "expected"),
    [(480, 2, 2, 5), (720, 2, 2, 1), (1080, 9, 2, 9), (480, 2, 16, 9)],
)
def test_an_unnamed_matrix_goes_by_the_size(
    height: int, primaries: int, transfer: int, expected: int
) -> None:
    frame = av.VideoFrame(16, height, "yuv420p")
    tags = ColourTags(primaries=primaries, transfer=transfer)
    assert layout_of(frame, tags, "h264")[0].matrix == expected


def test_tags_of_a_file_are_read_and_used(tmp_path: Path) -> None:
    def tagged(stream: Any) -> None:
        context = stream.codec_context
        context.colorspace, context.color_range = 1, 1
        context.color_primaries, context.color_trc = 1, 1

    clip = write_clip(tmp_path / "a.mp4", setup=tagged, options={"crf": "1"})
    with open_video(clip) as reader:
        assert reader.info.colour == ColourTags(1, 1, 1, full_range=False)
        seen = next(reader.frames()).rgb
    plain = write_clip(tmp_path / "b.mp4", options={"crf": "1"})
    with open_video(plain) as reader:
        assert reader.info.colour.matrix == 2
        guessed = next(reader.frames()).rgb
    assert abs(seen.astype(int) - guessed).mean() > 1  # the same numbers by another matrix


def test_chroma_lies_left_or_in_the_middle() -> None:
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (4, 1))
    left = enlarged(ramp, (32, 8), centred=False)
    assert left.shape == (8, 32)
    assert left[3, :6].tolist() == [0, 5, 10, 15, 20, 25]
    middle = enlarged(ramp, (32, 8), centred=True)
    assert abs(middle[3, 1:6].astype(int) - [2.5, 7.5, 12.5, 17.5, 22.5]).max() <= 0.5
    assert enlarged(ramp, (31, 7), centred=False).shape == (7, 31)


ALPHAS = [
    ("a.webm", "libvpx-vp9", "yuva420p", {"deadline": "realtime", "cpu-used": "8"}, 3.0, 8),
    ("b.webm", "libvpx", "yuva420p", {"auto-alt-ref": "0", "deadline": "realtime"}, 3.0, 8),
    ("a.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}, 0.5, 12),
    ("b.mov", "qtrle", "argb", {}, 0.0, 8),
    ("c.mov", "png", "rgba", {}, 0.0, 8),
    ("a.mkv", "ffv1", "bgra", {}, 0.0, 8),
    ("b.mkv", "ffv1", "yuva444p", {}, 1.0, 8),
    ("c.mkv", "ffv1", "yuva444p16le", {}, 0.2, 16),
    ("d.mkv", "ffv1", "gbrap16le", {}, 0.3, 16),
    ("d.mov", "rawvideo", "argb", {}, 0.0, 8),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt", "options", "most", "bits"), ALPHAS)
def test_alpha_is_read_back(
    name: str, codec: str, pix_fmt: str, options: dict[str, str], most: float, bits: int,
    tmp_path: Path,
) -> None:  # fmt: skip
    clip = write_clip(tmp_path / name, codec, pix_fmt, options=options, alpha=True, count=4)
    with open_video(clip) as reader:
        assert reader.info.has_alpha
        assert reader.info.bits == bits
        frames = list(reader.frames())
    assert len(frames) == 4
    for number, frame in enumerate(frames):
        assert frame.alpha is not None
        assert frame.alpha.dtype == np.float32
        true = picture(number)[..., 3].astype(float)
        assert abs(frame.alpha * 255 - true).mean() <= most + 1e-4
        assert 0 <= frame.alpha.min() <= frame.alpha.max() <= 1
        top = np.iinfo(frame.rgb.dtype).max
        clear = true > 0
        assert abs(frame.rgb / top * 255 - picture(number)[..., :3])[clear].mean() < 4


def test_an_alpha_that_nobody_filled_is_left_out(tmp_path: Path) -> None:
    def empty(number: int) -> av.VideoFrame:
        pixels = picture(number)
        pixels[..., 3] = 0
        return av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="argb")

    clip = write_clip(tmp_path / "a.mov", "rawvideo", "argb", source=empty, count=2)
    with open_video(clip) as reader:
        frame = next(reader.frames())
        assert not reader.info.has_alpha
        assert frame.alpha is None
        assert any(note.startswith("alpha_unused:") for note in reader.notes)
    assert np.array_equal(frame.rgb, picture(0)[..., :3])


@pytest.mark.parametrize(
    ("pix_fmt", "exact"), [("gray", False), ("gray10le", False), ("gbrp10le", True)]
)
def test_grey_and_planar_rgb(pix_fmt: str, exact: bool, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", "ffv1", pix_fmt, count=1)
    with open_video(clip) as reader:
        frame = next(reader.frames())
        raw = next(av.open(str(clip)).decode(video=0))
    if exact:
        planes = [
            np.frombuffer(memoryview(plane), "<u2").reshape(HEIGHT, -1) for plane in raw.planes
        ]
        true = np.dstack([planes[2], planes[0], planes[1]])[:, :WIDTH] / 1023
        assert abs(frame.rgb / 65535 - true).max() < 1e-4
    else:
        assert (frame.rgb == frame.rgb[..., :1]).all()
        assert frame.view.std() > 10


TURNS: list[tuple[float, dict[str, bool], int, Callable[[NDArray[Any]], NDArray[Any]]]] = [
    (90, {}, 270, lambda a: np.rot90(a)),
    (-90, {}, 90, lambda a: np.rot90(a, -1)),
    (180, {}, 180, lambda a: a[::-1, ::-1]),
    (0, {"hflip": True}, 0, lambda a: a[:, ::-1]),
    (0, {"vflip": True}, 0, lambda a: a[::-1]),
]


@pytest.mark.parametrize(("degrees", "flips", "rotation", "turn"), TURNS)
def test_frames_come_upright(
    degrees: float,
    flips: dict[str, bool],
    rotation: int,
    turn: Callable[[NDArray[Any]], NDArray[Any]],
    tmp_path: Path,
) -> None:
    clip = write_clip(
        tmp_path / "a.mov",
        "png",
        "rgba",
        alpha=True,
        count=2,
        setup=lambda stream: stream.set_display_rotation(degrees, **flips),
    )
    with open_video(clip) as reader:
        frame = next(reader.frames())
        info = reader.info
    true = turn(picture(0))
    assert np.array_equal(frame.rgb, true[..., :3])
    assert frame.alpha is not None
    assert np.array_equal(np.rint(frame.alpha * 255), true[..., 3])
    assert (info.height, info.width) == true.shape[:2]
    assert info.rotation == rotation


def test_the_shape_of_pixels_is_told_and_turned_with_them(tmp_path: Path) -> None:
    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        stream.set_display_rotation(90)

    with open_video(write_clip(tmp_path / "a.mov", setup=wide)) as reader:
        assert str(reader.info.sample_aspect) == "11/16"


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (2, 1), (17, 33)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "bgr0"])
def test_odd_sizes(size: tuple[int, int], pix_fmt: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", "ffv1", pix_fmt, size=size, count=2)
    with open_video(clip) as reader:
        frames = list(reader.frames())
    assert len(frames) == 2
    assert frames[0].rgb.shape == (size[1], size[0], 3)
    assert frames[0].view.dtype == np.uint8
