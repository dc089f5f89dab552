"""How many megapixels are worked on at the same time, so that large pictures queue up."""

from __future__ import annotations

import io
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cleancut.backends.memory import resident_bytes, status_bytes

#: Peak memory of one picture: 10 bytes a pixel measured on 12 to 100 megapixels with the default
#: options, up to 32 with the greediest (feathered and grown, as WebP), more with 16 bits a sample.
BYTES_PER_PIXEL = 40
#: What is shared out at most and at least, in megapixels; and of a size that nobody can read.
_MOST_MP, _LEAST_MP, _UNKNOWN_MP = 200.0, 12.0, 25.0
#: Part of the free memory that pictures may take; the rest is the network's and the system's.
_SHARE = 0.5

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


#: What an interpreter with its libraries takes before any network is loaded, in bytes.
_BASE_BYTES = 150_000_000
#: Part of what is left of a memory limit that networks may take.
_MODELS_SHARE = 0.7
#: Less than this is left of the limit: memory is short.
_SHORT_BYTES = 64 << 20
#: Whom the system ends first when its memory is short: 0 nobody before others, 1000 always.
_OOM_SCORE = Path("/proc/self/oom_score_adj"), 500


class Budget:
    """Megapixels that may be in flight together; who asks first is served first.

    A picture larger than all of it goes alone. Thread-safe.
    """

    def __init__(self, megapixels: float) -> None:
        self._free = self._all = megapixels
        self._lock = threading.Lock()
        self._queue: deque[tuple[float, threading.Event]] = deque()

    @contextmanager
    def take(
        self, megapixels: float, on_wait: Callable[[bool], None] | None = None
    ) -> Iterator[None]:
        """Hold ``megapixels`` while the block runs; ``on_wait`` hears of a wait and of its end."""
        wanted = min(megapixels, self._all)
        go = threading.Event()
        with self._lock:
            self._queue.append((wanted, go))
            self._admit()
        if not go.is_set():
            if on_wait is not None:
                on_wait(True)
            go.wait()
            if on_wait is not None:
                on_wait(False)
        try:
            yield
        finally:
            with self._lock:
                self._free += wanted
                self._admit()

    def _admit(self) -> None:
        while self._queue and self._queue[0][0] <= self._free + 1e-9:
            wanted, go = self._queue.popleft()
            self._free -= wanted
            go.set()


def affordable_megapixels(processes: int = 1) -> float:
    """What pictures of one of ``processes`` may take of the memory that is free now, in MP."""
    free = free_bytes()
    if free is None:
        return 4 * _LEAST_MP
    return min(_MOST_MP, max(_LEAST_MP, _SHARE * free / processes / BYTES_PER_PIXEL / 1e6))


def shares(limit: int) -> tuple[int, float]:
    """Bytes for networks and megapixels in flight, of ``limit`` bytes for the whole process."""
    free = max(limit - _BASE_BYTES, limit // 2)
    models = int(_MODELS_SHARE * free)
    pixels = (free - models) / BYTES_PER_PIXEL / 1e6
    return models, min(_MOST_MP, max(_LEAST_MP, pixels))


def usual_limit() -> int:
    """A memory limit for a process that serves others: most of what is free now, in bytes."""
    free = free_bytes()
    return 4 << 30 if free is None else max(1 << 30, int(0.7 * free))


def limit_process(limit: int) -> None:
    """Let allocations fail that would take this process beyond ``limit`` bytes, where possible.

    What counts is data (RLIMIT_DATA of setrlimit(2)), not address space, of which runtimes reserve
    far more than they use; what is reserved now and not resident is allowed on top. No core file
    is left behind, since it would hold pictures, and the system ends this process before others.
    """
    if sys.platform != "linux":
        return
    import resource

    resident, data = resident_bytes(), status_bytes("VmData")
    if resident is not None and data is not None:
        room = max(limit - resident, limit // 4)
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        soft = data + room if most == resource.RLIM_INFINITY else min(data + room, most)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        _OOM_SCORE[0].write_text(str(_OOM_SCORE[1]), "ascii")


def is_memory_short() -> bool:
    """Whether this process is so near its limit that anything may fail for want of memory."""
    if sys.platform != "linux":
        return False
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    data = status_bytes("VmData")
    return limit != resource.RLIM_INFINITY and data is not None and data > limit - _SHORT_BYTES


def megapixels(data: bytes) -> float:
    """Size of a picture file by its header; of a header that nobody can read, a guess."""
    size = _jpeg_size(data) if data[:2] == b"\xff\xd8" else None
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        size = struct.unpack(">II", data[16:24])
    if size is None:
        size = _pillow_size(data)
    return _UNKNOWN_MP if size is None else size[0] * size[1] / 1e6


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _SOF:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _pillow_size(data: bytes) -> tuple[int, int] | None:
    from PIL import Image

    from cleancut.imaging.metadata import quiet_warnings

    try:
        with quiet_warnings(), Image.open(io.BytesIO(data)) as image:
            return image.size
    except Exception:  # a hostile header; decoding says what is wrong with it
        return None


def free_bytes() -> int | None:
    """Memory that can still be had: the system's, or the container's if that is less."""
    found = []
    try:
        for line in _MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = (int((_CGROUP / name).read_text("ascii")) for name in (limit, used))
            found.append(max(0, most - now))
        except (OSError, ValueError):
            pass  # "max", or not a group of this version
    return min(found, default=None)
