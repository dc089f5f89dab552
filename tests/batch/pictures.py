"""Pictures made in code, and listeners, for the tests of whole runs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cleancut.batch.choose import Choice
from cleancut.batch.job import Event, Finished, Job, Notice


def picture(seed: int = 0, *, height: int = 48, width: int = 64) -> bytes:
    """A PNG of a bright disc on a dark gradient; ``seed`` moves the disc."""
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.dstack([columns % 60, rows % 60, np.full_like(rows, 20)]).astype(np.uint8)
    middle = (width // 2 + seed % 7, height // 2)
    cv2.circle(rgb, middle, height // 4, (240, 230 - seed % 50, 220), -1)
    return bytes(cv2.imencode(".png", rgb)[1])


def folder_of(root: Path, count: int, *, height: int = 48, width: int = 64) -> Path:
    """A tree of ``count`` pictures."""
    for number in range(count):
        place = root / f"shelf{number % 3}" / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture(number, height=height, width=width))
    return root


def job_for(source: Path, out: Path, number: int = 0, *, attempts: int = 0) -> Job:
    """A job of its own for ``source``."""
    name = f"{source.stem}.png"
    return Job(f"{number:016x}", str(source), str(out / name), name, version="1", attempts=attempts)


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.pictures: int | None = None
        self.choices: list[Choice] = []
        self.events: list[Event] = []

    def total(self, pictures: int) -> None:
        self.pictures = pictures

    def passed(self, choice: Choice) -> None:
        self.choices.append(choice)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def outcomes(self) -> dict[str, str]:
        """By the source's file name: "done", or the code of the error."""
        return outcomes(self.events)


def outcomes(events: list[Event]) -> dict[str, str]:
    """By the source's file name: "done", or the code of the error; every one only once."""
    ends = [event for event in events if isinstance(event, Finished)]
    found = {
        Path(end.job.source).name: "done"
        if end.outcome.error is None
        else end.outcome.error["code"]
        for end in ends
    }
    assert len(found) == len(ends), "a job was answered twice"
    return found


def notices(events: list[Event]) -> list[str]:
    """Codes of the notices, in order."""
    return [event.code for event in events if isinstance(event, Notice)]
