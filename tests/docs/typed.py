"""Types a documented command: in this process where it is plain, else as a shell would."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cleancut.cli.main import build_parser, main
from tests.server.process import Running, ended, free_port

OPERATORS = {"|", "||", "&&", ";", "&"}
_OURS = re.compile(r"https?://(?:127\.0\.0\.1|localhost|server):\d+")
_STARTERS = {"-m", "--", "time", "uvx"}
_WAIT_S = 240


def segments(command: str) -> list[list[str]]:
    """The words of each part of a command line: of a pipe, of a list."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for token in lexer:
        if token in OPERATORS:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part[: part.index(">")] if ">" in part else part for part in parts if part]


def parse(command: str) -> None:
    """Fail where our own parser does not take a part of ``command``."""
    for words in segments(command):
        words = _ours(words)
        if not words:
            continue
        args, extra = build_parser(words[0]).parse_known_args(words)
        assert not extra, f"{command}: not understood: {extra}"
        assert args.command == words[0]


def _ours(words: list[str]) -> list[str]:
    """What follows our own name where it is a program's: first, or behind one that starts it."""
    for place, word in enumerate(words):
        if word == "cleancut" and (place == 0 or words[place - 1] in _STARTERS):
            return words[place + 1 :]
    return []


@dataclass
class Desk:
    """Where a page's commands are typed, one after the other."""

    folder: Path
    env: Mapping[str, str]
    server: Callable[..., tuple[str, str]]
    job: str = ""

    def type(self, command: str) -> None:
        """Run ``command`` and fail unless it ends well and writes what it says."""
        parts = segments(command)
        if match := re.match(r"cleancut keys add (\S+)", command):
            self._forget(match[1])
        if any(part[:2] == ["cleancut", "serve"] for part in parts):
            assert "|" not in command
            for part in parts:
                if part[:2] == ["cleancut", "serve"]:
                    self._serve(part[2:])
                else:
                    self._plain(part[1:])
        elif "--watch" in command:
            self._until(parts[0][1:], lambda: any(self.folder.glob("archive/*")))
        elif parts[0][:2] == ["cleancut", "mcp"] and "--http" in parts[0]:
            port = free_port()
            words = [*_without(parts[0][1:], "--http"), "--http", str(port)]
            self._until([_expanded(word)[0] for word in words], lambda: self._answers(port))
        elif parts[0][0] == "curl":
            self._curl(command)
        elif _alone(parts) and not re.search(r"[>$]", command):
            self._plain(parts[0][1:])
        else:
            self._shell(command)

    def _forget(self, name: str) -> None:
        """A page may give one client a key twice, in two stories."""
        kept = self.folder / "server" / "keys.json"
        if kept.is_file() and f'"{name}"' in kept.read_text("utf-8"):
            kept.unlink()

    def _plain(self, words: list[str]) -> None:
        assert main([found for word in words for found in _expanded(word)]) == 0

    def _shell(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            env=dict(self.env),
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-800:]}\n{done.stderr[-800:]}"
        return done.stdout

    def _curl(self, command: str) -> None:
        """Against a server of this machine, and with what the job before was called."""
        if "/jobs/ID" in command:
            assert self.job, "no job was sent before it is asked for"
        url, key = self.server(keyed="X-API-Key" in command)
        here = _OURS.sub(url, command).replace("/jobs/ID", f"/jobs/{self.job}")
        here = here.replace("INSERT_YOUR_KEY", key).replace("$KEY", key)
        strict = "" if " -f " in here else " --fail-with-body"
        told = self._shell(here.replace("curl", f"curl --no-progress-meter{strict}", 1))
        if match := re.search(r"-o (\S+)", command):
            written = (self.folder / match[1]).read_bytes()
            assert written[:4] in (b"\x89PNG", b"RIFF", b"\xff\xd8\xff\xe0"), written[:40]
        elif "/v1/jobs" in command and "DELETE" not in command:
            self.job = json.loads(told[told.index("{") :])["id"]

    def _serve(self, words: list[str]) -> None:
        """Start it, see it ready, end it; any port, and the weightless model for speed."""
        words = _without(_without(words, "--port"), "--data")
        model = () if "--model" in words else ("--model", "echo")
        live = Running(self.folder / "server", (*words, *model), self.env, free_port())
        with ended(live):
            live.start()
            assert live.stop() in (0, 143), live.log.read_text("utf-8", "replace")[-800:]

    def _until(self, words: list[str], ready: Callable[[], bool]) -> None:
        """Run what has no end of its own until it is ``ready``, then Ctrl-C."""
        process = subprocess.Popen(
            [sys.executable, "-m", "cleancut", *words],
            cwd=self.folder,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            until = time.monotonic() + _WAIT_S
            while time.monotonic() < until and process.poll() is None and not ready():
                time.sleep(0.1)
            assert ready(), process.communicate(timeout=1)
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=_WAIT_S)
            assert process.returncode in (0, 130), told
        finally:
            process.kill()

    def _answers(self, port: int) -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", port)) == 0


def _alone(parts: list[list[str]]) -> bool:
    """One command of ours that reads no stdin: `mcp` talks over it until it is closed."""
    return len(parts) == 1 and parts[0][0] == "cleancut" and parts[0][1] != "mcp"


def _expanded(word: str) -> list[str]:
    """What a shell makes of `*.jpg` and `~`."""
    if "*" in word and "**" not in word:
        return sorted(str(path) for path in Path().glob(word)) or [word]
    return [str(Path(word).expanduser()) if word.startswith("~") else word]


def _without(words: list[str], flag: str) -> list[str]:
    if flag not in words:
        return words
    place = words.index(flag)
    return words[:place] + words[place + 2 :]


def environment(folder: Path, cache: Path) -> dict[str, str]:
    """Of a page's commands: a home, models and server of its own; measured choices are shared."""
    programs = folder.parent / f"{folder.name}-bin"
    programs.mkdir()
    # Stands for any program that writes raw frames.
    (programs / "reader").write_text("#!/bin/sh\nexec cat wide.rgb\n")
    (programs / "reader").chmod(0o755)
    (programs / "cleancut").write_text(f'#!/bin/sh\nexec {sys.executable} -m cleancut "$@"\n')
    (programs / "cleancut").chmod(0o755)
    paths = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(paths),
        "HOME": str(folder),
        "BROWSER": "true",
        "CLEANCUT_HOME": str(folder / ".cleancut-home"),
        "CLEANCUT_CACHE": str(cache),
        "CLEANCUT_RESULT_CACHE": str(cache / "results"),
        "CLEANCUT_SERVER_DATA": str(folder / "server"),
    }
