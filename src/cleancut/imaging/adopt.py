"""Arrays and PIL images of the caller as a ``Picture``: every shape, type and mode, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cleancut.errors import BadArray, UnreadableImage
from cleancut.imaging.color import (
    cmyk_to_srgb,
    grey_to_srgb,
    lab_to_srgb,
    profile_space,
    strips,
)
from cleancut.imaging.metadata import MAX_ICC_BYTES, Header, orient, upright_exif
from cleancut.imaging.picture import FIRST_FRAME, ICC_IGNORED, Picture

if TYPE_CHECKING:
    from cleancut.arrays import Alpha

Samples = NDArray[np.uint8] | NDArray[np.uint16]

_WIDEN = {"1": "L", "LA": "LA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "PA": "RGBA"}
_WIDEN |= {"YCbCr": "RGB", "HSV": "RGB"}


def from_array(array: NDArray[Any], *, bgr: bool = False) -> Picture:
    """Picture of (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) values.

    bool, uint8 (0..255), uint16 (0..65535) or float in [0, 1]. Floats that are multiples of 1/255
    become 8 bits, others 16. Four channels are RGBA, straight; ``bgr`` says that they come as
    OpenCV has them. The pixels may share memory with ``array``. Raises ``BadArray``.
    """
    if not isinstance(array, np.ndarray):
        raise BadArray(f"a {type(array).__name__} is not an array", hint="hand in a numpy array")
    if (
        array.ndim not in (2, 3)
        or 0 in array.shape
        or array.shape[2:] not in ((), (1,), (3,), (4,))
    ):
        raise BadArray(
            f"an array of shape {array.shape} is not a picture",
            hint="hand in height x width, or height x width x 1, 3 or 4, channels last",
        )
    samples = to_samples(array)
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    return assemble(Header("array", 1, 1), samples, bgr=bgr)


def to_samples(array: NDArray[Any]) -> Samples:
    """Values of any accepted type as uint8 or uint16 of the same shape; ``BadArray`` if not."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        # Files hand over big-endian arrays too.
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind != "f":
        raise BadArray(
            f"an array of type {array.dtype} is not understood",
            hint="convert it: array.astype(np.uint8) for 0..255, or float in 0..1",
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):  # False for NaN too
        hint = "divide by 255" if 1.0 < high <= 255.0 and low >= 0.0 else "clip it to 0..1"
        raise BadArray(f"float pixels must lie in 0..1, found {low:.3g}..{high:.3g}", hint=hint)
    array = array.astype(np.float32, copy=False)  # float16 could not hold 65535
    scaled = array * np.float32(255)
    rounded = np.rint(scaled)
    if np.abs(scaled - rounded).max() < 1e-3:
        return np.asarray(rounded, np.uint8)
    return np.asarray(np.rint(array * 65535), np.uint16)


def from_pil(image: Image.Image) -> Picture:
    """Picture of a PIL image of any mode, upright, with its profile, EXIF and resolution.

    An animation gives the frame it stands at. Raises ``UnreadableImage`` if its file is broken and
    ``BadArray`` for modes I and F with values that are no pixels.
    """
    try:
        image.load()
        notes = (FIRST_FRAME,) if getattr(image, "is_animated", False) else ()
    except Exception as error:  # a lazily opened file: whatever its plugin runs into
        detail = " ".join(str(error).split())
        raise UnreadableImage(f"the PIL image cannot be loaded: {detail:.200}") from error
    info = image.info
    exif, orientation = upright_exif(_bytes(info.get("exif")))
    if exif is None:
        orientation = _orientation(image)
    icc = _bytes(info.get("icc_profile"))
    header = Header(
        "pil" if not image.format else image.format.lower(),
        image.width,
        image.height,
        orientation=orientation,
        icc=icc if icc and len(icc) <= MAX_ICC_BYTES else None,
        exif=exif,
        dpi=_pair(info.get("dpi")),
        notes=notes,
    )
    return from_pil_pixels(image, header)


def _orientation(image: Image.Image) -> int:
    """Orientation set through ``getexif()``, or of a file whose EXIF is no block of its own."""
    try:
        tag = image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF never breaks a picture
        return 1
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def _bytes(value: object) -> bytes | None:
    return bytes(value) if isinstance(value, bytes | bytearray) and value else None


def _pair(value: object) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0.1 < x < 1e5 and 0.1 < y < 1e5 else None


def from_pil_pixels(image: Image.Image, header: Header) -> Picture:
    """Picture of the pixels of ``image`` with what ``header`` says about them.

    Raises ``UnreadableImage``, before anything is decoded, if the sizes of the two differ: the
    limit was checked on the header's.
    """
    if image.size != (header.width, header.height):
        raise UnreadableImage(f"the {header.format.upper()} is damaged: it gives two sizes")
    mode = image.mode
    if image.info.get("transparency", 0) is None:  # Pillow trips over it
        image = image.copy()
        del image.info["transparency"]
    if mode == "CMYK":
        return _assemble_cmyk(image, header)
    if mode.startswith("I;16"):
        return assemble(header, _with_key(np.array(image).astype(np.uint16), image))
    if mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise BadArray("a PIL image of mode I holds values outside 0..65535", hint="rescale it")
        return assemble(header, _with_key(values.astype(np.uint16), image))
    if mode == "F":
        return assemble(header, to_samples(np.asarray(image)))
    if mode == "LAB":
        image = lab_to_srgb(image)
    elif mode == "P" or (mode in ("1", "L", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif mode in _WIDEN:
        image = image.convert(_WIDEN[mode])
    return assemble(header, _copy(image))


def _with_key(grey: NDArray[np.uint16], image: Image.Image) -> NDArray[np.uint16]:
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    return np.dstack([grey, np.where(grey == key, 0, 65535).astype(np.uint16)])


def _copy(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels in strips: ``np.asarray`` of a whole image holds it three times over."""
    bands = len(image.getbands())
    shape = (image.height, image.width) if bands == 1 else (image.height, image.width, bands)
    pixels = np.empty(shape, np.uint8)
    for top, strip in strips(image):
        pixels[top : top + strip.height] = np.asarray(strip)
    return pixels


def _assemble_cmyk(image: Image.Image, header: Header) -> Picture:
    notes = header.notes
    icc = header.icc
    if icc is not None and profile_space(icc) != "cmyk":
        icc, notes = None, (*notes, ICC_IGNORED)
    rgb = orient(cmyk_to_srgb(image, icc), header.orientation)
    dpi = _turned_dpi(header)
    return Picture(rgb, None, None, header.exif, dpi, header.format, notes)


def assemble(header: Header, samples: Samples, *, bgr: bool = False) -> Picture:
    """Picture of stored samples: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3 or 4) colour.

    Splits off the alpha (straight), settles the profile, turns upright. A grey profile is
    converted away; an RGB profile is kept and the pixels stay in its space.
    """
    upright = orient(samples, header.orientation)
    alpha = None
    if upright.ndim == 3 and upright.shape[2] in (2, 4):
        alpha = _alpha(upright[..., -1])
    notes, icc = header.notes, header.icc
    space = profile_space(icc) if icc is not None else None
    if icc is not None and space in (None, "cmyk"):
        icc, notes = None, (*notes, ICC_IGNORED)
    if upright.ndim == 2 or upright.shape[2] == 2:
        grey: Any = np.ascontiguousarray(upright if upright.ndim == 2 else upright[..., 0])
        if icc is not None and space == "grey":
            rgb: Any = grey_to_srgb(grey, icc)
            icc = None
        else:
            rgb = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    else:
        if icc is not None and space == "grey":
            icc, notes = None, (*notes, ICC_IGNORED)
        rgb = _rgb(upright, bgr)
    return Picture(rgb, alpha, icc, header.exif, _turned_dpi(header), header.format, notes)


def _rgb(colour: Any, bgr: bool) -> Any:
    if colour.shape[2] == 4:
        code = cv2.COLOR_BGRA2RGB if bgr else cv2.COLOR_RGBA2RGB
        return cv2.cvtColor(np.ascontiguousarray(colour), code)
    if bgr:
        return cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(colour)


def _alpha(samples: Samples) -> Alpha | None:
    """Float alpha of integer samples; None if all are opaque."""
    top = np.iinfo(samples.dtype).max
    if samples.min() == top:
        return None
    alpha = samples.astype(np.float32)
    alpha /= np.float32(top)
    return alpha


def _turned_dpi(header: Header) -> tuple[float, float] | None:
    if header.dpi is None or header.orientation < 5:
        return header.dpi
    return header.dpi[1], header.dpi[0]
