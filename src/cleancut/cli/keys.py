"""``cleancut keys``: who may use the server, and how much of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.main import shown
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.server.keys import Keys, Limits, Record
    from cleancut.server.usage import Row, Used

EPILOG = """\
A key is shown once, when it is made; the server keeps its sha256. A server that runs notices every
change within two seconds. As soon as there is a key, nobody is served without one.

examples:
  cleancut keys add shop                              print a new key
  cleancut keys add partner --requests-per-minute 60 --megapixels-per-day 500
  cleancut keys list                                  who has a key, and what they used
  cleancut keys limit partner --megapixels-per-day 1000 --requests-per-minute none
  cleancut keys rotate partner --overlap 24           a new key; the old one ends in a day
  cleancut keys remove partner
  cleancut keys add shop > shop.key                   nothing but the key goes to stdout

In a container, mount a file with a line for each key instead: NAME KEY [requests-per-minute=60]
[megapixels-per-day=500] [megapixels-per-month=5000], and name it with --keys-file to the server.
KEY is any secret of 32 characters or more, or sha256: and its hash.
"""

_LIMITS = {
    "requests_per_minute": "requests a minute; they may come all at once, then come back evenly",
    "megapixels_per_day": "megapixels that are cut out in a day of UTC",
    "megapixels_per_month": "megapixels that are cut out in a month of UTC",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of ``keys``."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)

    def action(name: str, help_: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        sub.add_argument("--json", action="store_true", help="print JSON")
        add_data_flag(sub)
        sub.set_defaults(parser=sub)
        return sub

    added = action("add", "make a key and print it, once")
    added.add_argument("name")
    _add_limits(added)
    listed = action("list", "names, limits and what was used; never a key")
    listed.add_argument("--keys-file", type=Path, metavar="FILE", help="further keys of the server")
    listed.add_argument("--redis", metavar="URL", help="where the servers count what is used")
    limited = action("limit", "change what a key may use")
    limited.add_argument("name")
    _add_limits(limited)
    rotated = action("rotate", "make a new key for a name and print it, once; the old one ends")
    rotated.add_argument("name")
    rotated.add_argument(
        "--overlap", type=float, default=0.0, metavar="HOURS", help="keep the old key good so long"
    )
    action("remove", "revoke a key").add_argument("name")


def add_data_flag(parser: argparse.ArgumentParser) -> None:
    """``--data``, the same for every command that looks at a server's folder."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the server's folder (default: CLEANCUT_SERVER_DATA, else a folder of your own)",
    )


def data_folder(data: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """The server's folder that flag or environment name, else one under cleancut's home."""
    from cleancut.weights.folders import home

    env = os.environ if environ is None else environ
    if data is not None:
        return data
    told = env.get("CLEANCUT_SERVER_DATA")
    return Path(told) if told else home(env) / "server"


def run(args: argparse.Namespace) -> int:
    """Run one action of ``keys``."""
    from cleancut.server.keys import Keys

    keys = Keys(data_folder(args.data) / "keys.json")
    if args.action == "list":
        return _list(args, keys)
    if args.action == "add":
        key = keys.add(args.name, _limits(args))
        _show(args, key, f"{args.name} may use the server with this key; it is not shown again")
    elif args.action == "rotate":
        if not 0 <= args.overlap <= 24 * 366:
            raise BadOption(f"--overlap: {args.overlap:g} hours is out of range", hint="0 to 8784")
        key = keys.rotate(args.name, overlap_s=args.overlap * 3600)
        ends = f"ends in {args.overlap:g} hours" if args.overlap else "has ended"
        _show(args, key, f"this is the new key of {args.name}, not shown again; the old one {ends}")
    elif args.action == "limit":
        before = next((r for r in keys.listed() if r.caller.name == args.name), None)
        keys.limit(args.name, _limits(args, before.caller.limits if before else None))
        _done(args, f"{args.name}: limits changed")
    else:
        keys.remove(args.name)
        _done(args, f"{args.name}: revoked")
    return 0


def _show(args: argparse.Namespace, key: str, note: str) -> None:
    if args.json:
        print(json.dumps({"name": args.name, "key": key}))
        return
    print(key, flush=True)
    print(f"cleancut: {note}", file=sys.stderr)


def _done(args: argparse.Namespace, text: str) -> None:
    print(json.dumps({"name": args.name}) if args.json else text)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    for name, help_ in _LIMITS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=f"{help_}; or none")


def _limits(args: argparse.Namespace, before: Limits | None = None) -> Limits:
    from cleancut.server.keys import Limits

    given: dict[str, Any] = {}
    for name in _LIMITS:
        text = getattr(args, name)
        if text is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        try:
            number = int if name == "requests_per_minute" else float
            given[name] = None if text == "none" else number(text)
        except ValueError as error:
            raise BadOption(f"{flag}: {text!r:.40} is not a number", hint="or none") from error
    return replace(before or Limits(), **given)


def _list(args: argparse.Namespace, keys: Keys) -> int:
    keys.given = args.keys_file or _path(os.environ.get("CLEANCUT_SERVER_KEYS_FILE"))
    records = keys.listed()
    today, month = time.strftime("%Y-%m-%d", time.gmtime()), time.strftime("%Y-%m", time.gmtime())
    used = _usage(args, keys.path.parent, records, (today, month))
    if args.json:
        print(json.dumps([_facts(record, used, (today, month)) for record in records], indent=1))
        return 0
    if not records:
        print("no keys: the server answers only this machine; run: cleancut keys add NAME")
        return 0
    rows = [("name", "made", "requests/min", "MP today", "MP this month", "pictures this month")]
    for record in records:
        caller, limits = record.caller, record.caller.limits
        made = time.strftime("%Y-%m-%d", time.gmtime(record.created)) if record.created else "-"
        day, all_ = used.get((caller.id, today)), used.get((caller.id, month))
        rows.append(
            (
                shown(caller.name),
                made,
                "-" if limits.requests_per_minute is None else str(limits.requests_per_minute),
                _of(day, limits.megapixels_per_day),
                _of(all_, limits.megapixels_per_month),
                str(all_.pictures if all_ else 0),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    return 0


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _of(used: Used | None, limit: float | None) -> str:
    return f"{used.megapixels if used else 0:.1f}" + ("" if limit is None else f" of {limit:g}")


def _usage(
    args: argparse.Namespace, data: Path, records: tuple[Record, ...], periods: tuple[str, str]
) -> dict[Row, Used]:
    from cleancut.server.usage import RedisUsage, read_usage

    url = args.redis or os.environ.get("CLEANCUT_SERVER_REDIS")
    if not url:
        return read_usage(data / "usage.sqlite", periods)
    store = RedisUsage(url)
    try:
        return {
            (record.caller.id, period): used
            for record in records
            for period, used in store.read(record.caller.id, periods).items()
        }
    finally:
        store.close()


def _facts(record: Record, used: dict[Row, Used], periods: tuple[str, str]) -> dict[str, Any]:
    caller = record.caller
    facts: dict[str, Any] = {"name": caller.name, "id": caller.id, "created": record.created}
    facts |= {field.name: getattr(caller.limits, field.name) for field in fields(caller.limits)}
    facts["ends"] = [known.until for known in record.hashes if known.until is not None]
    for name, period in zip(("today", "month"), periods, strict=True):
        known = used.get((caller.id, period))
        facts[name] = asdict(known) if known else {"megapixels": 0.0, "pictures": 0}
    return facts
