"""``cleancut recommend``: what to take for which purpose, read from measurements."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.cli.main import shown
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cleancut.compare.advice import Advice, Pick

EPILOG = """\
examples:
  cleancut recommend                              what it can be asked for
  cleancut recommend --for ecommerce
  cleancut recommend --for id-photo --commercial-only
  cleancut recommend --for webcam --here          only what is on this machine
  cleancut recommend --for mobile --json
  cleancut bench compare --data pictures --json mine.json
  cleancut recommend --for ecommerce --figures mine.json    from your own pictures

The answer is read from the measurements in the package, which name their date and machine.
"""

_WIDTH = 96
_INDENT = 11
#: Lines of what is ruled out; --json has all.
_MOST_OUT = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``recommend``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--for",
        dest="use",
        metavar="USE",
        help="ecommerce, id-photo, live-video, mobile or research; shop, passport, webcam, phone "
        "and the like are understood",
    )
    parser.add_argument(
        "--commercial-only", action="store_true", help="only what is clearly usable commercially"
    )
    parser.add_argument("--here", action="store_true", help="only what is on this machine now")
    parser.add_argument(
        "--figures", type=Path, metavar="FILE", help="measurements of yours, by bench compare"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with every figure")


def run(args: argparse.Namespace) -> int:
    """Print the answer for one use, or the uses there are."""
    from cleancut.compare.advice import advise
    from cleancut.compare.comparison import Comparison
    from cleancut.compare.presence import here
    from cleancut.compare.stored import stored
    from cleancut.compare.uses import find_use

    if args.use is None:
        return _list_uses(args.json)
    use = find_use(args.use)
    comparison = Comparison.read(args.figures) if args.figures else stored()
    there = here(comparison)
    advice = advise(
        comparison,
        use,
        commercial_only=args.commercial_only,
        here=there if args.here else None,
    )
    if not advice.picks:
        raise _nothing(advice, args)
    if args.json:
        print(json.dumps({**advice.to_dict(), "here": sorted(there)}, indent=1))
        return 0
    for line in _lines(advice, there):
        print(shown(line))
    return 0


def _list_uses(as_json: bool) -> int:
    from cleancut.compare.uses import USES

    if as_json:
        rows = [
            {"id": use.id, "title": use.title, "about": use.about, "aliases": list(use.aliases)}
            for use in USES.values()
        ]
        print(json.dumps(rows, indent=1))
        return 0
    print("What for? cleancut recommend --for\n")
    for use in USES.values():
        print(f"  {use.id:11} {use.about}")
        print(f"  {'':11} also: {', '.join(use.aliases)}")
    return 0


def _nothing(advice: Advice, args: argparse.Namespace) -> BadOption:
    loose = [flag for flag in ("--commercial-only", "--here") if getattr(args, _field(flag))]
    hint = "measure pictures with true mattes: cleancut bench compare --data DIR --json FILE"
    return BadOption(
        f"nothing is left to recommend for {advice.use}, mostly because of this: {advice.nothing}",
        hint=f"leave out {' or '.join(loose)}" if loose else hint,
    )


def _field(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _lines(advice: Advice, there: frozenset[str]) -> Iterator[str]:
    """One screen of plain text."""
    first, *others = advice.picks
    yield f"{advice.title}: {advice.about}"
    yield ""
    if not advice.met:
        yield from _wrapped("", "Nothing that was measured has all that this needs; nearest comes:")
    yield f"{'take':{_INDENT}}{_called(first)}"
    for command in first.commands:
        yield f"{'':{_INDENT}}$ {command}"
    yield from _wrapped("why", "; ".join(_reasons(first)))
    yield from _wrapped("lacks", "; ".join(first.unmet))
    yield from _wrapped("licence", str(first.licence))
    yield from _wrapped("but", "; ".join(first.against))
    yield from _wrapped("close to", ", ".join(first.close))
    if first.system not in there:
        yield from _wrapped("here", "not on this machine yet: the first line gets it")
    yield ""
    if advice.licensed:
        second = advice.licensed == others[0]
        yield from _other(
            "runner-up, with a clear licence" if second else "with a clear licence", advice.licensed
        )
    elif first.licence.commercial != "yes":
        yield from _wrapped(
            "or", "nobody whose licence is clear has all that this needs; see --commercial-only"
        )
    if others and others[0] != advice.licensed:
        yield from _other("runner-up", others[0])
    rest = [f"{pick.system} {pick.score:.2f}" for pick in others[1:] if pick != advice.licensed]
    yield from _wrapped("then", ", ".join(rest))
    yield from _ruled_out(advice)
    yield ""
    yield from _wrapped("rule", "; ".join(advice.rule))
    yield from _wrapped("measured", advice.measured)
    for remark in advice.remarks:
        yield from _wrapped("note", remark)


def _other(what: str, pick: Pick) -> Iterator[str]:
    worst = max(pick.reasons, key=lambda reason: reason.ratio)
    told = f"{what}: {_called(pick)}, {pick.score:.2f} times the first's score; "
    told += f"{worst.title} {worst.told}; commercial use: {pick.licence.commercial}"
    yield from _wrapped("or", told)


def _called(pick: Pick) -> str:
    return pick.title if pick.title == pick.system else f"{pick.title} ({pick.system})"


def _reasons(pick: Pick) -> Iterable[str]:
    for reason in pick.reasons:
        place = "best" if reason.rank == 1 else f"number {reason.rank}"
        yield f"{reason.title} {reason.told} ({place} of {reason.among})"


def _ruled_out(advice: Advice) -> Iterator[str]:
    lead = "was not measured"
    absent = [out.system for out in advice.ruled_out if out.why.startswith(lead)]
    out = [one for one in advice.ruled_out if not one.why.startswith(lead)]
    for number, one in enumerate(out[:_MOST_OUT]):
        text = textwrap.shorten(f"{one.system}: {one.why}", _WIDTH - _INDENT, placeholder=" ...")
        yield f"{'' if number else 'ruled out':{_INDENT}}{text}"
    if len(out) > _MOST_OUT:
        yield f"{'':{_INDENT}}and {len(out) - _MOST_OUT} more; --json names them"
    yield from _wrapped("no figures", ", ".join(absent))


def _wrapped(name: str, text: str) -> Iterator[str]:
    """``text`` under its name; nothing if there is none."""
    for number, line in enumerate(textwrap.wrap(text, _WIDTH - _INDENT)):
        yield f"{'' if number else name:{_INDENT}}{line}"
