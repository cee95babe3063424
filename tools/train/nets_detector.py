"""The starter detector: RTMDet's shape (CSPNeXt, PAFPN, shared separated heads) at a quarter of its width.

Source: Lyu et al., RTMDet, arXiv 2212.07784. Raw heads come out: logits (B, C, h, w) per stride, then distances
l, t, r, b (B, 4, h, w) in input pixels per stride.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
PRIOR = -4.6  # logit of a class before anything is learned: one in a hundred


class Conv(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inside: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.03)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(x)))


class Separable(nn.Module):
    """Depthwise, then pointwise."""

    def __init__(self, inside: int, out: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = Conv(inside, inside, kernel, groups=inside)
        self.pointwise = Conv(inside, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class Block(nn.Module):
    def __init__(self, width: int, *, residual: bool) -> None:
        super().__init__()
        self.narrow = Conv(width, width, 3)
        self.wide = Separable(width, width, 5)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.wide(self.narrow(x))
        return x + y if self.residual else y


class CSP(nn.Module):
    """Half of the channels go through the blocks, half around them; channel attention decides what stays."""

    def __init__(self, inside: int, out: int, blocks: int, *, residual: bool, attention: bool) -> None:
        super().__init__()
        half = out // 2
        self.main, self.short, self.final = Conv(inside, half), Conv(inside, half), Conv(2 * half, out)
        self.blocks = nn.Sequential(*(Block(half, residual=residual) for _ in range(blocks)))
        self.attention = nn.Conv2d(2 * half, 2 * half, 1) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.blocks(self.main(x)), self.short(x)], 1)
        if self.attention is not None:
            y = y * F.hardsigmoid(self.attention(F.adaptive_avg_pool2d(y, 1)))
        return self.final(y)


class Pyramid(nn.Module):
    """Spatial pyramid pooling."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce, self.final = Conv(width, width // 2), Conv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return self.final(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], 1))


class Detector(nn.Module):
    """(B, 3, H, W) BGR, normalised, to three logits and three distances."""

    def __init__(self, classes: int = 2, widths: tuple[int, ...] = (16, 32, 64, 128, 256), neck: int = 64) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = nn.Sequential(Conv(3, a // 2, 3, 2), Conv(a // 2, a // 2, 3), Conv(a // 2, a, 3))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(Conv(a, b, 3, 2), CSP(b, b, 1, residual=True, attention=True)),
                nn.Sequential(Conv(b, c, 3, 2), CSP(c, c, 2, residual=True, attention=True)),
                nn.Sequential(Conv(c, d, 3, 2), CSP(d, d, 2, residual=True, attention=True)),
                nn.Sequential(Conv(d, e, 3, 2), Pyramid(e), CSP(e, e, 1, residual=False, attention=True)),
            ]
        )
        self.lateral = nn.ModuleList(Conv(width, neck) for width in (c, d, e))
        self.down_path = nn.ModuleList(CSP(2 * neck, neck, 1, residual=False, attention=False) for _ in range(2))
        self.downsample = nn.ModuleList(Conv(neck, neck, 3, 2) for _ in range(2))
        self.up_path = nn.ModuleList(CSP(2 * neck, neck, 1, residual=False, attention=False) for _ in range(2))
        self.of_class = nn.Sequential(Separable(neck, neck, 5), Separable(neck, neck, 5))
        self.of_box = nn.Sequential(Separable(neck, neck, 5), Separable(neck, neck, 5))
        self.logits = nn.ModuleList(nn.Conv2d(neck, classes, 1) for _ in STRIDES)
        self.distances = nn.ModuleList(nn.Conv2d(neck, 4, 1) for _ in STRIDES)
        for head in self.logits:
            nn.init.constant_(head.bias, PRIOR)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        fine, middle, coarse = self._features(x)
        middle = self.down_path[0](torch.cat([F.interpolate(coarse, scale_factor=2.0), middle], 1))
        fine = self.down_path[1](torch.cat([F.interpolate(middle, scale_factor=2.0), fine], 1))
        middle = self.up_path[0](torch.cat([self.downsample[0](fine), middle], 1))
        coarse = self.up_path[1](torch.cat([self.downsample[1](middle), coarse], 1))
        levels = (fine, middle, coarse)
        logits = [head(self.of_class(level)) for head, level in zip(self.logits, levels, strict=True)]
        boxes = [
            head(self.of_box(level)) * stride
            for head, level, stride in zip(self.distances, levels, STRIDES, strict=True)
        ]
        return (*logits, *boxes)

    def _features(self, x: Tensor) -> list[Tensor]:
        x = self.stages[0](self.stem(x))
        found = []
        for stage, lateral in zip(list(self.stages)[1:], self.lateral, strict=True):
            x = stage(x)
            found.append(lateral(x))
        return found
