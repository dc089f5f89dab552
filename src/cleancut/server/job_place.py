"""Where the jobs of a server are kept: a database and files of its own, or a Redis for several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleancut.errors import StorageFailed

if TYPE_CHECKING:
    from cleancut.server.job_store import JobStore
    from cleancut.server.settings import Settings


def opened(settings: Settings) -> JobStore:
    """The store that ``settings`` ask for. Raises ``StorageFailed``, ``BadOption``."""
    if settings.redis:
        from cleancut.server.redis_jobs import RedisJobs

        return RedisJobs(settings.redis, keep_s=settings.keep_s, max_bytes=settings.job_storage)
    from cleancut.server.sqlite_jobs import SqliteJobs

    folder = settings.data / "jobs"
    try:
        return SqliteJobs(folder, keep_s=settings.keep_s, max_bytes=settings.job_storage)
    except StorageFailed as error:  # told to the operator, who may know where it is
        raise StorageFailed(
            f"{folder}: {error.message}",
            hint="check the disk; or move this folder away, and all jobs are forgotten",
        ) from error
