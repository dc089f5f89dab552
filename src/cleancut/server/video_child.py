"""The process that cuts out one video: the batch's child, behind everybody else, within limits.

``python -m cleancut.server.video_child MINUTES``. Only what it is told is read: the order names the
files, and no more than so many minutes are cut out of one video.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from cleancut.batch.child import serve
from cleancut.errors import CleancutError, ImageTooLarge

if TYPE_CHECKING:
    from cleancut.batch.child import Work
    from cleancut.batch.job import Job, Outcome
    from cleancut.batch.worker import Tell, WorkerConfig

#: Pictures, which somebody waits for, go before videos (nice(2)).
NICENESS = 15


def main() -> int:
    """Serve the parent until it has no more videos."""
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    return serve(lambda config: _worker(config, float(sys.argv[1])))


def _worker(config: WorkerConfig, minutes: float) -> Work:
    from cleancut.batch.budget import limit_process
    from cleancut.batch.job import Outcome, error_facts
    from cleancut.batch.worker import Worker

    class VideoWorker(Worker):
        """A worker whose memory is limited before it sees a file, and videos in their length."""

        def warm_up(self) -> None:
            """Load nothing: which network it will be is seen by the first frames."""
            super().warm_up()
            if self.config.memory is not None:
                limit_process(self.config.memory)

        def __call__(self, job: Job, tell: Tell | None = None) -> Outcome:
            """See ``Worker``."""
            try:
                job = replace(job, video=_bounded(job, minutes))
            except CleancutError as error:
                return Outcome(job.id, "failed", error=error_facts(error))
            except Exception:  # what is wrong with the file is said by whoever reads all of it
                return super().__call__(job, tell)
            return super().__call__(job, tell)

    return VideoWorker(config)


def _bounded(job: Job, minutes: float) -> str:
    """The job's order, which ends after so many minutes where the file does not say its length.

    Raises ``ImageTooLarge`` where it says that there is more.
    """
    from cleancut.video.options import VideoOptions
    from cleancut.video.order import VideoOrder
    from cleancut.video.reading import open_video

    order = VideoOrder.from_json(job.video)
    with open_video(job.source, max_megapixels=order.options.max_megapixels) as reader:
        length = reader.info.duration_s
    start = order.video.start_s or 0.0
    stop = order.video.stop_s
    most = 60.0 * minutes
    end = min(filter(None, (stop, length)), default=None)
    if end is not None and end - start > most + 1.0:
        raise ImageTooLarge(
            f"{(end - start) / 60:.1f} minutes of video; {minutes:g} are taken at once",
            hint="choose a part of it with start and stop",
        )
    if end is not None:
        return job.video
    changed = {**json.loads(order.video.to_json()), "stop": f"{start + most:.3f}"}
    return replace(order, video=VideoOptions.from_mapping(changed)).to_json()


if __name__ == "__main__":
    sys.exit(main())
