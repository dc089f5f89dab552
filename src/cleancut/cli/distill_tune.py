"""``cleancut distill tune``: a model goes on learning from a user's own pictures with mattes."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.cli.distill_eval import teller
from cleancut.cli.distill_progress import training
from cleancut.cli.distill_train import add_run_arguments, say, use_threads
from cleancut.cli.ending import signals
from cleancut.errors import BadOption

if TYPE_CHECKING:
    from cleancut.distill.tune import Tuned

HELP = "fine-tune a model on your own pictures with mattes"
EPILOG = """\
MODEL is a model by name (cleancut-nano, u2netp, modnet, isnet, ...) or a path to an .onnx file; any
network of one picture that onnx2torch can read. A tenth of the pairs is held back, and what the
model made of these before and after is printed. The same command goes on with a run that was
stopped. --export writes the result as a file that every command takes as --model.

examples:
  cleancut distill tune cleancut-nano --pairs mine -o run --export mine.onnx
  cleancut cut photo.jpg --model mine.onnx
  cleancut distill tune u2netp --pairs mine -o run --backgrounds scenes --steps 2000

exit codes: 0 tuned (also where it did not help: the figures say so), 2 to 4 refused,
130 interrupted, to be gone on with
"""
_FINISHING = "finishing this step; once more stops at once"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``distill tune``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model by name, or a path to an .onnx file")
    add(
        "--pairs",
        type=Path,
        metavar="DIR",
        required=True,
        help="pictures with true mattes: DIR/image/STEM.jpg, DIR/alpha/STEM.png, or such folders",
    )
    add_run_arguments(parser)
    add("--held-back", type=Path, metavar="DIR", help="pairs to judge by, not a tenth of --pairs")
    add("--steps", type=int, default=500, metavar="N", help="steps to learn (default: 500)")
    add("--rate", type=float, default=1e-4, metavar="X", help="learning rate (default: 0.0001)")
    add("--batch", type=int, default=4, metavar="N", help="pictures a step (default: 4)")
    add("--size", type=int, metavar="N", help="side of the input (default: the model's own)")
    add("--seed", type=int, default=8, metavar="N", help="what chance begins from (default: 8)")
    add("--export", type=Path, metavar="FILE", help="write the result as this .onnx file")
    add("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Tune the model, and say what that changed."""
    if args.export and args.export.suffix.lower() != ".onnx":
        raise BadOption(f"--export {args.export.name}", hint="give a name that ends in .onnx")
    use_threads(args.threads)
    from cleancut.distill.tune import TuneOrder, tune

    order = TuneOrder(
        model=args.model,
        pairs=args.pairs,
        run=args.output,
        held_back=args.held_back,
        backgrounds=args.backgrounds,
        steps=args.steps,
        rate=args.rate,
        batch=args.batch,
        size=args.size,
        seed=args.seed,
    )
    with signals("" if args.quiet else _FINISHING) as ending, ExitStack() as stack:
        show = stack.enter_context(training(args.steps, quiet=args.quiet))
        done = tune(
            order,
            device=args.device,
            on_step=show,
            cancelled=ending.stop.is_set,
            skipped=teller(quiet=args.quiet),
        )
    if args.export and done.done:
        from cleancut.distill.export import export

        export(args.output, args.export)
    if args.json:
        print(json.dumps(facts(done, args), indent=1))
    elif not args.quiet:
        print(table_of(done))
        for line in verdict(done, args):
            say(line)
    return ending.exit_code


def facts(done: Tuned, args: argparse.Namespace) -> dict[str, Any]:
    """As plain JSON values."""
    written = str(args.export) if args.export and done.done else None
    return {**asdict(done), "worse": done.worse, "run": str(args.output), "written": written}


def table_of(done: Tuned) -> str:
    """The figures of the pairs that were held back, before and after."""
    from cleancut.distill.evaluate import METRICS, table

    lines = [["set", "metric", "before", "after"]]
    for name, before in done.before.items():
        for key, title, digits, *_ in METRICS:
            if key in before:
                cells = [f"{scores[name][key]:.{digits}f}" for scores in (done.before, done.after)]
                lines.append([name, title, *cells])
    return table(lines)


def verdict(done: Tuned, args: argparse.Namespace) -> list[str]:
    """What came of it and the next command, for a person."""
    lines = [
        f"{done.learnt} pictures to learn from, {done.held} held back; best at step {done.step}"
    ]
    if not done.done:
        return [*lines, "not finished: run the same command again to go on"]
    if done.step == 0:
        lines.append(
            "no evaluation was better than the first, so best.pt is the model as it was: give more "
            "pictures, --backgrounds, more --steps or another --rate, and another -o"
        )
    elif done.worse:
        lines.append(
            "the pictures held back came out worse than before: keep the model as it is, or give "
            "more pictures, --backgrounds, more --steps or another --rate, and another -o"
        )
    if args.export:
        lines.append(f"{args.export} is written; next: cleancut cut PHOTO --model {args.export}")
    else:
        lines.append(f"next: cleancut distill export {args.output} -o mine.onnx")
    return lines
