"""What networks see of HDR: known light comes out as known light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut.video.frame import ColourTags
from cleancut.video.reading import open_video
from cleancut.video.tones import light_table, view_of
from tests.video.clips import write_clip

PQ, HLG = ColourTags(9, 16, 9), ColourTags(9, 18, 9)


def grey(signal: float) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.full((2, 2, 3), round(signal * 65535), np.uint16)


def pq_signal(nits: float) -> float:
    """The inverse of the curve that is tested (ST 2084, 5.2)."""
    light = (nits / 10000) ** (2610 / 16384)
    return float(((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375)


def test_pq_is_the_curve_of_the_standard() -> None:
    assert pq_signal(100) == pytest.approx(0.5081, abs=1e-4)


@pytest.mark.parametrize("nits", [0.0, 1.0, 10.0, 50.0, 100.0])
def test_light_of_pq_below_the_knee_is_left_alone(nits: float) -> None:
    signal = pq_signal(nits)
    table = light_table(16, 2)
    assert table[round(signal * 65535)] / 65535 * 203 == pytest.approx(nits, rel=0.02, abs=0.05)


@pytest.mark.parametrize(("tags", "peak"), [(PQ, 0.7518), (HLG, 1.0)])
def test_brighter_is_brighter_and_nothing_clips_early(tags: ColourTags, peak: float) -> None:
    steps = [int(view_of(grey(signal), tags)[0, 0, 1]) for signal in np.linspace(0, peak, 40)]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[-1] >= 250
    assert len(set(steps)) > 30


def test_diffuse_white_is_bright_but_leaves_room() -> None:
    white_pq = int(view_of(grey(0.5806), PQ)[0, 0, 0])  # 203 cd/m2, BT.2408
    white_hlg = int(view_of(grey(0.75), HLG)[0, 0, 0])
    assert 205 < white_pq < 245
    assert abs(white_pq - white_hlg) < 12


def test_grey_stays_grey_and_colours_of_bt709_come_back() -> None:
    for tags in (PQ, HLG):
        for signal in (0.2, 0.4, 0.6):
            pixel = view_of(grey(signal), tags)[0, 0].astype(int)
            assert np.ptp(pixel) <= 1
    red = np.array([0.6274, 0.0691, 0.0164]) * 50  # BT.709 red of 50 cd/m2, in BT.2020
    signal = np.array([pq_signal(nits) for nits in red])
    pixel = view_of(np.rint(signal * 65535).astype(np.uint16).reshape(1, 1, 3), PQ)[0, 0]
    assert pixel[0] > 120
    assert max(int(pixel[1]), int(pixel[2])) < 12


def test_depth_is_kept_and_the_view_has_eight_bits(tmp_path: Path) -> None:
    def tagged(stream: Any) -> None:
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9

    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    clip = write_clip(tmp_path / "a.mp4", "libx265", "yuv420p10le", options=options, setup=tagged)
    with open_video(clip) as reader:
        assert reader.info.colour == PQ
        assert (reader.info.bits, reader.info.colour.hdr) == (10, True)
        frame = next(reader.frames())
    assert frame.rgb.dtype == np.uint16
    assert frame.view.dtype == np.uint8
    assert abs(frame.view.astype(int) - (frame.rgb >> 8)).max() > 20
    plain = write_clip(tmp_path / "b.mp4", "libx265", "yuv420p10le", options=options)
    with open_video(plain) as reader:
        frame = next(reader.frames())
    assert abs(frame.view.astype(int) - (frame.rgb >> 8)).max() <= 1
