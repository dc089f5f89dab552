"""``cleancut distill``: train a small network on what a large one says."""

from __future__ import annotations

import argparse

from cleancut.cli import (
    distill_card,
    distill_eval,
    distill_export,
    distill_label,
    distill_train,
    distill_tune,
)

EPILOG = """\
examples:
  cleancut distill label photos -o labels
  cleancut distill train nano --labels labels --backgrounds scenes -o run
  cleancut distill export run -o mine.onnx
  cleancut distill tune cleancut-nano --pairs mine -o run --export mine.onnx
  cleancut cut photo.jpg --model mine.onnx
"""

_ACTIONS = {
    "label": distill_label,
    "train": distill_train,
    "tune": distill_tune,
    "eval": distill_eval,
    "export": distill_export,
    "card": distill_card,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of ``distill``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    for name, module in _ACTIONS.items():
        sub = actions.add_parser(
            name, help=module.HELP, description=module.HELP, allow_abbrev=False
        )
        sub.set_defaults(parser=sub)  # errors point at this action's --help
        module.add_arguments(sub)


def run(args: argparse.Namespace) -> int:
    """Run one action of ``distill``."""
    code: int = _ACTIONS[args.action].run(args)
    return code
