"""Whole processes, measured one at a time and in turns."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from cleancut.errors import BadOption, RunError

_LAUNCH = Path(__file__).with_name("launch.py")
TIMEOUT_S = 600.0
#: Bytes that are read of what a command printed.
_MOST_SAID = 16 << 20

B = TypeVar("B")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a command: wall seconds, peak memory in MB (10^6 bytes), what it printed.

    ``cpu_s`` are seconds of processor time with its children's, ``energy_j`` joules of all
    processor packages meanwhile, whoever used them; None where the system does not tell.
    """

    seconds: float
    peak_mb: float | None
    stdout: str
    cpu_s: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """The values of one metric on one side."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)

    @property
    def minimum(self) -> float:
        """The best value: what the machine can do when nothing disturbs it."""
        return min(self.values)


@dataclass(frozen=True, slots=True)
class Turns:
    """What ``take_turns`` gathered: samples by side, and the reason where a side failed."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def figure(self, side: str, value: Callable[[Sample], float | None]) -> Figure | None:
        """The metric that ``value`` takes out of a sample; None where there is nothing."""
        values = [value(sample) for sample in self.samples.get(side, [])]
        known = tuple(v for v in values if v is not None)
        return Figure(known) if known else None


def check_request(runs: int, only: Collection[int], measurements: Collection[int]) -> None:
    """Refuse (``BadOption``) what cannot be measured: no run, or a number that none has."""
    if runs < 1:
        raise BadOption(f"{runs} runs measure nothing", hint="give --runs 1 or more")
    if unknown := sorted(set(only) - set(measurements)):
        known = ", ".join(map(str, measurements))
        raise BadOption(f"there is no measurement {unknown[0]}", hint=f"one of: {known}")


def gather(
    measurements: Mapping[int, Callable[[B], list[R]]],
    bench: B,
    only: Collection[int],
    tell: Callable[[str], None],
) -> list[R]:
    """The rows of all ``measurements``, or of those whose numbers are in ``only``."""
    rows: list[R] = []
    for number, measurement in measurements.items():
        if not only or number in only:
            tell(f"{number}. {(measurement.__doc__ or '').partition(' ')[2]}")
            rows += measurement(bench)
    return rows


def run_once(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    timeout_s: float = TIMEOUT_S,
    feed: Path | None = None,
    answer: Path | None = None,
) -> Sample:
    """Run a command to its end, alone, without stdin or with the bytes of ``feed`` on it.

    What it prints goes to ``answer`` if that is given, and else into the sample. Raises
    ``RunError`` with the last line the command said if it fails or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        out, err = answer or Path(folder, "out"), Path(folder, "err")
        fed = "" if feed is None else str(feed)
        told = _launch([str(out), str(err), fed, *argv], env, timeout_s)
        if told["code"] != 0:
            said = _end_of(err).strip() or f"status {told['code']}"
            raise RunError(
                f"{' '.join(argv[:4])} failed: {said.splitlines()[-1][:300]}",
                hint="run that command by itself to see all it says",
            )
        peak = told["peak_bytes"]
        return Sample(
            told["seconds"],
            None if peak is None else peak / 1e6,
            "" if answer else _end_of(out),
            told["cpu_s"],
            told["energy_j"],
        )


def _end_of(path: Path) -> str:
    """The last of what a command said, which may fill a disk."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_SAID))
        return file.read().decode("utf-8", "replace")


def printed_json(sample: Sample) -> dict[str, Any]:
    """The JSON object on the last line a command printed; ``RunError`` if there is none."""
    lines = sample.stdout.strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise RunError("the measured process printed no JSON") from error
    if not isinstance(found, dict):
        raise RunError("the measured process printed no JSON object")
    return found


def take_turns(
    tasks: Mapping[str, Callable[[], Sample]],
    rounds: int,
    *,
    warm_up: bool = True,
    turns: Turns | None = None,
    step: Callable[[str], None] | None = None,
    until: float = math.inf,
) -> Turns:
    """Run each side's task ``rounds`` times, A B A B, so that drift meets both alike.

    With ``warm_up`` one round goes before and is not counted. A side that fails is left out of the
    rounds that follow. Samples go into ``turns`` as they come, so that its owner has them if this
    is interrupted; ``step`` hears a side's name before each of its runs. No round begins that would
    not end by ``until`` (``time.monotonic``) if it took as long as the last, but one is counted.
    """
    turns = Turns() if turns is None else turns
    for name in tasks:
        turns.samples.setdefault(name, [])
    lasted = 0.0
    for number in range(rounds + warm_up):
        began = time.monotonic()
        if number > warm_up and began + lasted > until:
            break
        for name, task in tasks.items():
            if name in turns.failed:
                continue
            if step is not None:
                step(name)
            try:
                sample = task()
            except RunError as error:
                turns.failed[name] = error.message
                turns.samples[name].clear()
                continue
            if number >= warm_up:
                turns.samples[name].append(sample)
        lasted = time.monotonic() - began
    return turns


def _launch(arguments: Sequence[str], env: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(_LAUNCH), *arguments]
    # It reads this pipe to its end, which comes when we are gone, however we went.
    read_end, write_end = os.pipe()
    try:
        launcher = subprocess.Popen(
            command,
            env=dict(env),
            stdin=read_end,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = launcher.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise RunError(f"{arguments[3]} took longer than {timeout_s:.0f} s") from error
        finally:
            _end(launcher)
    finally:
        os.close(read_end)
        os.close(write_end)
    if launcher.returncode != 0:
        said = stderr.strip().splitlines()
        raise RunError(f"{arguments[3]} does not start ({said[-1] if said else 'no reason given'})")
    told: dict[str, Any] = json.loads(stdout)
    return told


def _end(launcher: subprocess.Popen[str]) -> None:
    """End the launcher and all that the command started: they are a process group of their own."""
    if sys.platform == "win32":
        launcher.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # all are gone, or are not reaped yet
            os.killpg(launcher.pid, signal.SIGKILL)
    launcher.communicate()
