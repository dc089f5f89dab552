"""Labels in the making: mattes of views become one matte, one spread and one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.distill.labels import MATTES, ROWS, SPREADS, Label, read_grey, read_rows
from cleancut.distill.looks import Look, joined, views_agreement
from cleancut.distill.photographs import Photo
from cleancut.errors import BadOption, InputError
from cleancut.imaging.encode import encode_mask
from cleancut.imaging.files import not_writable, write_atomic

if TYPE_CHECKING:
    from cleancut.distill.looks import Bytes


class Rows:
    """``labels.jsonl`` with the mattes that it tells of; a damaged one is made again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            rows = read_rows(folder)
        except BadOption:
            rows = ()
        self._rows = {row.photo: row for row in rows}

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels, by name."""
        return tuple(self._rows[name] for name in sorted(self._rows))

    def keep_only(self, photos: Sequence[Photo]) -> int:
        """Forget labels of photographs that are not in ``photos`` as they were; how many."""
        now = {photo.name: photo.sha256 for photo in photos}
        gone = [name for name, row in self._rows.items() if now.get(name) != row.sha256]
        for name in gone:
            del self._rows[name]
        return len(gone)

    def has(self, photo: Photo, looks: Sequence[Look]) -> bool:
        """Whether the label of ``photo`` is made of as many looks, and its pictures are there."""
        row = self._rows.get(photo.name)
        if row is None or row.views != len(looks):
            return False
        folders = (MATTES, SPREADS)[: len(looks)]
        return all((self._folder / name / f"{row.stem}.png").is_file() for name in folders)

    def make(self, photo: Photo, looks: Sequence[Look]) -> list[Look]:
        """Make the label of ``photo`` from ``looks``, by view; those whose mattes are there.

        Without any there is no label. Raises ``OutputNotWritable``.
        """
        mattes: list[Bytes] = []
        used: list[Look] = []
        for one in looks:
            matte = self.matte_of(one)
            if matte is not None and (not mattes or matte.shape == mattes[0].shape):
                mattes.append(matte)
                used.append(one)
        self._rows.pop(photo.name, None)
        if not used:
            return []
        mean, spread = joined(mattes)
        confidence = float(np.mean([one.confidence for one in used]))
        row = Label(
            photo=photo.name,
            sha256=photo.sha256,
            width=mean.shape[1],
            height=mean.shape[0],
            teacher=tuple(dict.fromkeys(name for one in used for name in one.models)),
            views=len(used),
            agreement=views_agreement(mattes),
            confidence=confidence,
            coverage=float(mean.mean()) / 255,
            person=any(one.person for one in used),
        )
        self._write(f"{MATTES}/{row.stem}.png", mean)
        if len(used) > 1:
            self._write(f"{SPREADS}/{row.stem}.png", spread)
        self._rows[photo.name] = row
        return used

    def put(self, one: Look, matte: Bytes) -> None:
        """Write the matte of a look, (H, W) uint8. Raises ``OutputNotWritable``."""
        self._write(one.file, matte)

    def matte_of(self, one: Look) -> Bytes | None:
        """The matte of a look, (H, W) uint8, None if it cannot be read."""
        try:
            return read_grey(self._folder / one.file)
        except InputError:
            return None

    def save(self) -> None:
        """Write ``labels.jsonl``, whole or not at all. Raises ``OutputNotWritable``."""
        text = "".join(row.to_json() + "\n" for row in self.labels)
        write_atomic(self._folder / ROWS, text.encode())

    def _write(self, name: str, matte: Bytes) -> None:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(path, error) from error
        write_atomic(path, encode_mask(matte.astype(np.float32) / np.float32(255)))
