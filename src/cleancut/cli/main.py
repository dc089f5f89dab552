"""The ``cleancut`` command: parse, run one command, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from cleancut import __version__
from cleancut.errors import BadOption, CleancutError, Kind

#: Exit codes by kind of error; 0 is success, 130 Ctrl-C.
EXIT_CODES: dict[Kind, int] = {"bug": 1, "input": 2, "setup": 3, "resource": 4}
EXIT_SOME_FAILED = 5
EXIT_INTERRUPTED = 130

EPILOG = """\
examples:
  cleancut models pull                      get the default models
  cleancut cut photo.jpg                    -> photo.cutout.png
  cleancut cut a.jpg b.webp -o out/ --crop --background white --format jpg
  cat photo.jpg | cleancut cut - > cutout.png
  cleancut doctor                           what is installed, and what would mend it

exit codes: 0 done, 1 a bug, 2 input or option, 3 setup (model, package, backend), 4 memory,
5 some of several pictures failed, 130 interrupted
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
            if near:
                hint = f"did you mean {near[0]}?"
        elif match := re.search(r"argument command: invalid choice: '([^']*)'", message):
            message = f"unknown command {match[1]!r}"
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
    parser.add_argument("--version", action="version", version=f"cleancut {__version__}")
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
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]  # it may stand anywhere
    try:
        command = next((word for word in words if not word.startswith("-")), None)
        args, extra = build_parser(command).parse_known_args(words)
        args.debug = debug
        if extra:
            args.parser.error(f"unrecognized arguments: {' '.join(extra)}")
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except CleancutError as error:
        if debug:
            raise
        return report(error)
    except KeyboardInterrupt:
        print("cleancut: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`| head`): not our error, and nothing more can be said on stdout.
        sys.stderr.close()
        return EXIT_CODES["input"]
    except Exception as error:
        if debug:
            raise
        return report(_unexpected(error))


def report(error: CleancutError, about: str = "") -> int:
    """Print ``error`` as one line on stderr and return its exit code."""
    print(line_of(error, about), file=sys.stderr)
    return EXIT_CODES[error.kind]


def line_of(error: CleancutError, about: str = "") -> str:
    """``cleancut: error [code] file: what is wrong; next step`` on one line."""
    message = error.message if not about or about in error.message else f"{about}: {error.message}"
    text = f"cleancut: error [{error.code}] {message}" + (f"; {error.hint}" if error.hint else "")
    return " ".join(text.split())


def _unexpected(error: Exception) -> CleancutError:
    return CleancutError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug: run again with --debug and report what it prints",
    )


def _module(name: str) -> ModuleType:
    """The module of a command, which has ``add_arguments`` and ``run``."""
    if name == "cut":
        from cleancut.cli import cut

        return cut
    if name == "models":
        from cleancut.cli import models

        return models
    if name == "doctor":
        from cleancut.cli import doctor

        return doctor
    if name == "demo":
        from cleancut.cli import demo

        return demo
    from cleancut.cli import bench

    return bench


COMMANDS = {
    "cut": "remove the background of pictures",
    "models": "list, pull, import, verify and remove models",
    "doctor": "what is installed, which backend each model runs on, what to mend",
    "demo": "pull the default models and cut out two photographs",
    "bench": "measure start-up and speed, beside rembg",
}
