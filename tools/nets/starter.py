"""The starter models and the settings they are trained with.

The detector has the backbone of RTMDet at a quarter of its width, a narrower neck and one head for all strides; the
pose nets are RTMPose-t.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.nets.cspnext import Conv, Csp, CspNext, Separable
from tools.nets.rtmdet import STRIDES
from tools.nets.rtmpose import RtmPose

BINS_PER_PX = 2  # of SimCC
PX_PER_CELL = 32  # stride of the last stage
WIDEN, BLOCKS, NECK_WIDTH = 0.25, (1, 2, 2, 1), 64  # of the detector
PRIOR_LOGIT = -4.6  # of a class before anything is learned: one cell in a hundred
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03  # of batch norms, as CSPNeXt is trained


class Detector(nn.Module):
    """(B, 3, H, W) BGR, normalised, to three maps of logits (B, C, h, w), then three of l, t, r, b (B, 4, h, w), px."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        width = NECK_WIDTH
        self.backbone = CspNext(WIDEN, BLOCKS)
        self.lateral = nn.ModuleList(Conv(int(wide * WIDEN), width) for wide in (256, 512, 1024))
        self.top_down = nn.ModuleList(_csp(2 * width, width) for _ in range(2))
        self.downsample = nn.ModuleList(Conv(width, width, 3, 2) for _ in range(2))
        self.bottom_up = nn.ModuleList(_csp(2 * width, width) for _ in range(2))
        self.class_branch, self.box_branch = (
            nn.Sequential(Separable(width, width, 5), Separable(width, width, 5)) for _ in range(2)
        )
        self.logits = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in STRIDES)
        self.distances = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in STRIDES)
        for head in self.logits:
            nn.init.constant_(head.bias, PRIOR_LOGIT)
        _set_norms(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.backbone.maps(x)
        fine, middle, coarse = (lateral(level) for lateral, level in zip(self.lateral, maps, strict=True))
        middle = self.top_down[0](torch.cat([_doubled(coarse), middle], 1))
        fine = self.top_down[1](torch.cat([_doubled(middle), fine], 1))
        middle = self.bottom_up[0](torch.cat([self.downsample[0](fine), middle], 1))
        coarse = self.bottom_up[1](torch.cat([self.downsample[1](middle), coarse], 1))
        levels = (fine, middle, coarse)
        logits = [head(self.class_branch(level)) for head, level in zip(self.logits, levels, strict=True)]
        sides = [
            head(self.box_branch(level)) * stride
            for head, level, stride in zip(self.distances, levels, STRIDES, strict=True)
        ]
        return (*logits, *sides)


def pose_net(keypoints: int, size_wh: tuple[int, int]) -> RtmPose:
    """RTMPose-t for crops of `size_wh` px: (B, 3, H, W) RGB, normalised, to (B, K, 2 W) and (B, K, 2 H) activations."""
    width, height = size_wh
    cells = (width // PX_PER_CELL) * (height // PX_PER_CELL)
    net = RtmPose(0.375, (1, 1, 1, 1), keypoints, cells, (width * BINS_PER_PX, height * BINS_PER_PX))
    _set_norms(net)
    return net


def _csp(inside: int, out: int) -> Csp:
    return Csp(inside, out, 1, adds=False, attends=False, light=False)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0)


def _set_norms(net: nn.Module) -> None:
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps, norm.momentum = NORM_EPS, NORM_MOMENTUM
