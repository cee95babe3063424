"""The starter models and the settings they are trained with.

The detector has the backbone of RTMDet at a quarter of its width, a neck of one width, and ReLU; the pose nets are
RTMPose-t.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.nets.cspnext import Conv, Csp, CspNext, Separable, use_relu
from tools.nets.rtmdet import STRIDES
from tools.nets.rtmpose import RtmPose

BINS_PER_PX = 2  # of SimCC
SHARPNESS = 10.0  # of the distributions that the pose nets learn: softmax of so many times the activations
SPREAD = 24.0  # bins; the best of 2 to 32 on the validation photographs, for people and horses
PX_PER_CELL = 32  # stride of the last stage
WIDEN, BLOCKS, NECK_WIDTH = 0.25, (1, 2, 2, 1), 64  # of the detector
PRIOR_LOGIT = -4.6  # of a class before anything is learned: one cell in a hundred
RIVAL_MARGIN = 1.0  # logit; on 496 photographs 0.62 of the horses are found at a precision of 0.77 so, else 0.55
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03  # of batch norms, as CSPNeXt is trained


class Exact(nn.Conv2d):
    """A convolution in single precision, where all around it is trained in half of it."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


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
        self.class_branches, self.box_branches = (
            nn.ModuleList(nn.Sequential(Separable(width, width, 5), Separable(width, width, 5)) for _ in STRIDES)
            for _ in range(2)
        )
        self.logits = nn.ModuleList(Exact(width, classes, 1) for _ in STRIDES)
        self.distances = nn.ModuleList(Exact(width, 4, 1) for _ in STRIDES)
        for head in self.logits:
            nn.init.constant_(head.bias, PRIOR_LOGIT)
        use_relu(self)
        _set_norms(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.heads(self.levels(list(self.backbone.maps(x))))

    def levels(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the neck's maps (B, 64, h, w) of the backbone's."""
        fine, middle, coarse = (lateral(level) for lateral, level in zip(self.lateral, maps, strict=True))
        middle = self.top_down[0](torch.cat([_doubled(coarse), middle], 1))
        fine = self.top_down[1](torch.cat([_doubled(middle), fine], 1))
        middle = self.bottom_up[0](torch.cat([self.downsample[0](fine), middle], 1))
        coarse = self.bottom_up[1](torch.cat([self.downsample[1](middle), coarse], 1))
        return [fine, middle, coarse]

    def heads(self, levels: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs of `forward` from the neck's maps."""
        logits = [
            head(branch(level)) for head, branch, level in zip(self.logits, self.class_branches, levels, strict=True)
        ]
        sides = [
            head(branch(level)) * stride
            for head, branch, level, stride in zip(self.distances, self.box_branches, levels, STRIDES, strict=True)
        ]
        return (*logits, *sides)


class OfCard(nn.Module):
    """A detector of people, horses and other animals as it is exported, with the logits of people and horses.

    A horse's logit falls by as much as another animal's comes nearer to it than RIVAL_MARGIN, or is above it: what may
    be a cow is not shown as a horse.
    """

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        *logits, left, middle, right = self.net(x)
        return (*(_of_card(level) for level in logits), left, middle, right)


def _of_card(logits: Tensor) -> Tensor:
    person, horse, others = logits.split([1, 1, logits.shape[1] - 2], 1)
    above = functional.relu(others.amax(1, keepdim=True) - horse + RIVAL_MARGIN)
    return torch.cat([person, horse - above], 1)


def pose_net(keypoints: int, size_wh: tuple[int, int]) -> RtmPose:
    """RTMPose-t for crops of `size_wh` px: (B, 3, H, W) RGB, normalised, to (B, K, 2 W) and (B, K, 2 H) activations."""
    width, height = size_wh
    cells = (width // PX_PER_CELL) * (height // PX_PER_CELL)
    net = RtmPose(0.375, (1, 1, 1, 1), keypoints, cells, (width * BINS_PER_PX, height * BINS_PER_PX))
    _set_norms(net)
    return net


def nearness(bins: int) -> Tensor:
    """Return how near bins are to one another, (bins, bins): 1 for the same, a Gaussian of SPREAD for others."""
    places = torch.arange(float(bins))
    return torch.exp(-((places - places[:, None]) ** 2) / (2 * SPREAD**2))


def expected(activations: Tensor, near: Tensor) -> Tensor:
    """Return the expected nearness (B, K, bins) of each bin to the keypoint, from 0 to 1; `near` from `nearness`.

    The bin where it is highest is the best answer. The likeliest single bin is not: of a keypoint that may be at two
    places, or anywhere along a limb, it is a narrow peak.
    """
    return torch.softmax(activations * SHARPNESS, -1) @ near


class Probability(nn.Module):
    """Activations (B, K, bins) to sigmoid(slope · log e + offset) of the expected nearness e of each bin.

    Where e is 0 in float32, so is the result. Of the highest bin it is the probability that the keypoint is within
    tolerance.
    Source: Platt, Probabilistic outputs for support vector machines, 1999.
    """

    def __init__(self, bins: int, slope: float, offset: float) -> None:
        super().__init__()
        self.slope, self.offset = slope, offset
        self.register_buffer("near", nearness(bins))

    def forward(self, activations: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * expected(activations, self.near).log() + self.offset)


class Calibrated(nn.Module):
    """A pose net with probabilities along x and y, (B, K, bins) in [0, 1]."""

    def __init__(self, net: RtmPose, size_wh: tuple[int, int], slope: float, offset: float) -> None:
        super().__init__()
        self.net = net
        of_side = {side: Probability(side * BINS_PER_PX, slope, offset) for side in set(size_wh)}
        self.score, self.score_1 = (of_side[side] for side in size_wh)  # one matrix where they are equal

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        along_x, along_y = self.net(x)
        return self.score(along_x), self.score_1(along_y)


def _csp(inside: int, out: int) -> Csp:
    return Csp(inside, out, 1, adds=False, attends=False, light=False)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0)


def _set_norms(net: nn.Module) -> None:
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps, norm.momentum = NORM_EPS, NORM_MOMENTUM
