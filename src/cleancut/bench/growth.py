"""Memory of a long batch: after some pictures, and at its end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cleancut.bench.tree import resident_bytes
from cleancut.errors import RunError

#: A mean over some pictures: one of them being half done or not is no growth.
_WINDOW = 40


@dataclass(frozen=True, slots=True)
class Growth:
    """Megabytes (10^6) of the process and its children around picture ``early``, and at the end."""

    early_mb: float
    late_mb: float
    peak_mb: float

    @property
    def share(self) -> float:
        """How much more there is at the end: .05 is five per cent."""
        return self.late_mb / self.early_mb - 1.0


def watch_memory(
    argv: Sequence[str], env: Mapping[str, str], *, early: int, pictures: int
) -> Growth:
    """Run a batch that prints one JSON event a line, and read its memory as pictures finish.

    Raises ``RunError`` if it fails, tells of fewer pictures, or memory cannot be read here.
    """
    seen: list[int] = []
    with subprocess.Popen(
        list(argv), env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as batch:
        assert batch.stdout is not None
        for line in batch.stdout:
            if '"event": "finished"' in line and (held := resident_bytes(batch.pid)) is not None:
                seen.append(held)
        said = batch.stderr.read().strip() if batch.stderr else ""
    if batch.returncode != 0:
        raise RunError(f"the batch failed: {said.splitlines()[-1][:300] if said else 'no reason'}")
    if len(seen) < pictures:
        raise RunError(f"memory could be read after {len(seen)} of {pictures} pictures only")
    half = _WINDOW // 2
    return Growth(
        early_mb=median(seen[max(0, early - half) : early + half]) / 1e6,
        late_mb=median(seen[-_WINDOW:]) / 1e6,
        peak_mb=max(seen) / 1e6,
    )
