from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cleancut import Engine, Options
from cleancut.backends import gpus as cuda
from cleancut.errors import (
    BackendUnavailable,
    Busy,
    Cancelled,
    CleancutError,
    OutOfMemory,
    PictureCrashed,
    SetupError,
    StorageFailed,
    TimedOut,
    UnreadableImage,
)
from cleancut.server.faults import status_of
from cleancut.server.order import Cut, Order
from cleancut.server.pool import Pool
from cleancut.server.settings import Settings
from tests.batch.pictures import picture

ECHO = Options(model="echo")
FAULTY = (sys.executable, str(Path(__file__).parents[1] / "batch" / "faulty_child.py"))


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Pool]:
    """A pool with the accident-prone working process, two pictures at once."""
    others = set(threading.enumerate())  # of tests that ran before in this process
    wanted: dict[str, object] = {"workers": 2, "threads": 2, "timeout_s": 30.0, "options": ECHO}
    pool = Pool(Settings(data=folder / "data", **(wanted | settings)), command=FAULTY)  # type: ignore[arg-type]
    pool.start()
    try:
        yield pool
    finally:
        pool.stop(0)
        until(lambda: not _ours(others))


def _ours(others: set[threading.Thread]) -> list[threading.Thread]:
    """Threads of the package that were not there before."""
    return [t for t in {*threading.enumerate()} - others if t.name.startswith("cleancut-")]


def order(folder: Path, name: str, seed: int | None = None, **values: object) -> Order:
    """What happens to it is written in the name; see ``faulty_child``."""
    source = folder / f"{name}.png"
    source.write_bytes(picture(hash(name) % 1000 if seed is None else seed))
    options = ECHO.with_(**values.pop("changes", {}))  # type: ignore[arg-type]
    return Order(source=source, options=options, **values)  # type: ignore[arg-type]


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def test_an_order_is_answered_with_the_bytes_and_facts_of_the_engine(tmp_path: Path) -> None:
    with running(tmp_path) as pool:
        wanted = order(tmp_path, "a", changes={"crop": True, "format": "webp"})
        cut = pool.submit(wanted).result(30)
        until(lambda: pool.state().models)
        state = pool.state()
    expected = Engine().encoded(wanted.source, options=wanted.options)
    assert cut.data == expected.data
    assert cut.facts["box"] == expected.facts["box"]
    assert not cut.cached
    assert state.child_pid is not None
    assert state.child_rss_bytes > 10_000_000
    assert [model.name for model in state.models] == ["echo"]
    assert (state.waiting, state.working, state.restarts) == (0, 0, 0)


def test_guidance_and_a_background_are_read_by_the_working_process(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(picture(3))
    (tmp_path / "back.png").write_bytes(picture(9))
    changes = {"background": str(tmp_path / "back.png")}
    wanted = order(tmp_path, "a", changes=changes, guidance={"mask": str(tmp_path / "mask.png")})
    with running(tmp_path) as pool:
        cut = pool.submit(wanted).result(30)
        plain = pool.submit(order(tmp_path, "a")).result(30)
    assert cut.facts["model"] == "mask"
    assert plain.facts["model"] == "echo"


def test_a_target_is_written_and_holds_what_would_have_been_sent(tmp_path: Path) -> None:
    target = tmp_path / "kept" / "a.png"
    target.parent.mkdir()
    with running(tmp_path) as pool:
        kept = pool.submit(order(tmp_path, "a", target=target)).result(30)
        sent = pool.submit(order(tmp_path, "a")).result(30)
    assert kept.data == b""
    assert target.read_bytes() == sent.data


def test_nothing_heavy_is_imported_in_front(tmp_path: Path) -> None:
    source = order(tmp_path, "a").source
    code = f"""if True:
        import sys
        from pathlib import Path
        from cleancut import Options
        from cleancut.server.order import Order
        from cleancut.server.pool import Pool
        from cleancut.server.settings import Settings
        options = Options(model="echo")
        pool = Pool(Settings(data=Path({str(tmp_path / "data")!r}), options=options))
        pool.start()
        assert pool.submit(Order(source=Path({str(source)!r}), options=options)).result(60).data
        pool.state()
        pool.stop(1)
        print([n for n in ("numpy", "cv2", "PIL", "onnxruntime", "openvino") if n in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads Linux's /proc")
def test_the_working_process_does_not_know_the_server_s_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANCUT_SERVER_SECRET", "swordfish")
    with running(tmp_path) as pool:
        until(pool.ready)
        known = Path(f"/proc/{pool.state().child_pid}/environ").read_bytes()
    assert b"swordfish" not in known
    assert b"CLEANCUT_HOME" in known


def test_more_than_may_wait_are_refused_with_a_time_and_the_patient_never(tmp_path: Path) -> None:
    with running(tmp_path, queue=3, workers=1) as pool:
        first = pool.submit(order(tmp_path, "slow-0"))
        until(first.running)
        waiting = [pool.submit(order(tmp_path, f"slow-{n}")) for n in (1, 2, 3)]
        assert isinstance(pool.full(), Busy)
        with pytest.raises(Busy, match="3 pictures wait already") as caught:
            pool.submit(order(tmp_path, "slow-4"))
        assert 1 <= caught.value.retry_after_s <= 300
        patient = pool.submit(order(tmp_path, "slow-5", patient=True))
        assert (pool.state().waiting, pool.state().patient) == (3, 1)
        assert all(future.result(30).data for future in (first, *waiting, patient))
        assert pool.full() is None


def test_impatient_orders_go_first_and_in_turn(tmp_path: Path) -> None:
    ended: list[str] = []
    with running(tmp_path, workers=1) as pool:
        first = pool.submit(order(tmp_path, "slow-first"))
        until(first.running)
        futures = []
        for name, patient in (("p1", True), ("p2", True), ("i1", False), ("i2", False)):
            future = pool.submit(order(tmp_path, name, patient=patient))
            future.add_done_callback(lambda _, name=name: ended.append(name))  # type: ignore[misc]
            futures.append(future)
        for future in futures:
            future.result(30)
    assert ended == ["i1", "i2", "p1", "p2"]


def test_a_waiting_order_that_is_taken_back_is_never_begun(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, queue=1) as pool:
        first = pool.submit(order(tmp_path, "slow-a"))
        until(first.running)
        second = pool.submit(order(tmp_path, "segfault"))
        assert pool.full() is not None
        assert second.cancel()
        assert pool.full() is None
        assert not first.cancel()  # in work: finished, and its result dropped
        with pytest.raises(Cancelled):
            first.result(30)
        assert pool.submit(order(tmp_path, "b")).result(30).data
        assert pool.state().restarts == 0


def test_the_same_picture_is_cut_once_and_holds_no_place(tmp_path: Path) -> None:
    target = tmp_path / "copy.png"
    with running(tmp_path, workers=2) as pool:
        same = [order(tmp_path, f"slow-{n}", seed=1) for n in range(6)]
        same.append(order(tmp_path, "slow-7", seed=1, target=target))
        futures = [pool.submit(one) for one in same]
        other = pool.submit(order(tmp_path, "other", seed=2))
        assert other.result(30).data
        assert not any(future.done() for future in futures)  # all seven were held by one place
        cuts = [future.result(30) for future in futures]
    assert len({cut.data for cut in cuts[:6]}) == 1
    assert target.read_bytes() == cuts[0].data
    assert len({cut.facts["timings_ms"]["model"] for cut in cuts}) == 1


def test_other_options_are_another_cutout(tmp_path: Path) -> None:
    with running(tmp_path) as pool:
        one = pool.submit(order(tmp_path, "slow-a", seed=1))
        two = pool.submit(order(tmp_path, "slow-b", seed=1, changes={"only_mask": True}))
        assert one.result(30).data != two.result(30).data


def test_twins_survive_the_client_whose_upload_was_theirs(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as pool:
        until(pool.ready)
        block = pool.submit(order(tmp_path, "slow-block", seed=5))
        until(block.running)
        leader = order(tmp_path, "slow-leader", seed=1)
        twin = order(tmp_path, "twin", seed=1)
        first, second = pool.submit(leader), pool.submit(twin)
        block.result(30)
        until(first.running)
        leader.source.unlink()  # before the slow one reads it
        first.cancel()
        assert second.result(30).data


def test_what_is_wrong_with_one_order_is_told_to_that_one(tmp_path: Path) -> None:
    errors = {"fat": OutOfMemory, "bug": CleancutError, "setup": SetupError, "full": StorageFailed}
    with running(tmp_path) as pool:
        futures = {name: pool.submit(order(tmp_path, name)) for name in ("a", *errors, "b")}
        for name, kind in errors.items():
            failed = futures.pop(name).exception(30)
            assert type(failed) is kind
            assert str(tmp_path) not in f"{failed} {failed.hint}"  # type: ignore[union-attr]
        assert all(future.result(30).data for future in futures.values())
        assert pool.state().restarts == 0


@pytest.mark.parametrize(
    "accident",
    ["segfault", *(pytest.param(name, marks=pytest.mark.slow) for name in ("killed", "exit"))],
)
def test_a_crash_costs_one_order(tmp_path: Path, accident: str) -> None:
    with running(tmp_path) as pool:
        names = ["slow-a", accident, "slow-b", "c"]
        futures = {name: pool.submit(order(tmp_path, name)) for name in names}
        assert type(futures.pop(accident).exception(30)) is PictureCrashed
        assert all(future.result(30).data for future in futures.values())


def test_a_picture_that_hangs_is_given_up(tmp_path: Path) -> None:
    with running(tmp_path, timeout_s=1.5) as pool:
        until(pool.ready)
        late, other = pool.submit(order(tmp_path, "hang")), pool.submit(order(tmp_path, "a"))
        assert other.result(30).data
        assert isinstance(late.exception(30), TimedOut)
        # Without any order, a working process stands ready again.
        until(lambda: pool.ready() and pool.state().restarts >= 1)


def test_memory_that_is_eaten_ends_at_the_limit(tmp_path: Path) -> None:
    limit = 400 << 20
    with running(tmp_path, memory_limit=limit) as pool:
        until(pool.ready)
        glutton = pool.submit(order(tmp_path, "eats"))
        others = [pool.submit(order(tmp_path, f"slow-{n}")) for n in range(4)]
        most = 0
        while not glutton.done():
            most = max(most, pool.state().child_rss_bytes)
            time.sleep(0.01)
        assert isinstance(glutton.exception(), OutOfMemory | PictureCrashed)
        assert all(future.result(30).data for future in others)
        assert most < limit + (64 << 20)


def test_a_working_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path) as pool:
        until(pool.ready)
        futures = [pool.submit(order(tmp_path, f"slow-{n}")) for n in range(4)]
        until(futures[0].running)
        os.kill(pool.state().child_pid or 0, signal.SIGKILL)
        assert all(future.result(30).data for future in futures)
        os.kill(pool.state().child_pid or 0, signal.SIGKILL)
        until(lambda: pool.state().restarts == 2 and pool.ready())


def gpus_shown(pool: Pool) -> set[bytes]:
    """What the working processes were told of GPUs when they were started."""
    found: set[bytes] = set()
    for pid in pool._runner.pids:
        with suppress(OSError):
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            found |= {entry for entry in entries if entry.startswith(b"CUDA_VISIBLE")}
    return found


def test_every_gpu_has_a_working_process_and_one_pool_is_in_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = tuple(cuda.Gpu(n, f"GPU-{n}", "Card", 1 << 34, (9, 0), 100) for n in range(3))
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((13, 0), cards))
    on_gpu = ECHO.with_(device="gpu")
    with running(tmp_path, workers=4, options=on_gpu, gpus="0,2") as pool:
        until(lambda: len(pool._runner.pids) == 2 and pool.ready(), 60)
        both = {b"CUDA_VISIBLE_DEVICES=0", b"CUDA_VISIBLE_DEVICES=2"}
        assert gpus_shown(pool) == both
        futures = [pool.submit(order(tmp_path, f"slow-{n}", seed=n)) for n in range(8)]
        until(lambda: pool.state().working == 4)
        os.kill(pool.state().child_pid or 0, signal.SIGKILL)
        assert all(future.result(30).data for future in futures)
        until(lambda: pool.state().restarts >= 1 and gpus_shown(pool) == both, 60)
        assert pool.state().child_rss_bytes > 20_000_000


def test_what_keeps_it_from_beginning_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CLEANCUT_TEST_WARM_UP", "refuses")
    with running(tmp_path) as pool:
        waiting = pool.submit(order(tmp_path, "a"))
        patient = pool.submit(order(tmp_path, "b", patient=True))
        with pytest.raises(SetupError, match="out of order"):
            waiting.result(30)
        until(pool.trouble)
        with pytest.raises(SetupError, match="out of order"):
            pool.submit(order(tmp_path, "c")).result(0.1)  # nobody waits for what cannot be
        assert not pool.ready()
        assert "no picture can be cut: [setup-error]" in caplog.text
        assert "out of order" in caplog.text  # the operator reads why
        monkeypatch.delenv("CLEANCUT_TEST_WARM_UP")
        assert patient.result(30).data
        assert pool.trouble() is None
        assert pool.submit(order(tmp_path, "d")).result(30).data


def test_a_device_that_cannot_be_had_is_no_fault_of_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as pool:
        gone = BackendUnavailable("no GPU here", hint="use device cpu")
        monkeypatch.setattr(pool, "trouble", lambda: gone)
        with pytest.raises(SetupError, match="no GPU here") as caught:
            pool.submit(order(tmp_path, "a")).result(30)
    assert status_of(caught.value) == 503


def test_the_end_finishes_what_was_accepted_and_gives_up_on_the_patient(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as pool:
        until(pool.ready)
        accepted = [pool.submit(order(tmp_path, f"slow-{n}")) for n in range(3)]
        patient = pool.submit(order(tmp_path, "patient", patient=True))
        pid = pool.state().child_pid
        pool.stop(20)
        assert all(future.result(0).data for future in accepted)
        assert isinstance(patient.exception(0), Cancelled)
        with pytest.raises(Busy):
            pool.submit(order(tmp_path, "late"))
        with pytest.raises(Busy):
            pool.submit(order(tmp_path, "late", patient=True))
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def test_the_end_does_not_wait_beyond_its_time(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as pool:
        until(pool.ready)
        hung, waiting = pool.submit(order(tmp_path, "hang")), pool.submit(order(tmp_path, "a"))
        until(hung.running)
        began = time.monotonic()
        pool.stop(0.2)
        assert time.monotonic() - began < 5
        assert isinstance(hung.exception(0), Cancelled)
        assert isinstance(waiting.exception(0), Cancelled)


def test_errors_about_companions_name_no_place(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"no picture")
    wanted = order(tmp_path, "a", guidance={"mask": str(tmp_path / "mask.png")})
    gone = order(tmp_path, "b", guidance={"trimap": str(tmp_path / "gone.png")})
    with running(tmp_path) as pool:
        unreadable = pool.submit(wanted).exception(30)
        missing = pool.submit(gone).exception(30)
    assert isinstance(unreadable, UnreadableImage)
    assert unreadable.message.startswith("--mask: ")
    assert str(tmp_path) not in unreadable.message + unreadable.hint
    assert isinstance(missing, StorageFailed)


def test_nothing_is_left_behind_by_hundreds_of_orders(tmp_path: Path) -> None:
    with running(tmp_path, queue=1000, cache=str(tmp_path / "cache")) as pool:
        orders = [order(tmp_path, f"p{n}", seed=n % 40) for n in range(400)]
        futures = [pool.submit(one) for one in orders]
        for future in futures[::7]:
            future.cancel()
        cuts: dict[int, set[bytes]] = {}
        for number, future in enumerate(futures):
            if not future.cancelled() and future.exception(60) is None:
                cut: Cut = future.result(0)
                cuts.setdefault(number % 40, set()).add(cut.data)
        assert len(cuts) == 40
        assert all(len(found) == 1 for found in cuts.values())
        assert not list((tmp_path / "data" / "spool").iterdir())
        assert len(pool._line) == len(pool._out) == len(pool._by_key) == 0
        assert pool.state().waiting == pool.state().working == 0
