from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cleancut.cli.main import main
from tests.distill.photos import save


def run(*words: object) -> int:
    return main(["distill", "label", *map(str, words)])


def test_labels_are_made_and_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = save(tmp_path / "photos", "a.png", "b.png")
    assert run(photos, "-o", tmp_path / "labels", "--teacher", "echo") == 0
    said = capsys.readouterr().err
    assert "cleancut: 2 photographs labelled in" in said
    assert "4 looks in" in said
    assert len((tmp_path / "labels/labels.jsonl").read_text().splitlines()) == 2
    assert run(photos, "-o", tmp_path / "labels", "--teacher", "echo") == 0
    assert "4 looks of earlier runs\n" in capsys.readouterr().err


def test_a_bad_photograph_is_one_line_and_exit_code_five(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = save(tmp_path / "photos", "a.png")
    (photos / "bad.jpg").write_text("no picture")
    words = (photos, "-o", tmp_path / "labels", "--teacher", "echo", "--json")
    assert run(*words) == 5
    said = capsys.readouterr()
    assert said.err.count("cleancut: error [unreadable-image] bad.jpg: ") == 1
    facts = json.loads(said.out)
    assert (facts["photos"], facts["looks"], facts["failed"][0]["code"]) == (
        1,
        2,
        "unreadable-image",
    )
    (photos / "a.png").unlink()
    assert run(*words, "-q") == 2


def test_an_unknown_teacher_makes_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = save(tmp_path / "photos", "a.png")
    assert run(photos, "-o", tmp_path / "labels", "--teacher", "isnat") == 3
    assert "did you mean isnet" in capsys.readouterr().err
    assert not (tmp_path / "labels").exists()


def test_the_command_line_is_parsed_without_third_party_packages() -> None:
    code = (
        "import sys; from cleancut.cli.main import main\n"
        "try: main(['distill', 'label', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'cv2', 'torch', 'PIL', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
