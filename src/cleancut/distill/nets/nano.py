"""cleancut-nano: a small matting network for every kind of subject.

The layout is MODNet's (Ke et al., AAAI 2022, arXiv 2011.11961) at inference: a MobileNetV2 says
where the subject is, a shallow branch at a half and a quarter of the size says where its edges run,
and a last stage joins both. Its heaviest layer, 5x5 on 1280 channels and half of all parameters, is
split in two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cleancut.distill.nets.blocks import ConvNorm, MobileNetV2, resize


class SqueezeExcite(nn.Module):
    """Weights each channel by what the whole picture holds of all (Hu et al., arXiv 1709.01507)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same, each channel scaled."""
        means = x.mean(dim=(2, 3))
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))
        return x * weights[:, :, None, None]


class Semantics(nn.Module):
    """Where the subject is: (N, 1280, h, w) at stride 32 to 32 channels at stride 8."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.attend = SqueezeExcite(1280, 320)
        self.reduce = nn.Conv2d(1280, rank, 1, bias=False)
        self.at_16 = ConvNorm(rank, 96, 5)
        self.at_8 = ConvNorm(96, 32, 5)

    def forward(self, deepest: Tensor, at_16: Tensor, at_8: Tensor) -> Tensor:
        """The deepest features (N, 1280, h, w) at the size of ``at_8`` (N, C, H, W)."""
        # A 1x1 convolution commutes with bilinear resizing; before it there are four times fewer
        # positions to filter.
        x = resize(self.reduce(self.attend(deepest)), at_16)
        semantics: Tensor = self.at_8(resize(self.at_16(x), at_8))
        return semantics


class Detail(nn.Module):
    """Where the edges run: colours and early features to 32 channels at half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.from_2 = ConvNorm(16, 32, 1)
        self.from_4 = ConvNorm(24, 32, 1)
        self.down = ConvNorm(35, 32, 3, stride=2)
        self.join = ConvNorm(64, 64, 3)
        self.at_4 = nn.Sequential(ConvNorm(99, 64, 3), ConvNorm(64, 64, 3), ConvNorm(64, 32, 3))
        self.at_2 = nn.Sequential(
            ConvNorm(64, 64, 3), ConvNorm(64, 32, 3), ConvNorm(32, 32, 3), ConvNorm(32, 32, 3)
        )

    def forward(
        self, half: Tensor, quarter: Tensor, enc_2: Tensor, enc_4: Tensor, semantics: Tensor
    ) -> Tensor:
        """The picture and the encoder's features at 1/2 and 1/4 of its size, and ``semantics``."""
        enc_2, enc_4 = self.from_2(enc_2), self.from_4(enc_4)
        x = self.join(torch.cat([self.down(torch.cat([half, enc_2], 1)), enc_4], 1))
        x = self.at_4(torch.cat([x, resize(semantics, x), quarter], 1))
        detail: Tensor = self.at_2(torch.cat([resize(x, enc_2), enc_2], 1))
        return detail


class Fusion(nn.Module):
    """Subject and edges to the matte at full size."""

    def __init__(self) -> None:
        super().__init__()
        self.at_4 = ConvNorm(32, 32, 5)
        self.at_2 = ConvNorm(64, 32, 3)
        self.at_1 = ConvNorm(35, 16, 3)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, image: Tensor, quarter: Tensor, semantics: Tensor, detail: Tensor) -> Tensor:
        """Logits (N, 1, H, W) from the picture, a quarter of it, and what both branches found."""
        x = resize(self.at_4(resize(semantics, quarter)), detail)
        x = resize(self.at_2(torch.cat([x, detail], 1)), image)
        logits: Tensor = self.out(self.at_1(torch.cat([x, image], 1)))
        return logits


class Nano(nn.Module):
    """The student: (N, 3, H, W) in -1..1, H and W multiples of 32, to the matte's logits.

    ``rank`` is the width that the heaviest layer is squeezed to. The answer is (N, 1, H, W).
    """

    def __init__(self, rank: int = 160) -> None:
        super().__init__()
        self.encoder = MobileNetV2()
        self.semantics = Semantics(rank)
        self.detail = Detail()
        self.fusion = Fusion()

    def forward(self, image: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in -1..1 to logits (N, 1, H, W)."""
        enc_2, enc_4, enc_8, enc_16, deepest = self.encoder(image)
        image = image.to(enc_2.dtype)  # mixed precision: else every join would be made in 32 bits
        half, quarter = functional.avg_pool2d(image, 2), functional.avg_pool2d(image, 4)
        semantics = self.semantics(deepest, enc_16, enc_8)
        detail = self.detail(half, quarter, enc_2, enc_4, semantics)
        logits: Tensor = self.fusion(image, quarter, semantics, detail)
        return logits
