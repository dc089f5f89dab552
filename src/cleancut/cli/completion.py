"""``cleancut completion``: what could be typed next, asked of the parsers themselves.

A shell's script hands over the words typed so far and shows what ``completion words`` answers: a
candidate a line, its help behind a tab. A last line ``:files jpg png`` (suffixes; none: all files)
or ``:folders`` asks the shell for paths, which it quotes better than we could.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cleancut.cli.main import build_parser
from cleancut.errors import CleancutError

EPILOG = """\
examples:
  eval "$(cleancut completion bash)"                      in ~/.bashrc
  cleancut completion zsh > ~/.zfunc/_cleancut            fpath+=~/.zfunc before compinit
  cleancut completion fish > ~/.config/fish/completions/cleancut.fish
"""
SHELLS = ("bash", "zsh", "fish")
_FILES = {"FILE", "PATH", "SVG", "WHAT", "OUT", "IN", "CONFIG"}
_FOLDERS = {"DIR", "FOLDER", "RUN", "LABELS", "PHOTOS"}
_PICTURES = {("cut", "inputs"), ("demo", "image"), ("cut", "trimap"), ("cut", "mask")}
_PICTURES |= {("cut", "matte"), ("cut", "scribbles"), ("bench", "image"), ("bench", "large")}
_MODELS = {"model", "models", "serve_models", "against"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``completion``."""
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=(*SHELLS, "words"), help="whose script to print")
    parser.add_argument(
        "typed", nargs=argparse.REMAINDER, help="words: what is typed so far, the last word to end"
    )


def run(args: argparse.Namespace) -> int:
    """Print a shell's script, or answer one."""
    if args.shell == "words":
        typed = args.typed[1:] if args.typed[:1] == ["--"] else args.typed
        print("\n".join(candidates(typed or [""])))
        return 0
    print((Path(__file__).parent / "shells" / f"{args.shell}.txt").read_text("utf-8"), end="")
    return 0


def candidates(typed: Sequence[str]) -> list[str]:
    """What the last of ``typed`` (words after ``cleancut``) may become, as the module tells."""
    *words, begun = typed
    parser, rest = _parser_of(words)
    topic = parser.prog.split()[1:2]
    if begun.startswith("-") and "=" in begun:
        option, begun = begun.split("=", 1)
        action = parser._option_string_actions.get(option)
        found = _values(action, topic, begun) if action and action.nargs != 0 else ()
        return [f"{option}={line}" for line in found if not line.startswith(":")]
    if begun.startswith("-") and "--" not in rest:
        return list(_options(parser, begun))
    action = _awaited(parser, rest)
    return [] if action is None else list(_values(action, topic, begun))


def _parser_of(words: Sequence[str]) -> tuple[argparse.ArgumentParser, Sequence[str]]:
    """The parser that the next word is for, and the words that it has had already."""
    command = next((word for word in words if not word.startswith("-")), None)
    parser: argparse.ArgumentParser = build_parser(command)
    rest = list(words)
    while (sub := _subparsers(parser)) is not None:
        place = next((at for at, word in enumerate(rest) if word in sub.choices), None)
        if place is None:
            break
        parser, rest = sub.choices[rest[place]], rest[place + 1 :]
    return parser, rest


def _subparsers(
    parser: argparse.ArgumentParser,
) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    return next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)


def _awaited(parser: argparse.ArgumentParser, rest: Sequence[str]) -> argparse.Action | None:
    """The option or positional whose value comes next."""
    positionals = [action for action in parser._actions if not action.option_strings]
    option: argparse.Action | None = None
    given = 0
    for word in rest:
        if word.startswith("-") and word != "-":
            found = parser._option_string_actions.get(word)
            option = found if found is not None and found.nargs != 0 else None
        elif option is None:
            given += 1
        elif option.nargs not in ("+", "*"):
            option = None
    if option is not None:
        return option
    if given < len(positionals):
        return positionals[given]
    last = positionals[-1] if positionals else None
    return last if last is not None and last.nargs in ("+", "*") else None


def _options(parser: argparse.ArgumentParser, begun: str) -> Iterator[str]:
    for action in parser._actions:
        for name in action.option_strings:
            if name.startswith(begun) and action.help != argparse.SUPPRESS:
                yield _line(name, action.help)


def _values(action: argparse.Action, topic: Sequence[str], begun: str) -> Iterator[str]:
    """Candidates for one value; ``topic`` holds the command."""
    place = (topic[0] if topic else "", action.dest)
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if isinstance(action, argparse._SubParsersAction):
        yield from _named(begun, ((c.dest, c.help) for c in action._choices_actions))
    elif action.choices:
        yield from _named(begun, ((str(choice), "") for choice in action.choices))
    elif action.dest in _MODELS or (place[0] == "models" and action.dest in ("name", "names")):
        yield from _named(begun, _models(action.dest == "model"))
        if action.dest in _MODELS:
            yield ":files onnx"
    elif action.dest == "preset":
        yield from _presets(begun)
        yield ":files toml"
    elif action.dest == "use":
        from cleancut.compare.uses import USES

        yield from _named(begun, ((use.id, use.title) for use in USES.values()))
    elif place in _PICTURES:
        from cleancut.imaging.readable import readable

        yield f":files {_plain(suffix for kind in readable() for suffix in kind.suffixes)}"
    elif place == ("video", "inputs"):
        from cleancut.server.video_form import SUFFIXES

        yield f":files {_plain(SUFFIXES)} gif png webp"
    elif metavar in _FOLDERS:
        yield ":folders"
    elif metavar in _FILES:
        yield ":files"


def _models(with_auto: bool) -> Iterator[tuple[str, str]]:
    from cleancut.catalog import catalog

    if with_auto:
        yield "auto", "the models that are here, each for what it is best at"
    try:
        for spec in catalog().values():
            yield spec.id, spec.title
    except CleancutError:
        return


def _presets(begun: str) -> Iterator[str]:
    """Presets, and behind a plus the papers."""
    from cleancut.presets import PAPER, presets

    before, plus, last = begun.rpartition("+")
    for row in presets().values():
        if row.id.startswith(last) and (not plus or row.group == PAPER):
            yield _line(f"{before}{plus}{row.id}", row.title)


def _named(begun: str, names: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    for name, about in names:
        if name.startswith(begun):
            yield _line(name, about)


def _line(name: str, about: str | None) -> str:
    """A candidate with the first words of what it is."""
    told = " ".join((about or "").replace("%%", "%").split())
    told = told.split("; ")[0][:80]
    return f"{name}\t{told}" if told else name


def _plain(suffixes: Iterable[str]) -> str:
    return " ".join(suffix.removeprefix(".") for suffix in suffixes)
