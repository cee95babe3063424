"""ResNet without its classifier, and the three-step upsampling that follows it in 3D pose models.

Source: He et al., CVPR 2016, with the stride on the 3x3 convolution; Xiao et al., Simple Baselines, ECCV 2018.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

DEPTHS = {50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
GROWTH = 4


class Bottleneck(nn.Module):
    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * GROWTH
        self.conv1, self.bn1 = nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        changes = stride > 1 or inside != out
        self.downsample = (
            nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if changes else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """(B, 3, H, W) to (B, 2048, H/32, W/32)."""

    def __init__(self, layers: int = 50) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inside = 64
        for number, (blocks, width) in enumerate(zip(DEPTHS[layers], WIDTHS, strict=True), 1):
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(Bottleneck(inside, width, 2 if number > 1 and block == 0 else 1))
                inside = width * GROWTH
            self.add_module(f"layer{number}", stage)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return cast(Tensor, x)


def upsampling(inside: int = 2048, width: int = 256) -> list[nn.Module]:
    """Three transposed convolutions: eight times the size."""
    steps: list[nn.Module] = []
    for _ in range(3):
        steps += [nn.ConvTranspose2d(inside, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        inside = width
    return steps
