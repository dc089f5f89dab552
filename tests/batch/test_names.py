from __future__ import annotations

import itertools
import random
import unicodedata

import pytest

from cleancut.batch import names


def test_a_cutout_is_called_as_its_source() -> None:
    assert names.targets(["a.jpg", "b.tif", "no suffix"], "png") == [
        "a.png",
        "b.png",
        "no suffix.png",
    ]


def test_all_of_a_colliding_group_keep_their_suffix() -> None:
    assert names.targets(["a.jpg", "a.png", "b.jpg"], "webp") == [
        "a.jpg.webp",
        "a.png.webp",
        "b.webp",
    ]


@pytest.mark.parametrize(
    "files",
    [
        ["a.jpg", "A.jpg"],
        ["é.jpg", unicodedata.normalize("NFD", "é.jpg")],
        ["straße.jpg", "STRASSE.jpg"],
        ["a.jpg", "a.png", "a.jpg.png", "A.PNG"],
        ["a:b.jpg", "a_b.jpg", "a?b.jpg"],
        ["CON.jpg", "con_.jpg", "con.png"],
        ["x" * 300 + ".jpg", "x" * 301 + ".jpg"],
        ["a.", "a", "a ", "a.jpg"],
        ["..", ".", "_"],
    ],
)
def test_no_two_names_are_one_file_on_any_disk(files: list[str]) -> None:
    made = names.targets(files, "png")
    assert len({names.fold(name) for name in made}) == len(files)
    for order in itertools.permutations(range(len(files))):
        again = names.targets([files[at] for at in order], "png")
        assert again == [made[at] for at in order], "the order must not matter"


def test_names_of_folders_are_left_to_the_folders() -> None:
    assert names.targets(["a.jpg"], "png", reserved=["a.png"]) == ["a.jpg.png"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain name-1_2 (3)", "plain name-1_2 (3)"),
        ("con", "con_"),
        ("COM1.old", "COM1_.old"),
        ("nul ", "nul_"),
        ("a:b", "a_b"),
        ("a/b\\c", "a_b_c"),
        ("tail. .", "tail_"),
        (".hidden", "_hidden"),
        ("..", "_"),
        ("", "_"),
        ("new\nline\x00", "new_line_"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("\udcff", "_"),
        ("e\u0301", "\u00e9"),
        ("猫", "猫"),
    ],
)
def test_names_are_made_fit_for_every_system(given: str, wanted: str) -> None:
    assert names.safe(given) == wanted
    assert names.safe(wanted) == wanted


def test_hostile_names_never_make_a_hostile_name() -> None:
    random.seed(1)
    alphabet = "aA.: \\/\x00\x1f\x7f\u202e\udc80é\u0301CON*?"
    for _ in range(3000):
        name = names.safe("".join(random.choices(alphabet, k=random.randint(0, 12))))
        assert name
        assert not set(name) & set('<>:"/\\|?*\0')
        assert not name.startswith(".")
        assert name[-1] not in ". "
        assert len(name.encode("utf-8")) <= names.MAX_BYTES
        assert names.safe(name) == name


def test_long_names_are_cut_between_letters_and_stay_different() -> None:
    first, second = names.targets(["猫" * 200 + "1.jpg", "猫" * 200 + "2.jpg"], "png")
    assert first != second
    assert first.endswith(".png")
    assert len(first.encode("utf-8")) <= names.MAX_BYTES
    assert "�" not in first


def test_folders_of_one_name_are_told_apart() -> None:
    first, second, third = names.folders(["Dir", "dir", "other"])
    assert third == "other"
    assert first.startswith("Dir-")
    assert second.startswith("dir-")
    assert names.fold(first) != names.fold(second)


def test_names_of_a_list_keep_their_folders() -> None:
    assert names.targets(["x/a.jpg", "y/a.jpg", "X/a.png", "../con/a.jpg"], "png") == [
        "x/a.jpg.png",
        "y/a.png",
        "X/a.png.png",
        "_/con_/a.png",
    ]


def test_alternatives_are_the_plan_and_then_the_job_s_own() -> None:
    planned, short, whole = names.alternatives("sub/a.b.png", "0123456789abcdef")
    assert planned == "sub/a.b.png"
    assert short == "sub/a.b-012345.png"
    assert whole == "sub/a.b-0123456789abcdef.png"
