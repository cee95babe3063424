"""RTMDet: CSPNeXt, a path aggregation pyramid, and separated heads; without NMS.

Source: Lyu et al., RTMDet, arXiv 2212.07784.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.nets.cspnext import Conv, Csp, CspNext, conv3

STRIDES = (8, 16, 32)
BRANCH = 2  # convolutions before each head


class Neck(nn.Module):
    """Coarse maps into the finer ones, then back; all of one width in the end."""

    def __init__(self, widths: tuple[int, ...], out: int, blocks: int, *, light: bool) -> None:
        super().__init__()
        fine, middle, coarse = widths

        def csp(inside: int, width: int) -> Csp:
            return Csp(inside, width, blocks, adds=False, attends=False, light=light)

        self.reduce_layers = nn.ModuleList([Conv(coarse, middle), Conv(middle, fine)])
        self.top_down_blocks = nn.ModuleList([csp(2 * middle, middle), csp(2 * fine, fine)])
        self.downsamples = nn.ModuleList([conv3(fine, fine, 2, light=light), conv3(middle, middle, 2, light=light)])
        self.bottom_up_blocks = nn.ModuleList([csp(2 * fine, middle), csp(2 * middle, coarse)])
        self.out_convs = nn.ModuleList(conv3(width, out, light=light) for width in widths)

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        fine, middle, coarse = maps
        coarse = self.reduce_layers[0](coarse)
        middle = self.top_down_blocks[0](torch.cat([_doubled(coarse), middle], 1))
        middle = self.reduce_layers[1](middle)
        fine = self.top_down_blocks[1](torch.cat([_doubled(middle), fine], 1))
        middle = self.bottom_up_blocks[0](torch.cat([self.downsamples[0](fine), middle], 1))
        coarse = self.bottom_up_blocks[1](torch.cat([self.downsamples[1](middle), coarse], 1))
        return [conv(level) for conv, level in zip(self.out_convs, (fine, middle, coarse), strict=True)]


class Head(nn.Module):
    """Logits per class, and distances to the box's sides in px; two branches per level."""

    def __init__(self, width: int, classes: int, *, light: bool, exponential: bool) -> None:
        super().__init__()
        self.cls_convs, self.reg_convs = (
            nn.ModuleList(nn.Sequential(*(conv3(width, width, light=light) for _ in range(BRANCH))) for _ in STRIDES)
            for _ in range(2)
        )
        self.rtm_cls = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in STRIDES)
        self.rtm_reg = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in STRIDES)
        self.exponential = exponential

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, ...]:
        logits, sides = [], []
        for number, (x, stride) in enumerate(zip(levels, STRIDES, strict=True)):
            logits.append(self.rtm_cls[number](self.cls_convs[number](x)))
            raw = self.rtm_reg[number](self.reg_convs[number](x))
            sides.append((raw.exp() if self.exponential else raw) * stride)
        return (*logits, *sides)


class RtmDet(nn.Module):
    """(B, 3, H, W) BGR, normalised, to three maps of logits (B, C, h, w), then three of l, t, r, b (B, 4, h, w)."""

    def __init__(
        self, widen: float, blocks: tuple[int, ...], neck: tuple[int, int], classes: int, *, light: bool
    ) -> None:
        """`neck`: its blocks and the width of its outputs. From full width on, nets predict logarithms of distances."""
        super().__init__()
        depth, width = neck
        self.backbone = CspNext(widen, blocks, light=light)
        self.neck = Neck((int(256 * widen), int(512 * widen), int(1024 * widen)), width, depth, light=light)
        self.bbox_head = Head(width, classes, light=light, exponential=widen >= 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return cast("tuple[Tensor, ...]", self.bbox_head(self.neck(self.backbone(x))))


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
