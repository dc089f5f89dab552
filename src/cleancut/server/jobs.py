"""Doing jobs: items are claimed from the store, cut by the pool after all who wait, and kept."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cleancut.backends.machine import cpu_limit
from cleancut.errors import (
    Busy,
    Cancelled,
    CleancutError,
    FetchFailed,
    InputNotFound,
    KeyRefused,
    OutputNotWritable,
    PictureCrashed,
    StorageFailed,
)
from cleancut.options import Options
from cleancut.server import video_form
from cleancut.server.faults import told, unexpected
from cleancut.server.job_hold import Hold, Lane
from cleancut.server.job_store import Claim, Done, JobRecord, JobStore, NewJob, opened
from cleancut.server.job_videos import JobVideos
from cleancut.server.keys import ANONYMOUS, Caller, Keys, Limits
from cleancut.server.links import Links, secret_from
from cleancut.server.order import Order, Orders, megapixels_of
from cleancut.server.spool import remove
from cleancut.server.webhooks import DELAYS_S, Webhooks

if TYPE_CHECKING:
    from cleancut.server.fetch import Fetcher
    from cleancut.server.quota import Quota
    from cleancut.server.settings import Settings

_log = logging.getLogger(__name__)

#: An item is held for so long; whoever holds it says thrice in that time that it still works.
LEASE_S = 60.0
#: An item that was begun more often, and never ended, ends whoever works on it.
MAX_ATTEMPTS = 5
#: Seconds between two looks at a store that other servers fill, and at one of our own.
_POLL_SHARED_S, _POLL_OWN_S = 1.0, 5.0
#: Seconds between two looks for what has expired.
_EXPIRE_S = 30.0
#: Seconds after something that stands in the way of every item.
_PAUSE_S = 3.0
#: The end of the server waits at most so long for the ends of the threads.
_STOP_S = 3.0


class Jobs:
    """Accepts jobs and does them; every method but ``start`` and ``stop`` from any thread.

    ``store`` is one for tests; without it, it is a Redis that replicas share
    (``settings.redis``), or a database and files in ``settings.data``.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Orders,
        fetcher: Fetcher,
        *,
        quota: Quota | None = None,
        keys: Keys | None = None,
        store: JobStore | None = None,
        lease_s: float = LEASE_S,
        videos: JobVideos | None = None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._fetcher = fetcher
        self._quota = quota
        self._keys = keys
        self._store = store
        self._lease_s = lease_s
        self._poll_s = _POLL_SHARED_S if settings.redis else _POLL_OWN_S
        self._trouble: StorageFailed | None = None
        self._kept_secret: bytes | None = None
        self._held: dict[tuple[str, int], Hold] = {}
        self._lock = threading.Lock()
        self._lanes = {"cutout": Lane(), "video": Lane()}
        self.videos = videos or JobVideos(settings, fetcher)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._webhooks: Webhooks | None = None

    @property
    def store(self) -> JobStore:
        """Where the jobs are; open from ``start`` on."""
        if self._store is None:
            raise StorageFailed("the store of jobs is not open", hint="try again in a moment")
        return self._store

    def start(self) -> None:
        """Open the store, pick up what was left behind, begin. Raises ``StorageFailed``."""
        settings = self._settings
        if self._store is None:
            self._store = opened(settings)
        self.store.recover()
        delays = DELAYS_S[: settings.webhook_retries]
        base = (settings.public_url or "").rstrip("/")
        self._webhooks = Webhooks(
            self.store, self._fetcher, self.secret, base=base, delays_s=delays
        )
        count = (settings.workers or cpu_limit() + 1) + 1
        self._threads = [
            threading.Thread(
                target=self._work, args=(kind,), name=f"cleancut-{name}-{n}", daemon=True
            )
            for kind, name, many in (
                ("cutout", "job", count),
                ("video", "video", self.videos.at_once),
            )
            for n in range(many)
        ]
        self._threads.append(threading.Thread(target=self._tend, name="cleancut-jobs", daemon=True))
        for thread in self._threads:
            thread.start()
        self._webhooks.start()

    def stop(self) -> None:
        """Give back what is held and end; what is finished by then is kept."""
        self._stopping.set()
        self._wake()
        if self._webhooks is not None:
            self._webhooks.stop()
        for hold in self._holds():
            hold.stop()
        until = time.monotonic() + _STOP_S  # what is being fetched is left alone
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))
        if self._store is not None:
            self._store.close()

    def trouble(self) -> StorageFailed | None:
        """Why jobs are neither accepted nor done just now; None if they are."""
        return self._trouble

    def accept(self, job: NewJob) -> tuple[JobRecord, bool]:
        """Keep ``job`` durably; see ``JobStore.add``. True if it is a new one."""
        found = self.store.add(job)
        self._wake()
        return found

    def cancel(self, job: str) -> JobRecord | None:
        """Call ``job`` off, or remove the results of one that has ended; None if there is none."""
        found = self.store.cancel(job)
        for hold in self._holds():
            if hold.claim.job == job:
                hold.drop()
        if self._webhooks is not None:
            self._webhooks.wake()
        return found

    def secret(self) -> bytes:
        """What links and webhooks are signed with. Raises ``StorageFailed``."""
        if self._kept_secret is None:
            given = self._settings.secret
            self._kept_secret = secret_from(given) if given else self.store.secret()
        return self._kept_secret

    def links(self) -> Links:
        """Signs and checks links. Raises ``StorageFailed``."""
        return Links(self.secret())

    # -- one item after the other, in each of several threads -------------------------------------

    def _work(self, kind: str) -> None:
        while not self._stopping.is_set():
            try:
                claim = self._next(kind)
                if claim is not None:
                    self._do(claim)
            except StorageFailed as error:
                self._note(error)
                self._stopping.wait(_PAUSE_S)
            except Exception:
                _log.exception("work on a job failed")
                self._stopping.wait(_PAUSE_S)

    def _next(self, kind: str) -> Claim | None:
        """The item whose turn it is; one thread asks, the others wait for it."""
        lane = self._lanes[kind]
        with lane.claiming:
            if self._stopping.is_set():
                return None
            lane.woken.clear()
            found = self.store.claim(lease_s=self._lease_s, kind=kind)
            self._note(None)
            if not found:
                lane.woken.wait(self._poll_s)
                return None
            return found[0]

    def _wake(self) -> None:
        for lane in self._lanes.values():
            lane.woken.set()

    def _do(self, claim: Claim) -> None:
        hold, done = Hold(claim), None
        is_video = claim.kind == "video"
        spooled = self._settings.spool.absolute() / f"job-{secrets.token_hex(16)}"
        target = self.videos.target(claim) if is_video else spooled
        with self._lock:
            self._held[claim.key] = hold
        try:
            done = self._done(hold, target)
            if done is None:
                self._give_back(hold)
            elif self._finish(hold, done, target if done.error is None else None):
                self._charge(claim, done)
        finally:
            with self._lock:
                if self._held.get(claim.key) is hold:
                    del self._held[claim.key]
            if is_video:
                self.videos.leave(claim, keep=done is None and not hold.lost)
            remove([spooled])

    def _done(self, hold: Hold, target: Path) -> Done | None:
        """What comes of the item; None if it has to be given back."""
        claim = hold.claim
        try:
            if claim.attempts > MAX_ATTEMPTS:
                raise PictureCrashed(
                    f"the server ended {MAX_ATTEMPTS} times while it worked on this picture",
                    hint="save the picture anew with another program",
                )
            if self._quota is not None:
                self._quota.check(self._caller(claim.caller))
            if claim.kind == "video":
                return self._rendered(hold, target)
            return self._cut(hold, target)
        except (Cancelled, CancelledError):
            return None
        except (Busy, StorageFailed, OutputNotWritable) as error:
            if claim.kind == "video" and self.videos.given_up(claim, error):
                return _failed(error)
            # Nothing is wrong with the picture: the disk is full, or the server about to end.
            _log.warning("a job has to wait: %s", error.code)
            self._stopping.wait(_PAUSE_S)
            return None
        except CleancutError as error:
            return _failed(error)
        except Exception as error:
            if self._stopping.is_set():  # what it needs is being closed
                return None
            _log.exception("work on a job failed")
            return _failed(unexpected(error))

    def _cut(self, hold: Hold, target: Path) -> Done | None:
        claim, spool = hold.claim, self._settings.spool.absolute()
        picture = (
            self.store.source(claim, spool)
            if claim.url is None
            else self._fetched(hold, claim.url, spool)
        )
        if picture is None:
            raise InputNotFound("the picture is gone", hint="send the job again")
        try:
            options = Options.from_mapping(json.loads(claim.options))
            ticket = self._pool.submit(
                Order(source=picture, options=options, target=target, patient=True)
            )
            hold.end = ticket.cancel
            ticket.add_done_callback(lambda _: hold.over.set())
            if hold.lost or self._stopping.is_set():
                ticket.cancel()
            else:
                hold.over.wait()
            if not ticket.done() or hold.lost:
                return None
            cut = ticket.result()
            return Done(facts=dict(cut.facts), format=options.format or "png")
        finally:
            if picture.parent == spool:
                remove([picture])

    def _rendered(self, hold: Hold, target: Path) -> Done:
        def stopped(end: Callable[[], None] | None) -> None:
            hold.end = end
            if end is not None and (hold.lost or self._stopping.is_set()):
                end()

        return self.videos.done(self.store, hold.claim, target, stopped)

    def _fetched(self, hold: Hold, url: str, spool: Path) -> Path:
        """The picture at ``url``; what may pass by itself is tried once more."""
        limit = self._settings.max_body
        try:
            return self._fetcher.get(url, max_bytes=limit, folder=spool).path
        except FetchFailed as error:
            if error.retry_after_s is None or hold.over.wait(_PAUSE_S):
                raise
        return self._fetcher.get(url, max_bytes=limit, folder=spool).path

    def _finish(self, hold: Hold, done: Done, result: Path | None) -> bool:
        """Keep what came of it, however long the store is away; False if it is ours no more."""
        while not hold.lost:
            try:
                mine = self.store.finish(hold.claim, done, result)
            except StorageFailed as error:
                self._note(error)
                if self._stopping.wait(_PAUSE_S):
                    return False
                continue
            except CleancutError as error:  # a result that no store of this kind takes
                done = Done(error={"code": error.code, "message": error.message, "hint": ""})
                result = None
                continue
            self._note(None)
            if self._webhooks is not None:
                self._webhooks.wake()
            return mine
        return False

    def _give_back(self, hold: Hold) -> None:
        """Let somebody take it again, as soon as the store can hear of it."""
        while not hold.lost:
            try:
                self.store.release(hold.claim)
            except StorageFailed:
                if self._stopping.wait(_PAUSE_S):
                    return  # it is free when the lease ends
            else:
                break
        self._wake()

    def _charge(self, claim: Claim, done: Done) -> None:
        if self._quota is not None and done.error is None:
            count = video_form.megapixels_of if claim.kind == "video" else megapixels_of
            with suppress(CleancutError):
                self._quota.charge(self._caller(claim.caller), count(done.facts))

    def _caller(self, name: str) -> Caller:
        if name == ANONYMOUS.id:
            return ANONYMOUS
        if self._keys is None:
            return Caller(id=name, name=name, limits=Limits())
        for record in self._keys.listed():
            if record.caller.id == name:
                return record.caller
        raise KeyRefused("the API key of this job was removed")

    # -- what goes on beside it -------------------------------------------------------------------

    def _tend(self) -> None:
        """Hold what is held, and remove what has expired."""
        beat = self._lease_s / 3
        waited = _EXPIRE_S
        while not self._stopping.wait(min(beat, _EXPIRE_S)):
            waited += min(beat, _EXPIRE_S)
            try:
                holds = self._holds()
                if holds:
                    lost = self.store.renew([hold.claim for hold in holds], lease_s=self._lease_s)
                    tokens = {claim.token for claim in lost}
                    for hold in holds:
                        if hold.claim.token in tokens:
                            hold.drop()
                if waited >= _EXPIRE_S:
                    waited = 0.0
                    while self.store.expire():
                        pass
                    self.videos.sweep(self.store, [hold.claim.key for hold in self._holds()])
            except StorageFailed as error:
                self._note(error)
            except Exception:
                _log.exception("looking after jobs failed")

    def _holds(self) -> list[Hold]:
        with self._lock:
            return list(self._held.values())

    def _note(self, trouble: StorageFailed | None) -> None:
        if trouble is not None and self._trouble is None:
            _log.error("jobs wait: %s", trouble.message)
        self._trouble = trouble


def _failed(error: CleancutError) -> Done:
    """What is kept of an item that cannot be done."""
    message, hint = told(error)
    return Done(error={"code": error.code, "message": message, "hint": hint})
