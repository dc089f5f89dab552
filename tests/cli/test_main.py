from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cleancut.catalog import find
from cleancut.cli.main import COMMANDS, EXIT_CODES, as_error, line_of, main
from cleancut.errors import CleancutError, UnreadableImage


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "examples:" in capsys.readouterr().out


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cutt"]) == 2
    assert "unknown command 'cutt'" in capsys.readouterr().err
    assert main([]) == 2


def test_errors_are_one_line_and_name_the_file_once() -> None:
    error = UnreadableImage("not a\npicture", hint="try another")
    assert line_of(error, "a.jpg") == (
        "cleancut: error [unreadable-image] a.jpg: not a picture; try another"
    )
    assert line_of(UnreadableImage("a.jpg is odd"), "a.jpg").count("a.jpg") == 1


def test_every_kind_has_its_exit_code() -> None:
    assert EXIT_CODES == {"bug": 1, "input": 2, "setup": 3, "resource": 4}
    assert CleancutError.kind in EXIT_CODES


def test_a_bug_is_reported_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cleancut.cli import doctor

    def broken(_: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(doctor, "run", broken)
    assert main(["doctor"]) == 1
    line = capsys.readouterr().err
    assert "boom" in line
    assert "--debug" in line
    assert line.count("\n") == 1


def test_ctrl_c_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cleancut.cli import doctor

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "cleancut: interrupted\n"


@pytest.mark.parametrize(
    "words", [["--help"], ["models", "list"], ["cut", "--help"], ["--version"]]
)
def test_listing_and_help_import_nothing_third_party(words: list[str]) -> None:
    code = (
        "import sys; from cleancut.cli.main import main\n"
        f"try: main({words!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'cv2', 'onnx', 'onnxruntime', 'openvino', 'rich', 'isal'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_models_list_info_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert "modnet" in text
    assert "bria-rmbg-2.0" in text
    assert main(["models", "list", "--commercial-only", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["commercial"] for row in rows} == {"yes"}
    assert main(["models", "info", "bria-rmbg", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["commercial"] == "no"
    assert main(["models", "where"]) == 0
    assert "store" in capsys.readouterr().out
    assert main(["models", "remove", "isnet"]) == 3
    assert "weights-missing" in capsys.readouterr().err


def test_the_model_of_the_package_is_listed_pulled_and_verified(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "list"]) == 0
    assert "* cleancut-nano (in the package)" in capsys.readouterr().out
    assert main(["models", "info", "nano", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["in_package"], Path(facts["path"]).name) == (True, "cleancut-nano.onnx")
    assert main(["models", "pull", "nano", "--no-probe"]) == 0
    told = capsys.readouterr()
    assert told.out == "cleancut-nano: in the package, nothing to pull\n"
    assert told.err == ""
    assert main(["models", "verify"]) == 0
    assert "cleancut-nano: ok" in capsys.readouterr().out
    assert main(["models", "remove", "nano"]) == 3
    assert "part of the package" in capsys.readouterr().err


def test_doctor_is_content_with_the_model_of_the_package_and_says_what_is_better(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "cleancut-nano, from the package, runs on" in text
    assert "larger networks make better mattes: cleancut models pull" in text
    assert "onnxruntime" in text
    assert main(["doctor", "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert any(line["topic"] == "openvino" for line in lines)
    assert not [line for line in lines if line["topic"] in ("models", "model") and line["problem"]]


@pytest.mark.usefixtures("no_bundled")
def test_doctor_without_any_model_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 3
    assert "mend it: cleancut models pull" in capsys.readouterr().out
    assert main(["models", "verify"]) == 3
    told = capsys.readouterr()
    assert "cleancut-nano: missing in the package" in told.out
    assert "to mend it, run: pip install --force-reinstall" in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models", "lst"], "unknown action 'lst'; did you mean list?"),
        (["cut", "a.jpg", "--roi", "-5,-5,9,9"], "--roi needs a value; if it starts with a minus"),
        (["cut", "a.jpg", "-o"], "--output needs a value"),
        (["dctor"], "unknown command 'dctor'; did you mean doctor?"),
        (["models", "list", "--jsn"], "unknown option --jsn; did you mean --json?"),
        (["models", "list", "isnet"], "not understood: isnet; run: cleancut models list --help"),
    ],
)
def test_a_slip_is_answered_with_the_nearest_word(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ImportError("libGL.so.1: cannot open", name="cv2"), "missing-dependency"),
        (PermissionError(13, "Permission denied", "models/x"), "setup-error"),
        (OSError(28, "No space left on device"), "output-not-writable"),
        (ImportError("cleancut is broken", name="cleancut.engine"), "cleancut-error"),
        (RuntimeError("boom"), "cleancut-error"),
    ],
)
def test_only_what_means_nothing_to_a_user_is_called_a_bug(error: Exception, code: str) -> None:
    told = as_error(error)
    assert told.code == code
    assert ("this is a bug" in told.hint) == (code == "cleancut-error")
    assert told.hint


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_ends_in_order(tmp_path: Path) -> None:
    code = (
        "import pathlib, time; from cleancut.cli import doctor, main\n"
        "def wait(_):\n"
        "    try: print('ready', flush=True); time.sleep(60)\n"
        f"    finally: pathlib.Path({str(tmp_path / 'tidied')!r}).touch()\n"
        "doctor.run = wait; raise SystemExit(main.main(['doctor']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 143
    assert err == ""
    assert (tmp_path / "tidied").exists()


def test_doctor_finds_a_damaged_model_and_says_it_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home / "cleancut" / "models" / "u2netp"
    folder.mkdir(parents=True)
    with (folder / "u2netp.onnx").open("wb") as file:
        file.truncate(find("u2netp").weights[0].bytes)
    assert main(["doctor"]) == 3
    text = capsys.readouterr().out
    assert "u2netp: u2netp:" not in text
    assert "mend it: cleancut models pull u2netp" in text

    def unlucky(*_: object, **__: object) -> None:
        raise ImportError("libGL.so.1 is missing", name="cv2")

    monkeypatch.setattr("cleancut.models.load.load", unlucky)
    assert main(["doctor"]) == 3
    assert "libGL.so.1 is missing" in capsys.readouterr().out


def test_doctor_tells_a_home_that_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLEANCUT_HOME", str(tmp_path / "file"))
    main(["doctor"])
    text = capsys.readouterr().out
    assert "cannot be written; no model can be pulled" in text
    assert "export CLEANCUT_HOME=" in text
