"""``cleancut cache``, and the flags of every command that keeps results."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from cleancut.cli.main import shown
from cleancut.errors import BadOption, CleancutError

if TYPE_CHECKING:
    from cleancut.cache.entry import Cache, Contents

#: Where results are kept if no flag says otherwise.
VARIABLE = "CLEANCUT_RESULT_CACHE"

EPILOG = """\
The same picture, model and options are cut once; after that the result comes out of the cache,
byte for byte. Anything that could change a pixel makes another result: another option that
matters, other weights, another version of cleancut. Results lie in a folder that only you can
read, what was used longest ago goes first; several machines can share a Redis.

examples:
  cleancut cache                                   where it is, how large, how often it helped
  cleancut cache verify                            read every result, drop damaged ones
  cleancut cache clear
  cleancut cache --cache redis://cache.lan:6379/0  another cache than the usual one
  cleancut cut photo.jpg --cache off               neither look up nor keep
  export CLEANCUT_RESULT_CACHE=off                 never keep results
"""


def add_cache_flags(parser: argparse.ArgumentParser) -> None:
    """``--cache`` and ``--cache-size``; read them with ``cache_place`` or ``cache_from``."""
    group = parser.add_argument_group("cache", "results that were made before are not made again")
    group.add_argument(
        "--cache",
        metavar="PLACE",
        help="where results are kept: a folder, off, or redis://:password@host:port/db "
        f"(default: {VARIABLE}, else a folder of your own; see cleancut cache)",
    )
    group.add_argument(
        "--cache-size", metavar="SIZE", help="limit of the folder ('500MB', '2GB', the default)"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``cache``."""
    parser.epilog = EPILOG
    parser.add_argument(
        "action",
        nargs="?",
        default="show",
        choices=("show", "clear", "verify"),
        help="show what is kept (the default), clear it, or verify every result",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_cache_flags(parser)


def cache_place(
    args: argparse.Namespace, environ: Mapping[str, str] | None = None
) -> tuple[str | None, int]:
    """The place that flags and environment ask for, None for none, and its limit in bytes.

    A flag wins over the environment. Raises ``BadOption``.
    """
    from cleancut.cache.place import DEFAULT_MAX_BYTES, parse_size
    from cleancut.weights.folders import cache_folder

    size = DEFAULT_MAX_BYTES if args.cache_size is None else parse_size(args.cache_size)
    env = os.environ if environ is None else environ
    place = args.cache if args.cache is not None else env.get(VARIABLE) or None
    if place == "off":
        return None, size
    if args.cache_size is not None and place is not None and "://" in place:
        raise BadOption(
            "--cache-size limits a folder; a Redis has a limit of its own",
            hint="set maxmemory in the server's configuration",
        )
    return place if place is not None else str(cache_folder(env) / "results"), size


def cache_from(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Cache | None:
    """The cache that flags and environment ask for; to be closed. Raises ``BadOption``."""
    from cleancut.cache.place import open_cache

    place, size = cache_place(args, environ)
    return open_cache(place, max_bytes=size)


def summary() -> tuple[str, str, str]:
    """What ``doctor`` says: where results are kept, what is wrong there, and what mends it."""
    try:
        cache = cache_from(argparse.Namespace(cache=None, cache_size=None))
        if cache is None:
            return "not kept: the cache is off", "", ""
        try:
            contents = cache.contents()
        finally:
            cache.close()
    except CleancutError as error:
        return "every picture is cut anew", error.message, error.hint
    size = dict(_lines(contents))["size"]
    return f"{contents.place}, {contents.entries} results, {size}", "", ""


def run(args: argparse.Namespace) -> int:
    """Show, clear or verify the cache."""
    cache = cache_from(args)
    if cache is None:
        print(json.dumps({"place": None}) if args.json else "the cache is off")
        return 0
    try:
        if args.action == "clear":
            removed = cache.clear()
            told = {"removed": removed}
            text = f"results: {removed} removed"
        elif args.action == "verify":
            verified = cache.verify()
            told = asdict(verified)
            text = f"results: {verified.sound} sound"
            if verified.damaged:
                text += f", {verified.damaged} damaged and dropped"
        else:
            contents = cache.contents()
            told = asdict(contents)
            text = "\n".join(f"{name:>8}  {value}" for name, value in _lines(contents))
    finally:
        cache.close()
    print(json.dumps(told) if args.json else text)
    return 0


def _lines(contents: Contents) -> list[tuple[str, str]]:
    asked = contents.hits + contents.misses
    share = f" ({contents.hits / asked:.0%})" if asked else ""
    limit = "no limit" if contents.max_bytes is None else f"of {_size(contents.max_bytes)}"
    return [
        ("place", shown(contents.place)),
        ("results", str(contents.entries)),
        ("size", f"{'unknown' if contents.bytes is None else _size(contents.bytes)} {limit}"),
        ("hits", f"{contents.hits} of {asked} look-ups{share}"),
    ]


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1e9:.2f} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.1f} MB"
