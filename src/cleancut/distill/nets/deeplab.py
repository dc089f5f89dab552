"""deeplabv3plus-portrait: people and nothing else, for ID photos.

DeepLabV3+ (Chen et al., ECCV 2018, arXiv 1802.02611) over MobileNetV2 at an output stride of 16. No
layer normalises a picture by itself, as MODNet does: that lifts the strongest of the features to
the same height whether or not there is a person, and this network must know when there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cleancut.distill.nets.blocks import MobileNetV2, resize

#: The paper's 6, 12 and 18 belong to crops of 513 pixels; at 320 so wide a filter would see little
#: but its own padding. These reach as far across the picture as the paper's do.
_RATES = (4, 8, 12)
#: Channels of the features at stride 4 and what the decoder keeps of them (section 4.1).
_LOW, _KEPT = 24, 48
#: Channels that MobileNetV2's last inverted residual answers with.
_DEEP = 320


class NormedConv(nn.Sequential):
    """Convolution that keeps the size, batch normalisation (folded away by an export), ReLU."""

    def __init__(
        self, inside: int, outside: int, kernel: int = 1, *, rate: int = 1, groups: int = 1
    ) -> None:
        around = rate * (kernel // 2)
        super().__init__(
            nn.Conv2d(inside, outside, kernel, 1, around, rate, groups, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )


class Separable(nn.Sequential):
    """A 3x3 filter for each channel, its taps ``rate`` apart, then a mixture of all channels."""

    def __init__(self, inside: int, outside: int, rate: int = 1) -> None:
        super().__init__(
            NormedConv(inside, inside, 3, rate=rate, groups=inside), NormedConv(inside, outside)
        )


class Pooling(nn.Module):
    """What the whole picture holds, the same at every position."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        # A batch has one value a picture here: too few to be normalised by.
        self.mix = nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, outside, h, w), constant over h and w."""
        whole: Tensor = torch.relu(self.mix(x.mean(dim=(2, 3), keepdim=True)))
        return whole.expand(-1, -1, *x.shape[-2:])


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: what is here, around here, farther around, and anywhere."""

    def __init__(self, inside: int, outside: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                NormedConv(inside, outside),
                *(Separable(inside, outside, rate) for rate in rates),
                Pooling(inside, outside),
            ]
        )
        self.join = NormedConv(len(self.branches) * outside, outside)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, outside, h, w)."""
        joined: Tensor = self.join(torch.cat([branch(x) for branch in self.branches], dim=1))
        return joined


class Decoder(nn.Module):
    """The pyramid's answer at stride 4, its borders where the early features have theirs."""

    def __init__(self, inside: int, channels: int) -> None:
        super().__init__()
        self.keep = NormedConv(_LOW, _KEPT)
        self.refine = nn.Sequential(
            Separable(inside + _KEPT, channels), Separable(channels, channels)
        )
        self.out = nn.Conv2d(channels, 1, 1)

    def forward(self, deep: Tensor, low: Tensor) -> Tensor:
        """Features at strides 16 and 4 to logits (N, 1, h, w) at stride 4."""
        logits: Tensor = self.out(
            self.refine(torch.cat([resize(deep, low), self.keep(low)], dim=1))
        )
        return logits


class DeepLabV3Plus(nn.Module):
    """The student: (N, 3, H, W) in -1..1, H and W multiples of 32, to the logits of "person".

    The answer is (N, 1, H, W), interpolated from a quarter of the size. ``pyramid`` and ``decoder``
    are the channels of the two parts behind the encoder, ``rates`` how far apart the taps of the
    pyramid's filters are, in sixteenths of the picture's pixels.
    """

    def __init__(
        self, pyramid: int = 256, decoder: int = 128, rates: Sequence[int] = _RATES
    ) -> None:
        super().__init__()
        self.encoder = MobileNetV2(last=None, dilate=True)
        self.pyramid = SpatialPyramid(_DEEP, pyramid, rates)
        self.decoder = Decoder(pyramid, decoder)
        for layer in [*self.pyramid.modules(), *self.decoder.modules()]:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.decoder.out.weight, std=0.01)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures to logits; in evaluation a picture's answer is the same in every batch."""
        _, low, _, _, deep = self.encoder(image)
        return resize(self.decoder(self.pyramid(deep), low), image)
