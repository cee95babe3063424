"""RootNet: position of the root joint in the crop, and gamma, the factor from k to its depth.

Source: Moon et al., Camera Distance-aware Top-down Approach, ICCV 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tools.nets.resnet import ResNet, upsampling

CELLS = 64


class Root(nn.Module):
    """The root's x and y in cells (B, 2), and gamma (B, 1). The depth is gamma · k, computed by the daemon."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv_layers = nn.Sequential(*upsampling())
        self.xy_layer = nn.Conv2d(256, 1, 1)
        self.depth_layer = nn.Conv2d(2048, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        place = self.xy_layer(self.deconv_layers(x)).flatten(1).softmax(1).unflatten(1, (CELLS, CELLS))
        cells = torch.arange(CELLS, dtype=x.dtype, device=x.device)
        xy = torch.stack([place.sum(1) @ cells, place.sum(2) @ cells], 1)
        return xy, self.depth_layer(x.mean((2, 3), keepdim=True)).flatten(1)


class RootNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.root = ResNet(50), Root()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        xy, gamma = self.root(self.backbone(x))
        return xy, gamma
