from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest

from cleancut.errors import BadOption
from cleancut.options import Options
from cleancut.video.form import Form, numbered, output_form
from cleancut.video.frame import ColourTags, Track, VideoInfo
from cleancut.video.options import VideoOptions

INFO = VideoInfo(kind="stream", width=64, height=48, time_base=Fraction(1, 90000))
DEEP = replace(INFO, bits=10)
HDR = replace(DEEP, colour=ColourTags(9, 16, 9))


def form(
    target: str, info: VideoInfo = INFO, background: str | None = None, **video: object
) -> Form:
    knobs = VideoOptions.from_mapping(dict(video))
    return output_form(target, knobs, Options(background=background), info)


@pytest.mark.parametrize(
    ("target", "codec", "kind"),
    [
        ("a.webm", "vp9", "stream"),
        ("a.mov", "prores", "stream"),
        ("a.MKV", "ffv1", "stream"),
        ("a.gif", "gif", "animation"),
        ("a.apng", "apng", "animation"),
        ("a.png", "apng", "animation"),
        ("a.webp", "webp", "animation"),
        ("a/%05d.png", "png", "sequence"),
        ("a/f%d.webp", "webp", "sequence"),
    ],
)
def test_the_suffix_chooses_a_transparent_form(target: str, codec: str, kind: str) -> None:
    found = form(target)

    assert (found.codec, found.kind, found.alpha) == (codec, kind, True)


@pytest.mark.parametrize(
    ("target", "codec"),
    [("a.mp4", "h264"), ("a.m4v", "h264"), ("a.mov", "h264"), ("a.mkv", "h264"), ("a.webm", "vp9")],
)
@pytest.mark.parametrize("knobs", [{"background": "#00b140"}, {"matte_only": True}])
def test_what_is_opaque_gets_an_opaque_codec(
    target: str, codec: str, knobs: dict[str, str]
) -> None:
    found = form(target, **knobs)

    assert (found.codec, found.alpha, found.bits) == (codec, False, 8)


def test_mp4_without_a_background_names_the_next_step() -> None:
    with pytest.raises(BadOption, match="no transparency") as caught:
        form("a.mp4")

    assert "--background" in caught.value.hint


def test_a_half_clear_background_is_still_transparent() -> None:
    assert form("a.webm", background="#ffffff80").alpha
    with pytest.raises(BadOption):
        form("a.mp4", background="#ffffff80")


@pytest.mark.parametrize(
    ("target", "codec", "hint"),
    [
        ("a.webm", "h264", ".webm"),
        ("a.webm", "prores", ".mov"),
        ("a.mp4", "ffv1", ".mkv"),
        ("a.gif", "vp9", "leave --codec out"),
        ("%d.png", "vp9", "leave --codec out"),
    ],
)
def test_a_codec_that_does_not_fit_says_what_does(target: str, codec: str, hint: str) -> None:
    with pytest.raises(BadOption) as caught:
        form(target, codec=codec)

    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("target", "hint"), [("a.mvo", ".mov"), ("a.webmm", ".webm"), ("a", "webm"), ("a.avi", "known")]
)
def test_an_unknown_suffix_says_what_is_known(target: str, hint: str) -> None:
    with pytest.raises(BadOption) as caught:
        form(target)

    assert hint in caught.value.hint


def test_a_folder_is_no_form_and_the_pattern_is_named() -> None:
    with pytest.raises(BadOption) as error:
        form("frames/")
    assert "frames/%05d.png" in error.value.hint


def test_jpg_pictures_need_a_background() -> None:
    with pytest.raises(BadOption):
        form("a/%d.jpg")
    assert form("a/%d.jpg", background="white").codec == "jpg"


@pytest.mark.parametrize(
    ("target", "knobs", "bits"),
    [
        ("a.mov", {}, 10),
        ("a.mkv", {}, 16),
        ("a/%d.png", {}, 16),
        ("a.apng", {}, 16),
        ("a.webm", {}, 8),
        ("a.mp4", {"background": "red"}, 8),
        ("a.mp4", {"background": "red", "codec": "h265"}, 10),
    ],
)
def test_depth_is_kept_where_the_form_has_it(target: str, knobs: dict[str, str], bits: int) -> None:
    assert form(target, DEEP, **knobs).bits == bits


def test_hdr_is_tone_mapped_for_eight_bits_only() -> None:
    flat, deep = form("a.webm", HDR), form("a.mov", HDR)

    assert flat.tone_mapped
    assert flat.notes[0].startswith("tone_mapped")
    assert not deep.tone_mapped
    assert not deep.notes


def test_sound_that_has_no_place_is_told() -> None:
    loud = replace(INFO, tracks=(Track(1, "audio", "aac"),))

    assert any(note.startswith("no_sound") for note in form("a.gif", loud).notes)
    assert not any(note.startswith("no_sound") for note in form("a.gif", loud, audio=False).notes)
    assert not form("a.webm", loud).notes


def test_gif_says_that_its_edges_are_hard() -> None:
    assert form("a.gif").notes[0].startswith("gif_hard_edges")
    assert not form("a.gif", background="white").notes


@pytest.mark.parametrize(
    ("target", "name"),
    [("a/%03d.png", "a/007.png"), ("a/%d.png", "a/7.png")],
)
def test_pictures_are_numbered_as_the_pattern_says(target: str, name: str) -> None:
    assert numbered(target, 7).replace("\\", "/") == name


def test_forms_are_chosen_without_any_third_party_package() -> None:
    code = (
        "import sys, cleancut.video.form\n"
        "print([name for name in ('av', 'numpy', 'cv2') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
