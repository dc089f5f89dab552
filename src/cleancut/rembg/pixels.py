"""What ``remove`` does with pixels: read them, cut them, give them back as they came."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from cleancut.compose.background import over_colour
from cleancut.engine import shared
from cleancut.errors import BadArray, UnreadableImage, UnsupportedFormat
from cleancut.imaging.encode import encode, encode_mask, quantise
from cleancut.imaging.picture import Picture
from cleancut.imaging.resize import upsample_alpha
from cleancut.matting.binarise import binarise
from cleancut.matting.foreground import clear_hidden, estimate_foreground
from cleancut.matting.refine import refine_levels
from cleancut.rembg.faults import BadArgument, BadPixels, UnsupportedInput
from cleancut.rembg.sessions import Session
from cleancut.subject import is_cut_out

if TYPE_CHECKING:
    from cleancut.arrays import Alpha, Rgb

Kind = Literal["bytes", "pil", "array"]
Colour = tuple[int, int, int, int]
Layer = tuple["Rgb", "Alpha"]


class Predictor(Protocol):
    """What a session is: ours, rembg's, or one of the user's."""

    def predict(self, img: Image.Image, *args: Any, **kwargs: Any) -> list[Image.Image]:
        """Masks of ``img``."""
        ...


class NotAPicture(UnreadableImage, UnidentifiedImageError):
    """Bytes that are no picture, or a broken one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to do with a matte. Thresholds are 8-bit levels, ``erode`` is in pixels."""

    alpha_matting: bool = False
    foreground: int = 240
    background: int = 10
    erode: int = 10
    only_mask: bool = False
    post_process_mask: bool = False
    decontaminate: bool = True
    putalpha: bool = False
    rembg_pixels: bool = False
    bgcolor: Colour | None = None

    def __post_init__(self) -> None:
        if self.rembg_pixels and (self.alpha_matting or self.putalpha):
            raise BadArgument(
                "rembg_pixels is about the plain cutout: alpha_matting and putalpha make another",
                hint="leave one of them out",
            )
        if not self.alpha_matting:
            return
        for name, low, high in (("foreground", 0, 255), ("background", 0, 255), ("erode", 0, 1000)):
            value = getattr(self, name)
            full = f"alpha_matting_{name}_{'size' if name == 'erode' else 'threshold'}"
            if not hasattr(value, "__index__") or not low <= value <= high:
                raise BadArgument(
                    f"{full}: {value!r} is not a whole number from {low} to {high}",
                    hint="leave it out to use the default",
                )


def parse_colour(colour: Sequence[int] | None) -> Colour | None:
    """``bgcolor`` as four whole numbers in 0..255; without the fourth it is opaque."""
    if colour is None:
        return None
    try:
        numbers = [operator.index(value) for value in colour]
    except TypeError:
        numbers = []
    if len(numbers) not in (3, 4) or not all(0 <= value <= 255 for value in numbers):
        raise BadArgument(
            f"bgcolor: {colour!r} is not a colour", hint="like (255, 255, 255, 255) for white"
        )
    red, green, blue, alpha = (*numbers, 255)[:4]
    return red, green, blue, alpha


def kind_of(data: object) -> Kind:
    """Of which type the answer has to be; ``UnsupportedInput`` for what rembg refuses too."""
    if isinstance(data, bytes | bytearray | memoryview):
        return "bytes"
    if isinstance(data, Image.Image):
        return "pil"
    if isinstance(data, np.ndarray):
        if data.dtype.kind == "f":
            raise BadPixels(
                f"an array of type {data.dtype} is not taken here",
                hint="convert it to uint8, or use cleancut.cutout, which takes floats in 0..1",
            )
        return "array"
    raise UnsupportedInput(
        f"input type {type(data).__name__} is not supported: bytes, PIL.Image or numpy.ndarray",
        hint="read the file first, or use cleancut.cutout, which takes paths and open files",
    )


def read(data: Any) -> Picture:
    """The decoded picture, upright."""
    try:
        return shared().read(data)
    except BadArray as error:
        raise BadPixels(error.message, hint=error.hint) from error
    except (UnreadableImage, UnsupportedFormat) as error:
        raise NotAPicture(error.message, hint=error.hint) from error


def mattes_of(
    picture: Picture, session: Predictor, category: str | None, *, recut: bool
) -> list[Alpha]:
    """What the session says, each (H, W) float32 in 0..1.

    A picture that is cut out already is all subject, unless ``recut`` or the session looks for
    something else than the subject.
    """
    ours = isinstance(session, Session) and type(session).predict is Session.predict
    if ours and isinstance(session, Session):
        if is_cut_out(picture) and not recut and not session.tells_clothes:
            return [np.ones(picture.rgb.shape[:2], np.float32)]
        return session.mattes(picture, category)
    extras = {} if category is None else {"cc": category}
    masks = session.predict(Image.fromarray(quantise(picture.rgb, 8)), **extras)
    if not isinstance(masks, list | tuple) or not masks:
        raise BadArgument(
            f"{type(session).__name__}.predict gave no list of masks",
            hint="it has to return a list of PIL images of mode L",
        )
    return [_as_matte(mask, picture) for mask in masks]


def _as_matte(mask: Any, picture: Picture) -> Alpha:
    levels = np.asarray(mask.convert("L")) if isinstance(mask, Image.Image) else np.asarray(mask)
    if levels.ndim != 2 or levels.dtype != np.uint8:
        raise BadArgument(
            f"predict gave a mask of shape {levels.shape} and type {levels.dtype}",
            hint="it has to return a list of PIL images of mode L",
        )
    matte = levels.astype(np.float32) / np.float32(255)
    return upsample_alpha(matte, picture.height, picture.width)


def layer(picture: Picture, own: Alpha, task: Task) -> Layer:
    """Colours and alpha of the cutout by one matte; the picture's own alpha is multiplied in."""
    if task.post_process_mask:
        own = binarise(own)
    if task.rembg_pixels:
        return as_rembg(picture, own, task)
    rgb = picture.rgb
    if not task.only_mask:
        if task.alpha_matting:
            own = refine_levels(
                rgb,
                own,
                foreground=task.foreground,
                background=task.background,
                erode=operator.index(task.erode),
            )
        if task.alpha_matting or (task.decontaminate and not task.putalpha):
            rgb = estimate_foreground(rgb, own)
    alpha = own if picture.alpha is None else own * picture.alpha
    if not (task.only_mask or task.putalpha):
        rgb = clear_hidden(rgb, alpha)
    return rgb, alpha


def as_rembg(picture: Picture, own: Alpha, task: Task) -> Layer:
    """The cutout with rembg's arithmetic: 8 bits, colours darkened by alpha and stored with it."""
    if task.only_mask:
        return picture.rgb, own
    image = Image.fromarray(_rgba(picture.rgb, picture.alpha, 8))
    empty = Image.new("RGBA", image.size, 0)
    cut = Image.composite(image, empty, Image.fromarray(quantise(own, 8)))
    if task.bgcolor is not None:
        cut = Image.alpha_composite(Image.new("RGBA", cut.size, task.bgcolor), cut)
    pixels = np.asarray(cut)
    return pixels[..., :3], pixels[..., 3].astype(np.float32) / np.float32(255)


def answer(
    kind: Kind, picture: Picture, layers: list[Layer], task: Task
) -> bytes | Image.Image | np.ndarray:
    """The layers, stacked from top to bottom, as ``kind``."""
    alpha = layers[0][1] if len(layers) == 1 else np.vstack([a for _, a in layers])
    if task.only_mask:
        if kind == "bytes":
            return encode_mask(alpha, dpi=picture.dpi)
        levels = quantise(alpha, 8)
        return levels if kind == "array" else Image.fromarray(levels)
    rgb: Any = layers[0][0] if len(layers) == 1 else np.vstack([c for c, _ in layers])
    if task.bgcolor is not None and not task.rembg_pixels:
        *solid, level = task.bgcolor
        red, green, blue = solid
        rgb, alpha = over_colour(rgb, alpha, (red, green, blue), level / 255)
    if kind == "bytes":
        return encode(rgb, alpha, icc=picture.icc, exif=picture.exif, dpi=picture.dpi)
    if kind == "array":
        return _rgba(rgb, alpha, 8 * rgb.dtype.itemsize)
    image = Image.fromarray(_rgba(rgb, alpha, 8))
    exif = None if picture.exif is None else b"Exif\0\0" + picture.exif
    about = {"icc_profile": picture.icc, "exif": exif, "dpi": picture.dpi}
    image.info.update({name: value for name, value in about.items() if value})
    return image


def _rgba(rgb: Rgb, alpha: Alpha | None, bits: int) -> np.ndarray:
    pixels = np.empty((*rgb.shape[:2], 4), np.uint16 if bits == 16 else np.uint8)
    pixels[..., :3] = quantise(rgb, bits)
    pixels[..., 3] = 2**bits - 1 if alpha is None else quantise(alpha, bits)
    return pixels
