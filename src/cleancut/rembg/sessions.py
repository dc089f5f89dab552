"""A session: one warm model that turns pictures into masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleancut.rembg.faults import BadArgument

if TYPE_CHECKING:
    from PIL.Image import Image

    from cleancut.arrays import Alpha
    from cleancut.backends.base import Placement
    from cleancut.imaging.picture import Picture
    from cleancut.models.base import Model
    from cleancut.options import Options

#: Every name of rembg's that ``new_session`` takes, in rembg's order.
sessions_names = [
    "birefnet-general",
    "birefnet-general-lite",
    "birefnet-general-fp16",
    "birefnet-portrait",
    "birefnet-dis",
    "birefnet-hrsod",
    "birefnet-cod",
    "birefnet-massive",
    "isnet-anime",
    "dis_custom",
    "isnet-general-use",
    "silueta",
    "u2net_cloth_seg",
    "u2net_custom",
    "u2net_human_seg",
    "u2net",
    "u2netp",
    "bria-rmbg",
    "ben_custom",
]

#: Classes of u2net_cloth_seg by the category that asks for them.
CLOTHES = {"upper": (1,), "lower": (2,), "full": (3,), "attire": (1, 2, 3)}


class Session:
    """One warm model; may be used for any number of pictures, from many threads at once.

    ``model_name`` is the name that was asked for (for "auto" the model that was found),
    ``placement`` where it runs, ``notes`` how it was chosen.
    """

    def __init__(
        self, model_name: str, model: Model, options: Options, notes: tuple[str, ...] = ()
    ) -> None:
        self.model_name = model_name
        self.options = options
        self.notes = notes
        self._model = model

    def __repr__(self) -> str:
        return f"<Session {self.model_name} on {self.placement}>"

    @property
    def placement(self) -> Placement:
        """Runtime, device and precision, with the reason for the choice."""
        return self._model.placement

    @property
    def tells_clothes(self) -> bool:
        """Whether it finds pieces of clothing, and not the subject."""
        return "clothes" in self._model.spec.tags

    def predict(self, img: Image, *args: Any, **kwargs: Any) -> list[Image]:  # noqa: ARG002
        """Masks (mode L) of ``img``, each of its size; EXIF orientation is left to the caller.

        One mask; from u2net_cloth_seg three (upper, lower, full body), or the one of ``cc``.
        """
        from PIL import Image as Images

        from cleancut.imaging.adopt import from_pil
        from cleancut.imaging.encode import quantise

        plain = img.copy()
        plain.info = {k: v for k, v in img.info.items() if k in ("icc_profile", "transparency")}
        category = kwargs.get("cc") or kwargs.get("cloth_category")
        mattes = self.mattes(from_pil(plain), category)
        return [Images.fromarray(quantise(matte, 8)) for matte in mattes]

    def mattes(self, picture: Picture, category: str | None = None) -> list[Alpha]:
        """As ``predict`` for a decoded picture: each (H, W) float32 in 0..1, not yet rounded.

        ``category`` is upper, lower, full or attire (all three in one).
        """
        from cleancut import pipeline

        if not self.tells_clothes:
            if category is not None:
                raise BadArgument(
                    f"{self.model_name} cannot tell clothes apart",
                    hint="use new_session('u2net_cloth_seg'), or leave cc out",
                )
            return [pipeline.matte(picture, self._model, minmax=self.options.minmax)]
        if category is not None and category not in CLOTHES:
            raise BadArgument(
                f"{category!r} is no kind of clothes", hint=f"one of: {', '.join(CLOTHES)}"
            )
        names = [category] if category else ["upper", "lower", "full"]
        return self._clothes(picture, [CLOTHES[name] for name in names])

    def _clothes(self, picture: Picture, wanted: list[tuple[int, ...]]) -> list[Alpha]:
        """One matte for each set of classes: the likeliest class of every pixel, edges smooth."""
        import numpy as np

        from cleancut.errors import InferenceFailed
        from cleancut.imaging.resize import upsample_alpha
        from cleancut.models.saliency import SaliencyModel
        from cleancut.subject import model_view

        model = self._model
        if not isinstance(model, SaliencyModel):
            raise InferenceFailed(f"{self.model_name} gives no classes")
        scores = model.class_scores(model_view(picture))
        if scores.shape[0] < 4:
            raise InferenceFailed(
                f"{self.model_name} has {scores.shape[0]} classes, expected 4",
                hint="run: cleancut models verify u2net-cloth-seg",
            )
        likeliest = scores.argmax(axis=0)
        # rembg scales the class numbers themselves, so that between 1 and 3 a rim of 2 appears.
        parts = [np.isin(likeliest, classes).astype(np.float32) for classes in wanted]
        return [upsample_alpha(part, picture.height, picture.width) for part in parts]
