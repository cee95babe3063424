"""The starter models of people in space: the pose model's net with a third axis, and how far away a person is.

They are learned together and exported apart. A joint's volume is the sum of the logarithms of its distributions along
x, y and z, so that its softmax is their product: what decodes volumes of the ConvNeXtPose family decodes these.
Source: Li et al., SimCC, ECCV 2022; Moon et al., Camera Distance-aware Top-down Approach, ICCV 2019.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.card.schema import SCHEMAS
from tools.nets.convnextpose import Step
from tools.nets.rtmpose import HIDDEN, Gau, RtmPose, ScaleNorm
from tools.nets.starter import BINS_PER_PX, PX_PER_CELL, SHARPNESS, pose_net

SCHEMA = "h36m-18"
NAMES = SCHEMAS[SCHEMA].keypoints
JOINTS, DEPTH = len(NAMES), 32  # joints; bins along z
SIDE = 256  # of the input, px
CELLS = 32  # bins along x and y, and of the root's map
PX_PER_BIN = SIDE // CELLS
WIDTH, ROOT_WIDTH = 384, 64  # channels of the backbone's last map; of the root's layers
POSE_WH = (192, 256)  # input of the pose model that it starts from, px
LIKE = {  # joints that start as the mean of keypoints of COCO
    "pelvis": ("left_hip", "right_hip"),
    "torso": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "neck": ("left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "head_top": ("nose", "left_eye", "right_eye"),
}


class Seen(NamedTuple):
    axes: tuple[Tensor, Tensor, Tensor]  # (B, JOINTS, bins) activations along x, y and z
    place: Tensor  # (B, 1, CELLS, CELLS) activations of the root's position
    gamma: Tensor  # (B, 1) the root's depth over RootNet's k


class Axes(nn.Module):
    """The head of RTMPose with a classifier for z: the last map to activations along x, y and z."""

    def __init__(self) -> None:
        super().__init__()
        cells = (SIDE // PX_PER_CELL) ** 2
        self.final_layer = nn.Conv2d(WIDTH, JOINTS, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, HIDDEN, bias=False))
        self.gau = Gau()
        self.cls_x, self.cls_y, self.cls_z = (nn.Linear(HIDDEN, bins, bias=False) for bins in (CELLS, CELLS, DEPTH))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.gau(self.mlp(self.final_layer(x).flatten(2)))
        return SHARPNESS * self.cls_x(x), SHARPNESS * self.cls_y(x), SHARPNESS * self.cls_z(x)

    @torch.no_grad()
    def start(self, pose: RtmPose) -> None:
        """Take over what the pose model knows: its window is the middle of this one, three quarters as wide."""
        names, head = list(SCHEMAS["coco-17"].keypoints), pose.head
        for k, name in enumerate(NAMES):
            like = [names.index(one) for one in LIKE.get(name, (name,))]
            self.final_layer.weight[k], self.final_layer.bias[k] = (
                part[like].mean(0) for part in (head.final_layer.weight, head.final_layer.bias)
            )
        rows, columns = (side // PX_PER_CELL for side in reversed(POSE_WH))
        own, theirs = (cast(nn.Linear, mlp[1]).weight for mlp in (self.mlp, head.mlp))
        wide = torch.zeros(HIDDEN, rows, SIDE // PX_PER_CELL)
        wide[..., 1:-1] = theirs.view(HIDDEN, rows, columns) * (columns / wide.shape[-1]) ** 0.5
        own.copy_(wide.flatten(1))
        cast(ScaleNorm, self.mlp[0]).load_state_dict(head.mlp[0].state_dict())
        self.gau.load_state_dict(head.gau.state_dict())
        for classifier, known, width in zip((self.cls_x, self.cls_y), (head.cls_x, head.cls_y), POSE_WH, strict=True):
            px = torch.arange(width * BINS_PER_PX) / BINS_PER_PX + (SIDE - width) / 2
            for i in range(CELLS):
                near = (px - PX_PER_BIN * i).abs() <= PX_PER_BIN / 2
                classifier.weight[i] = known.weight[near].mean(0) if near.any() else 0.0


class Distance(nn.Module):
    """The last map of a backbone to the root's map and gamma."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(Step(WIDTH, ROOT_WIDTH, doubles=True), Step(ROOT_WIDTH, ROOT_WIDTH, doubles=True))
        self.xy_layer = nn.Conv2d(ROOT_WIDTH, 1, 1)
        self.mix_layer, self.depth_layer = nn.Conv2d(WIDTH, ROOT_WIDTH, 1), nn.Conv2d(ROOT_WIDTH, 1, 1)
        nn.init.ones_(cast(Tensor, self.depth_layer.bias))  # a person of usual size

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mixed = functional.relu(self.mix_layer(x.mean((2, 3), keepdim=True)))
        return self.xy_layer(self.up(x)), self.depth_layer(mixed).flatten(1)


class Space(nn.Module):
    """(B, 3, SIDE, SIDE) RGB, normalised, to all outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = pose_net(17, POSE_WH).backbone
        self.axes, self.root = Axes(), Distance()

    def start(self, pose: RtmPose) -> None:
        """Take over what a pose model with COCO's keypoints knows."""
        self.backbone.load_state_dict(pose.backbone.state_dict())
        self.axes.start(pose)

    def freeze(self) -> None:
        """Leave all before stride 16 as it is: edges and limbs are known, and a step takes half the time."""
        for part in (self.backbone.stem, *self.backbone.stages[:2]):
            part.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Seen:
        last = self.backbone(x)[-1].float()
        with torch.autocast("cpu", enabled=False):
            return Seen(self.axes(last), *self.root(last))


class Lifting(nn.Module):
    """The part of `Space` that a model of task `lift` has: (B, JOINTS · DEPTH, CELLS, CELLS)."""

    def __init__(self, net: Space) -> None:
        super().__init__()
        self.backbone, self.axes = net.backbone, net.axes

    def forward(self, x: Tensor) -> Tensor:
        along_x, along_y, along_z = (axis.log_softmax(-1) for axis in self.axes(self.backbone(x)[-1]))
        volume = along_z[..., None, None] + along_y[:, :, None, :, None] + along_x[:, :, None, None, :]
        return cast(Tensor, volume.view(-1, JOINTS * DEPTH, CELLS, CELLS))


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
