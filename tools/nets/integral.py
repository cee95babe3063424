"""Integral Human Pose: ResNet, upsampling, one volume per joint.

Source: Sun et al., Integral Human Pose Regression, ECCV 2018.
"""

from __future__ import annotations

from torch import Tensor, nn

from tools.nets.resnet import ResNet, upsampling


class Head(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*upsampling(), nn.Conv2d(256, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.features(x)
        return out


class Integral(nn.Module):
    """(B, 3, H, W) to (B, J·D, H/4, W/4)."""

    def __init__(self, layers: int, channels: int) -> None:
        super().__init__()
        self.backbone, self.head = ResNet(layers), Head(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.backbone(x))
        return out
