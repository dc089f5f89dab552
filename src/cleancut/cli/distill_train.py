"""``cleancut distill train``: a student learns from labelled photographs."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.cli.distill_eval import teller
from cleancut.cli.distill_progress import training
from cleancut.cli.ending import signals
from cleancut.cli.main import shown
from cleancut.errors import BadOption
from cleancut.extras import extra

if TYPE_CHECKING:
    from torch import nn

    from cleancut.distill.config import TrainConfig
    from cleancut.distill.evaluate import Scores
    from cleancut.distill.train import Evaluate

HELP = "train a student on labelled photographs, or go on with a training"
EPILOG = """\
CONFIG is a TOML file, or the name of one that comes with the package: nano, portrait. A run can be
stopped and killed at any time: the same command goes on from the last checkpoint, and ends with the
weights that it would have had anyway. On several GPUs it runs under torchrun. With --pairs the
student is evaluated as it learns, and the best one is kept in RUN/best.pt.

examples:
  cleancut distill train nano --labels labels --backgrounds scenes -o run
  cleancut distill train mine.toml --labels labels -o run --pairs pictures
  cleancut distill train mine.toml --labels labels -o run2 --init run/best.pt
  torchrun --nproc-per-node=2 -m cleancut distill train nano --labels labels -o run
  cleancut distill export run -o mine.onnx

exit codes: 0 trained, 2 to 4 refused, 130 interrupted, to be gone on with
"""
_FINISHING = "finishing this step; once more stops at once"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``distill train``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("config", metavar="CONFIG", help="a .toml file, or nano or portrait")
    add("--labels", type=Path, metavar="LABELS", required=True, help="what distill label has made")
    add("--photos", type=Path, metavar="DIR", help="the photographs, if they were moved")
    add_run_arguments(parser)
    add(
        "--pairs",
        type=Path,
        metavar="DIR",
        help="pictures with true mattes to evaluate on: SET/image/STEM.jpg, SET/alpha/STEM.png",
    )
    add("--limit", type=int, metavar="N", help="evaluate on N pictures of each set")
    add("--init", type=Path, metavar="FILE", help="begin from this checkpoint of another run")
    add("--until", type=int, metavar="N", help="end this sitting after step N; to be gone on with")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that ``train`` and ``tune`` share."""
    add = parser.add_argument
    add(
        "-o",
        "--output",
        "--out",
        type=Path,
        metavar="RUN",
        required=True,
        help="folder for the run: configuration, checkpoints, log",
    )
    add("--backgrounds", type=Path, metavar="DIR", help="pictures without a subject")
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda or cuda:1 (default: auto, a GPU where there is one)",
    )
    add("--threads", type=int, metavar="N", help="threads of torch (default: the cores)")
    add("-q", "--quiet", action="store_true", help="print errors only")


def run(args: argparse.Namespace) -> int:
    """Train until the last step, or until asked to stop."""
    use_threads(args.threads)
    from cleancut.distill.labels import read_labels
    from cleancut.distill.origin import origin_of
    from cleancut.distill.people import pictures_of
    from cleancut.distill.processes import Processes
    from cleancut.distill.train import train
    from cleancut.distill.tune import find_pictures

    config = config_from(args)
    processes = Processes.of(os.environ)
    quiet = args.quiet or not processes.first
    labels = read_labels(args.labels, photos=args.photos)
    labels.check_files()
    backgrounds = find_pictures(args.backgrounds) if args.backgrounds else ()
    pictures = pictures_of(config, labels, backgrounds)
    evaluate = _evaluator(args, config)
    with (
        signals("" if quiet else _FINISHING) as ending,
        training(config.steps, quiet=quiet) as show,
    ):
        train(
            config,
            pictures,
            args.output,
            device=args.device,
            processes=processes,
            evaluate=evaluate,
            on_step=show,
            cancelled=ending.stop.is_set,
            until=args.until,
        )
    if processes.first:
        origin_of(args.labels, config, backgrounds=backgrounds).write(args.output)
    if not quiet:
        say(f"{args.output}: {what_next(args.output, config.steps)}")
    return ending.exit_code


def config_from(args: argparse.Namespace) -> TrainConfig:
    """The configuration that is asked for, begun from ``--init``."""
    from cleancut.distill.config import find_config, load_config

    config = load_config(find_config(args.config))
    if args.until is not None and args.until < 1:
        raise BadOption(f"--until {args.until}", hint="give 1 or more")
    if args.init is None:
        return config
    if args.init.suffix != ".pt":
        raise BadOption(f"--init {args.init.name}", hint="give a best.pt or checkpoint.pt")
    return replace(config, start=str(args.init.resolve()))


def use_threads(count: int | None) -> None:
    """Let torch compute with ``count`` threads; raises ``MissingDependency`` without torch."""
    if count is not None and not 1 <= count <= 1024:
        raise BadOption(f"--threads {count}", hint="give 1 or more")
    with extra("train"):
        import torch
    if count is not None:
        torch.set_num_threads(count)


def _evaluator(args: argparse.Namespace, config: TrainConfig) -> Evaluate | None:
    from cleancut.distill.evaluate import choose_pairs, score
    from cleancut.distill.student import predictor

    if args.pairs is None:
        return None
    pairs = choose_pairs(args.pairs, limit=args.limit, skipped=teller(quiet=args.quiet))

    def evaluate(net: nn.Module) -> Scores:
        return score(predictor(net, config.size), pairs)

    return evaluate


def what_next(run_folder: Path, steps: int) -> str:
    """How far the run is, and the next command."""
    from cleancut.distill.checkpoint import BEST, LOG
    from cleancut.distill.log import read_log

    lines = read_log(run_folder / LOG)
    done = max((line["step"] for line in lines if "rate" in line), default=0)
    skipped = sum(1 for line in lines if line.get("skipped"))
    told = [f"{done} of {steps} steps"]
    if skipped:
        told.append(f"{skipped} skipped, whose loss was not finite")
    if (run_folder / BEST).is_file():
        told.append("the best student is in best.pt")
    told.append(
        "run the same command again to go on"
        if done < steps
        else f"next: cleancut distill export {run_folder} -o student.onnx"
    )
    return "; ".join(told)


def say(line: str) -> None:
    """One line on stderr."""
    print(f"cleancut: {shown(line)}", file=sys.stderr, flush=True)
