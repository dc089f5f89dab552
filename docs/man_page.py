"""The manual page of the command line, from its parsers; ``docs/generate.py`` writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from cleancut import __version__
from cleancut.cli.main import COMMANDS, EPILOG, build_parser

Walk = Iterable[tuple[list[str], argparse.ArgumentParser]]

ENVIRONMENT = {
    "CLEANCUT_HOME": "where pulled models are kept",
    "CLEANCUT_CACHE": "where compiled networks, measurements and results are kept",
    "CLEANCUT_MODELS": "read-only folders with models, parted like PATH",
    "CLEANCUT_RESULT_CACHE": "off, a folder or redis://HOST: where results are kept",
    "CLEANCUT_COMMERCIAL_ONLY": "1: refuse models whose licences are no clear yes",
    "CLEANCUT_SERVER_...": "every setting of cleancut serve, in capitals",
}


def man_page(parsers: Walk) -> str:
    """The page in man(7) macros; ``parsers`` are words and parser of every command and action."""
    before, _, exits = EPILOG.partition("exit codes:")
    examples = before.removeprefix("examples:\n")
    lines = [
        '.\\" made by docs/generate.py; run: make docs',
        f'.TH CLEANCUT 1 "" "cleancut {__version__}" "User Commands"',
        ".SH NAME",
        "cleancut \\- background removal on your own machine",
        ".SH SYNOPSIS",
        ".B cleancut",
        ".I command",
        "[options]",
        ".SH DESCRIPTION",
        *_text(build_parser(None).description or ""),
        "Errors are one line on standard error: a code, what is wrong, and the next command.",
        ".SH COMMANDS",
    ]
    for name, about in COMMANDS.items():
        lines += [".TP", f".B {_escaped(name)}", *_text(about)]
    for words, parser in parsers:
        lines += _command(words, parser)
    lines += [".SH ENVIRONMENT"]
    for name, about in ENVIRONMENT.items():
        lines += [".TP", f".B {_escaped(name)}", *_text(about)]
    lines += [".SH EXIT STATUS", *_text(exits.strip()), ".SH EXAMPLES", *_block(examples)]
    return "\n".join(lines) + "\n"


def _command(words: list[str], parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f".SH CLEANCUT {_escaped(' '.join(words).upper())}"
    yield from _text(parser.description or "")
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        if not actions or isinstance(actions[0], argparse._SubParsersAction):
            continue
        if group.description or group.title not in ("positional arguments", "options"):
            yield f".SS {_escaped(group.title or '')}"
            yield from _text(group.description or "")
        for action in actions:
            yield ".TP"
            yield _head(parser, action)
            yield from _text(_help(parser, action))
    if (parser.epilog or "").startswith("examples:\n"):
        yield ".SS examples"
        yield from _block((parser.epilog or "").removeprefix("examples:\n"))


def _head(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser.formatter_class(prog=parser.prog)
    default = action.metavar if isinstance(action.metavar, str) else action.dest
    if not action.option_strings:
        return f".I {_escaped(formatter._format_args(action, default))}"
    value = "" if action.nargs == 0 else " " + formatter._format_args(action, default.upper())
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in action.option_strings)
    return f"{names}\\fI{_escaped(value)}\\fR"


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser.formatter_class(prog=parser.prog)._expand_help(action) if action.help else ""


def _text(text: str) -> list[str]:
    """One line of running text; roff wraps it."""
    words = " ".join(text.split())
    return [_line(words)] if words else []


def _block(text: str) -> list[str]:
    """Lines as they stand."""
    return [".nf", *(_line(line) for line in text.strip("\n").split("\n")), ".fi"]


def _line(text: str) -> str:
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escaped(text: str) -> str:
    return (
        text.replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("'", "\\(aq")
        .replace("^", "\\(ha")
        .replace("~", "\\(ti")
        .replace("`", "\\(ga")
    )
