"""RTMPose: CSPNeXt, a gated attention unit over the keypoints, two SimCC classifiers.

Source: Jiang et al., RTMPose, arXiv 2303.07399; Li et al., SimCC, ECCV 2022; Hua et al., GAU, ICML 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.nets.cspnext import CspNext

HIDDEN, KEY = 256, 128
MIN_NORM = 1e-5


class ScaleNorm(nn.Module):
    """x / max(|x| / sqrt(D), MIN_NORM) · g."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = width**-0.5
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x / (torch.linalg.norm(x, dim=-1, keepdim=True) * self.scale).clamp(min=MIN_NORM) * self.g


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Gau(nn.Module):
    """Gated attention unit: (B, K, D) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(2, KEY)), nn.Parameter(torch.rand(2, KEY))
        self.res_scale = Scale(HIDDEN)
        self.uv = nn.Linear(HIDDEN, 4 * HIDDEN + KEY, bias=False)
        self.o = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
        self.ln = ScaleNorm(HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        u, v, base = functional.silu(self.uv(self.ln(x))).split([2 * HIDDEN, 2 * HIDDEN, KEY], -1)
        query, key = (base.unsqueeze(2) * self.gamma + self.beta).unbind(2)
        attention = functional.relu(query @ key.transpose(1, 2) / math.sqrt(KEY)).square()
        out: Tensor = self.res_scale(x) + self.o(u * (attention @ v))
        return out


class Head(nn.Module):
    def __init__(self, inside: int, keypoints: int, cells: int, bins_xy: tuple[int, int]) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(inside, keypoints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, HIDDEN, bias=False))
        self.gau = Gau()
        self.cls_x, self.cls_y = (nn.Linear(HIDDEN, bins, bias=False) for bins in bins_xy)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.gau(self.mlp(self.final_layer(x).flatten(2)))
        return self.cls_x(x), self.cls_y(x)


class RtmPose(nn.Module):
    """(B, 3, H, W) RGB, normalised, to activations (B, K, bins) along x and along y."""

    def __init__(
        self, widen: float, blocks: tuple[int, ...], keypoints: int, cells: int, bins_xy: tuple[int, int]
    ) -> None:
        super().__init__()
        self.backbone = CspNext(widen, blocks)
        self.head = Head(int(1024 * widen), keypoints, cells, bins_xy)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        along_x, along_y = self.head(self.backbone(x)[-1])
        return along_x, along_y
