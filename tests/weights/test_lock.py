from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from cleancut.weights.lock import held

HOLD = """
import sys, time
from pathlib import Path
from cleancut.weights.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_waits_and_says_so(tmp_path: Path) -> None:
    path, told, entered = tmp_path / "locks" / "a.lock", threading.Event(), threading.Event()

    def second() -> None:
        with held(path, waiting=told.set):
            entered.set()

    with held(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(5)
        assert not entered.is_set()
    assert entered.wait(5)
    thread.join()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        child.kill()
        child.wait()
    waited: list[bool] = []
    with held(path, waiting=lambda: waited.append(True)):
        pass
    assert not waited
