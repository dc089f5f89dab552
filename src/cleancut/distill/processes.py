"""Training in several processes, one a GPU, as ``torchrun`` starts them.

Each makes its own pictures; their gradients are averaged, so that all hold the same weights. The
first one writes, and the others only compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cleancut.errors import BackendUnavailable, BadOption, SetupError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

#: The others wait while the first process evaluates.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this one is; ``local`` is its number on this machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Processes:
        """What ``torchrun`` tells its processes; one process where it does not.

        Raises ``BadOption`` for a half of it.
        """
        if "WORLD_SIZE" not in environ or "RANK" not in environ:
            return cls()
        try:
            rank, count = int(environ["RANK"]), int(environ["WORLD_SIZE"])
            local = int(environ.get("LOCAL_RANK", rank))
        except ValueError as error:
            raise BadOption(
                "RANK, WORLD_SIZE and LOCAL_RANK are not numbers", hint="start it with torchrun"
            ) from error
        if not 0 <= rank < count:
            raise BadOption(f"RANK={rank}, WORLD_SIZE={count}", hint="start it with torchrun")
        return cls(rank, count, local)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """The device called ``name``; "auto" and "cuda" are this process's own GPU.

        Raises ``BackendUnavailable`` where there is none, ``BadOption`` for other names.
        """
        import torch

        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if name == "cpu" or (name == "auto" and not gpus):
            return torch.device("cpu")
        kind, colon, number = name.partition(":")
        if name != "auto" and (kind != "cuda" or (colon and not number.isdecimal())):
            raise BadOption(f"--device {name}", hint="auto, cpu, cuda or cuda:1")
        wanted = int(number) if colon else self.local
        if wanted >= gpus:
            raise BackendUnavailable(
                f"--device {name}: torch sees {gpus} NVIDIA GPUs", hint="give --device cpu"
            )
        return torch.device("cuda", wanted)

    @contextmanager
    def joined(self, where: torch.device) -> Iterator[None]:
        """Processes that can reach each other while this lasts; nothing where there is one.

        Raises ``SetupError`` if they cannot.
        """
        if self.count == 1:
            yield
            return
        import torch

        if where.type == "cuda":
            torch.cuda.set_device(where)
        try:
            torch.distributed.init_process_group(
                "nccl" if where.type == "cuda" else "gloo", timeout=_PATIENCE
            )
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise SetupError(
                f"the training processes cannot reach each other ({reason:.160})",
                hint="run: torchrun --nproc-per-node=2 -m cleancut distill train ...",
            ) from error
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()

    def together(self, net: nn.Module, where: torch.device, *, partial: bool) -> nn.Module:
        """``net`` with its gradients averaged over all processes.

        ``partial``: some of its weights may have no part in a step's answer.
        """
        if self.count == 1:
            return net
        from torch.nn.parallel import DistributedDataParallel

        devices = [where] if where.type == "cuda" else None
        return DistributedDataParallel(net, devices, find_unused_parameters=partial)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of ``values`` over all processes; every process must ask."""
        if self.count == 1:
            return values
        import torch

        torch.distributed.all_reduce(values)
        return values / self.count

    def any(self, question: bool, where: torch.device) -> bool:
        """Whether any process says yes; every process must ask."""
        if self.count == 1:
            return question
        import torch

        return bool(self.mean(torch.tensor(float(question), device=where)) > 0)


#: One process.
ALONE = Processes()
