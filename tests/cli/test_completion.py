"""What a shell is offered; at the end the shells themselves, at a terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cleancut.catalog import catalog
from cleancut.cli.completion import SHELLS, candidates
from cleancut.cli.main import COMMANDS, main


def _names(*typed: str) -> list[str]:
    return [line.split("\t")[0] for line in candidates(typed)]


def test_commands_and_their_actions_are_offered() -> None:
    assert _names("") == list(COMMANDS)
    assert _names("ca") == ["cache"]
    assert _names("models", "ver") == ["verify"]


def test_options_are_those_of_the_command_with_their_help() -> None:
    assert _names("cut", "--mod") == ["--model"]
    assert "--data" in _names("keys", "add", "--")
    assert "--data" not in _names("cut", "--")
    (line,) = candidates(["cut", "--trim"])
    assert line.split("\t")[1]


def test_values_are_models_presets_choices_and_uses() -> None:
    assert set(catalog()) | {"auto", ":files onnx"} == set(_names("cut", "--model", ""))
    assert _names("models", "pull", "isnet", "u2netp", "mod") == ["modnet"]
    assert _names("cut", "x.jpg", "--format", "w") == ["webp"]
    assert _names("cut", "--format=w") == ["--format=webp"]
    assert "amazon" in _names("cut", "--preset", "")
    assert _names("cut", "--preset", "icao+a")[0].startswith("icao+a")
    assert "mobile" in _names("recommend", "--for", "")


def test_paths_are_left_to_the_shell() -> None:
    (pictures,) = candidates(["cut", "a.jpg", ""])
    assert pictures.startswith(":files jpg")
    assert " png" in pictures
    assert ":files mp4" in candidates(["video", ""])[0]
    assert candidates(["batch", "in", "--move-done", ""]) == [":folders"]
    assert candidates(["cut", "x.jpg", "--quality", ""]) == []


@pytest.mark.parametrize("typed", [["nonsense", "x"], ["cut", "--nope", "--"], ["cut", "--nope=x"]])
def test_nonsense_offers_nothing_or_options_but_never_fails(typed: list[str]) -> None:
    assert all(name.startswith("-") for name in _names(*typed))


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "completion words --" in capsys.readouterr().out


def test_the_answer_needs_no_numpy() -> None:
    code = (
        "import sys; from cleancut.cli.main import main\n"
        "main(['completion', 'words', '--', 'cut', '--model', ''])\n"
        "print(sorted({'numpy', 'PIL', 'cv2', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


class Terminal:
    """A shell at a terminal, in ``folder``, with cleancut on its path and nobody's settings."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
            plain = {"PATH": path, "HOME": str(folder), "TERM": "dumb", "PS1": "$ ", "LANG": "C"}
            os.execvpe(command[0], command, plain)

    def type(self, text: str, until: str, seconds: float = 15.0) -> str:
        """Type, and read until ``until`` is on the screen; fails with what was there instead."""
        os.write(self.screen, text.encode())
        seen, deadline = "", time.monotonic() + seconds
        while until not in seen:
            ready, _, _ = select.select([self.screen], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{until!r} never came: {seen!r}"
            seen += os.read(self.screen, 65536).decode(errors="replace")
        return seen

    def close(self) -> None:
        """End the shell."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.screen)


STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(cleancut completion bash)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(cleancut completion zsh)"',
    ),
    "fish": (["fish", "--no-config", "-i"], "cleancut completion fish | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    for name in ("photo one.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "my dir").mkdir()
    (tmp_path / "my dir" / "in it.png").write_bytes(b"")
    command, start = STARTS[shell]
    terminal = Terminal(command, tmp_path)
    try:
        terminal.type(f"{start}; echo rea''dy\n", "ready\r")
        # The end of each line is only there once the shell has filled it in.
        terminal.type("cleancut recomm\t", "end ")
        terminal.type("\x15cleancut cut --model inspy\t", "renet ")
        terminal.type("\x15cleancut cut --prec\t", "ision ")
        terminal.type("\x15cleancut cut ph\t", "one.jpg")
        terminal.type("\x15cleancut cut my\\ dir/i\t", "it.png")
        terminal.type('\x15cleancut cut "my dir/i\t', "it.png")
        if shell == "bash":  # the others take any file where no picture fits
            terminal.type("\x15cleancut cut no\tEND", "no\x07END")
    finally:
        terminal.close()
