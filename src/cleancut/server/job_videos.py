"""Videos of jobs: from the store to a child process, and back; what is half done outlives us."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import (
    CleancutError,
    FetchFailed,
    InputNotFound,
    OutputNotWritable,
    StorageFailed,
)
from cleancut.server.job_store import Claim, Done, JobStore
from cleancut.server.video_form import VideoWish, taken
from cleancut.server.video_work import Rendering, VideoChild, VideoFolders

if TYPE_CHECKING:
    from cleancut.server.fetch import Fetcher
    from cleancut.server.settings import Settings

#: How often the store hears how far a video is, seconds.
_TELL_S = 1.0
#: A video may take as long to be fetched as one may take to be sent, and at least this, seconds.
_FETCH_S = 600.0
#: A video that cannot be written so often is given up: a full disk may be of its own making, and
#: what no container takes is taken by none the next time.
_MOST_REFUSALS = 3

#: Told whom to stop when the item is taken from us, and None once there is nobody.
Stopped = Callable[[Callable[[], None] | None], None]


class JobVideos:
    """Does the videos among the items of jobs; ``make`` gives whoever does one, in tests."""

    def __init__(
        self,
        settings: Settings,
        fetcher: Fetcher,
        *,
        make: Callable[[], Rendering] | None = None,
    ) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self._make = make or (lambda: VideoChild(settings))
        self.folders = VideoFolders(settings.data.absolute() / "videos")
        #: How many are done at once here.
        self.at_once = settings.video_jobs if make is not None or taken(settings) else 0
        #: Frames and seconds of video that were done, and videos in work; for metrics.
        self.frames = self.seconds = 0.0
        self.working = 0
        self._refusals: dict[tuple[str, int], int] = {}

    def target(self, claim: Claim) -> Path:
        """Where the result of ``claim`` is made."""
        return self.folders.path(*claim.key) / f"out.{json.loads(claim.options)['output']}"

    def done(self, store: JobStore, claim: Claim, target: Path, stopped: Stopped) -> Done:
        """Make ``target``. Raises what went wrong, ``Cancelled`` if it was stopped."""
        wish = VideoWish.from_json(claim.options)
        folder = self.folders.made(*claim.key)
        source = self._source(store, claim, folder)
        background = _kept(folder / "background", lambda: store.background(claim, folder))
        rendering = self._make()
        stopped(rendering.stop)
        self.working += 1
        try:
            order = wish.order(source, target, background)
            facts = rendering.run(source, target, order, _Telling(store, claim))
        finally:
            self.working -= 1
            stopped(None)
        self.frames += float(facts.get("frames") or 0)
        self.seconds += float(facts.get("video_s") or 0)
        began = {"start_s": wish.video.start_s or 0.0}
        return Done(facts={**facts, **began}, format=wish.output)

    def given_up(self, claim: Claim, error: CleancutError) -> bool:
        """Whether a video that met ``error`` is not tried again."""
        if isinstance(error, OutputNotWritable):
            self._refusals[claim.key] = 1 + self._refusals.get(claim.key, 0)
        return self._refusals.get(claim.key, 0) >= _MOST_REFUSALS

    def leave(self, claim: Claim, *, keep: bool) -> None:
        """The item is out of our hands; ``keep`` what is half done for whoever takes it next."""
        if not keep:
            self._refusals.pop(claim.key, None)
            self.folders.remove(*claim.key)

    def sweep(self, store: JobStore, held: list[tuple[str, int]]) -> None:
        """Remove what jobs left behind that have ended elsewhere. Raises ``StorageFailed``."""

        def at_work(job: str) -> bool:
            record = store.job(job)
            return record is not None and not record.final

        self.folders.sweep(at_work, held)

    def _source(self, store: JobStore, claim: Claim, folder: Path) -> Path:
        """The video's file, the same after a restart: what is half done is known by it."""
        url = claim.url
        found = _kept(
            folder / "source",
            lambda: store.source(claim, folder) if url is None else self._fetched(url, folder),
        )
        if found is None:
            raise InputNotFound("the video is gone", hint="send the job again")
        return found

    def _fetched(self, url: str, folder: Path) -> Path:
        limit, wait = self._settings.max_video, max(_FETCH_S, self._settings.body_timeout_s)
        try:
            return self._fetcher.get(url, max_bytes=limit, folder=folder, total_s=wait).path
        except FetchFailed as error:  # what may pass by itself is tried once more
            if error.retry_after_s is None:
                raise
        return self._fetcher.get(url, max_bytes=limit, folder=folder, total_s=wait).path


class _Telling:
    """Keeps progress in the store, now and then."""

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self._told = 0.0

    def __call__(self, progress: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_S:
            self._told = now
            with suppress(StorageFailed):
                self._store.progress(self._claim, progress)


def _kept(place: Path, find: Callable[[], Path | None]) -> Path | None:
    """``place`` if it is there; else what is found, under that name where it was made for us."""
    if place.is_file():
        return place
    found = find()
    if found is None or found.parent != place.parent:
        return found
    return found.replace(place)
