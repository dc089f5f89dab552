"""Figures that others published, each with its source; kept apart from what is measured here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from cleancut.errors import BadOption
from cleancut.toml import tomllib

#: What a published figure may measure: its name on a page, the most it can be, whether more is
#: better. ``None``: no limit.
KINDS = MappingProxyType(
    {
        "mad": ("MAD x1000", 1000.0, False),
        "mse": ("MSE x1000", 1000.0, False),
        "sad": ("SAD in thousands", None, False),
        "mae": ("MAE", 1.0, False),
        "maxf": ("max F", 1.0, True),
        "wf": ("weighted F", 1.0, True),
        "s": ("S-measure", 1.0, True),
        "hce": ("HCE", None, False),
        "dtssd": ("dtSSD x100", None, False),
        "iou": ("IoU", 1.0, True),
        "miou": ("mean IoU of classes", 1.0, True),
        "success": ("share called a success", 1.0, True),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One figure that was not measured here.

    ``system`` is a catalog id where there is such a row, else the source's own name. ``measure`` is
    a key of ``KINDS``, ``data`` the data set with the size where that matters, ``source`` the
    paper, README or file it stands in. Figures of different data sets must not be compared.
    """

    system: str
    measure: str
    data: str
    value: float
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        where = f"published.toml: {self.system or '?'}, {self.measure}"
        texts = (self.system, self.measure, self.data, self.source, self.note)
        if not all(isinstance(text, str) for text in texts):
            raise BadOption(f"{where}: text is expected in every field but value")
        for field in ("system", "data", "source"):
            if not getattr(self, field).strip():
                raise BadOption(f"{where}: {field} is missing", hint="a figure needs its source")
        if self.measure not in KINDS:
            raise BadOption(f"{where}: no such measure", hint=f"one of: {', '.join(KINDS)}")
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise BadOption(f"{where}: {self.value!r} is no number")
        most = KINDS[self.measure][1]
        if not (math.isfinite(self.value) and self.value >= 0 and (not most or self.value <= most)):
            raise BadOption(f"{where}: {self.value!r} is out of range")

    @property
    def title(self) -> str:
        """The measure as a page calls it."""
        return KINDS[self.measure][0]

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger figure is a better one."""
        return KINDS[self.measure][2]


@cache
def published() -> tuple[Published, ...]:
    """Every published figure, in the order of ``published.toml``."""
    return parse(Path(__file__).with_name("published.toml").read_text("utf-8"))


def parse(text: str) -> tuple[Published, ...]:
    """Figures of a TOML text; ``BadOption`` names the row that is wrong, doubled or sourceless."""
    try:
        tables = tomllib.loads(text).get("figure", [])
    except tomllib.TOMLDecodeError as error:
        raise BadOption(f"published.toml: {error}") from error
    rows: list[Published] = []
    taken: set[tuple[str, str, str, str]] = set()
    for number, table in enumerate(tables, start=1):
        try:
            row = Published(**table)
        except TypeError as error:
            raise BadOption(f"published.toml: figure {number}: {error}") from error
        key = (row.system, row.measure, row.data, row.source)
        if key in taken:
            raise BadOption(f"published.toml: figure {number} stands there twice")
        taken.add(key)
        rows.append(row)
    return tuple(rows)
