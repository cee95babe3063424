"""MobileHumanPose: MobileNetV2 with PReLU, skips by concatenation, one volume per joint.

Source: Choi et al., MobileHumanPose, CVPRW 2021; its released code ("small" here) and its paper's large net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDED = 2048
HEAD = 256


@dataclass(frozen=True)
class Layout:
    """Strides of the seven stages, and after which blocks the skips leave, deepest first."""

    stem_stride: int
    strides: tuple[int, ...]
    skips: tuple[int, int, int]
    widths: tuple[int, int, int]


SMALL = Layout(2, (2, 2, 2, 2, 2, 1, 1), (12, 9, 5), (96, 64, 48))
LARGE = Layout(1, (1, 2, 2, 2, 2, 2, 1), (15, 12, 9), (160, 96, 64))
STAGES = ((1, 64, 1), (6, 48, 2), (6, 48, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))  # growth, width, blocks


def conv(inside: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, PReLU."""
    layer = nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.PReLU(out))


class Inverted(nn.Module):
    def __init__(self, inside: int, out: int, stride: int, growth: int) -> None:
        super().__init__()
        wide = inside * growth
        widen = [conv(inside, wide)] if growth > 1 else []
        narrow = [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.conv = nn.Sequential(*widen, conv(wide, wide, 3, stride, wide), *narrow)
        self.residual = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        y = cast(Tensor, self.conv(x))
        return x + y if self.residual else y


def widen(inside: int, middle: int) -> nn.Sequential:
    """The block before each upsampling."""
    first = [nn.Conv2d(inside, middle, 1), nn.BatchNorm2d(middle), nn.PReLU(middle)]
    return nn.Sequential(*first, nn.Conv2d(middle, HEAD, 3, 1, 1), nn.BatchNorm2d(HEAD), nn.PReLU(HEAD))


class Backbone(nn.Module):
    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.skips = layout.skips
        self.first_conv = conv(3, 48, 3, layout.stem_stride)
        self.inv_residual, inside = nn.Sequential(), 48
        for (growth, out, blocks), stride in zip(STAGES, layout.strides, strict=True):
            for block in range(blocks):
                self.inv_residual.append(Inverted(inside, out, stride if block == 0 else 1, growth))
                inside = out
        self.last_conv = conv(inside, EMBEDDED)
        for number, width in enumerate(layout.widths):
            self.add_module(f"deconv{number}", widen(width + (HEAD if number else EMBEDDED), width))
        self.final_layer = nn.Conv2d(HEAD, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.first_conv(x), {}
        for number, block in enumerate(self.inv_residual):
            x = block(x)
            kept[number] = x
        x = self.last_conv(x)
        for number, skip in enumerate(self.skips):
            x = self.get_submodule(f"deconv{number}")(torch.cat([kept[skip], x], 1))
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        return cast(Tensor, self.final_layer(x))


class MobileHumanPose(nn.Module):
    """(B, 3, 256, 256) to (B, J·D, D, D): D is 32, or 64 for the large net."""

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.backbone = Backbone(layout, channels)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.backbone(x))
