"""Words as masks, in whatever fonts there are.

No font belongs to the package: those of the system and of matplotlib are looked for when the first
word is drawn, and where there is none the one inside Pillow serves. So the same seed draws the same
words on one machine, and other letters on another.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cleancut.distill.augment import Bytes

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FOLDERS = {
    "win32": ("C:/Windows/Fonts",),
    "darwin": ("/System/Library/Fonts/Supplemental", "/Library/Fonts", "~/Library/Fonts"),
}
_UNIX = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
#: Fonts beyond these limits are passed over.
_MOST_FILES, _MOST_FONTS, _LARGEST_BYTES = 600, 80, 4_000_000
#: What a font must have to draw words with.
_PROBE = "AGaeg8"
#: Signs that some fonts have: arrows, shapes, chess men, tools, stars.
SIGNS = "←↑→↔↕⇄⌂⌘⌚⌛⏏■▲▶◆◉◎●◢◤★☀☁☂☃☎☑☘☠☢☣☮☯☺♕♘♛♜♞♠♣♥♦♨♫♻♿⚑⚒⚓⚔⚖⚙⚛⚡✂✆✈✉✌✎✔✖✚✦✪✱✳✵✿❀❄❖❤➔➤➲"
_HEADS = ["b", "br", "c", "cl", "d", "dr", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p"]
_HEADS += ["pl", "qu", "r", "s", "sh", "st", "t", "tr", "v", "w", "x", "z"]
_CORES = ["a", "e", "i", "o", "u", "ai", "ea", "ee", "ia", "io", "oo", "ou", "y"]
_TAILS = ["", "", "", "n", "r", "s", "t", "x", "l", "ck", "nd", "mp", "sh"]


@functools.lru_cache(maxsize=1)
def fonts() -> tuple[str, ...]:
    """Font files that can draw Latin words, in a fixed order; empty where there is none."""
    found: list[str] = []
    for number, file in enumerate(_files()):
        if number == _MOST_FILES or len(found) == _MOST_FONTS:
            break
        if _draws(str(file), _PROBE):
            found.append(str(file))
    return tuple(found)


@functools.lru_cache(maxsize=1)
def signs() -> tuple[tuple[str, str], ...]:
    """Pairs of a font file and a sign of ``SIGNS`` that it has."""
    known = {Path(name).name: name for name in fonts() if "Italic" not in name}
    names = [n for n in known.values() if "Mono" not in n and "Serif" not in n][:12]
    return tuple((name, sign) for name in names for sign in SIGNS if _draws(name, sign))


def _files() -> Iterator[Path]:
    folders = [Path(name).expanduser() for name in _FOLDERS.get(sys.platform, _UNIX)]
    bundle = importlib.util.find_spec("matplotlib")  # found, not imported
    if bundle is not None and bundle.origin is not None:
        folders.append(Path(bundle.origin).parent / "mpl-data" / "fonts" / "ttf")
    for folder in folders:
        for file in sorted(folder.rglob("*.[to]tf")) if folder.is_dir() else ():
            if file.is_file() and file.stat().st_size <= _LARGEST_BYTES:
                yield file


@functools.lru_cache(maxsize=256)
def _font(name: str, pixels: int) -> Font:
    return ImageFont.truetype(name, pixels) if name else ImageFont.load_default(pixels)


def _draws(name: str, text: str) -> bool:
    """Whether a font has every letter of ``text``: none is empty or the box for what is missing."""
    try:
        font = _font(name, 24)
        missing = bytes(font.getmask("\uffff"))
        shapes = [bytes(font.getmask(letter)) for letter in text]
    except (OSError, ValueError):
        return False  # damaged, or no outlines of this size
    return all(any(shape) and shape != missing for shape in shapes)


def word(rng: np.random.Generator) -> str:
    """A made-up word, number or abbreviation, in a drawn case."""
    chance = rng.random()
    if chance < 0.08:
        return str(rng.integers(1, 10 ** int(rng.integers(1, 5))))
    if chance < 0.2:
        letters = rng.integers(65, 91, size=int(rng.integers(2, 5)))
        return "".join(chr(letter) for letter in letters)
    text = "".join(
        _pick(rng, _HEADS) + _pick(rng, _CORES) + _pick(rng, _TAILS)
        for _ in range(int(rng.integers(1, 4)))
    )
    style = rng.random()
    return text.upper() if style < 0.3 else text.capitalize() if style < 0.75 else text


def phrase(rng: np.random.Generator, most: int = 4) -> str:
    """One to ``most`` words, sometimes joined by a sign."""
    joint = _pick(rng, [" "] * 12 + ["", ".", "-", " & ", "/", "_", " + "])
    text = joint.join(word(rng) for _ in range(int(rng.integers(1, most + 1))))
    return text + _pick(rng, [""] * 12 + ["!", "?", ".", "®", "™"])


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def lettered(
    rng: np.random.Generator, text: str, height: int, *, font: str | None = None, stroke: int = 0
) -> Bytes:
    """``text`` as a mask (h, w), 0..255, tightly framed, about ``height`` pixels tall a line.

    ``font`` is a file of ``fonts()``, by default a drawn one; ``stroke`` thickens the letters by so
    many pixels. Never empty: a text without ink is a mask of one empty pixel.
    """
    if font is None:
        known = fonts()
        font = known[int(rng.integers(len(known)))] if known else ""
    # Few sizes are loaded, and the mask is brought to the size wanted by whoever places it.
    pixels = max(8, round(height / 8) * 8)
    face = _font(font, min(pixels, 400))
    spacing = pixels * 0.2
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=face, spacing=spacing, stroke_width=stroke
    )
    size = max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)
    image = Image.new("L", (min(size[0], 4000), min(size[1], 4000)))
    ImageDraw.Draw(image).multiline_text(
        (1 - left, 1 - top),
        text,
        255,
        font=face,
        spacing=spacing,
        stroke_width=stroke,
        align=("left", "center")[int(rng.integers(2))],
    )
    mask: Bytes = np.asarray(image)
    x, y, wide, tall = cv2.boundingRect(mask)
    if not wide:
        return np.zeros((1, 1), np.uint8)
    return np.ascontiguousarray(mask[y : y + tall, x : x + wide])
