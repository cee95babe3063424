"""CSPNeXt, the backbone of RTMDet and RTMPose, with the names that their published checkpoints have.

Source: Lyu et al., RTMDet, arXiv 2212.07784.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

STAGES = ((64, 128, 3), (128, 256, 6), (256, 512, 6), (512, 1024, 3))  # width in, width out, blocks; of the large net
WINDOWS = (5, 9, 13)


class Conv(nn.Module):
    """Convolution, batch norm, activation: SiLU as published, or ReLU, see `use_relu`."""

    def __init__(self, inside: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.relu = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return functional.relu(x) if self.relu else functional.silu(x)


def use_relu(net: nn.Module) -> None:
    """Replace SiLU by ReLU in every `Conv`: a fifth less time on a CPU, where ONNX Runtime fuses it and not SiLU."""
    for conv in net.modules():
        if isinstance(conv, Conv):
            conv.relu = True


class Separable(nn.Module):
    """Depthwise, then pointwise."""

    def __init__(self, inside: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.depthwise_conv = Conv(inside, inside, kernel, stride, groups=inside)
        self.pointwise_conv = Conv(inside, out)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.pointwise_conv(self.depthwise_conv(x)))


def conv3(inside: int, out: int, stride: int = 1, *, light: bool) -> nn.Module:
    """3x3; separable in the smallest nets."""
    return Separable(inside, out, 3, stride) if light else Conv(inside, out, 3, stride)


class Block(nn.Module):
    def __init__(self, width: int, *, adds: bool, light: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv3(width, width, light=light), Separable(width, width, 5)
        self.adds = adds

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        return x + y if self.adds else y


class Attention(nn.Module):
    """Channel attention, by global averages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.hardsigmoid(self.fc(functional.adaptive_avg_pool2d(x, 1)))


class Csp(nn.Module):
    """A CSP layer: half of the channels pass through the blocks, half bypass them."""

    def __init__(self, inside: int, out: int, blocks: int, *, adds: bool, attends: bool, light: bool) -> None:
        super().__init__()
        half = out // 2
        self.main_conv, self.short_conv, self.final_conv = Conv(inside, half), Conv(inside, half), Conv(2 * half, out)
        self.blocks = nn.Sequential(*(Block(half, adds=adds, light=light) for _ in range(blocks)))
        self.attention = Attention(2 * half) if attends else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], 1)
        return cast(Tensor, self.final_conv(self.attention(both)))


class Pyramid(nn.Module):
    """Spatial pyramid pooling."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv(width, width // 2), Conv(width // 2 * (1 + len(WINDOWS)), width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return cast(Tensor, self.conv2(torch.cat([x, *(functional.max_pool2d(x, k, 1, k // 2) for k in WINDOWS)], 1)))


class CspNext(nn.Module):
    """(B, 3, H, W) to the maps of the last three stages, at strides 8, 16 and 32."""

    def __init__(self, widen: float, blocks: tuple[int, ...], *, light: bool = False) -> None:
        super().__init__()
        first = int(STAGES[0][0] * widen)
        half = int(STAGES[0][0] * widen // 2)
        self.stem = nn.Sequential(Conv(3, half, 3, 2), Conv(half, half, 3), Conv(half, first, 3))
        for number, ((inside, out, _), count) in enumerate(zip(STAGES, blocks, strict=True), 1):
            last, width = number == len(STAGES), int(out * widen)
            parts = [conv3(int(inside * widen), width, 2, light=light), *([Pyramid(width)] if last else [])]
            csp = Csp(width, width, count, adds=not last, attends=True, light=light)
            self.add_module(f"stage{number}", nn.Sequential(*parts, csp))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.maps(x))

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """The same maps one after the other, each before the next stage runs."""
        first, *others = self.stages
        x = first(self.stem(x))
        for stage in others:
            x = stage(x)
            yield x

    @property
    def stages(self) -> list[nn.Module]:
        """The four stages after the stem."""
        return [self.get_submodule(f"stage{number}") for number in range(1, len(STAGES) + 1)]
