"""``bench speed``: folders, a large picture and a long run, beside rembg, in one run."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from cleancut.bench import peer as rembg_peer
from cleancut.bench.flame import flame
from cleancut.bench.measure import check_request, gather
from cleancut.bench.pictures import NOISE_SIGMA, fetch_demo_pictures, make_photo
from cleancut.bench.report import Report
from cleancut.bench.sides import Side, Tell, our_side, our_software, rembg_or_reason
from cleancut.bench.speed_rows import MEASUREMENTS, SpeedBench
from cleancut.catalog import find
from cleancut.weights.folders import cache_folder, home
from cleancut.weights.resolve import resolve

MARKERS = ("<!-- bench speed: begin -->", "<!-- bench speed: end -->")
#: Megapixels of the folder's pictures: shop pictures and what phones send by mail.
SIZES_MP = tuple(0.4 + 1.1 * number / 15 for number in range(16))
LARGE_MP = 12.0
MANY, SMALL_MP = 2000, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPlan:
    """What to measure.

    ``only`` holds numbers of measurements (empty: all), ``images`` is a folder of 16 JPEGs to use
    (None: made from the demo pictures), ``large`` a picture of about 12 megapixels, ``peer_venv``
    where rembg is or will be installed, None to leave it out.
    """

    runs: int = 3
    only: frozenset[int] = frozenset()
    images: Path | None = None
    large: Path | None = None
    peer_venv: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured (``BadOption``)."""
        check_request(self.runs, self.only, MEASUREMENTS)


def speed(plan: SpeedPlan, tell: Tell) -> tuple[Report, str]:
    """Measure both sides; the report, and an SVG of where a picture's time goes ("" if none).

    Where rembg cannot be had its side stays empty and a note says why. Raises ``WeightsMissing``,
    ``DownloadFailed`` and what reading the pictures raises.
    """
    weights = {model: resolve(find(model)).path for model in rembg_peer.NAMES}
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as folder:
        work = Path(folder)
        tell("making the pictures")
        images, large, many, about = _pictures(plan, work)
        ours = our_side(weights, work)
        theirs, about_rembg = rembg_or_reason(plan.peer_venv, weights, work, tell)
        sides: dict[str, Side] = {"rembg": theirs} if theirs else {}
        sides["cleancut"] = ours
        tell("cleancut measures its backends")
        ours.run("models", "pull", *weights)
        one = sorted(images.iterdir())[len(SIZES_MP) // 2]
        notes = [about]
        bench = SpeedBench(sides, plan.runs, work, images, many, large, one, home(), notes)
        rows = gather(MEASUREMENTS, bench, plan.only, tell)
    report = Report.of_today(plan.runs, (our_software(), about_rembg), rows, bench.notes)
    return report, flame(bench.stages) if bench.stages else ""


def _pictures(plan: SpeedPlan, work: Path) -> tuple[Path, Path, Path, str]:
    """Folder of 16, large picture, folder of many small ones, and a line about them."""
    demos = fetch_demo_pictures(cache_folder() / "demo-pictures")
    folder, many = work / "images", work / "many"
    folder.mkdir()
    many.mkdir()
    if plan.images is None:
        for number, (size, source) in enumerate(zip(SIZES_MP, cycle(demos), strict=False)):
            make_photo(source, size, folder / f"{number:02}.jpg")
        said = "scikit-image's astronaut and cat, resampled to 16 sizes"
    else:
        given = sorted(path for path in plan.images.iterdir() if path.is_file())
        for number, path in enumerate(given[: len(SIZES_MP)]):
            shutil.copyfile(path, folder / f"{number:02}{path.suffix.lower()}")
        said = "the user's pictures"
    large = plan.large or make_photo(demos[0], LARGE_MP, work / "large.jpg")
    if not plan.only or 5 in plan.only:
        smalls = [make_photo(demo, SMALL_MP, work / f"small-{demo.stem}.jpg") for demo in demos]
        for number, small in zip(range(MANY), cycle(smalls), strict=False):
            shutil.copyfile(small, many / f"{number:04}.jpg")
    count = sum(1 for _ in folder.iterdir())
    return folder, large, many, f"{count} pictures: {said}, noise of sigma {NOISE_SIGMA:g}"
