from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from cleancut.cli.guided import add_guidance_flags, check_guidance, guidance_for
from cleancut.errors import BadOption, InputNotFound
from cleancut.guidance import Guidance


def _args(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_guidance_flags(parser)
    return parser.parse_args(words)


def test_every_field_of_guidance_has_a_flag_with_a_help_text() -> None:
    parser = argparse.ArgumentParser()
    add_guidance_flags(parser)
    actions = {a.dest: a for a in parser._actions if a.dest != "help"}
    assert set(actions) == {field.name for field in fields(Guidance)}
    assert all(
        a.help and a.option_strings == [f"--{d.replace('_', '-')}"] for d, a in actions.items()
    )
    parser.format_help()


def test_without_flags_guidance_is_empty() -> None:
    check_guidance(_args(), 5)
    assert guidance_for(_args(), "photo.jpg").is_empty()


def test_a_file_and_texts_are_handed_on(tmp_path: Path) -> None:
    trimap = tmp_path / "known.png"
    trimap.write_bytes(b"x")
    args = _args("--trimap", str(trimap), "--keep-points", "1,2", "--roi", "0,0,50%,50%")
    check_guidance(args, 1)
    guidance = guidance_for(args, "photo.jpg")
    assert guidance.trimap == str(trimap)
    assert (guidance.keep_points, guidance.roi, guidance.mask) == ("1,2", "0,0,50%,50%", None)


@pytest.mark.parametrize("name", ["mask", "matte"])
def test_one_file_for_several_pictures_is_refused(name: str, tmp_path: Path) -> None:
    place = tmp_path / "m.png"
    place.write_bytes(b"x")
    with pytest.raises(BadOption, match="cannot guide 3 pictures") as caught:
        check_guidance(_args(f"--{name}", str(place)), 3)
    assert f"--{name} {name}s/" in caught.value.hint


def test_a_folder_gives_each_picture_the_file_of_its_stem(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.PNG", "b.jpg", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    args = _args("--scribbles", str(tmp_path))
    check_guidance(args, 2)
    assert guidance_for(args, "in/a.tif").scribbles == str(tmp_path / "a.jpg")
    assert guidance_for(args, "in/b.tif").scribbles == str(tmp_path / "b.PNG")
    for source in ("in/c.jpg", "-"):
        with pytest.raises(InputNotFound, match=r"looked for .*\.png, .*\.jpg"):
            guidance_for(args, source)
    (tmp_path / "stdin.png").write_bytes(b"x")
    assert guidance_for(args, "-").scribbles == str(tmp_path / "stdin.png")


def test_what_is_wrong_for_every_picture_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match="--trimap: no such file"):
        check_guidance(_args("--trimap", str(tmp_path / "none.png")), 1)
    with pytest.raises(BadOption, match="--keep-box"):
        check_guidance(_args("--keep-box", "5,5,5,5"), 1)
    with pytest.raises(BadOption, match="--mask: the path is empty"):
        check_guidance(_args("--mask", ""), 1)
    with pytest.raises(BadOption, match="--mask: the path is empty"):
        guidance_for(_args("--mask", ""), "a.jpg")


def test_trimap_and_mask_contradict_each_other_before_any_picture(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--trimap and --mask"):
        check_guidance(_args("--trimap", str(tmp_path), "--mask", str(tmp_path)), 2)


def test_a_picture_is_not_its_own_guidance(tmp_path: Path) -> None:
    photo, mask = tmp_path / "a.jpg", tmp_path / "a.png"
    photo.write_bytes(b"x")
    args = _args("--mask", str(tmp_path))
    with pytest.raises(InputNotFound, match="no file for"):
        guidance_for(args, str(photo))
    mask.write_bytes(b"x")
    assert guidance_for(args, str(photo)).mask == str(mask)
