from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from cleancut.backends.memory import give_back, resident_bytes, status_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")


def test_resident_memory_grows_and_falls_with_what_is_held() -> None:
    before = resident_bytes()
    assert before is not None
    held = np.ones(5_000_000)
    assert 30_000_000 < (resident_bytes() or 0) - before < 60_000_000
    del held
    give_back()
    assert (resident_bytes() or 0) - before < 20_000_000


def test_other_processes_can_be_asked_and_those_that_are_gone() -> None:
    assert (resident_bytes(os.getppid()) or 0) > 0
    assert resident_bytes(2**22 + 1) is None
    assert status_bytes("VmNothing") is None
