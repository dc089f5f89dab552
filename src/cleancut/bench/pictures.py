"""Pictures to measure and to show: two public-domain photographs, and photographs of any size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes, write_atomic
from cleancut.weights.archives import take_from_wheel
from cleancut.weights.digest import sha256_of
from cleancut.weights.packages import Packages

#: The last release whose wheels hold both pictures and exist for Python 3.11 on every system.
DEMO_WHEEL = "scikit-image==0.25.2"


@dataclass(frozen=True, slots=True)
class DemoPicture:
    """One member of the wheel."""

    name: str
    bytes: int
    sha256: str
    rights: str


DEMO_PICTURES = (
    DemoPicture(
        "astronaut.png",
        791_555,
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "NASA, public domain",
    ),
    DemoPicture(
        "chelsea.png",
        240_512,
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "Stefan van der Walt, CC0",
    ),
)

#: Noise of the enlarged picture in 8-bit steps: about what a phone leaves in daylight.
NOISE_SIGMA = 3.0
JPEG_QUALITY = 90


def fetch_demo_pictures(folder: Path) -> list[Path]:
    """The demo's photographs in ``folder``, in the order of ``DEMO_PICTURES``.

    What is there already and sound is kept; the rest comes out of a scikit-image wheel fetched with
    pip, verified by sha256. Raises ``DownloadFailed``, ``WeightsCorrupt``, ``OutputNotWritable``.
    """
    targets = [folder / picture.name for picture in DEMO_PICTURES]
    missing = [
        (picture, target)
        for picture, target in zip(DEMO_PICTURES, targets, strict=True)
        if not target.is_file() or sha256_of(target) != picture.sha256
    ]
    if not missing:
        return targets
    folder.mkdir(parents=True, exist_ok=True)
    with Packages(folder) as packages:
        try:
            wheel = packages.wheel(DEMO_WHEEL)
        except DownloadFailed as error:
            raise DownloadFailed(
                f"the demo pictures cannot be had from {DEMO_WHEEL}: {error.message}",
                hint="use a photograph of your own",
            ) from error
        parts = [wheel.with_name(f"{picture.name}.part") for picture, _ in missing]
        wanted = {
            f"skimage/data/{picture.name}": (part, picture.bytes)
            for (picture, _), part in zip(missing, parts, strict=True)
        }
        take_from_wheel(wheel, wanted)
        for (picture, target), part in zip(missing, parts, strict=True):
            if sha256_of(part) != picture.sha256:
                raise WeightsCorrupt(f"{DEMO_WHEEL}: {picture.name} is not the expected file")
            part.replace(target)
    return targets


def make_photo(source: Path, megapixels: float, target: Path) -> Path:
    """Write ``source`` as a JPEG of ``megapixels`` (10^6 pixels), same aspect, and return it.

    Cubic resampling; if it is enlarged, Gaussian noise is added, because a smooth enlargement
    decodes and compresses faster than any photograph. The same every time. Raises the errors of
    decoding and ``OutputNotWritable``.
    """
    import io

    rgb = decode(read_bytes(source)).rgb
    if rgb.dtype != np.uint8:  # a decoded picture is else uint16
        rgb = (rgb // 257).astype(np.uint8)
    height, width = rgb.shape[:2]
    scale = math.sqrt(megapixels * 1e6 / (height * width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))
    if scale > 1:
        noise = np.random.default_rng(0).standard_normal(pixels.shape, np.float32)
        noisy = np.rint(pixels + NOISE_SIGMA * noise)
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=JPEG_QUALITY)
    write_atomic(target, out.getvalue())
    return target


def alpha_difference(one: Path, other: Path) -> float:
    """Mean absolute difference of the alpha of two cutouts of one size, in 0..1."""
    alphas = []
    for path in (one, other):
        with Image.open(path) as image:
            alphas.append(np.asarray(image.convert("RGBA"))[..., 3].astype(np.float32) / 255)
    return float(np.abs(alphas[0] - alphas[1]).mean())
