"""The free photographs and drawings that stand for a reader's own files in the recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cleancut.bench.pictures import DEMO_WHEEL
from cleancut.weights.archives import take_from_wheel
from cleancut.weights.packages import Packages

#: File of a recipe -> member of the wheel, its bytes. NASA and SpaceX photographs and CC0.
PHOTOGRAPHS = {
    "photo.jpg": ("astronaut.png", 791_555),
    "cat.jpg": ("chelsea.png", 240_512),
    "cup.jpg": ("coffee.png", 466_706),
    "rocket.jpg": ("rocket.jpg", 112_525),
}
CLIP_FRAMES = 25
CLIP_SIZE = (480, 360)


def font(size: int, face: str = "DejaVuSans-Bold") -> ImageFont.FreeTypeFont:
    """A free font that comes with Matplotlib, the same on every machine."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / f"fonts/ttf/{face}.ttf", size)


def put_sources(folder: Path) -> None:
    """Write every file that a recipe's commands name."""
    with Packages(folder) as packages:
        wheel = packages.wheel(DEMO_WHEEL)
        parts = {name: folder / f"{name}.part" for name in PHOTOGRAPHS}
        take_from_wheel(
            wheel,
            {
                f"skimage/data/{member}": (parts[name], size)
                for name, (member, size) in PHOTOGRAPHS.items()
            },
        )
    for name, part in parts.items():
        with Image.open(part) as photo:
            photo.convert("RGB").save(folder / name, quality=95)
        part.unlink()
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as photo:
        photo.convert("RGB").save(folder / "officer.jpg", quality=95)
    (folder / "me.jpg").write_bytes((folder / "photo.jpg").read_bytes())
    beach(600, 600).save(folder / "beach.jpg", quality=92)
    beach(*CLIP_SIZE).save(folder / "office.jpg", quality=92)
    logo().save(folder / "logo.png")
    for name, members in {
        "photos": ("cat.jpg", "cup.jpg", "officer.jpg", "rocket.jpg"),
        "inbox": ("photo.jpg", "cup.jpg"),
    }.items():
        (folder / name).mkdir()
        for member in members:
            (folder / name / member).write_bytes((folder / member).read_bytes())


def beach(width: int, height: int) -> Image.Image:
    """Sky, sea and sand, drawn."""
    y = np.linspace(0, 1, height)[:, None, None] * np.ones((1, width, 1))
    sky = np.array([120, 180, 235]) * (1 - y) + np.array([250, 225, 190]) * y * 1.4
    sea = np.array([40, 130, 160]) + 40 * np.sin(y * 180) * (y - 0.55)
    sand = np.array([226, 200, 150]) - 18 * (y - 0.78) * np.ones(3)
    pixels = np.where(y < 0.55, sky, np.where(y < 0.78, sea, sand))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def logo() -> Image.Image:
    """A mark and a word on warm paper."""
    image = Image.new("RGB", (620, 240), "#f3ead8")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 50, 180, 190), outline="#264653", width=22)
    draw.pieslice((70, 80, 150, 160), -60, 60, fill="#e76f51")
    draw.text((205, 68), "Bean & Co", font=font(58), fill="#264653")
    draw.text((210, 146), "roasted on Mondays", font=font(26), fill="#e76f51")
    return image


def frames(person: Path) -> list[NDArray[np.uint8]]:
    """(H, W, 3) frames of a second of video: a person who moves before a drawn wall."""
    wall = beach(CLIP_SIZE[0] * 2, CLIP_SIZE[1])
    with Image.open(person) as cutout:
        subject = cutout.convert("RGBA").resize((340, 340), Image.Resampling.LANCZOS)
    pictures = []
    for number in range(CLIP_FRAMES):
        frame = wall.crop((number, 0, number + CLIP_SIZE[0], CLIP_SIZE[1])).convert("RGBA")
        frame.alpha_composite(subject, (30 + 3 * number, CLIP_SIZE[1] - subject.height))
        pictures.append(np.asarray(frame.convert("RGB")))
    return pictures


def put_clip(folder: Path) -> None:
    """``clip.mp4`` and ``frames.rgb`` of the cutout ``photo.cutout.png``."""
    import av

    pictures = frames(folder / "photo.cutout.png")
    (folder / "frames.rgb").write_bytes(b"".join(picture.tobytes() for picture in pictures))
    with av.open(str(folder / "clip.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "14"})
        stream.width, stream.height = CLIP_SIZE
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
