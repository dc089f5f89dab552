"""One of several servers over one Redis, without its doors; a test kills it.

``python -m tests.server.replica REDIS FOLDER LOG``: does jobs with a stand-in for the pool, and
writes every picture that it cuts into LOG.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from cleancut.server import jobs as module
from cleancut.server.jobs import Jobs
from cleancut.server.order import Order
from cleancut.server.settings import Settings
from tests.server.stand_ins import FakePool, FakeWeb

LEASE_S = 1.0


def replica(redis: str, folder: Path, log: Path, *, slow_s: float = 0.02) -> Jobs:
    """The jobs of a server with its own folder, begun."""
    settings = Settings(data=folder, redis=redis, workers=2)
    settings.spool.mkdir(parents=True, exist_ok=True)

    def work(order: Order) -> None:
        with log.open("ab", buffering=0) as file:
            file.write(order.source.read_bytes() + f" {os.getpid()}\n".encode())
        time.sleep(slow_s)

    web: Any = FakeWeb()
    jobs = Jobs(settings, FakePool(before=work), web, lease_s=LEASE_S)
    jobs.start()
    return jobs


if __name__ == "__main__":
    module._PAUSE_S = 0.1
    replica(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()
