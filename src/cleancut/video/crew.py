"""Who renders parts side by side: how many at once, and with which networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.engine import Engine
    from cleancut.video.frame import VideoInfo
    from cleancut.video.mattes import Matter
    from cleancut.video.order import VideoOrder
    from cleancut.video.scene import Scene

#: Parts that are rendered at once, where nobody says: each takes some 220 bytes of memory a pixel.
_MOST_JOBS, _PIXELS_AT_ONCE = 8, 16e6


def usual_jobs(info: VideoInfo, parts: int) -> int:
    """How many parts are best rendered at once by a small network, where nobody says.

    One for every core, each with one thread in its network: two threads in one network take a tenth
    more of processor time, and wait for each other whenever decoder or encoder have a core.
    """
    from cleancut.backends.machine import thread_count

    fits = int(_PIXELS_AT_ONCE // max(1, info.width * info.height))
    return max(1, min(thread_count(), parts, fits, _MOST_JOBS))


def first_engine(order: VideoOrder, info: VideoInfo, parts: int) -> Engine:
    """An engine for the choice of networks and the first job."""
    from cleancut.backends.machine import thread_count
    from cleancut.engine import Engine

    threads = order.threads
    if threads is None and "rvm" in (order.video.engine, order.options.model):
        jobs = min(order.jobs or usual_jobs(info, parts), parts)
        threads = None if jobs == 1 else max(1, thread_count() // jobs)
    return Engine(order.options, threads=threads)


def crew(order: VideoOrder, scene: Scene, parts: int, *, shared: bool) -> tuple[Matter, ...]:
    """One matter for each part that is rendered at once.

    A recurrent network is small: every job has its own, with its share of the cores, unless the
    engine is ``shared`` with others. Image models are large and keep all cores busy alone, so they
    are one for all.
    """
    from cleancut.backends.machine import thread_count
    from cleancut.engine import Engine
    from cleancut.video.choose import choose_matter

    apart = not shared and _recurrent(scene.matter)
    jobs = min(order.jobs or (usual_jobs(scene.info, parts) if apart else 1), parts)
    if jobs == 1 or not apart:
        return (scene.matter,) * jobs
    threads = order.threads or max(1, thread_count() // jobs)
    video = replace(order.video, engine="rvm")
    asked = "rvm" in (order.video.engine, order.options.model)  # then the first is such already
    others = [
        choose_matter(Engine(order.options, threads=threads), order.options, video, scene.info, ())
        for _ in range(jobs - asked)
    ]
    return (*([scene.matter] if asked else []), *(matter for matter, _ in others))


def _recurrent(matter: Matter) -> bool:
    from cleancut.catalog import find

    names = [name for name in matter.names if name != "echo"]
    return bool(names) and all(find(name).family == "recurrent" for name in names)
