"""The training loop, to be read from top to bottom.

One process on a CPU or a GPU; under ``torchrun`` one a GPU. Everything that the rest of a run
depends on is in its checkpoint, and a batch is a function of the step, so a run that was killed
goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cleancut.distill.config import TrainConfig, config_text
from cleancut.distill.data import Batch, Pictures, batches
from cleancut.distill.losses import feature, matte_losses
from cleancut.distill.nets.build import started
from cleancut.errors import BadOption

#: The matte metrics of a network by set and name; called with the averaged weights.
Evaluate = Callable[[nn.Module], Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has shown: ``parts`` are the losses times their weights."""

    step: int
    loss: float
    parts: Mapping[str, float]
    rate: float
    seconds: float


def train(
    config: TrainConfig,
    pictures: Pictures,
    run: Path,
    *,
    device: str = "auto",
    evaluate: Evaluate | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Train, or go on with, the student of ``config`` in the folder ``run``; its checkpoint.

    ``run`` gets config.toml, checkpoint.pt, log.jsonl and, where ``evaluate`` is given, best.pt.
    Raises ``BadOption`` if it holds a run of another configuration.
    """
    where = _device(device)
    run.mkdir(parents=True, exist_ok=True)
    _same_config(run, config)
    net = started(config).to(where, memory_format=torch.channels_last)
    teacher = _frozen_encoder(config, where)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema)
    )
    optimizer = torch.optim.AdamW(net.parameters(), config.rate, weight_decay=config.weight_decay)
    done = _resume(run, net, average, optimizer)
    precision, scaler = _precision(config, where)
    log = _Log(run / "log.jsonl", done)
    started_at = time.perf_counter()
    net.train()
    for step, batch in batches(pictures, done):
        if step >= config.steps or cancelled():
            break
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config)
        image, alpha, trust = _on(batch, where)
        with precision():
            logits = net(image)
            extra = _feature_loss(config, net, teacher, image)
        parts = matte_losses(logits.float(), alpha, trust, config.losses) | extra
        loss = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), config.clip)
        scaler.step(optimizer)
        scaler.update()
        average.update_parameters(net)

        seconds = time.perf_counter() - started_at
        shown = Step(
            step + 1,
            float(loss),
            {name: float(part) for name, part in parts.items()},
            rate_at(step, config),
            seconds,
        )
        log.add(shown)
        on_step(shown)
        last = step + 1 == config.steps
        if (step + 1) % config.save_every == 0 or last:
            log.flush()
            save(run / "checkpoint.pt", step + 1, net, average, optimizer)
        if evaluate and ((step + 1) % config.eval_every == 0 or last):
            log.add_evaluation(step + 1, evaluate(average.module))
    return run / "checkpoint.pt"


def rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate of a step: a linear rise, then a cosine down."""
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    low = config.final_rate
    return config.rate * (low + (1 - low) * (1 + math.cos(math.pi * min(share, 1))) / 2)


def save(
    path: Path,
    step: int,
    net: nn.Module,
    average: torch.optim.swa_utils.AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint; whatever happens, ``path`` holds the old one or the new one whole."""
    kept = {
        "step": step,
        "model": net.state_dict(),
        "ema": average.module.state_dict(),
        "averaged": int(average.n_averaged),
        "optimizer": optimizer.state_dict(),
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with beside.open("wb") as file:
        torch.save(kept, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _resume(
    run: Path,
    net: nn.Module,
    average: torch.optim.swa_utils.AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> int:
    """The step to go on with, everything put back as it was then."""
    path = run / "checkpoint.pt"
    if not path.is_file():
        return 0
    where = next(net.parameters()).device
    kept = torch.load(path, map_location=where, weights_only=True)
    net.load_state_dict(kept["model"])
    average.module.load_state_dict(kept["ema"])
    average.n_averaged.fill_(kept["averaged"])
    optimizer.load_state_dict(kept["optimizer"])
    return int(kept["step"])


def _same_config(run: Path, config: TrainConfig) -> None:
    path, text = run / "config.toml", config_text(config)
    if path.is_file() and path.read_text("utf-8") != text:
        raise BadOption(
            f"{run}: holds a run of another configuration",
            hint="give another --out, or go on with that run's own config.toml",
        )
    path.write_text(text, "utf-8")


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _precision(
    config: TrainConfig, where: torch.device
) -> tuple[Callable[[], Any], torch.amp.GradScaler]:
    """The context that a step's forward pass runs in, and what keeps half floats from vanishing."""
    name = config.precision
    if name == "auto":
        if where.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported() else "f16"
        else:
            name = "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "f32"
    scaler = torch.amp.GradScaler(where.type, enabled=name == "f16")
    if name == "f32":
        return nullcontext, scaler
    kind = torch.bfloat16 if name == "bf16" else torch.float16
    return lambda: torch.autocast(where.type, kind), scaler


def _on(batch: Batch, where: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    image, alpha, trust = (
        torch.from_numpy(part).to(where) for part in (batch.image, batch.alpha, batch.trust)
    )
    return image.contiguous(memory_format=torch.channels_last), alpha, trust


def _frozen_encoder(config: TrainConfig, where: torch.device) -> nn.Module | None:
    if not config.losses.feature:
        return None
    encoder = getattr(started(config), "encoder", None)
    if encoder is None:
        raise BadOption(
            "losses.feature compares encoders, and this student has none", hint="set it to 0"
        )
    frozen: nn.Module = encoder.to(where, memory_format=torch.channels_last).eval()
    return frozen.requires_grad_(False)


def _feature_loss(
    config: TrainConfig, net: nn.Module, teacher: nn.Module | None, image: Tensor
) -> dict[str, Tensor]:
    if teacher is None:
        return {}
    with torch.no_grad():
        wanted = teacher(image)
    return {"feature": config.losses.feature * feature(net.encoder(image), wanted)}


class _Log:
    """Lines of JSON; those after the checkpoint that a run goes on from are dropped."""

    def __init__(self, path: Path, done: int) -> None:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        kept = [line for line in lines if line and json.loads(line)["step"] <= done]
        path.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        self._path = path
        self._waiting: list[str] = []
        self._base = max((json.loads(line).get("seconds", 0.0) for line in kept), default=0.0)

    def add(self, step: Step) -> None:
        facts = {
            "step": step.step,
            "loss": round(step.loss, 5),
            "parts": {name: round(part, 5) for name, part in step.parts.items()},
            "rate": step.rate,
            "seconds": round(self._base + step.seconds, 2),
        }
        self._waiting.append(json.dumps(facts))

    def add_evaluation(self, step: int, figures: Mapping[str, Mapping[str, float]]) -> None:
        self._waiting.append(json.dumps({"step": step, "eval": figures}))
        self.flush()

    def flush(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in self._waiting)
        self._waiting.clear()
