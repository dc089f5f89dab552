"""What the routes work with: one of each, opened in order, closed in the opposite one."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NoReturn

from cleancut.engine import Engine
from cleancut.errors import SetupError, StorageFailed
from cleancut.server import spool
from cleancut.server.answers import Answers
from cleancut.server.auth import is_loopback
from cleancut.server.keys import Keys
from cleancut.server.quota import Quota
from cleancut.server.telemetry import Metrics
from cleancut.weights.lock import held

if TYPE_CHECKING:
    from cleancut.cache.entry import Cache
    from cleancut.server.fetch import Fetcher
    from cleancut.server.job_videos import JobVideos
    from cleancut.server.jobs import Jobs
    from cleancut.server.order import Orders
    from cleancut.server.settings import Settings

#: Below this the server says that it is not ready, bytes.
LEAST_ROOM = 256 << 20


class Services:
    """The parts of one server, shared by all its routes through ``app.state.services``.

    ``engine`` only looks into the cache; pictures are cut by ``pool``, in another process. ``jobs``
    may be left out.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        pool: Orders,
        engine: Engine,
        cache: Cache | None,
        keys: Keys,
        quota: Quota,
        metrics: Metrics,
        fetcher: Fetcher,
        jobs: Jobs | None = None,
    ) -> None:
        self.settings = settings
        self.pool = pool
        self.engine = engine
        self.cache = cache
        self.keys = keys
        self.quota = quota
        self.metrics = metrics
        self.fetcher = fetcher
        self.answers = Answers()
        self._jobs = jobs
        #: True once the server was told to end: what was accepted is finished, nothing is begun.
        self.ending = False
        self._closing = ExitStack()
        self._lock = threading.Lock()
        self._running = False

    @property
    def jobs(self) -> Jobs:
        """Does work that nobody waits for. Raises ``SetupError`` on a server that has none."""
        if self._jobs is None:
            raise SetupError("this server takes no jobs", hint="send one picture at a time")
        return self._jobs

    def videos(self) -> JobVideos | None:
        """Who does the videos of jobs; None on a server without jobs."""
        return None if self._jobs is None else self._jobs.videos

    @classmethod
    def open(cls, settings: Settings) -> Services:
        """Everything that ``settings`` ask for, not yet at work.

        Takes the data folder for this process alone and empties the spool. Raises ``SetupError``
        if another server has the folder, or if the server would be open to the network without a
        key; ``BadOption`` and ``MissingDependency`` of the parts.
        """
        from cleancut.cache import DEFAULT_MAX_BYTES, open_cache
        from cleancut.server.fetch import Fetcher
        from cleancut.server.jobs import Jobs
        from cleancut.server.pool import Pool

        closing = ExitStack()
        with closing:
            closing.enter_context(taken(settings))
            keys = Keys.of(settings)
            keys.listed()  # a keys file that is missing or damaged ends the start
            refuse_open_door(settings, keys)
            spool.empty(settings.spool)
            cache = open_cache(settings.cache, max_bytes=settings.cache_bytes or DEFAULT_MAX_BYTES)
            if cache is not None:
                closing.callback(cache.close)
            pool, fetcher, quota = Pool(settings), Fetcher(settings), Quota(settings)
            services = cls(
                settings,
                pool=pool,
                engine=Engine(settings.defaults, cache=cache),
                cache=cache,
                keys=keys,
                quota=quota,
                metrics=Metrics(),
                fetcher=fetcher,
                jobs=Jobs(settings, pool, fetcher, quota=quota, keys=keys),
            )
            services._closing = closing.pop_all()
        return services

    def start(self) -> None:
        """Begin to work; more than once does no harm."""
        with self._lock:
            if self._running:
                return
            self._running = True
        self.pool.start()
        self.quota.start()
        if self._jobs is not None:
            self._jobs.start()
        self.metrics.watch(self)

    def stop(self, grace_s: float | None = None) -> None:
        """Finish what was accepted, at most ``grace_s`` (the settings' by default), and close."""
        with self._lock:
            running, self._running = self._running, False
        self.ending = True
        grace = self.settings.grace_s if grace_s is None else grace_s
        began = time.monotonic()
        if running:
            if self._jobs is not None:
                self._jobs.stop()
            self.pool.stop(max(0.0, grace - (time.monotonic() - began)))
            self.quota.stop()
        self._closing.close()

    def obstacles(self) -> list[str]:
        """What keeps the server from taking pictures, in words; empty if nothing does.

        Looks at the disk, so it blocks.
        """
        found = []
        if self.ending:
            found.append("the server is ending")
        if (trouble := self.pool.trouble()) is not None:
            found.append(f"{trouble.code}: the network cannot be run")
        elif not self.pool.ready():
            found.append("the network is being loaded")
        try:
            if shutil.disk_usage(self.settings.data).free < LEAST_ROOM:
                found.append("the disk is nearly full")
        except OSError:
            found.append("the data folder is gone")
        return found

    def shortcomings(self) -> list[str]:
        """What does not work although single pictures do, in words.

        No obstacles: servers that share a Redis would all be taken out of service with it. Asks the
        stores, so it blocks.
        """
        found = []
        if (trouble := self.quota.trouble()) is not None:
            found.append(f"{trouble.code}: usage cannot be written down")
        if self._jobs is not None and (trouble := self._jobs.trouble()) is not None:
            found.append(f"{trouble.code}: the store of jobs cannot be used")
        return found


def taken(settings: Settings) -> Any:
    """Hold the data folder for this process alone. Raises ``SetupError``, ``StorageFailed``."""

    def refuse() -> NoReturn:
        raise SetupError(
            f"another server uses the data folder {settings.data}",
            hint="give each server a folder of its own: --data DIR",
        )

    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageFailed(
            f"the data folder {settings.data} cannot be made: {error.strerror}",
            hint="choose another one: --data DIR",
        ) from error
    return held(settings.data / "server.lock", waiting=refuse)


def refuse_open_door(settings: Settings, keys: Keys) -> None:
    """Raise ``SetupError`` if anybody on the network could use the server without a key."""
    if settings.insecure or is_loopback(settings.host) or keys.required:
        return
    raise SetupError(
        f"without an API key anybody who reaches {settings.host} could use this server",
        hint="run: cleancut keys add NAME; or listen on 127.0.0.1; or say --insecure",
    )
