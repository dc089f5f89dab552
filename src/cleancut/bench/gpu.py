"""``bench gpu``: a network alone, everything around it, and rembg, on one card in one run."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

from cleancut.backends import gpus, select
from cleancut.bench import peer as rembg_peer
from cleancut.bench.gpu_rows import MEASUREMENTS, GpuBench
from cleancut.bench.measure import check_request, gather
from cleancut.bench.pictures import fetch_demo_pictures, make_photo
from cleancut.bench.report import Report
from cleancut.bench.sides import Side, Tell, our_side, our_software, rembg_or_reason
from cleancut.catalog import find
from cleancut.errors import BackendUnavailable, BadOption, InputNotFound
from cleancut.weights.folders import cache_folder
from cleancut.weights.resolve import resolve

MARKERS = ("<!-- bench gpu: begin -->", "<!-- bench gpu: end -->")
#: Pictures of a run where nobody says how many.
MANY = {"gpu": 512, "cpu": 24}
#: Size of the pictures that are made here, in megapixels: a shop's.
SIZE_MP = 0.7
_KINDS = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPlan:
    """What to measure.

    ``device`` "cpu" does the same on the processor, which says nothing about any GPU. ``models``
    are ids, of networks that rembg has too unless it is left out; ``folder`` holds the user's
    pictures (None: made here), repeated until there are ``pictures`` (None: ``MANY``). ``seconds``
    are for each batch size of a network alone. ``only`` holds numbers of measurements (empty: all);
    ``peer_venv`` is where rembg is or will be installed, None to leave it out.
    """

    device: Literal["gpu", "cpu"] = "gpu"
    models: tuple[str, ...] = ("isnet", "u2netp")
    precision: str = "auto"
    folder: Path | None = None
    pictures: int | None = None
    runs: int = 2
    seconds: float = 3.0
    only: frozenset[int] = frozenset()
    peer_venv: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured (``BadOption``)."""
        check_request(self.runs, self.only, MEASUREMENTS)
        unknown = set(self.models) - rembg_peer.NAMES.keys() if self.peer_venv else set()
        if not self.models or unknown:
            named = ", ".join(sorted(unknown)) if self.models else "no model"
            known = ", ".join(rembg_peer.NAMES)
            raise BadOption(
                f"{named} is not what both sides have", hint=f"one of: {known}; or add --no-rembg"
            )
        if self.pictures is not None and self.pictures < 8:
            raise BadOption(f"--pictures: {self.pictures} say nothing", hint="give 8 or more")
        if not self.seconds > 0:
            raise BadOption(f"--seconds: {self.seconds:g} is not enough", hint="give 3")


def gpu(plan: GpuPlan, tell: Tell) -> Report:
    """Measure; the report names the card, or says that there was none.

    Raises ``BackendUnavailable`` where the device cannot be had, ``InputNotFound`` for a folder
    without pictures, ``WeightsMissing``, ``DownloadFailed``. Where rembg cannot be had its rows are
    empty and a note says why.
    """
    device = _device(plan)
    weights = {model: resolve(find(model)).path for model in plan.models}
    with tempfile.TemporaryDirectory(prefix="cleancut-bench-") as name:
        work = Path(name)
        tell("preparing the pictures")
        images, about = _pictures(plan, work)
        ours = our_side(weights, work)
        theirs, about_rembg = rembg_or_reason(
            plan.peer_venv, weights, work, tell, gpu=plan.device == "gpu"
        )
        sides: dict[str, Side] = {"rembg": theirs} if theirs else {}
        sides["cleancut"] = ours
        if plan.device == "cpu":  # else the network alone and the stream may choose differently
            tell("cleancut measures its backends")
            ours.run("models", "pull", *weights)
        bench = GpuBench(sides, plan.device, plan.precision, plan.models, plan.runs, plan.seconds)
        bench.work, bench.images = work, images
        rows = gather(MEASUREMENTS, bench, plan.only, tell)
    notes = [about, *bench.notes]
    if plan.device == "cpu":
        notes.insert(0, "NOT A GPU: every figure is the processor's (--device cpu)")
    report = Report.of_today(plan.runs, (our_software(), about_rembg), rows, notes)
    return replace(report, machine=f"{device}; {report.machine}")


def _device(plan: GpuPlan) -> str:
    """The name of what is measured. Raises ``BackendUnavailable`` if it cannot be had."""
    if plan.device == "cpu":
        return "NO GPU, the processor alone"
    try:
        found = select.candidates(device="gpu", bf16_ok=False)
    except BackendUnavailable as error:
        raise BackendUnavailable(
            error.message, hint=f"{error.hint}; the processor: cleancut bench gpu --device cpu"
        ) from error
    driver = gpus.driver()
    version = "" if driver.cuda is None else f", driver for CUDA {'.'.join(map(str, driver.cuda))}"
    return f"{driver.gpus[0]}{version}" if driver.gpus else found[0].provider


def _pictures(plan: GpuPlan, work: Path) -> tuple[Path, str]:
    """A folder of so many pictures, and a line about them."""
    count = plan.pictures or MANY[plan.device]
    folder = work / "images"
    folder.mkdir()
    if plan.folder is None:
        demos = fetch_demo_pictures(cache_folder() / "demo-pictures")
        given = [make_photo(demo, SIZE_MP, work / f"{demo.stem}.jpg") for demo in demos]
        said = f"scikit-image's astronaut and cat at {SIZE_MP:g} MP"
    else:
        if not plan.folder.is_dir():
            raise InputNotFound(f"no such folder: {plan.folder}", hint="check the path")
        files = sorted(path for path in plan.folder.rglob("*") if path.suffix.lower() in _KINDS)
        given = files[:count]
        said = "the user's pictures"
        if not given:
            raise InputNotFound(f"no pictures in {plan.folder}", hint="JPEG, PNG or WebP")
    for number, path in zip(range(count), cycle(given), strict=False):
        shutil.copyfile(path, folder / f"{number:05}{path.suffix.lower()}")
    megapixels = _megapixels(given)
    return folder, f"{count} pictures of {megapixels:.1f} MP on average: {said}, repeated"


def _megapixels(paths: list[Path]) -> float:
    from PIL import Image

    sizes = []
    for path in paths:
        with Image.open(path) as image:
            sizes.append(image.width * image.height / 1e6)
    return sum(sizes) / len(sizes)
