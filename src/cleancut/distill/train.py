"""The training loop, to be read from top to bottom.

One process on a CPU or a GPU; under ``torchrun`` one a GPU. Everything that the rest of a run
depends on is in its checkpoint, and a batch is a function of the step, so a run that was killed
goes on as if it had not been: on a processor, in float32 and with as many threads, to the last bit.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cleancut.distill import checkpoint
from cleancut.distill.checkpoint import CHECKPOINT, LOG, State
from cleancut.distill.config import TrainConfig
from cleancut.distill.data import Batch, Pictures, batches
from cleancut.distill.log import Figures, Log, Step
from cleancut.distill.losses import feature, matte_losses
from cleancut.distill.nets.build import blend_in, started
from cleancut.distill.processes import ALONE, Processes
from cleancut.errors import BadOption, OutOfMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The matte metrics of a network by set and name; called with the averaged weights.
Evaluate = Callable[[nn.Module], Figures]
#: So many steps in a row without a finite loss end a run.
MOST_FAILING = 10


def train(
    config: TrainConfig,
    pictures: Pictures,
    run: Path,
    *,
    device: str = "auto",
    processes: Processes = ALONE,
    evaluate: Evaluate | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    until: int | None = None,
) -> Path:
    """Train, or go on with, the student of ``config`` in the folder ``run``; its checkpoint.

    ``run`` gets config.toml, checkpoint.pt, log.jsonl and, where ``evaluate`` is given, best.pt:
    the averaged weights of the best evaluation, the first of which is before any step.
    ``cancelled`` is asked before each step, ``until`` ends this sitting after that step; neither
    changes what the next sitting does.

    Raises ``BadOption`` if ``run`` holds a run of another configuration, and where ten steps in a
    row had no finite loss; ``Busy`` if another process trains there; ``OutOfMemory``,
    ``OutputNotWritable``, ``WeightsCorrupt`` for a damaged checkpoint, and what reading pictures
    and loading the start raise.
    """
    where = processes.device(device)
    mine = checkpoint.owned(run) if processes.first else nullcontext()
    with _memory_errors(), processes.joined(where), mine:
        if processes.first:
            checkpoint.keep_config(run, config)
        processes.any(False, where)  # the others wait for the folder
        checkpoint.same_config(run, config)
        net = _placed(started(config, run), where)
        teacher = _frozen_encoder(config, run, where)
        state = _state(config, net, where)
        checkpoint.resume(run, state)
        student = processes.together(net, where, partial=config.kind == "onnx")
        log = Log(run / LOG, state.step) if processes.first else None
        precision = _precision(config, where)
        end = min(config.steps, config.steps if until is None else until)
        saved, began = state.step, time.perf_counter()
        start = started(config, run).to(where) if evaluate and config.blend < 1 else None
        _evaluate(run, config, state, start, log, evaluate)
        net.train()
        for step, batch in batches(pictures, state.step, rank=processes.rank):
            if step >= end or processes.any(cancelled(), where):
                break
            for group in state.optimizer.param_groups:
                group["lr"] = group["share"] * rate_at(step, config)
            image, alpha, trust = _on(batch, where)
            with precision():
                logits = student(image)
                extra = _feature_loss(config, net, teacher, image)
            parts = matte_losses(logits.float(), alpha, trust, config.losses) | extra
            loss = torch.stack(list(parts.values())).sum()
            finite, figures = _learn(config, state, processes, loss, parts)

            seconds = time.perf_counter() - began
            shown = Step(step + 1, *figures, rate_at(step, config), seconds, skipped=not finite)
            if log:
                log.add(shown)
                on_step(shown)
            if state.step % config.save_every == 0 or state.step == config.steps:
                _save(run, state, log)
                saved = state.step
            _evaluate(run, config, state, start, log, evaluate)
            if state.failing >= MOST_FAILING:
                raise _no_longer_finite(config, state.step)
        if state.step > saved:
            _save(run, state, log)
    return run / CHECKPOINT


def rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate of a step: a linear rise, then a cosine down."""
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    low = config.final_rate
    return config.rate * (low + (1 - low) * (1 + math.cos(math.pi * min(share, 1))) / 2)


def _learn(
    config: TrainConfig,
    state: State,
    processes: Processes,
    loss: Tensor,
    parts: Mapping[str, Tensor],
) -> tuple[bool, tuple[float, dict[str, float]]]:
    """One step of the optimizer, left out where anything is not finite.

    The answer is whether it was done, and the loss and its parts over all processes. Gradients are
    averaged by then, so that all processes come to one decision.
    """
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    state.scaler.unscale_(state.optimizer)
    norm = nn.utils.clip_grad_norm_(state.net.parameters(), config.clip)
    told = processes.mean(torch.stack([loss.detach(), *(one.detach() for one in parts.values())]))
    total, *each = told.tolist()
    finite = math.isfinite(total) and math.isfinite(float(norm))
    if finite:
        state.scaler.step(state.optimizer)
        state.average.update_parameters(state.net)
    state.scaler.update()
    state.step += 1
    state.skipped += not finite
    state.failing = 0 if finite else state.failing + 1
    return finite, (total, dict(zip(parts, each, strict=True)))


def _evaluate(
    run: Path,
    config: TrainConfig,
    state: State,
    start: nn.Module | None,
    log: Log | None,
    evaluate: Evaluate | None,
) -> None:
    """Evaluate where it is time to and a kill has not come between; keep the best."""
    due = state.step % config.eval_every == 0 or state.step == config.steps
    if not (log and evaluate and due) or log.evaluated(state.step):
        return
    student = state.average.module
    if start is not None:
        student = blend_in(copy.deepcopy(student), start, config.blend)
    log.add_evaluation(state.step, evaluate(student))
    if log.best() == state.step:
        checkpoint.save_best(run, state)


def _save(run: Path, state: State, log: Log | None) -> None:
    if log:
        log.flush()
        checkpoint.save(run, state)


def _placed(net: nn.Module, where: torch.device) -> nn.Module:
    return net.to(where).to(memory_format=torch.channels_last)


def _groups(net: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """All parameters, those of the encoder with their own share of the learning rate."""
    known = {id(one) for one in getattr(net, "encoder", nn.Module()).parameters()}
    encoder = [one for one in net.parameters() if id(one) in known]
    rest = [one for one in net.parameters() if id(one) not in known]
    groups = [{"params": rest, "share": 1.0}, {"params": encoder, "share": config.encoder_rate}]
    return [group for group in groups if group["params"]]


def _state(config: TrainConfig, net: nn.Module, where: torch.device) -> State:
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema)  # type: ignore[no-untyped-call]
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=averaging)
    groups = _groups(net, config)
    optimizer = torch.optim.AdamW(groups, config.rate, weight_decay=config.weight_decay)
    half = _precision_name(config, where) == "f16"
    return State(net, average, optimizer, torch.amp.GradScaler(where.type, enabled=half))


def _precision_name(config: TrainConfig, where: torch.device) -> str:
    if config.precision != "auto":
        return config.precision
    if where.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "f16"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "f32"


def _precision(config: TrainConfig, where: torch.device) -> Callable[[], Any]:
    """The context that a step's forward pass runs in."""
    name = _precision_name(config, where)
    if name == "f32":
        return nullcontext
    kind = torch.bfloat16 if name == "bf16" else torch.float16
    return lambda: torch.autocast(where.type, kind)


def _on(batch: Batch, where: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    image, alpha, trust = (
        torch.from_numpy(part).to(where) for part in (batch.image, batch.alpha, batch.trust)
    )
    return image.contiguous(memory_format=torch.channels_last), alpha, trust


def _frozen_encoder(config: TrainConfig, run: Path, where: torch.device) -> nn.Module | None:
    if not config.losses.feature:
        return None
    encoder = getattr(started(config, run), "encoder", None)
    if encoder is None:
        raise BadOption(
            "losses.feature compares encoders, and this student has none", hint="set it to 0"
        )
    return _placed(encoder, where).eval().requires_grad_(False)


def _feature_loss(
    config: TrainConfig, net: nn.Module, teacher: nn.Module | None, image: Tensor
) -> dict[str, Tensor]:
    if teacher is None:
        return {}
    with torch.no_grad():
        wanted = teacher(image)
    encoder: Any = net.encoder
    return {"feature": config.losses.feature * feature(encoder(image), wanted)}


def _no_longer_finite(config: TrainConfig, step: int) -> BadOption:
    slower = f"rate = {config.rate / 3:.1g}"
    return BadOption(
        f"the loss has not been finite for {MOST_FAILING} steps (step {step})",
        hint=f"train anew in another -o with {slower}"
        + ("" if config.precision == "f32" else ' or precision = "f32"'),
    )


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn torch's out-of-memory errors, which are of several kinds, into ``OutOfMemory``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and (
            "can't allocate memory" not in text
        ):
            raise
        raise OutOfMemory(
            "memory ran out while training", hint="lower batch or size in the configuration"
        ) from error
