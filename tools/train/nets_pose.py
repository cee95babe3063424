"""RTMPose-t: CSPNeXt-tiny, a gated attention unit over the keypoints, two SimCC classifiers.

Source: Jiang et al., RTMPose, arXiv 2303.07399; Li et al., SimCC, ECCV 2022; Hua et al., GAU, ICML 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tools.train.nets_detector import CSP, Conv, Pyramid

SPLIT = 2  # bins per pixel
STRIDE = 32
WIDTHS = (24, 48, 96, 192, 384)
HIDDEN = 256
KEY = 128


class ScaleNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = width**-0.5
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x / (torch.linalg.norm(x, dim=-1, keepdim=True) * self.scale).clamp(min=1e-5) * self.gain


class Gau(nn.Module):
    """Gated attention unit: (B, K, D) to the same."""

    def __init__(self, width: int = HIDDEN) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(2, KEY)), nn.Parameter(torch.rand(2, KEY))
        self.residual = nn.Parameter(torch.ones(width))
        self.mix = nn.Linear(width, 4 * width + KEY, bias=False)
        self.out = nn.Linear(2 * width, width, bias=False)
        self.norm = ScaleNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.out.in_features
        gate, value, base = torch.split(F.silu(self.mix(self.norm(x))), [wide, wide, KEY], -1)
        query, key = (base.unsqueeze(2) * self.gamma[None, None] + self.beta).unbind(2)
        attention = F.relu(query @ key.transpose(1, 2) / math.sqrt(KEY)) ** 2
        return x * self.residual + self.out(gate * (attention @ value))


class Pose(nn.Module):
    """(B, 3, H, W) RGB, normalised, to (B, K, 2 W) and (B, K, 2 H) activations."""

    def __init__(self, keypoints: int, size_wh: tuple[int, int]) -> None:
        super().__init__()
        a, *rest = WIDTHS
        self.stem = nn.Sequential(Conv(3, a // 2, 3, 2), Conv(a // 2, a // 2, 3), Conv(a // 2, a, 3))
        stages = []
        for inside, out in zip(WIDTHS, rest, strict=False):
            last = out == WIDTHS[-1]
            csp = CSP(out, out, 1, residual=not last, attention=True)
            stages.append(nn.Sequential(Conv(inside, out, 3, 2), *([Pyramid(out)] if last else []), csp))
        self.stages = nn.ModuleList(stages)
        cells = (size_wh[0] // STRIDE) * (size_wh[1] // STRIDE)
        self.points = nn.Conv2d(WIDTHS[-1], keypoints, 7, 1, 3)
        self.hidden = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, HIDDEN, bias=False))
        self.gau = Gau()
        self.along_x = nn.Linear(HIDDEN, size_wh[0] * SPLIT, bias=False)
        self.along_y = nn.Linear(HIDDEN, size_wh[1] * SPLIT, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        x = self.gau(self.hidden(self.points(x).flatten(2)))
        return self.along_x(x), self.along_y(x)
