from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from cleancut.batch import ray_session
from cleancut.batch.cluster import RayRunner
from cleancut.batch.worker import WorkerConfig
from cleancut.errors import BadOption, ClusterUnavailable

pytest.importorskip("ray", reason="the extra `ray` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "http://head:8265", "head", "head:x", ":1"]
)
def test_addresses_that_cannot_carry_a_batch_are_refused(address: str) -> None:
    with pytest.raises(BadOption, match="--address"), ray_session.connect(address, cpus=1):
        pass


def test_a_cluster_that_does_not_answer_is_an_error_at_once() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with (
            pytest.raises(ClusterUnavailable, match="no Ray cluster answers") as caught,
            ray_session.connect(address, cpus=1),
        ):
            pass
    assert "ray status" in caught.value.hint


def test_what_ray_reads_from_the_environment_is_there_while_it_runs_and_gone_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("RAY_BACKEND_LOG_LEVEL", raising=False)
    with ray_session._environment(ray_session._QUIET):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1", "what the user has set stays"
        assert os.environ["RAY_BACKEND_LOG_LEVEL"] == "fatal"
    assert "RAY_BACKEND_LOG_LEVEL" not in os.environ


@pytest.mark.parametrize(
    ("wrong", "flag"), [({"workers": 0}, "--workers"), ({"gpus_per_worker": -1.0}, "--gpus")]
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, int], flag: str) -> None:
    with pytest.raises(BadOption, match=flag):
        RayRunner(WorkerConfig(), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "nodes", "workers", "share"),
    [
        ("auto", [(8, 0), (8, 0)], 4, 0.0),
        ("auto", [(8, 1), (8, 0)], 4, 0.0),  # nodes without one would get no worker
        ("auto", [(0, 0), (8, 2), (8, 2)], 4, 1.0),
        ("gpu", [(8, 1), (8, 0)], 4, 0.25),
        ("gpu", [(8, 3)], 8, 1 / 3),  # 3/8 of one would leave room for six
        ("gpu", [(8, 0)], 4, 1.0),  # a cluster that grows gets nodes with one
        ("cpu", [(8, 4)], 4, 0.0),
    ],
)
def test_workers_share_the_gpus_of_a_cluster(
    device: str,
    nodes: list[tuple[int, int]],
    workers: int,
    share: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    there = [{"Alive": True, "Resources": {"CPU": cpu, "GPU": gpu}} for cpu, gpu in nodes]
    there.append({"Alive": False, "Resources": {"CPU": 8, "GPU": 8}})
    monkeypatch.setattr(ray, "nodes", lambda: there)
    config = WorkerConfig(options=json.dumps({"device": device}))
    assert RayRunner(config, workers=workers)._share() == pytest.approx(share)


def test_ray_is_imported_by_the_cluster_only() -> None:
    code = "import sys, cleancut.batch.run, cleancut.batch.station; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
