"""ComfyUI's tensors and cleancut's arrays: IMAGE (B, H, W, C) and MASK (B, H, W), both in 0..1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Cut(Protocol):
    """What pictures and frames of a video have in common, once cut out."""

    @property
    def foreground(self) -> Any:
        """(H, W, 3), uint8 or uint16, straight colours."""

    @property
    def alpha(self) -> Any:
        """(H, W), float32 in 0..1."""


def pictures_of(image: Tensor) -> Iterator[NDArray[np.float32]]:
    """The pictures of an IMAGE batch one by one, (H, W, C), clipped to 0..1.

    Samplers and upscalers overshoot a little; what is not a number stays for cleancut to refuse.
    """
    for picture in image:
        yield picture.detach().float().clamp(0.0, 1.0).cpu().numpy()


def checked_masks(mask: Tensor, image: Tensor, *, inverted: bool) -> list[NDArray[np.float32]]:
    """A mask (H, W) for each picture of ``image``, 1 for the subject; one mask serves all.

    Raises ``ValueError`` where numbers or sizes do not fit.
    """
    planes = mask if mask.ndim == 3 else mask.reshape(-1, *mask.shape[-2:])
    if len(planes) not in (1, len(image)):
        raise ValueError(
            f"{len(planes)} masks for {len(image)} images; give one mask, or one for each"
        )
    if tuple(planes.shape[1:]) != tuple(image.shape[1:3]):
        (high, wide), (height, width) = planes.shape[1:], image.shape[1:3]
        raise ValueError(
            f"the mask is {wide} x {high} and the image {width} x {height}; scale one of them first"
        )
    planes = planes.detach().float().clamp(0.0, 1.0).cpu()
    given = [plane.numpy() for plane in (1.0 - planes if inverted else planes)]
    return given if len(given) == len(image) else given * len(image)


def picture_of(cut: Cut) -> NDArray[np.float32]:
    """(H, W, 4) float32 in 0..1, straight; (H, W, 3) where the subject stands on a background."""
    import numpy as np

    composite = getattr(cut, "composite", None)
    pixels = cut.foreground if composite is None else composite
    colours = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return colours if composite is not None else np.dstack([colours, cut.alpha])


def stacked(planes: list[NDArray[np.float32]]) -> Tensor:
    """A batch of what has one size."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack(planes))
