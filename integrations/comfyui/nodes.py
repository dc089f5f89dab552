"""The nodes: what ComfyUI shows of each, and the call of cleancut behind it.

MASK outputs come twice, since ComfyUI's own nodes disagree: ``subject`` is 1 where the subject is,
as in "Remove Background" and for "Image Composite Masked"; ``background`` is 1 - subject, as "Load
Image" gives it and "Join Image with Alpha" and inpainting want it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleancut.catalog import catalog
from cleancut.options import CHOICES as PICTURE_CHOICES
from cleancut.video.options import CHOICES as VIDEO_CHOICES

from . import running
from .tensors import checked_masks, picture_of, pictures_of, stacked

if TYPE_CHECKING:
    from torch import Tensor

MODELS = ("auto", *(row.id for row in catalog().values() if row.family != "recurrent"))

_IMAGE = ("IMAGE",)
_MODEL = (
    MODELS,
    {"tooltip": "auto takes the best that is pulled; others: cleancut models pull NAME"},
)
_REFINE = (
    PICTURE_CHOICES["refine"],
    {"default": "fast", "tooltip": "how the edge is brought to full size; best is slower"},
)
_DECONTAMINATE = (
    "BOOLEAN",
    {"default": True, "tooltip": "take the old background's colour out of soft edges"},
)


class _Node:
    """What all nodes share: where they stand in the menu, and how they are called."""

    CATEGORY = "cleancut"
    FUNCTION = "run"


class RemoveBackground(_Node):
    """IMAGE -> IMAGE with alpha, or on a background; and both masks."""

    DESCRIPTION = "Cuts the subject out. Without a background the image has four channels."
    RETURN_TYPES = ("IMAGE", "MASK", "MASK")
    RETURN_NAMES = ("image", "subject", "background")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """The inputs as ComfyUI draws them."""
        return {
            "required": {
                "image": _IMAGE,
                "model": _MODEL,
                "refine": _REFINE,
                "decontaminate": _DECONTAMINATE,
                "background": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "empty: transparent; or white, #00b140, blur:20",
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, background: str) -> bool | str:  # noqa: N802
        """True, or what is wrong with the background, before anything runs."""
        return running.refusal_of(background) or True

    def run(
        self, image: Tensor, model: str, refine: str, decontaminate: bool, background: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, H, W, C) -> (B, H, W, 4), or 3 on a background, and twice (B, H, W)."""
        results = running.cut_each(
            pictures_of(image),
            model=model,
            refine=refine,
            decontaminate=decontaminate,
            background=background.strip() or None,
        )
        cuts = [(picture_of(result), result.alpha) for result in results]
        subject = stacked([alpha for _, alpha in cuts])
        return stacked([picture for picture, _ in cuts]), subject, 1.0 - subject


class Matte(_Node):
    """IMAGE -> both masks, without colours; quicker than cutting out."""

    DESCRIPTION = "The subject's soft mask."
    RETURN_TYPES = ("MASK", "MASK")
    RETURN_NAMES = ("subject", "background")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """The inputs as ComfyUI draws them."""
        return {"required": {"image": _IMAGE, "model": _MODEL, "refine": _REFINE}}

    def run(self, image: Tensor, model: str, refine: str) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) -> twice (B, H, W)."""
        results = running.cut_each(
            pictures_of(image), model=model, refine=refine, decontaminate=False
        )
        subject = stacked([result.alpha for result in results])
        return subject, 1.0 - subject


class RefineMask(_Node):
    """IMAGE and a rough MASK -> both masks with fine edges; no network is asked."""

    DESCRIPTION = "Gives a rough mask, or a trimap (1 keep, 0 remove, grey: find out), fine edges."
    RETURN_TYPES = ("MASK", "MASK")
    RETURN_NAMES = ("subject", "background")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """The inputs as ComfyUI draws them."""
        marks = {"tooltip": "which is 1 in the mask; Load Image's masks mark the background"}
        return {
            "required": {
                "image": _IMAGE,
                "mask": ("MASK",),
                "mask_is": (("mask", "trimap"), {"default": "mask"}),
                "mask_marks": (("subject", "background"), {"default": "subject", **marks}),
                "refine": _REFINE,
            }
        }

    def run(
        self, image: Tensor, mask: Tensor, mask_is: str, mask_marks: str, refine: str
    ) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) and (B or 1, H, W) -> twice (B, H, W)."""
        guides = checked_masks(mask, image, inverted=mask_marks == "background")
        results = running.cut_each(
            pictures_of(image), guides, kind=mask_is, refine=refine, decontaminate=False
        )
        subject = stacked([result.alpha for result in results])
        return subject, 1.0 - subject


class MatteVideo(_Node):
    """Frames of one video, as an IMAGE batch -> cut-out frames and both masks, steady in time."""

    DESCRIPTION = "Cuts out the frames of a video; the batch is taken in its order."
    RETURN_TYPES = ("IMAGE", "MASK", "MASK")
    RETURN_NAMES = ("images", "subject", "background")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        """The inputs as ComfyUI draws them."""
        engine = {"default": "auto", "tooltip": "rvm is for people, its weights are GPL-3.0"}
        steady = {"default": True, "tooltip": "for engine image: even out flicker"}
        ahead: dict[str, Any] = {"default": 1, "min": 0, "max": 8}
        return {
            "required": {
                "images": _IMAGE,
                "engine": (VIDEO_CHOICES["engine"], engine),
                "model": _MODEL,
                "steady": ("BOOLEAN", steady),
                "look_ahead": ("INT", {**ahead, "tooltip": "coming frames that have a say"}),
                "decontaminate": _DECONTAMINATE,
            }
        }

    def run(
        self,
        images: Tensor,
        engine: str,
        model: str,
        steady: bool,
        look_ahead: int,
        decontaminate: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, H, W, C) -> (B, H, W, 4) and twice (B, H, W)."""
        frames = running.cut_frames(
            pictures_of(images),
            engine=engine,
            steady=steady,
            look_ahead=look_ahead,
            model=model,
            decontaminate=decontaminate,
        )
        cuts = [(picture_of(frame), frame.alpha) for frame in frames]
        subject = stacked([alpha for _, alpha in cuts])
        return stacked([picture for picture, _ in cuts]), subject, 1.0 - subject


NODE_CLASS_MAPPINGS = {
    "CleancutRemoveBackground": RemoveBackground,
    "CleancutMatte": Matte,
    "CleancutRefineMask": RefineMask,
    "CleancutMatteVideo": MatteVideo,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "CleancutRemoveBackground": "Remove background (cleancut)",
    "CleancutMatte": "Matte (cleancut)",
    "CleancutRefineMask": "Refine mask (cleancut)",
    "CleancutMatteVideo": "Matte video (cleancut)",
}
