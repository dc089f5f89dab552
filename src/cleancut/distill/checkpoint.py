"""What a run goes on from, and who may write it.

A checkpoint is replaced as a whole: whenever a run is killed, the old one or the new one is there.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.distill.config import TrainConfig, config_text, load_config
from cleancut.distill.log import read_log
from cleancut.errors import BadOption, Busy, OutputNotWritable, WeightsCorrupt, WeightsError
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.weights.lock import held

if TYPE_CHECKING:
    import torch
    from torch import nn

CHECKPOINT, BEST, CONFIG, LOG = "checkpoint.pt", "best.pt", "config.toml", "log.jsonl"
_LOCK = ".lock"


@dataclass(slots=True, eq=False)
class State:
    """All that the rest of a run depends on, but for its configuration and pictures.

    ``step`` is how many are done, ``skipped`` how many of them had no finite loss, ``failing``
    how many of these were the last ones.
    """

    net: nn.Module
    average: torch.optim.swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    skipped: int = 0
    failing: int = 0


@contextmanager
def owned(run: Path) -> Iterator[None]:
    """The folder ``run`` for one process while this lasts; what killed ones left is removed.

    Raises ``Busy`` if another process has it, ``OutputNotWritable``.
    """
    with ExitStack() as lock:
        try:
            run.mkdir(parents=True, exist_ok=True)
            lock.enter_context(held(run / _LOCK, waiting=lambda: _refuse(run)))
            for left in (*run.glob(f"{CHECKPOINT}.*.part"), *run.glob(f"{BEST}.*.part")):
                left.unlink(missing_ok=True)
        except WeightsError as error:
            raise OutputNotWritable(
                error.message, hint="choose a folder on a local disk"
            ) from error
        except OSError as error:
            raise not_writable(run, error) from error
        yield


def _refuse(run: Path) -> None:
    raise Busy(f"another process trains in {run}", hint="wait for it, or give another -o")


def keep_config(run: Path, config: TrainConfig) -> None:
    """Write config.toml; raises ``BadOption`` if the folder holds a run of another one.

    A configuration that could not be started has left no run: it is replaced.
    """
    path = run / CONFIG
    if path.is_file() and (read_log(run / LOG) or (run / CHECKPOINT).is_file()):
        same_config(run, config)
    else:
        write_atomic(path, config_text(config).encode())


def same_config(run: Path, config: TrainConfig) -> None:
    """Raise ``BadOption`` unless ``run`` is one of ``config``; says what differs."""
    before, now = (config_text(one).splitlines() for one in (load_config(run / CONFIG), config))
    if before == now:
        return
    changed = [line for line in now if line not in before] + [
        line for line in before if line not in now
    ]
    raise BadOption(
        f"{run}: holds a run of another configuration ({changed[0] if changed else 'order'})",
        hint=f"give another -o, or go on with {run / CONFIG}",
    )


def save(run: Path, state: State) -> None:
    """Write the checkpoint of ``run``. Raises ``OutputNotWritable``."""
    import torch

    _write(
        run / CHECKPOINT,
        {
            "step": state.step,
            "model": state.net.state_dict(),
            "ema": state.average.module.state_dict(),
            "averaged": int(state.average.n_averaged),
            "optimizer": state.optimizer.state_dict(),
            "scaler": state.scaler.state_dict(),
            "skipped": state.skipped,
            "failing": state.failing,
            "rng": torch.get_rng_state(),
        },
    )


def save_best(run: Path, state: State) -> None:
    """Write best.pt: the averaged weights only. Raises ``OutputNotWritable``."""
    _write(run / BEST, {"step": state.step, "ema": state.average.module.state_dict()})


def resume(run: Path, state: State) -> None:
    """Put back into ``state`` what the checkpoint of ``run`` holds, if there is one.

    Raises ``WeightsCorrupt`` for a damaged one.
    """
    import torch

    path = run / CHECKPOINT
    if not path.is_file():
        return
    where = next(state.net.parameters()).device
    try:
        kept = load_weights(path, where)
        state.net.load_state_dict(kept["model"])
        state.average.module.load_state_dict(kept["ema"])
        state.average.n_averaged.fill_(kept["averaged"])
        state.optimizer.load_state_dict(kept["optimizer"])
        state.step = int(kept["step"])
        # The first checkpoints of all had none of these.
        state.scaler.load_state_dict(kept.get("scaler") or state.scaler.state_dict())
        state.skipped, state.failing = int(kept.get("skipped", 0)), int(kept.get("failing", 0))
        if "rng" in kept:
            torch.set_rng_state(kept["rng"].cpu())
    except Exception as error:  # whatever zip files, pickles and shapes can be
        raise WeightsCorrupt(
            f"{path}: not a checkpoint of this run ({reason(error)})",
            hint="delete it to begin anew, or give another -o",
        ) from error


def _write(path: Path, kept: dict[str, Any]) -> None:
    import torch

    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            torch.save(kept, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        # torch tells of a full disk in words of its own, the disk's are among the causes.
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise not_writable(path, cause) from error
    finally:
        beside.unlink(missing_ok=True)


def load_weights(path: Path, where: torch.device | str = "cpu") -> dict[str, Any]:
    """What a checkpoint holds: tensors and numbers; anything that could run is not unpacked.

    Raises ``ValueError``, in words for a person, for a file that holds something else or is
    damaged.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old forms of a file that is refused anyway
            kept: Any = torch.load(path, map_location=where, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError("it holds other things than weights, and is not opened") from error
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, EOFError) as error:
        raise ValueError("the file is damaged or of another kind") from error
    if not isinstance(kept, dict):
        raise ValueError("it holds other things than weights")
    return kept


def reason(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
