from __future__ import annotations

import os
import sys

import pytest

from cleancut.bench.growth import Growth, watch_memory
from cleancut.errors import RunError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

_BATCH = """
import json
held = []
for number in range({pictures}):
    held.append(bytearray({grows}))
    print(json.dumps({{"event": "finished", "number": number}}), flush=True)
    import time; time.sleep(0.002)
{end}
"""


def batch(pictures: int, grows: int, end: str = "") -> list[str]:
    return [sys.executable, "-c", _BATCH.format(pictures=pictures, grows=grows, end=end)]


def test_a_leak_shows_as_growth() -> None:
    flat = watch_memory(batch(120, 0), dict(os.environ), early=40, pictures=120)
    leaky = watch_memory(batch(120, 400_000), dict(os.environ), early=40, pictures=120)
    assert abs(flat.share) < 0.05
    assert leaky.share > 0.2
    assert leaky.peak_mb >= leaky.late_mb > leaky.early_mb


def test_a_batch_that_fails_or_falls_short_is_an_error() -> None:
    with pytest.raises(RunError, match="boom"):
        watch_memory(batch(1, 0, "raise SystemExit('boom')"), dict(os.environ), early=1, pictures=1)
    with pytest.raises(RunError, match="of 5 pictures"):
        watch_memory(batch(2, 0), dict(os.environ), early=1, pictures=5)


def test_share_is_relative_to_the_early_memory() -> None:
    assert Growth(100.0, 104.0, 120.0).share == pytest.approx(0.04)
