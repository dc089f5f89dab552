"""``cleancut mcp``: agents cut pictures out on this machine, inside folders of yours."""

from __future__ import annotations

import argparse

from cleancut.cli.flags import add_option_flags, options_from
from cleancut.errors import BadOption

EPILOG = """\
An agent (Claude, Cursor, VS Code and others) starts this command itself and talks to it over stdin
and stdout; docs/mcp.md has the lines for each. It reads and writes inside the folders named with
--root only, overwrites nothing unless it asks for that, and downloads nothing without --pull.

examples:
  cleancut mcp --root ~/Pictures
  cleancut mcp --root ~/Pictures --root ~/shop --commercial-only
  claude mcp add cleancut -- cleancut mcp --root ~/Pictures
  cleancut mcp --root ~/Pictures --http 7001      http://127.0.0.1:7001/mcp
"""

#: Options that the user chooses for every call; agents may choose most others.
DEFAULTS = ("model", "commercial_only", "backend", "device", "precision", "max_megapixels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``mcp``."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder that agents may read and write in, with all in it; repeat it for several "
        "(default: the working folder)",
    )
    add("--pull", action="store_true", help="let a call download the models that it lacks")
    add(
        "--http",
        type=int,
        metavar="PORT",
        help="streamable HTTP on 127.0.0.1 instead of stdin and stdout; every program of this "
        "machine can call it",
    )
    add_option_flags(parser, DEFAULTS)


def run(args: argparse.Namespace) -> int:
    """Serve until the client goes away."""
    from cleancut.mcp.roots import Roots
    from cleancut.mcp.server import Settings, serve

    if args.http is not None and not 1 <= args.http <= 65535:
        raise BadOption(f"--http: {args.http} is not a port", hint="like --http 7001")
    roots = Roots.of(args.root)
    serve(Settings(roots, options_from(args), pull=args.pull, port=args.http))
    return 0
