from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cleancut.bench import measure
from cleancut.bench.measure import Figure, Sample, Turns, printed_json, run_once, take_turns
from cleancut.errors import RunError


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_a_command_gives_its_output_its_time_and_its_peak_memory() -> None:
    sample = run_once(python("print('seen')"), os.environ)
    assert sample.stdout.strip() == "seen"
    assert sample.seconds > 0
    if sys.platform != "win32":
        assert sample.peak_mb is not None
        assert sample.peak_mb > 1


@pytest.mark.skipif(sys.platform == "win32", reason="no wait4")
def test_peak_memory_is_the_childs_not_ours() -> None:
    held = bytearray(b"x" * (300 << 20))
    small = run_once(python("pass"), os.environ)
    large = run_once(python("x = b'x' * (200 << 20)"), os.environ)
    assert len(held) == 300 << 20
    assert small.peak_mb is not None
    assert large.peak_mb is not None
    assert small.peak_mb < 150
    assert large.peak_mb - small.peak_mb > 150


@pytest.mark.skipif(sys.platform == "win32", reason="no wait4")
def test_processor_seconds_hold_those_of_the_commands_own_children() -> None:
    burn = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.3: pass"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {burn!r}])"
    idle = run_once(python("import time; time.sleep(0.3)"), os.environ)
    busy = run_once(python(outer), os.environ)
    assert idle.cpu_s is not None
    assert busy.cpu_s is not None
    assert idle.cpu_s < 0.25
    assert busy.cpu_s >= 0.3


def test_only_the_given_environment_reaches_the_command() -> None:
    code = "import os; print(os.environ.get('ONE'), os.environ.get('HOME_OF_TEST'))"
    sample = run_once(python(code), {"ONE": "1", "PATH": os.environ.get("PATH", "")})
    assert sample.stdout.split() == ["1", "None"]


def test_a_failing_command_is_an_error_with_its_last_line() -> None:
    with pytest.raises(RunError, match="broken here"):
        run_once(python("import sys; sys.exit('first\\nbroken here')"), os.environ)


def test_a_command_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(RunError, match="does not start"):
        run_once(["/no/such/command"], os.environ)


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(RunError, match="longer than"):
        run_once(python(code), os.environ, timeout_s=3)
    if sys.platform == "linux":
        process = Path(f"/proc/{mark.read_text()}/stat")
        deadline = time.monotonic() + 10  # a signal is sent at once and acted on a little later
        while _runs(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(process)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("how", ["it is killed", "the command ends"])
def test_nothing_outlives_the_measurement(tmp_path: Path, how: str) -> None:
    mark = tmp_path / "pid"
    child = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    wait = "while not os.path.exists(mark) or not open(mark).read(): time.sleep(0.05)"
    command = python(
        f"import os, subprocess, time; mark = {str(mark)!r}\n"
        f"subprocess.Popen({python(child)!r})\n{wait}"
    )
    if how == "it is killed":
        command[-1] += "\ntime.sleep(60)"
    script = "import os; from cleancut.bench.measure import run_once\n"
    script += f"run_once({command!r}, os.environ)"
    with subprocess.Popen([sys.executable, "-c", script]) as measuring:
        deadline = time.monotonic() + 20
        while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if how == "it is killed":
            measuring.kill()
    process = Path(f"/proc/{mark.read_text()}/stat")
    deadline = time.monotonic() + 10
    while _runs(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(process)


def test_of_a_long_complaint_the_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_MOST_SAID", 100)
    code = "import sys; print('x' * 999, '\\nlast'); sys.exit('y' * 999 + '\\nwhy')"
    with pytest.raises(RunError, match=r"failed: why$"):
        run_once(python(code), os.environ)
    assert run_once(python(code.partition(" sys.exit")[0]), os.environ).stdout.endswith("\nlast\n")


def _runs(process: Path) -> bool:
    try:
        return process.read_text().split()[2] != "Z"
    except OSError:
        return False


def test_json_is_read_from_the_last_line() -> None:
    assert printed_json(Sample(1, None, 'noise\n{"seconds": 2}\n')) == {"seconds": 2}


@pytest.mark.parametrize("text", ["", "no json", "[1]"])
def test_other_output_is_an_error(text: str) -> None:
    with pytest.raises(RunError):
        printed_json(Sample(1, None, text))


def test_sides_take_turns_and_the_warm_up_is_not_counted() -> None:
    order: list[str] = []

    def task(name: str) -> Sample:
        order.append(name)
        return Sample(len(order), 10.0, "")

    turns = take_turns({"a": lambda: task("a"), "b": lambda: task("b")}, 2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert [sample.seconds for sample in turns.samples["a"]] == [3, 5]
    assert [sample.seconds for sample in turns.samples["b"]] == [4, 6]


def test_a_failing_side_drops_out_and_the_other_goes_on() -> None:
    calls = 0

    def fails() -> Sample:
        nonlocal calls
        calls += 1
        raise RunError("it broke")

    turns = take_turns({"a": fails, "b": lambda: Sample(1, None, "")}, 3, warm_up=False)
    assert calls == 1
    assert turns.failed == {"a": "it broke"}
    assert turns.figure("a", lambda sample: sample.seconds) is None
    assert len(turns.samples["b"]) == 3


def test_no_round_begins_that_would_end_too_late_but_one_is_counted() -> None:
    def slow() -> Sample:
        time.sleep(0.02)
        return Sample(1, None, "")

    late = take_turns({"a": slow}, 5, until=time.monotonic() - 1)
    assert len(late.samples["a"]) == 1
    some = take_turns({"a": slow}, 1000, until=time.monotonic() + 0.2)
    assert 1 <= len(some.samples["a"]) < 20


def test_what_was_measured_before_an_interruption_is_there() -> None:
    turns, seen = Turns(), []

    def task() -> Sample:
        if len(seen) == 3:
            raise KeyboardInterrupt
        return Sample(1, None, "")

    with pytest.raises(KeyboardInterrupt):
        take_turns({"a": task, "b": task}, 5, warm_up=False, turns=turns, step=seen.append)
    assert seen == ["a", "b", "a"]
    assert (len(turns.samples["a"]), len(turns.samples["b"])) == (1, 1)


def test_a_side_without_peak_memory_has_no_figure() -> None:
    turns = take_turns({"a": lambda: Sample(1, None, "")}, 1)
    assert turns.figure("a", lambda sample: sample.peak_mb) is None
    assert turns.figure("nobody", lambda sample: sample.seconds) is None


def test_median_and_minimum() -> None:
    assert Figure((3.0, 1.0, 8.0)).median == 3.0
    assert Figure((3.0, 1.0, 8.0)).minimum == 1.0
    assert Figure((1.0, 2.0)).median == 1.5
