"""The int8 copy of a model in the store, and what was measured when it was made.

It lies beside the original, in ``<home>/models/<id>/<id>.int8.onnx``, with a manifest that ties it
to the weights it was made from: when those are replaced by others the copy is out of date, and not
used.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cleancut.catalog import ModelSpec
from cleancut.errors import WeightsCorrupt, WeightsError, WeightsMissing
from cleancut.weights.digest import remembered_sha256, sha256_of
from cleancut.weights.folders import Environ, cache_folder, models_folder
from cleancut.weights.manifest import manifest_path
from cleancut.weights.resolve import resolve

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMIT = 1 << 18  # bytes; a real manifest has about 5,000
#: An int8 copy is not taken by "auto" where it is worse than its original by more than this.
GRAD_LIMIT, MAD_LIMIT = 1.20, 1.10
#: Nor, where no true mattes were at hand, if its mattes overlap the original's by less (IoU): on
#: pictures made in code a copy looks better than it is.
APART_LIMIT = 0.95
#: Nor unless it takes at most this share of the original's time: its pixels differ a little.
TIME_LIMIT = 0.9


@dataclass(frozen=True, slots=True)
class SetScore:
    """Means over one set of pictures; each pair is (original, int8).

    MAD and Grad as in ``cleancut.metrics``, of the network's matte enlarged to the picture.
    """

    name: str
    pictures: int
    mad: tuple[float, float]
    grad: tuple[float, float]
    iou: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One point of the curve that the copy was chosen from.

    ``kept`` layers of the network stay in float; ``grad`` and ``mad`` are the largest ratios to
    the original over the sets, ``ms`` is one run.
    """

    what: str
    kept: int
    grad: float
    mad: float
    ms: float


@dataclass(frozen=True, slots=True)
class Optimized:
    """Manifest of an int8 copy.

    ``made_from`` is the sha256 of the original as it was run. ``calibration`` says "photographs" or
    "generated", with count and digest of the pictures. ``kept`` names the layers, of ``layers``
    with weights, that stay in float. ``truth`` says what ``sets`` were scored against: "pairs" of
    the user's, or "generated" pictures. ``apart_mad`` and ``apart_iou`` compare both mattes on
    calibration pictures. ``ms`` is one run of (original, int8) on ``machine``, with
    ``threads`` threads, the original as ``original_ran``.
    """

    model: str
    file: str
    bytes: int
    sha256: str
    made_from: str
    calibration: str
    calibration_pictures: int
    calibration_sha256: str
    layers: int
    kept: tuple[str, ...]
    truth: str
    sets: tuple[SetScore, ...]
    apart_mad: float
    apart_iou: float
    ms: tuple[float, float]
    original_ran: str
    machine: str
    threads: int
    date: str
    curve: tuple[Step, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)

    @property
    def grad_ratio(self) -> float:
        """Grad of int8 over that of the original, on the set where it is worst."""
        return max((_ratio(*s.grad) for s in self.sets), default=1.0)

    @property
    def mad_ratio(self) -> float:
        """MAD of int8 over that of the original, on the set where it is worst."""
        return max((_ratio(*s.mad) for s in self.sets), default=1.0)

    @property
    def refused(self) -> str:
        """Why ``auto`` does not take it on the machine it was made on; empty if it does."""
        if self.grad_ratio > GRAD_LIMIT:
            return f"Grad is {self.grad_ratio - 1:.0%} worse, more than {GRAD_LIMIT - 1:.0%}"
        if self.mad_ratio > MAD_LIMIT:
            return f"MAD is {self.mad_ratio - 1:.0%} worse, more than {MAD_LIMIT - 1:.0%}"
        if self.truth != "pairs" and self.apart_iou < APART_LIMIT:
            return f"its mattes differ from the original's (IoU {self.apart_iou:.2f})"
        if self.ms[1] > TIME_LIMIT * self.ms[0]:
            return f"it is not clearly faster ({self.ms[1]:.0f} of {self.ms[0]:.0f} ms)"
        return ""


def _ratio(original: float, int8: float) -> float:
    """How much worse, 1 where both are perfect to the fourth digit."""
    return (int8 + 1e-4) / (original + 1e-4)


def copy_path(spec: ModelSpec, environ: Environ | None = None) -> Path:
    """Where the int8 copy of ``spec`` lies, or would lie."""
    return models_folder(environ) / spec.id / f"{spec.id}.int8.onnx"


def read_copy(spec: ModelSpec, environ: Environ | None = None) -> Optimized | None:
    """The manifest of the int8 copy, judged by name and size only; None if there is no copy."""
    import json

    path = copy_path(spec, environ)
    try:
        with manifest_path(path).open("rb") as handle:
            raw = handle.read(_LIMIT + 1)
        copy = _from_json(json.loads(raw)) if len(raw) <= _LIMIT else None
        return copy if copy and copy.bytes == path.stat().st_size else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def find_copy(
    spec: ModelSpec, original_sha256: str, *, environ: Environ | None = None
) -> tuple[Path, Optimized]:
    """The int8 copy of ``spec``, verified.

    Raises ``WeightsMissing`` if there is none, or none of these weights, ``WeightsCorrupt`` if the
    file is not the one that was measured.
    """
    path, again = copy_path(spec, environ), f"run: cleancut models optimize {spec.id}"
    copy = read_copy(spec, environ)
    if copy is None:
        if path.is_file():
            raise WeightsCorrupt(f"{spec.id}: its int8 copy {path} is damaged", hint=again)
        raise WeightsMissing(f"{spec.id} has no int8 copy on this machine", hint=again)
    if copy.made_from != original_sha256:
        raise WeightsMissing(
            f"{spec.id}: its int8 copy was made from other weights than those in use", hint=again
        )
    if copy.sha256 != remembered_sha256(path, cache_folder(environ)):
        raise WeightsCorrupt(f"{spec.id}: its int8 copy {path} is damaged", hint=again)
    return path, copy


def is_of(spec: ModelSpec, copy: Optimized, environ: Environ | None = None) -> bool:
    """Whether ``copy`` was made from the weights that are in use now; False if there are none."""
    try:
        return copy.made_from == resolve(spec, environ=environ).sha256
    except WeightsError:
        return False


def problem_of_copy(spec: ModelSpec, environ: Environ | None = None) -> str:
    """What is wrong with the int8 copy, its file hashed again; empty if it is sound."""
    copy = read_copy(spec, environ)
    if copy is None or copy.sha256 != sha256_of(copy_path(spec, environ)):
        return "the int8 copy is not the file that was measured"
    if not is_of(spec, copy, environ):
        return "the int8 copy was made from other weights than those in use"
    return ""


def copy_text(copy: Optimized) -> str:
    """JSON, one key a line; what follows from the figures is spelled out for readers."""
    import json

    told = {"version": 1, **asdict(copy), "refused": copy.refused}
    return json.dumps(told, indent=1) + "\n"


def _from_json(row: dict[str, Any]) -> Optimized | None:
    digests = (row["sha256"], row["made_from"], row["calibration_sha256"])
    if row["version"] != 1 or not all(_SHA256.fullmatch(digest) for digest in digests):
        return None
    texts = ("model", "file", "calibration", "truth", "original_ran", "machine", "date")
    return Optimized(
        **{name: str(row[name]) for name in texts},
        bytes=int(row["bytes"]),
        sha256=row["sha256"],
        made_from=row["made_from"],
        calibration_pictures=int(row["calibration_pictures"]),
        calibration_sha256=row["calibration_sha256"],
        layers=int(row["layers"]),
        kept=tuple(map(str, row["kept"])),
        sets=tuple(
            SetScore(
                str(s["name"]),
                int(s["pictures"]),
                _pair(s["mad"]),
                _pair(s["grad"]),
                _pair(s["iou"]),
            )
            for s in row["sets"]
        ),
        apart_mad=float(row["apart_mad"]),
        apart_iou=float(row["apart_iou"]),
        ms=_pair(row["ms"]),
        threads=int(row["threads"]),
        curve=tuple(
            Step(str(s["what"]), int(s["kept"]), *(float(s[key]) for key in ("grad", "mad", "ms")))
            for s in row["curve"]
        ),
        tools={str(name): str(version) for name, version in row["tools"].items()},
    )


def _pair(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)
