"""ConvNeXtPose: ConvNeXt with batch norm and ReLU, a depthwise-separable head, one volume per joint.

Source: Nguyen et al., ConvNeXtPose, IEEE Access 2023. M and L upsample three times, which no weight shows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm = nn.BatchNorm2d(width)
        self.pwconv1, self.pwconv2 = nn.Conv2d(width, 4 * width, 1), nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.pwconv2(functional.relu(self.pwconv1(self.norm(self.dwconv(x))))))


class Backbone(nn.Module):
    def __init__(self, depths: tuple[int, ...], widths: tuple[int, ...]) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), nn.BatchNorm2d(widths[0]))
        down = [nn.Sequential(nn.BatchNorm2d(inside), nn.Conv2d(inside, out, 2, 2)) for inside, out in pairwise(widths)]
        self.downsample_layers = nn.ModuleList([stem, *down])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth))) for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = nn.BatchNorm2d(widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        for down, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(down(x))
        return cast(Tensor, self.norm(x))


class Step(nn.Module):
    """Depthwise, norm, pointwise, ReLU, then twice the size."""

    def __init__(self, inside: int, out: int, *, doubles: bool) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(inside, inside, 3, 1, 1, groups=inside)
        self.norm = nn.BatchNorm2d(inside)
        self.pwconv = nn.Conv2d(inside, out, 1)
        self.doubles = doubles

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.pwconv(self.norm(self.dwconv(x))))
        return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True) if self.doubles else x


class Head(nn.Module):
    def __init__(self, inside: int, width: int, channels: int, *, upsamples: int) -> None:
        super().__init__()
        self.deconv_layers_1 = Step(inside, width, doubles=True)
        self.deconv_layers_2 = Step(width, width, doubles=True)
        self.deconv_layers_3 = Step(width, width, doubles=upsamples == 3)
        self.final_layer = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.deconv_layers_3(self.deconv_layers_2(self.deconv_layers_1(x)))
        return cast(Tensor, self.final_layer(x))


class ConvNeXtPose(nn.Module):
    """(B, 3, 256, 256) to (B, J·D, S, S): S and D are 32 with two upsamplings, 64 with three."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], head: int, channels: int, depth: int) -> None:
        super().__init__()
        self.backbone = Backbone(depths, widths)
        self.head = Head(widths[-1], head, channels, upsamples=3 if depth == 64 else 2)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.backbone(x)))
