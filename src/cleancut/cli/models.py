"""``cleancut models``: the catalog, and what of it is on this machine."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from cleancut.catalog import ModelSpec, catalog, default_models, find, refuse_non_commercial
from cleancut.cli import models_export, optimize
from cleancut.cli.main import EXIT_SOME_FAILED, report
from cleancut.errors import BadOption, CleancutError, WeightsError

EPILOG = """\
examples:
  cleancut models list --commercial-only
  cleancut models info isnet
  cleancut models pull                 the default models
  cleancut models pull u2net modnet
  cleancut models import ~/Downloads   every file whose sha256 is in the catalog
  cleancut models optimize isnet --calibrate ~/Pictures    an int8 copy, twice as fast
  cleancut models export cleancut-nano --to tflite -o app   for a phone or a browser
  cleancut models verify
  cleancut models where
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of ``models``."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)

    def action(name: str, help_: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=help_, description=help_, allow_abbrev=False)
        sub.add_argument("--json", action="store_true", help="print JSON")
        sub.set_defaults(parser=sub)  # errors point at this action's --help
        return sub

    action("list", "every model with its licence; * marks those on this machine").add_argument(
        "--commercial-only", action="store_true", help="only clearly commercially usable ones"
    )
    action("info", "all there is to know about one model").add_argument("name")
    pull = action("pull", "download weights, verified by sha256; without names the default models")
    pull.add_argument("names", nargs="*", metavar="NAME")
    pull.add_argument(
        "--commercial-only", action="store_true", help="refuse models not clearly usable so"
    )
    pull.add_argument("--variant", metavar="FILE", help="one of the model's weight files")
    pull.add_argument(
        "--no-probe", action="store_true", help="do not measure which backend is fastest"
    )
    imported = action("import", "take weights from local files or folders")
    imported.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    imported.add_argument("--name", help="the model the file must be")
    optimize.add_arguments(action("optimize", optimize.HELP))
    models_export.add_arguments(action("export", models_export.HELP))
    action("verify", "hash the stored files and those of the package again").add_argument(
        "names", nargs="*"
    )
    action("remove", "delete models from the store").add_argument("names", nargs="+")
    action("where", "folders that are searched, in order")


def run(args: argparse.Namespace) -> int:
    """Run one action of ``models``."""
    actions = {
        "list": _list,
        "info": _info,
        "pull": _pull,
        "import": _import,
        "optimize": optimize.run,
        "export": models_export.run,
        "verify": _verify,
        "remove": _remove,
        "where": _where,
    }
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from cleancut.weights.resolve import is_pulled

    rows = [s for s in catalog().values() if not args.commercial_only or s.commercial == "yes"]
    if args.json:
        print(json.dumps([_facts(spec) for spec in rows], indent=1))
        return 0
    cells = [
        (
            ("* " if is_pulled(spec) else "  ") + spec.id + _in_package(spec) + _int8(spec),
            _size(spec),
            spec.commercial,
            textwrap.shorten(spec.weight_licence, 34, placeholder="..."),
            " ".join(spec.tags),
        )
        for spec in rows
    ]
    print(_table(("  model", "MB", "commercial", "weights' licence", "good for"), cells))
    print("\n* on this machine. More: cleancut models info NAME; get: cleancut models pull NAME")
    if any("int8" in row[0] for row in cells):
        print("int8: has an int8 copy; (int8): one that is not used by default, info says why")
    print("custom: any other ONNX network runs by its path, --model FILE.onnx --recipe '...'")
    return 0


def _info(args: argparse.Namespace) -> int:
    from cleancut.weights.optimized import read_copy

    spec = find(args.name)
    facts = _facts(spec)
    if args.json:
        print(json.dumps(facts, indent=1))
        return 0
    for key, value in facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if shown not in ("", None, False) and key != "int8":
            print(f"{key.replace('_', ' '):>15}  {shown}")
    for weight in spec.weights:
        print(f"{'file':>15}  {weight.file}, {weight.bytes / 1e6:.1f} MB, sha256 {weight.sha256}")
        for source in weight.sources:
            print(f"{'from':>15}  {source}" + (f" ({source.note})" if source.note else ""))
    if copy := read_copy(spec):
        print(f"{'int8 copy':>15}  {optimize.verdict(spec, copy)}")
        print(f"{'':>15}  more: cleancut models optimize {spec.id} --show")
    return 0


def _pull(args: argparse.Namespace) -> int:
    specs = [find(name) for name in args.names]
    if not specs:
        specs = [s for s in default_models() if not args.commercial_only or s.commercial == "yes"]
    if args.commercial_only:
        for spec in specs:
            refuse_non_commercial(spec)
    if args.variant and len(specs) != 1:
        raise BadOption("--variant needs exactly one model", hint="run: cleancut models info NAME")
    failed = pull_models(specs, variant=args.variant, probe=not args.no_probe, as_json=args.json)
    if not failed:
        return 0
    return EXIT_SOME_FAILED if len(failed) < len(specs) else report(failed[-1])


def pull_models(
    specs: Sequence[ModelSpec | str],
    *,
    variant: str | None = None,
    probe: bool = True,
    as_json: bool = False,
    to: TextIO | None = None,
) -> list[WeightsError]:
    """Pull with progress on stderr, measure backends, and tell; the errors of those that failed.

    What was done is told on ``to``, by default stdout.
    """
    from cleancut.cli.progress import byte_progress
    from cleancut.weights.pull import pull

    rows = [find(spec) if isinstance(spec, str) else spec for spec in specs]
    failed: list[WeightsError] = []

    def on_failure(spec: ModelSpec, error: WeightsError) -> None:
        failed.append(error)
        if len(rows) > 1:
            report(error, spec.id)

    _tell_licences(rows)
    with byte_progress() as progress:
        done = pull(rows, variant=variant, progress=progress, on_failure=on_failure)
    for pulled in done:
        spec = find(pulled.id)
        facts = {"model": pulled.id, "path": str(pulled.path), "source": pulled.source}
        how = f"from {pulled.source} in {pulled.seconds:.1f} s"
        if pulled.already:
            how = "in the package, nothing to pull" if spec.bundled else "already here"
        backend = _probe(spec) if probe else ""
        if as_json:
            print(json.dumps({**facts, "already": pulled.already, "backend": backend}), file=to)
        else:
            print(f"{pulled.id}: {how}" + (f"; runs on {backend}" if backend else ""), file=to)
    return failed


def _tell_licences(rows: Sequence[ModelSpec]) -> None:
    """Before the download, whose weights not everybody may use as they like; on stderr."""
    from cleancut.weights.resolve import is_pulled

    for spec in rows:
        if spec.commercial == "yes" or spec in default_models() or is_pulled(spec):
            continue
        told = f"{spec.id}: weights under {spec.weight_licence or 'an unknown licence'}"
        print(f"{told}; {spec.note}" if spec.note else told, file=sys.stderr)


def _probe(spec: ModelSpec) -> str:
    """Load the model once, so that its backend is measured and its compiled graph is kept."""
    from cleancut.models.load import Placing, load

    try:
        placement = load(spec, Placing(measure=True)).placement
    except CleancutError as error:  # the weights are fine; say what running them would say
        report(error, spec.id)
        return ""
    return f"{placement} ({placement.reason})"


def _import(args: argparse.Namespace) -> int:
    from cleancut.weights.importing import import_path

    for path in args.paths:
        for taken in import_path(path, args.name):
            print(
                json.dumps({"model": taken.id, "path": str(taken.path)})
                if args.json
                else f"{taken.id}: imported from {path}"
            )
    return 0


def _verify(args: argparse.Namespace) -> int:
    from cleancut.weights.store import verify

    files = verify(args.names)
    bad = [stored for stored in files if stored.problem]
    for stored in files:
        if args.json:
            print(
                json.dumps(
                    {"model": stored.id, "path": str(stored.path), "problem": stored.problem}
                )
            )
        else:
            kind = " (int8 copy)" if stored.int8 else ""
            print(f"{stored.id}{kind}: {stored.problem or 'ok'}  {stored.path}")
    if not files and not args.json:
        print("no models are here; run: cleancut models pull")
    for stored in bad:
        print(f"to mend it, run: {stored.remedy}", file=sys.stderr)
    return 3 if bad else 0


def _remove(args: argparse.Namespace) -> int:
    from cleancut.weights.store import remove

    for path in remove(args.names):
        print(json.dumps({"removed": str(path)}) if args.json else f"removed {path}")
    return 0


def _where(args: argparse.Namespace) -> int:
    from cleancut.weights.folders import cache_folder, places

    found = places()
    if args.json:
        rows = [{"kind": place.kind, "path": str(place.folder)} for place in found]
        print(json.dumps([*rows, {"kind": "cache", "path": str(cache_folder())}], indent=1))
        return 0
    for place in found:
        there = "" if place.folder.is_dir() else "  (not there)"
        print(f"{place.kind:>8}  {place.folder}{there}")
    print(f"{'cache':>8}  {cache_folder()}")
    return 0


def _facts(spec: ModelSpec) -> dict[str, object]:
    from cleancut.weights.optimized import read_copy
    from cleancut.weights.resolve import is_pulled

    recipe = spec.recipe
    path = is_pulled(spec)
    copy = read_copy(spec)
    return {
        **spec.card(),
        "note": spec.note,
        "input": f"{recipe.size[0]} x {recipe.size[1]} {recipe.layout}, {recipe.resize}",
        "in_package": spec.bundled,
        "bytes": min((weight.bytes for weight in spec.weights), default=0),
        "path": str(path) if path else None,
        "int8": optimize.facts(spec, copy) if copy else None,
    }


def _in_package(spec: ModelSpec) -> str:
    return " (in the package)" if spec.bundled else ""


def _int8(spec: ModelSpec) -> str:
    from cleancut.weights.optimized import read_copy

    copy = read_copy(spec)
    if copy is None:
        return ""
    return " (int8)" if optimize.why_not(spec, copy) else " int8"


def _size(spec: ModelSpec) -> str:
    known = [weight.bytes for weight in spec.weights if weight.bytes]
    return f"{min(known) / 1e6:.1f}" if known else "?"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    right = {1}

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])
