"""The pieces that both students are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Output channels, stride and repeats of MobileNetV2's inverted residuals (table 2 of the paper);
#: all but the first expand six-fold.
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))


def resize(x: Tensor, like: Tensor) -> Tensor:
    """``x`` (N, C, h, w) at the height and width of ``like``, bilinear, pixel centres aligned."""
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; biases stand where folded batch normalisation was."""

    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(inside, wide, 1), nn.ReLU6(inplace=True)]
        layers += [
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide),
            nn.ReLU6(inplace=True),
            nn.Conv2d(wide, outside, 1),
        ]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, h, w) to (N, outside, h / stride, w / stride)."""
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., arXiv 1801.04381) without its classifier.

    ``forward`` takes (N, 3, H, W) and gives the features at strides 2, 4, 8, 16 and 32, with 16,
    24, 32, 96 and ``last`` channels; with None the deepest are the 320 of the last inverted
    residual. ``dilate`` keeps the deepest at stride 16 instead of 32, with
    filters twice as wide. Batch normalisation is folded into the convolutions: its statistics
    would be too noisy for the small batches that a student is fine-tuned with.
    """

    #: Blocks after which the features at strides 2, 4, 8 and 16 are complete.
    _TAPS = (1, 3, 6, 13)

    def __init__(self, last: int | None = 1280, *, dilate: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6(inplace=True))
        blocks, channels = [], 32
        for number, (out, stride, repeats) in enumerate(_STAGES):
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                blocks.append(InvertedResidual(channels, out, step, 6 if number else 1))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        if dilate:
            self._dilate()
        self.last: nn.Module = nn.Identity()
        if last is not None:
            self.last = nn.Sequential(nn.Conv2d(channels, last, 1), nn.ReLU6(inplace=True))

    def _dilate(self) -> None:
        for number, block in enumerate(self.blocks):
            for conv in block.modules():
                if number >= self._TAPS[-1] and isinstance(conv, nn.Conv2d) and conv.groups > 1:
                    if conv.stride == (2, 2):
                        conv.stride = (1, 1)
                    else:
                        conv.dilation = conv.padding = (2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to the features at strides 2, 4, 8, 16 and 32."""
        x = self.stem(x)
        taps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number + 1 in self._TAPS:
                taps.append(x)
        return *taps, self.last(x)


class HalfInstanceNorm(nn.Module):
    """Instance normalisation of the second half of the channels; the first half stays as it is.

    IBN-Net (Pan et al., arXiv 1807.09441), as MODNet uses it, normalises the first half over the
    batch; here that is folded into the convolution before it, as everywhere in the students.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Known beforehand: an export to ONNX does not find the number of channels of a chunk.
        self.halves = (channels - channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        plain, varied = x.split_with_sizes(self.halves, dim=1)
        return torch.cat([plain, functional.instance_norm(varied)], dim=1)


class ConvNorm(nn.Sequential):
    """Convolution that keeps the size at stride 1, ``HalfInstanceNorm``, ReLU."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, kernel, stride, kernel // 2),
            HalfInstanceNorm(outside),
            nn.ReLU(inplace=True),
        )
