"""Items of jobs that this server works on, and how its threads take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.server.job_store import Claim


class Hold:
    """One item in our hands: ``over`` is set when there is news, ``lost`` if it is ours no more."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.over = threading.Event()
        self.lost = False
        #: Ends the work on it, while there is any.
        self.end: Callable[[], object] | None = None

    def drop(self) -> None:
        """It is no longer ours."""
        self.lost = True
        self.stop()

    def stop(self) -> None:
        """End the work on it."""
        end = self.end
        if end is not None:
            end()
        self.over.set()


class Lane:
    """Items of one kind: one thread asks for the next, the others of the kind wait for it."""

    def __init__(self) -> None:
        self.claiming = threading.Lock()
        self.woken = threading.Event()
