"""What a cutout is: matte, colours, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.errors import BadOption

if TYPE_CHECKING:
    from PIL.Image import Image

    from cleancut.annotation.outline import Annotation
    from cleancut.arrays import Alpha, Rgb
    from cleancut.backends.base import Placement
    from cleancut.compose.crop import Box
    from cleancut.options import Format, Options

WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """One cut-out picture.

    ``foreground`` is (H, W, 3) at the source's depth (uint8 or uint16), straight colours with the
    old background removed from soft edges. ``alpha`` is (H, W) float32 in 0..1. ``composite`` is
    the subject on the background that was asked for, else None. ``original`` are the picture's own
    colours and ``behind`` is the background, both only with layers (``format="psd"``, or
    ``format="tiff", layers=True``). ``box`` is the
    subject in the output's pixels, ``matte`` is the matte in the picture's own, before shadow,
    framing and background; ``coverage`` the mean of the matte over the picture (0..1).
    ``models`` are the ids of the networks that were asked, the believed one first.
    ``confidence`` is the estimated chance (0..1) that the matte is right (an IoU of .9 with the
    truth), None where the user said what the subject is; ``reasons`` say what speaks against it.
    ``notes`` are "code: explanation" lines about anything a user may want to know. ``timings`` are
    milliseconds by stage. ``size`` is (width, height) of the source.
    """

    foreground: Rgb
    alpha: Alpha
    composite: Rgb | None = None
    original: Rgb | None = None
    behind: Rgb | None = None
    matte: Alpha | None = None
    box: Box | None = None
    coverage: float = 0.0
    size: tuple[int, int] = (0, 0)
    models: tuple[str, ...] = ()
    placement: Placement | None = None
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    options: Options

    @property
    def model(self) -> str:
        """The network whose matte was taken; of several the first, "none" if none was asked."""
        return self.models[0] if self.models else "none"

    @property
    def image(self) -> Image:
        """The cutout as a PIL image: RGBA, or RGB if it stands on a background. Always 8 bit."""
        import numpy as np
        from PIL import Image

        from cleancut.imaging.encode import quantise

        exif = b"Exif\0\0" + self.exif if self.exif else None  # as Pillow hands it on
        info = {"icc_profile": self.icc, "exif": exif, "dpi": self.dpi}
        if self.composite is not None:
            image = Image.fromarray(quantise(self.composite, 8))
        else:
            image = Image.fromarray(
                np.dstack([quantise(self.foreground, 8), quantise(self.alpha, 8)])
            )
        image.info.update({key: value for key, value in info.items() if value})
        return image

    @property
    def mask(self) -> Image:
        """The matte as an 8-bit grey PIL image."""
        from PIL import Image

        from cleancut.imaging.encode import quantise

        return Image.fromarray(quantise(self.alpha, 8))

    def encode(self, format: Format | None = None, *, quality: int | None = None) -> bytes:  # noqa: A002
        """The picture as file bytes; without ``format`` the one in the options, else PNG.

        Formats without transparency (jpg) show the subject on white unless a background was asked
        for. 16-bit sources stay 16 bit in PNG and TIFF. A zip holds the matte as alpha.png and, as
        color.jpg, the composite if there is one, else the subject's colours, which go on beyond it.
        A psd holds the subject with the matte as its mask; cut with ``format="psd"``, also the
        picture as it was and the background; so does a tiff, cut with ``layers=True``.
        """
        from cleancut.compose.background import over, solid_colour, spread
        from cleancut.imaging.encode import encode_mask

        kind = format or self.options.format or "png"
        quality = quality if quality is not None else self.options.quality
        if self.options.only_mask:
            return encode_mask(
                self.alpha,
                format=kind,
                quality=quality,
                compress=self.options.compress,
                dpi=self.dpi,
                sixteen_bit=self.foreground.dtype.itemsize == 2 and kind in ("png", "tiff"),
            )
        rgb, alpha = self.foreground, self.alpha
        if kind == "psd" or (kind == "tiff" and self.options.layers):
            return self._layered(kind)
        if kind == "zip":
            if self.composite is not None:
                rgb = self.composite
            elif not self.options.keep_hidden_rgb:
                rgb = spread(rgb, alpha)
            return self._encode(rgb, alpha, kind, quality)
        if self.composite is not None:
            return self._encode(self.composite, None, kind, quality)
        if kind == "jpg":
            return self._encode(over(rgb, alpha, solid_colour(rgb, WHITE)), None, kind, quality)
        return self._encode(rgb, alpha, kind, quality)

    def save(
        self,
        path: str | PathLike[str],
        *,
        format: Format | None = None,  # noqa: A002
        quality: int | None = None,
    ) -> Path:
        """Write the picture; the suffix decides the format unless one is given.

        The file appears whole or not at all. Raises ``OutputNotWritable``, ``UnsupportedFormat``.
        """
        from cleancut.imaging.files import write_atomic
        from cleancut.imaging.formats import format_from_suffix

        target = Path(path)
        if target.suffix or not format:
            format = format or format_from_suffix(target)  # noqa: A001
        write_atomic(target, self.encode(format, quality=quality))
        return target

    def annotation(self, *, tolerance_px: float = 1.0) -> Annotation:
        """The subject's outlines, box and area in the picture's own pixels; see ``annotate``."""
        from cleancut.annotation.outline import annotate

        matte = self.alpha if self.matte is None else self.matte
        return annotate(matte, tolerance_px=tolerance_px)

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values, without the pixels."""
        box = self.box
        place = self.placement
        return {
            "model": self.model,
            "models": list(self.models),
            "backend": str(place) if place else None,
            "size": list(self.size),
            "output_size": [int(self.alpha.shape[1]), int(self.alpha.shape[0])],
            "box": [box.left, box.top, box.right, box.bottom] if box else None,
            "coverage": round(self.coverage, 5),
            "confidence": None if self.confidence is None else round(self.confidence, 3),
            "reasons": list(self.reasons),
            "timings_ms": {name: round(value, 1) for name, value in self.timings.items()},
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        """What a notebook shows: the cutout on a checkerboard, and what there is to say of it."""
        from cleancut import notebook

        height, width = self.alpha.shape
        sure = None if self.confidence is None else f"confidence {self.confidence:.2f}"
        facts = (self.model, f"{width} × {height}", sure)
        return notebook.figure(
            self._repr_png_(),
            (width, height),
            [fact for fact in facts if fact],
            [*self.reasons, *self.notes],
        )

    def _repr_png_(self) -> bytes:
        """The same picture for surfaces without HTML; the matte where only that was asked for."""
        import numpy as np

        from cleancut import notebook
        from cleancut.imaging.encode import quantise
        from cleancut.imaging.picture import Picture

        if self.options.only_mask:
            grey = np.repeat(quantise(self.alpha, 8)[..., None], 3, axis=2)
            return notebook.thumbnail(Picture(rgb=grey))
        if self.composite is not None:
            return notebook.thumbnail(Picture(rgb=self.composite, icc=self.icc))
        return notebook.thumbnail(Picture(rgb=self.foreground, alpha=self.alpha, icc=self.icc))

    def _layered(self, kind: Format) -> bytes:
        from cleancut.compose.background import spread
        from cleancut.imaging.psd import encode_psd
        from cleancut.imaging.tiff_layers import encode_layered_tiff

        if self.composite is not None and self.behind is None and self.original is None:
            raise BadOption(
                "the layer of the background was not kept",
                hint='cut with format="psd"',
            )
        colours, alpha = self.foreground, self.alpha
        if self.original is None and not self.options.keep_hidden_rgb:
            colours = spread(colours, alpha)
        layers: dict[str, Any] = {"original": self.original, "background": self.behind}
        kept: dict[str, Any] = {"icc": self.icc, "exif": self.exif, "dpi": self.dpi}
        if kind == "psd":
            return encode_psd(colours, alpha, **layers, **kept)
        small = self.options.compress == "small"
        return encode_layered_tiff(colours, alpha, **layers, **kept, small=small)

    def _encode(self, rgb: Rgb, alpha: Alpha | None, kind: Format, quality: int | None) -> bytes:
        from cleancut.imaging.encode import encode

        return encode(
            rgb,
            alpha,
            format=kind,
            quality=quality,
            compress=self.options.compress,
            icc=self.icc,
            exif=self.exif,
            dpi=self.dpi,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Encoded:
    """A cutout as the bytes of a file.

    ``facts`` are those of ``Result.to_dict()`` with ``cached`` added; ``timings_ms`` are those of
    this call, whether it cut or found. ``cached`` says that the bytes came out of a cache, where
    there are no arrays: ``result`` is None then.
    """

    data: bytes
    format: Format
    facts: dict[str, Any]
    cached: bool = False
    result: Result | None = None
