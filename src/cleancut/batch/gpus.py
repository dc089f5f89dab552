"""Which GPUs a run uses, and the runner for it: one process or several, each on one GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cleancut.backends import gpus as devices
from cleancut.backends import machine
from cleancut.backends.cuda import Obstacle
from cleancut.batch.fleet import Fleet
from cleancut.batch.local import TIMEOUT_S, LocalRunner
from cleancut.batch.process import COMMAND
from cleancut.errors import BackendUnavailable, BadOption

if TYPE_CHECKING:
    from cleancut.batch.worker import WorkerConfig
    from cleancut.options import Options

#: Pictures at once in one process beside a GPU. Reading, refining and writing them holds the
#: interpreter's lock for 6 to 7 % of their processor time (py-spy, 0.7 megapixels, u2netp): eight
#: wait for each other little, and more than fifteen gain nothing.
PICTURES_A_PROCESS = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """One GPU that a child can be shown: ``id`` as ``CUDA_VISIBLE_DEVICES`` calls it."""

    id: str
    name: str


def local_runner(
    config: WorkerConfig,
    options: Options,
    *,
    gpus: str | None = None,
    workers: int | None = None,
    timeout_s: float = TIMEOUT_S,
    lasting: bool = False,
    command: Sequence[str] = COMMAND,
    environ: Mapping[str, str] | None = None,
) -> LocalRunner | Fleet:
    """The runner of this machine for ``config``: one process, or with GPUs one or more on each.

    ``gpus`` is the flag (see ``chosen``), ``workers`` pictures at once in all of them together, and
    ``environ`` the environment. The processes share ``config.memory``. Raises ``BadOption`` and
    ``BackendUnavailable``.
    """
    seen = chosen(gpus, options, os.environ if environ is None else environ)
    if not seen or (workers is not None and workers < 1):
        return LocalRunner(
            config, workers=workers, timeout_s=timeout_s, lasting=lasting, command=command
        )
    cores = machine.cpu_limit()
    places = [one for one in seen for _ in range(_processes_a_gpu(cores, len(seen), workers))]
    count = len(places)
    config = replace(
        config,
        processes=count,
        memory=None if config.memory is None else config.memory // count,
        threads=config.threads or max(1, machine.thread_count() // count),
    )
    # While some wait for the GPU, the others keep their share of the processors busy.
    each = max(2, -(-cores // count) + 1) if workers is None else max(1, -(-workers // count))
    runners = [
        (
            f"GPU {one.id} ({one.name})" if one.name else f"GPU {one.id}",
            LocalRunner(
                config,
                workers=each,
                timeout_s=timeout_s,
                lasting=lasting,
                environ=_environ(one),
                command=command,
            ),
        )
        for one in places
    ]
    return runners[0][1] if count == 1 else Fleet(runners, lasting=lasting)


def chosen(wanted: str | None, options: Options, environ: Mapping[str, str]) -> tuple[Seen, ...]:
    """The GPUs that ``wanted`` and ``options`` mean; empty where the run is not one on them.

    "all" or None takes every one that ``environ`` shows, a number alone so many of the first, and a
    list with a comma ("0,2", "3,", or UUIDs) just these. Without ``wanted`` none are taken unless a
    network would run on one. Raises ``BadOption``, and ``BackendUnavailable`` if some are asked for
    and none can be had: who names GPUs does not want the processor, though the device be "auto".
    """
    if options.device == "cpu" or options.backend == "openvino":
        if wanted is not None:
            raise BadOption(
                "--gpus is about NVIDIA GPUs, which are not asked for", hint="use --device gpu"
            )
        return ()
    if wanted is None and options.device == "auto" and not _gpu_expected():
        return ()
    visible = _visible(environ)
    if wanted is not None and (found := _obstacle(options)):
        raise BackendUnavailable(f"--gpus: {found.problem}", hint=found.hint)
    return _picked("all" if wanted is None else wanted.strip(), visible)


def _obstacle(options: Options) -> Obstacle | None:
    """What keeps networks from the GPUs; whoever opens one for the device "gpu" finds the rest."""
    driver = devices.driver()
    if not driver.gpus:
        return Obstacle(driver.problem, driver.remedy)
    if options.device == "gpu":
        return None
    from cleancut.backends.ort import obstacle

    return obstacle()


def _visible(environ: Mapping[str, str]) -> tuple[Seen, ...]:
    ids, facts = devices.names(environ), devices.driver().gpus
    names = [gpu.name for gpu in facts] if len(facts) == len(ids) else [""] * len(ids)
    return tuple(map(Seen, ids, names))


def _picked(wanted: str, visible: Sequence[Seen]) -> tuple[Seen, ...]:
    if wanted.lower() == "all":
        return tuple(visible)
    if wanted.isdecimal():
        if not 1 <= int(wanted) <= len(visible):
            raise BadOption(
                f"--gpus: {wanted} GPUs cannot be had, {len(visible)} are visible",
                hint="all, a number of them, or a list like 0,1",
            )
        return tuple(visible[: int(wanted)])
    found = {}
    for token in filter(None, (part.strip() for part in wanted.split(","))):
        one = _one(token, visible)
        found[one.id] = one
    if not found:
        raise BadOption(f"--gpus: {wanted!r} names none", hint="all, a number, or a list like 0,1")
    return tuple(found.values())


def _one(token: str, visible: Sequence[Seen]) -> Seen:
    """The visible GPU at a place, from 0, or by the beginning of its id."""
    if token.isdecimal() and int(token) < len(visible):
        return visible[int(token)]
    alike = [] if token.isdecimal() else [one for one in visible if one.id.startswith(token)]
    if len(alike) != 1:
        known = ", ".join(f"{place} {one.name or one.id}" for place, one in enumerate(visible))
        raise BadOption(f"--gpus: there is no single GPU {token!r}", hint=f"visible are: {known}")
    return alike[0]


def _gpu_expected() -> bool:
    """Whether "auto" will take a GPU, as far as can be said without loading a runtime."""
    return machine.nvidia_gpu() and "onnxruntime-gpu" in machine.installed("onnxruntime")


def _processes_a_gpu(cores: int, gpus: int, workers: int | None) -> int:
    at_once = cores if workers is None else workers
    return max(1, -(-at_once // (gpus * PICTURES_A_PROCESS)))


def _environ(one: Seen) -> dict[str, str]:
    return {devices.VISIBLE: one.id}
