"""The ``cleancut`` command: parse, run one command, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import NoReturn

from cleancut import __version__
from cleancut.errors import (
    BadOption,
    CleancutError,
    Kind,
    MissingDependency,
    OutputNotWritable,
    SetupError,
)

#: Exit codes by kind of error; 0 is success, 130 Ctrl-C.
EXIT_CODES: dict[Kind, int] = {"bug": 1, "input": 2, "setup": 3, "resource": 4}
EXIT_SOME_FAILED = 5
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

EPILOG = """\
examples:
  cleancut cut photo.jpg                    -> photo.cutout.png
  cleancut models pull                      get the larger models, for better mattes
  cleancut cut a.jpg b.webp -o out/ --crop --background white --format jpg
  cat photo.jpg | cleancut cut - > cutout.png
  cleancut doctor                           what is installed, and what would mend it

exit codes: 0 done, 1 a bug, 2 input or option, 3 setup (model, package, backend), 4 memory,
5 some of several pictures failed, 130 interrupted, 143 terminated
"""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``BadOption`` instead of printing a page and exiting."""

    def error(self, message: str) -> NoReturn:
        """Raise with the nearest known spelling as the hint."""
        hint = f"run: {self.prog} --help"
        if match := re.search(r"unrecognized arguments: (-\S+)", message):
            typed = match[1].split("=")[0]
            near = difflib.get_close_matches(typed, self._option_string_actions, n=1)
            message = f"unknown option {typed}"
            if os.path.lexists(match[1]):
                hint = f"if it is a file, write ./{match[1]}"
            elif near:
                hint = f"did you mean {near[0]}?"
        elif match := re.match(r"argument (command|action): invalid choice: '(.*?)'", message):
            # Newer Pythons list the choices without quotes.
            known = re.findall(r"[\w-]+", message.partition("(choose from")[2])
            near = difflib.get_close_matches(match[2], known, n=1)
            message = f"unknown {match[1]} {match[2]!r}"
            if near:
                hint = f"did you mean {near[0]}?"
        elif match := re.fullmatch(r"argument (?:.*/)?(--\S+): expected one argument", message):
            message = f"{match[1]} needs a value"
            hint = f"if it starts with a minus, write it like {match[1]}=-5"
        else:
            message = message.replace("unrecognized arguments:", "not understood:")
        raise BadOption(message, hint=hint)


def build_parser(command: str | None) -> Parser:
    """The parser; only the chosen command's own flags are built, so that ``--help`` is instant."""
    parser = Parser(
        prog="cleancut",
        description="Background removal on your own machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"cleancut {__version__}"
    parser.add_argument("-V", "--version", action="version", version=version)
    commands = parser.add_subparsers(
        dest="command", metavar="command", parser_class=Parser, required=True
    )
    for name, help_ in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=help_,
            description=help_[0].upper() + help_[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == command:
            _module(name).add_arguments(sub)
            sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
            sub.set_defaults(run=_module(name).run, parser=sub, debug=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises on purpose."""
    # OpenCV logs to stderr what it does not like about a file; errors here are one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]  # it may stand anywhere
    _settle_streams()
    try:
        with _terminable():
            return _run(words, debug)
    except KeyboardInterrupt:
        print("cleancut: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`| head`): not our error, and nothing more can be said on stdout.
        _abandon(sys.stdout)
        return EXIT_CODES["input"]
    except Exception as error:
        if debug:
            raise
        code = report(as_error(error))
        _abandon(sys.stdout)
        return code


def _run(words: list[str], debug: bool) -> int:
    command = next((word for word in words if not word.startswith("-")), None)
    args, extra = build_parser(command).parse_known_args(words)
    args.debug = debug
    if extra:
        args.parser.error(f"unrecognized arguments: {' '.join(extra)}")
    code: int = args.run(args)
    sys.stdout.flush()
    return code


def _settle_streams() -> None:
    """Make the three streams safe to use.

    A closed one (`>&-`) would hand its number to the next file that is opened. A name that the
    terminal's encoding lacks must not stop a cutout.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(handle, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an orderly end: no half files, no download clients left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(signum: int, frame: object) -> NoReturn:  # noqa: ARG001
        raise SystemExit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _abandon(stream: object) -> None:
    """Keep the interpreter from complaining at exit about what ``stream`` could not take."""
    try:
        stream.flush()  # type: ignore[attr-defined]
    except (OSError, ValueError):
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())  # type: ignore[attr-defined]
            os.close(null)
        except (OSError, ValueError):
            return


def report(error: CleancutError, about: str = "") -> int:
    """Print ``error`` as one line on stderr and return its exit code."""
    print(line_of(error, about), file=sys.stderr)
    return EXIT_CODES[error.kind]


def line_of(error: CleancutError, about: str = "") -> str:
    """``cleancut: error [code] file: what is wrong; next step`` on one line."""
    message = error.message if not about or about in error.message else f"{about}: {error.message}"
    text = f"cleancut: error [{error.code}] {message}" + (f"; {error.hint}" if error.hint else "")
    return shown(" ".join(text.split()))


def shown(text: str) -> str:
    """``text`` with what would move a terminal's cursor spelled out: file names are hostile too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_error(error: Exception) -> CleancutError:
    """``error`` itself, or what it means to a user; a bug only where it means nothing."""
    if isinstance(error, CleancutError):
        return error
    if isinstance(error, ImportError) and not (error.name or "").startswith("cleancut"):
        return MissingDependency(
            f"the package {error.name or '?'} cannot be loaded: {error}",
            hint="run: pip install --force-reinstall cleancut",
        )
    if isinstance(error, OSError) and error.filename is not None:
        return SetupError(
            f"{error.filename}: {error.strerror}",
            hint="check that this file or folder exists and may be read",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return OutputNotWritable(
            f"stdout cannot be written: {error.strerror}", hint="write somewhere else"
        )
    return CleancutError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug: run again with --debug and report what it prints",
    )


def _module(name: str) -> ModuleType:
    """The module of a command, which has ``add_arguments`` and ``run``."""
    if name == "cut":
        from cleancut.cli import cut

        return cut
    if name == "batch":
        from cleancut.cli import batch

        return batch
    if name == "video":
        from cleancut.cli import video

        return video
    if name == "cache":
        from cleancut.cli import cache

        return cache
    if name == "models":
        from cleancut.cli import models

        return models
    if name == "keys":
        from cleancut.cli import keys

        return keys
    if name == "presets":
        from cleancut.cli import presets

        return presets
    if name == "serve":
        from cleancut.cli import serve

        return serve
    if name == "mcp":
        from cleancut.cli import mcp

        return mcp
    if name == "distill":
        from cleancut.cli import distill

        return distill
    if name == "recommend":
        from cleancut.cli import recommend

        return recommend
    if name == "doctor":
        from cleancut.cli import doctor

        return doctor
    if name == "completion":
        from cleancut.cli import completion

        return completion
    if name == "demo":
        from cleancut.cli import demo

        return demo
    from cleancut.cli import bench

    return bench


COMMANDS = {
    "cut": "remove the background of pictures",
    "batch": "remove the background of whole folders, losing nothing",
    "video": "remove the background of videos and numbered frames",
    "cache": "show, clear or verify the results that are kept",
    "models": "list, pull, import, verify and remove models",
    "recommend": "which model to take for what, with reasons and licences",
    "presets": "the ready-made outputs: shops, ID photos, print sheets",
    "distill": "train a small network of your own on what a large one says",
    "serve": "an HTTP server that clients of remove.bg and rembg can point at",
    "keys": "who may use the server, and how much of it",
    "mcp": "a server for agents: Claude, Cursor, VS Code and others cut pictures out here",
    "completion": "what makes a shell complete cleancut's commands, options and names",
    "doctor": "what is installed, which backend each model runs on, what to mend",
    "demo": "cut out two photographs, before and after the default models are pulled",
    "bench": "measure start-up and speed, beside rembg",
}
