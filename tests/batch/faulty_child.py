"""The working process with accidents: what happens to a picture is written in its file's name.

Run by ``LocalRunner(command=(sys.executable, this file))``; no part of the product.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from cleancut.batch import child
from cleancut.batch.job import Job, Outcome
from cleancut.batch.worker import Tell, Worker, WorkerConfig
from cleancut.errors import OutOfMemory, OutputNotWritable, SetupError


class FaultyWorker(Worker):
    """Does accidents before it does jobs."""

    def __init__(self, config: WorkerConfig) -> None:
        super().__init__(config)
        self._busy = 0

    def warm_up(self) -> None:
        accident = os.environ.get("CLEANCUT_TEST_WARM_UP")
        if accident == "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        if accident == "refuses":
            raise SetupError("the network is out of order", hint="mend it")
        print("stray words on stdout")
        super().warm_up()

    def __call__(self, job: Job, tell: Tell | None = None) -> Outcome:
        self._busy += 1
        try:
            return super().__call__(job, tell)
        finally:
            self._busy -= 1

    def _in_company(self) -> bool:
        """Whether another picture is in work, or comes within half a second."""
        until = time.monotonic() + 0.5
        while self._busy < 2 and time.monotonic() < until:
            time.sleep(0.01)
        return self._busy > 1

    def _done(self, job: Job, tell: Tell | None) -> Outcome:
        accident = Path(job.source).stem.partition("-")[0]
        print("stray words on stdout", flush=True)
        os.write(1, b"and from native code\n")
        if accident == "slow":
            time.sleep(0.3)
        if accident == "segfault":
            time.sleep(0.2)  # so that others are begun
            os.kill(os.getpid(), signal.SIGSEGV)
        if accident == "killed" or (accident == "crowded" and self._in_company()):
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)
        if accident == "exit":
            os._exit(7)
        if accident == "hang":
            time.sleep(600)
        if accident == "greedy" and self._in_company():
            raise OutOfMemory("too much at once")
        if accident == "eats":  # until the limit of this process says no
            held = []
            while True:
                held.append(np.ones(4 << 20))
        if accident == "fat":
            raise MemoryError
        if accident == "bug":
            raise ZeroDivisionError("one over none")
        if accident == "setup":
            raise SetupError("something is not installed", hint="install it")
        if accident == "full":
            raise OutputNotWritable("the disk is full", hint="free space") from OSError(28, "full")
        return super()._done(job, tell)


if __name__ == "__main__":
    sys.exit(child.serve(FaultyWorker))
