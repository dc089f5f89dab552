"""``bench start``: start-up and speed of rembg and cleancut, side by side, in one run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cleancut.bench import peer as rembg_peer
from cleancut.bench.measure import check_request, gather
from cleancut.bench.pictures import NOISE_SIGMA, fetch_demo_pictures, make_photo
from cleancut.bench.report import Report
from cleancut.bench.rows import MEASUREMENTS, Bench
from cleancut.bench.sides import Side, Tell, our_side, our_software, rembg_or_reason
from cleancut.catalog import find
from cleancut.errors import BadOption
from cleancut.weights.folders import cache_folder
from cleancut.weights.resolve import resolve

SMALL_MP, LARGE_MP = 0.7, 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure.

    ``only`` holds numbers of measurements (empty: all), ``image`` is the photograph to use (None: a
    demo picture), ``peer_venv`` where rembg is or will be installed, None to leave it out.
    """

    runs: int = 5
    only: frozenset[int] = frozenset()
    image: Path | None = None
    peer_venv: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured (``BadOption``)."""
        check_request(self.runs, self.only, MEASUREMENTS)


def start(plan: Plan, tell: Tell) -> Report:
    """Measure both sides; ``tell`` hears what is being done, one line at a time.

    Where rembg cannot be had its side stays empty and a note says why. Raises ``WeightsMissing``,
    ``DownloadFailed`` and what reading ``plan.image`` raises.
    """
    weights = {model: resolve(find(model)).path for model in rembg_peer.NAMES}
    source = plan.image or fetch_demo_pictures(cache_folder() / "demo-pictures")[0]
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        work = Path(folder)
        tell("making the pictures")
        small = make_photo(source, SMALL_MP, work / "small.jpg")
        large = make_photo(source, LARGE_MP, work / "large.jpg")
        notes.append(_about(source, small, large, given=plan.image is not None))
        ours = our_side(weights, work)
        theirs, about_rembg = rembg_or_reason(plan.peer_venv, weights, work, tell)
        sides: dict[str, Side] = {"rembg": theirs} if theirs else {}
        sides["cleancut"] = ours
        tell("cleancut measures its backends")
        ours.run("models", "pull", *weights)
        bench = Bench(sides, plan.runs, work, small, large, notes)
        rows = gather(MEASUREMENTS, bench, plan.only, tell)
    return Report.of_today(plan.runs, (our_software(), about_rembg), rows, notes)


def numbers(text: str) -> frozenset[int]:
    """The set {1, 3} of "1,3"; ``BadOption`` for anything that is no list of numbers."""
    try:
        return frozenset(int(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise BadOption(
            f"{text!r} is not a list of numbers", hint="write it like: --only 1,3"
        ) from error


def _about(source: Path, small: Path, large: Path, *, given: bool) -> str:
    name = "a picture of the user's" if given else f"scikit-image's {source.name}"
    sizes = [f"{path.stat().st_size / 1e6:.2f} MB" for path in (small, large)]
    return (
        f"picture: {name}, resampled to {SMALL_MP:g} and {LARGE_MP:g} megapixels, with noise of"
        f" sigma {NOISE_SIGMA:g} where enlarged: JPEGs of {sizes[0]} and {sizes[1]}"
    )
