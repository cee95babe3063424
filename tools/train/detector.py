"""The loss of the detector: task-aligned assignment, quality focal loss, GIoU; and what a teacher adds.

Source: Feng et al., TOOD, ICCV 2021; Li et al., GFL, NeurIPS 2020; as RTMDet combines them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tools.nets.rtmdet import STRIDES
from tools.nets.starter import Detector
from tools.train.pictures import HORSE, PERSON, SIZE_WH
from tools.train.teacher import WIDTHS

CANDIDATES = 10  # candidate cells per subject
SCORE_POWER, OVERLAP_POWER = 0.5, 6.0
CLASS_WEIGHT, BOX_WEIGHT = 1.5, 2.5
LABELLED_SHARE = 0.5  # weight of the teacher where labels say the same
MIN_SCORE = 0.1  # of the teacher, from which its box is learned
OURS = (PERSON, HORSE)


class Truth(NamedTuple):
    """What is known of a batch."""

    boxes: Tensor  # (B, M, 4) x0 y0 x1 y1
    labels: Tensor  # (B, M)
    is_subject: Tensor  # (B, M) whether the row is used; others that are not empty are regions to ignore
    complete: Tensor  # (B, 2) whether every person, every horse has a box


class Taught(NamedTuple):
    """What the teacher says of a batch."""

    scores: Tensor  # (B, N, C)
    boxes: Tensor  # (B, N, 4) x0 y0 x1 y1
    maps: list[Tensor]


class Hints(nn.Module):
    """Compares the detector's maps with the teacher's, each channel of which is normalised; used in training only."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        own = [
            *(lateral.conv.in_channels for lateral in net.lateral),
            *(lateral.conv.out_channels for lateral in net.lateral),
        ]
        self.adapters = nn.ModuleList(nn.Conv2d(width, theirs, 1) for width, theirs in zip(own, WIDTHS, strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False, momentum=0.02) for width in WIDTHS)

    def forward(self, maps: list[Tensor], taught: list[Tensor]) -> Tensor:
        apart = [
            F.smooth_l1_loss(adapter(one), norm(other))
            for adapter, norm, one, other in zip(self.adapters, self.norms, maps, taught, strict=True)
        ]
        return torch.stack(apart).sum()


def priors(size_wh: tuple[int, int] = SIZE_WH) -> Tensor:
    """Return corner x, y and stride (N, 3) of every cell, px, smallest stride first."""
    cells = []
    for stride in STRIDES:
        across, down = (torch.arange(side // stride) * stride for side in size_wh)
        y, x = torch.meshgrid(down, across, indexing="ij")
        cells.append(torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), stride)], 1))
    return torch.cat(cells).float()


def loss(outputs: tuple[Tensor, ...], truth: Truth, cells: Tensor) -> Tensor:
    """Return the loss against the labels; `cells` from `priors`.

    Every labelled kind is taught where it is, and there that it is no other kind. That nothing is elsewhere is taught
    of people and horses only, and only where all of them are labelled.
    """
    logits, found = _read(outputs, cells)
    with torch.no_grad():
        quality, matched = assign(logits.sigmoid(), found, truth, cells)
        labels = torch.gather(truth.labels, 1, matched)
        wanted = F.one_hot(labels, logits.shape[2]) * quality[..., None]
        target = torch.gather(truth.boxes, 1, matched[..., None].expand(-1, -1, 4))
        known = _known(truth, cells, logits.shape[2])
        counted = torch.maximum(known, (quality > 0).float()[..., None])  # one kind excludes all others
    total = quality.sum().clamp(min=1)
    hard = ((logits.sigmoid() - wanted).abs() ** 1.5 + 0.5 * wanted).detach() * counted
    of_class = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * hard).sum() / total
    at = quality > 0
    of_box = ((1 - iou(found[at], target[at], generalised=True)) * quality[at]).sum() / total
    return CLASS_WEIGHT * of_class + BOX_WEIGHT * of_box


def teacher_loss(outputs: tuple[Tensor, ...], taught: Taught, truth: Truth, cells: Tensor) -> Tensor:
    """Return the distance to the teacher's scores and boxes, in every cell."""
    logits, found = _read(outputs, cells)
    best = taught.scores.amax(2)
    total = best.sum().clamp(min=1)
    labelled = (_within(truth.boxes, cells) & truth.is_subject[..., None]).any(1).float()[..., None]
    share = 1 - (1 - LABELLED_SHARE) * torch.maximum(_known(truth, cells, logits.shape[2]), labelled)
    hard = ((logits.sigmoid() - taught.scores).abs() ** 1.5 + 0.5 * taught.scores).detach() * share
    of_class = (F.binary_cross_entropy_with_logits(logits, taught.scores, reduction="none") * hard).sum() / total
    at = best > MIN_SCORE
    of_box = ((1 - iou(found[at], taught.boxes[at], generalised=True)) * best[at]).sum() / total
    return CLASS_WEIGHT * of_class + BOX_WEIGHT * of_box


def _read(outputs: tuple[Tensor, ...], cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (B, N, C) and boxes (B, N, 4)."""
    logits, sides = (
        torch.cat([one.flatten(2).transpose(1, 2) for one in outputs[at : at + len(STRIDES)]], 1)
        for at in (0, len(STRIDES))
    )
    return logits, torch.cat([cells[:, :2] - sides[..., :2], cells[:, :2] + sides[..., 2:]], -1)


def _known(truth: Truth, cells: Tensor, classes: int) -> Tensor:
    """Return in which cells and classes (B, N, C) the background is known: 1, else 0."""
    ignored = _within(truth.boxes, cells) & ~truth.is_subject[..., None]
    clear = (~ignored.any(1)).float()
    known = clear.new_zeros(*clear.shape, classes)
    for number, kind in enumerate(OURS):
        known[..., kind] = clear * truth.complete[:, number, None]
    return known


def _within(boxes: Tensor, cells: Tensor) -> Tensor:
    """Return whether the corner of a cell lies in a box (B, M, N)."""
    x, y = cells[:, 0], cells[:, 1]
    return (x > boxes[..., :1]) & (x < boxes[..., 2:3]) & (y > boxes[..., 1:2]) & (y < boxes[..., 3:4])


def assign(scores: Tensor, found: Tensor, truth: Truth, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return the quality (B, N) of every cell as a positive, 0 for negatives, and its subject (B, N)."""
    boxes, labels = truth.boxes, truth.labels
    own = torch.gather(scores, 2, labels[:, None, :].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    shared = iou(found[:, None], boxes[:, :, None]).clamp(0, 1)
    within = _within(boxes, cells) & truth.is_subject[..., None]
    aligned = own.clamp(min=1e-6) ** SCORE_POWER * shared**OVERLAP_POWER * within
    chosen = torch.zeros_like(within).scatter_(2, aligned.topk(CANDIDATES, -1).indices, True) & within
    best = torch.where(chosen, shared, shared.new_tensor(-1.0)).argmax(1)
    chosen &= F.one_hot(best, boxes.shape[1]).transpose(1, 2).bool()
    aligned = aligned * chosen
    most, widest = aligned.amax(-1, keepdim=True), (shared * chosen).amax(-1, keepdim=True)
    return (aligned / (most + 1e-9) * widest).amax(1), chosen.float().argmax(1)


def iou(a: Tensor, b: Tensor, *, generalised: bool = False) -> Tensor:
    """Return the IoU of boxes x0 y0 x1 y1, or the generalised IoU (Rezatofighi, 2019)."""
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    total = sum((q[..., 2:] - q[..., :2]).clamp(min=0).prod(-1) for q in (a, b)) - shared + 1e-6
    if not generalised:
        return shared / total
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1) + 1e-6
    return shared / total - (hull - total) / hull
