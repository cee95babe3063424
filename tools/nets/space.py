"""The starter models of people in space: one backbone, a volume per joint, and how far away the person is.

They are learned together and exported apart: the head of ConvNeXtPose on the backbone of the starter pose model, which
knows people already, and a light RootNet on the same. ConvNeXt begins with nothing, and would need days on one core.
Source: Nguyen et al., ConvNeXtPose, IEEE Access 2023; Moon et al., Camera Distance-aware Top-down Approach, ICCV 2019.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.card.schema import SCHEMAS
from tools.nets.convnextpose import Head, Step
from tools.nets.starter import pose_net

SCHEMA = "h36m-18"
JOINTS, DEPTH = len(SCHEMAS[SCHEMA]), 32  # joints; bins of a joint's volume along z
PX_PER_CELL = 8  # of the volume and of the root's map
SIDE = 256  # of the exported models' input, px
CELLS = SIDE // PX_PER_CELL
HEAD_WIDTH, ROOT_WIDTH = 128, 64
WIDTHS = (192, 384)  # of the last two maps of CSPNeXt-t


class Known(nn.Module):
    """The backbone of the starter pose model, CSPNeXt-t: its last maps, of WIDTHS channels at strides 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.net = pose_net(17, (192, 256)).backbone

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        _, fine, last = self.net(x)
        return fine, last

    def freeze(self) -> None:
        """Leave the stem and the first stage as they are: edges are known, and a step takes two thirds of the time."""
        for part in (self.net.stem, self.net.stages[0]):
            part.requires_grad_(False).eval()


class Seen(NamedTuple):
    volume: Tensor  # (B, JOINTS · DEPTH, H / 8, W / 8) activations
    place: Tensor  # (B, 1, H / 8, W / 8) activations of the root's position
    gamma: Tensor  # (B, 1) the root's depth over RootNet's k


class Distance(nn.Module):
    """The last map of a backbone to the root's map and gamma."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.up = nn.Sequential(Step(inside, ROOT_WIDTH, doubles=True), Step(ROOT_WIDTH, ROOT_WIDTH, doubles=True))
        self.xy_layer = nn.Conv2d(ROOT_WIDTH, 1, 1)
        self.mix_layer, self.depth_layer = nn.Conv2d(inside, ROOT_WIDTH, 1), nn.Conv2d(ROOT_WIDTH, 1, 1)
        nn.init.ones_(cast(Tensor, self.depth_layer.bias))  # a person of usual size

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mixed = functional.relu(self.mix_layer(x.mean((2, 3), keepdim=True)))
        return self.xy_layer(self.up(x)), self.depth_layer(mixed).flatten(1)


class Volumes(nn.Module):
    """The head of ConvNeXtPose, with the map at stride 16 beside it: (B, JOINTS · DEPTH, H / 8, W / 8)."""

    def __init__(self) -> None:
        super().__init__()
        fine, last = WIDTHS
        self.lateral = nn.Conv2d(fine, HEAD_WIDTH, 1)
        self.head = Head(last, HEAD_WIDTH, JOINTS * DEPTH, upsamples=2)

    def forward(self, fine: Tensor, last: Tensor) -> Tensor:
        return cast(Tensor, self.head(last, self.lateral(fine)))


class Space(nn.Module):
    """(B, 3, H, W) RGB, normalised, to all outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.volumes, self.root = Known(), Volumes(), Distance(WIDTHS[-1])

    def forward(self, x: Tensor) -> Seen:
        fine, last = self.backbone(x)
        return Seen(self.volumes(fine, last), *self.root(last))


class Lifting(nn.Module):
    """The part of `Space` that a model of task `lift` has."""

    def __init__(self, net: Space) -> None:
        super().__init__()
        self.backbone, self.volumes = net.backbone, net.volumes

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.volumes(*self.backbone(x)))


class Rooting(nn.Module):
    """The part of `Space` that a model of task `root` has: x and y in CELLS cells (B, 2), and gamma (B, 1)."""

    def __init__(self, net: Space) -> None:
        super().__init__()
        self.backbone, self.root = net.backbone, net.root

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        place, gamma = self.root(self.backbone(x)[-1])
        share = place.flatten(1).softmax(1).view(-1, CELLS, CELLS)
        cells = torch.arange(CELLS, dtype=x.dtype, device=x.device)
        return torch.stack([share.sum(1) @ cells, share.sum(2) @ cells], 1), gamma
