"""A folder with every file that the documentation's commands name, made in code and small."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

from tests.backends.graphs import save, value
from tests.portraits import Person, drawn

SIZE = (320, 400)
_ALONE = ("photo", "a", "b", "cup", "cat", "shoe", "girl", "me", "my", "rocket")
_IN_FOLDERS = ("photos", "photos/deep", "inbox", "products", "shop/deep", "Pictures")
_CLIPS = ("clip.mp4", "in.mp4", "talk.mp4", "a.mp4", "beach.mp4", "long.mp4", "b.mov")
#: What the program called `reader` reads.
_READER = "wide.rgb"
#: Seconds that a clip's commands reach: `--from 0:05 --to 0:09` of two of them.
_LONG = {"in.mp4": 10, "talk.mp4": 94, "clip.mp4": 24}


def person(number: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A drawn person on a wall with a photograph's noise, and the true matte."""
    rgb, matte = drawn([Person(160 + number, 150, 0.8)], SIZE, (90 + 5 * number, 150, 190))
    noise = np.random.default_rng(number).normal(0, 4, rgb.shape)
    shade = np.linspace(-25, 25, SIZE[0])[None, :, None]
    photo = np.clip(rgb + noise + shade, 0, 255).astype(np.uint8)
    return photo, np.rint(matte * 255).astype(np.uint8)


def build(folder: Path) -> Path:
    """Write all of it to ``folder``, once; the pages work on copies."""
    for number, name in enumerate((*_ALONE, *(f"{name}/one" for name in _IN_FOLDERS))):
        _save(folder / f"{name}.jpg", person(number)[0])
    photo, matte = person()
    _save(folder / "b.webp", photo)
    _save(folder / "logo.png", _logo())
    y = np.linspace(40, 220, SIZE[1], dtype=np.uint8)[:, None, None]
    for name in ("beach.jpg", "office.jpg", "empty.jpg"):
        _save(folder / name, np.broadcast_to(y, (SIZE[1], SIZE[0], 3)).copy())
    solved = np.where((matte > 250) | (matte < 5), matte, 128)
    for name in ("trimap.png", "photo.trimap.png", "matte.png", "mask.png"):
        _save(folder / name, solved if "trimap" in name else matte)
    for name in (*_ALONE, "beach", "office", "empty"):
        _save(folder / "trimaps" / f"{name}.png", solved)
    _save(folder / "marks.png", _marks())
    _pairs(folder, ["pictures", "mine", "eval"], photo, matte)
    (folder / "list.txt").write_text("photos/one.jpg\n")
    for name in (".zfunc", ".config/fish/completions"):
        (folder / name).mkdir(parents=True)
    _network(folder / "my_net.onnx")
    _clips(folder)
    return folder


def copied(folder: Path, target: Path, words: str = "") -> Path:
    """A page's own copy of what ``words``, its commands, name; of all without them."""
    target.mkdir()
    words += " photo.jpg a.jpg" if "*.jpg" in words else ""
    for path in folder.iterdir():
        if words and path.name not in f"{words} {_READER}":
            continue
        (shutil.copytree if path.is_dir() else shutil.copy)(path, target / path.name)
    return target


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _logo() -> NDArray[np.uint8]:
    y, x = np.mgrid[:120, :240]
    ring = (np.abs(np.hypot(y - 60, x - 120) - 40) < 8)[..., None]
    return np.where(ring, [30, 70, 90], [243, 234, 216]).astype(np.uint8)


def _marks() -> NDArray[np.uint8]:
    """Green on the face, red in a corner, nothing elsewhere."""
    marks = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    marks[140:160, 150:170] = (0, 255, 0, 255)
    marks[5:15, 5:25] = (255, 0, 0, 255)
    return marks


def _pairs(
    folder: Path, names: Sequence[str], photo: NDArray[np.uint8], matte: NDArray[np.uint8]
) -> None:
    for name in names:
        _save(folder / name / "set" / "image" / "one.jpg", photo)
        _save(folder / name / "set" / "alpha" / "one.png", matte)


def _network(path: Path) -> None:
    """One picture of any size in, the mean of its colours as a matte out."""
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)
    inputs, outputs = [value("x", [1, 3, "h", "w"])], [value("y", [1, 1, "h", "w"])]
    save(helper.make_graph([node], "mean", inputs, outputs), path)


def _clips(folder: Path) -> None:
    """Videos as long as their commands reach, of few frames; numbered frames; raw ones."""
    photo = np.asarray(Image.fromarray(person()[0]).resize((96, 120)))
    for name in _CLIPS:
        _clip(folder / name, photo, seconds=_LONG.get(name, 1))
    for place in ("frames", "shot"):
        for number in range(1, 4):
            _save(folder / place / f"{number:05d}.png", photo)
    raw = np.zeros((360, 480, 3), np.uint8)
    raw[:120, :96] = photo
    (folder / "frames.rgb").write_bytes(raw.tobytes() * 2)
    (folder / _READER).write_bytes(np.zeros((720, 1280, 3), np.uint8).tobytes())


def _clip(path: Path, photo: NDArray[np.uint8], *, seconds: int) -> None:
    """Four frames, slow ones where it is long: commands that take all of it stay quick."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(4, seconds))
        stream.width, stream.height, stream.pix_fmt = photo.shape[1], photo.shape[0], "yuv420p"
        for _ in range(4):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(photo, "rgb24")))
        file.mux(stream.encode(None))
