"""A connection to a Ray cluster, or a quiet one of our own that leaves nothing behind."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from cleancut.errors import BadOption, ClusterUnavailable
from cleancut.extras import extra

CONNECT_TIMEOUT_S = 10.0

# Ray takes these from the environment only. What the user has set stays.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def connect(address: str | None, *, cpus: float) -> Iterator[None]:
    """Be connected to the cluster at ``address``, or to a new one on this machine with ``cpus``.

    A cluster that this process is connected to already is used and left as it is. One of our own
    asks for a secret, since Ray listens on every network, and keeps its files in a temporary folder
    that goes with it. Raises ``ClusterUnavailable`` and ``BadOption``.
    """
    with extra("ray"):
        import ray

    if ray.is_initialized():
        yield
        return
    own = {} if address else {"RAY_AUTH_TOKEN": _secret()}
    with _environment({**_QUIET, **own}), _folder(wanted=not address) as folder:
        for name in ("ray", "ray.data"):  # what goes wrong is told as an error of ours
            logging.getLogger(name).setLevel(logging.CRITICAL)
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            if address:
                _check(address)
                ray.init(address=address, **_INIT)
            else:
                ray.init(
                    num_cpus=ceil(cpus), _temp_dir=folder, _node_ip_address="127.0.0.1", **_INIT
                )
        except (RuntimeError, OSError, ValueError, ray.exceptions.RayError) as error:
            what = f"the Ray cluster at {address} cannot be joined" if address else _NO_START
            raise ClusterUnavailable(
                f"{what}: {' '.join(str(error).split())[:300]}",
                hint="run: ray status" if address else "run with --engine local",
            ) from error
        # Ray ends the process at SIGTERM; whoever has set a handler has other plans.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)
        with _silence(ray):
            try:
                yield
            finally:
                ray.shutdown()


_INIT = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.CRITICAL}
_NO_START = "Ray does not start on this machine"


@contextmanager
def clear_errors() -> Iterator[None]:
    """Ray's errors as ours; those of our own that come from workers are let through."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayError as error:
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        if "No module named 'cleancut" in text:
            raise ClusterUnavailable(
                "the nodes of the cluster do not have cleancut installed",
                hint="run: pip install 'cleancut[ray]' on every node, in the driver's version",
            ) from error
        last = text.strip().splitlines()[-1:] or [type(error).__name__]
        message = f"the cluster failed: {last[0]:.300}"
        raise ClusterUnavailable(message, hint="run: ray status") from error


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Hide what Ray's modules warn of: their own deprecations, and advice on how to use them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\b")
        yield


@contextmanager
def _silence(ray: Any) -> Iterator[None]:
    """Keep Ray from printing its workers' troubles to stdout, which belongs to ``--json``.

    Its debugger has this switch; there is no public one, and without it Ray only talks more.
    """
    worker = getattr(ray._private, "worker", None)
    before = getattr(worker, "_worker_logs_enabled", None)
    if worker is None or before is None:
        yield
        return
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


def _check(address: str) -> None:
    """Refuse quickly what Ray would try for minutes."""
    if "://" in address:
        raise BadOption(
            f"--address {address}: neither Ray Client nor job addresses can carry a batch",
            hint="run on a node of the cluster with --address auto, or give HOST:PORT of its head",
        )
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadOption(f"--address {address}: not HOST:PORT", hint="like --address 10.0.0.5:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ClusterUnavailable(
            f"no Ray cluster answers at {address}: {error.strerror or error}",
            hint="on its head node, run: ray status",
        ) from error


@cache
def _secret() -> str:
    """One for the life of this process: Ray reads it once."""
    return secrets.token_hex(32)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({**values, **before})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            if name.startswith("RAY_"):  # Ray sets some of its own
                del os.environ[name]


@contextmanager
def _folder(*, wanted: bool) -> Iterator[str | None]:
    """A short-named folder for Ray's sockets, whose paths may have 103 characters at most."""
    if not wanted:
        yield None
        return
    place = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    for other in place.glob("ccray-*-*"):  # of a process that was killed
        if not Path("/proc", other.name.split("-")[1]).exists() and Path("/proc/self").exists():
            shutil.rmtree(other, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"ccray-{os.getpid()}-", dir=place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
