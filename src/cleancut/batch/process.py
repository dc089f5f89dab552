"""A child process as its parent sees it: messages in, messages out, how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleancut.batch.job import Job
    from cleancut.batch.worker import WorkerConfig

COMMAND = (sys.executable, "-m", "cleancut.batch.child")

#: glibc gives every thread an arena of its own, whose freed memory the others cannot use.
#: Settings that the user has made stay.
_ALLOCATOR = {"MALLOC_ARENA_MAX": "1"}
_LAST_LINES = 20
#: A server's secrets are not for the process that reads strangers' files.
_NOT_FOR_IT = "CLEANCUT_SERVER_"
#: What a process may take to end once its last job is done, seconds.
_FAREWELL_S = 20.0


class Child:
    """One process with its pipes; what it says is put into ``inbox`` as (child, message).

    The last thing from it is (child, None), when it has ended. ``environ`` is added to its
    environment.
    """

    def __init__(
        self,
        config: WorkerConfig,
        at_once: int,
        inbox: SimpleQueue[tuple[Any, Any]],
        command: Sequence[str] = COMMAND,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.at_once = at_once
        self.ready = False
        self._inbox = inbox
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_ALLOCATOR, **_environment(), **(environ or {}), "PYTHONUNBUFFERED": "1"},
            # A session of its own: Ctrl-C in a terminal is for the parent, which knows what to do.
            start_new_session=True,
        )
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._grumbler = threading.Thread(target=self._overhear, daemon=True)
        self._say({"config": asdict(config), "at_once": at_once})
        self._listener.start()
        self._grumbler.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def give(self, job: Job) -> None:
        """Hand a job over; if the process is gone, the inbox will say so."""
        self._say({"job": job.to_dict()})

    def end(self) -> None:
        """Let it finish what it has, and wait for its end."""
        self._say({"end": True})
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # all it did is done and told
        self._wait()

    def kill(self) -> None:
        """End it at once, and wait for its end."""
        self._process.kill()
        self._wait()

    def how_it_ended(self) -> tuple[str, bool]:
        """How the process ended ("SIGSEGV", "exit code 3"), and whether it was killed outright."""
        code = self._process.returncode
        if code is not None and code < 0:
            try:
                how = signal.Signals(-code).name
            except ValueError:
                how = f"signal {-code}"
        else:
            how = f"exit code {code}"
        return how, code == -int(getattr(signal, "SIGKILL", 9))

    def last_words(self) -> str:
        """The last line that it wrote to stderr, at most 200 characters."""
        said = [line for line in self._last if line.strip()]
        return " ".join(said[-1].split())[:200] if said else ""

    def _wait(self) -> None:
        self._process.wait()
        for thread in (self._listener, self._grumbler):
            thread.join(5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                if pipe:
                    pipe.close()

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # else it died in the middle of a sentence
                self._inbox.put((self, json.loads(line)))
        self._process.wait()
        self._inbox.put((self, None))

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._last.append(line.decode("utf-8", "replace"))


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(_NOT_FOR_IT)}
