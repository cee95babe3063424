"""The loss of the detector: task-aligned assignment, quality focal loss, GIoU.

Source: Feng et al., TOOD, ICCV 2021; Li et al., GFL, NeurIPS 2020; as RTMDet combines them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tools.nets.rtmdet import STRIDES
from tools.train.pictures import SIZE_WH

CANDIDATES = 10  # candidate cells per subject
SCORE_POWER, OVERLAP_POWER = 0.5, 6.0
CLASS_WEIGHT, BOX_WEIGHT = 1.5, 2.5
MIN_SCORE = 0.2  # score from which distillation applies to a box


def priors() -> Tensor:
    """Return corner x, y and stride (N, 3) of every cell, px, smallest stride first."""
    cells = []
    for stride in STRIDES:
        across, down = (torch.arange(side // stride) * stride for side in SIZE_WH)
        y, x = torch.meshgrid(down, across, indexing="ij")
        cells.append(torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), stride)], 1))
    return torch.cat(cells).float()


class Truth(NamedTuple):
    """The subjects of a batch."""

    boxes: Tensor  # (B, M, 4) x0 y0 x1 y1
    labels: Tensor  # (B, M)
    is_subject: Tensor  # (B, M) whether the row is used


def loss(outputs: tuple[Tensor, ...], truth: Truth, cells: Tensor) -> Tensor:
    """Return the loss of a batch; `cells` from `priors`."""
    logits, distances = (_flat(outputs[at : at + len(STRIDES)]) for at in (0, len(STRIDES)))
    found = torch.cat([cells[:, :2] - distances[..., :2], cells[:, :2] + distances[..., 2:]], -1)
    with torch.no_grad():
        quality, matched = assign(logits.sigmoid(), found, truth, cells)
        wanted = F.one_hot(torch.gather(truth.labels, 1, matched), logits.shape[2]) * quality[..., None]
        target = torch.gather(truth.boxes, 1, matched[..., None].expand(-1, -1, 4))
    total = quality.sum().clamp(min=1)
    hard = ((logits.sigmoid() - wanted).abs() ** 1.5 + 0.5 * wanted).detach()
    of_class = (F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * hard).sum() / total
    in_subject = quality > 0
    of_box = ((1 - iou(found[in_subject], target[in_subject], generalised=True)) * quality[in_subject]).sum() / total
    return CLASS_WEIGHT * of_class + BOX_WEIGHT * of_box


def distillation_loss(outputs: tuple[Tensor, ...], before: tuple[Tensor, ...], truth: Truth, cells: Tensor) -> Tensor:
    """Return the distance between the outputs and those `before` training, in the cells of the subjects, so that new
    images do not reduce the accuracy on old ones. Other cells are ignored, as the old outputs may be wrong there.

    Source: Li & Hoiem, Learning without Forgetting, ECCV 2016.
    """
    (logits, distances), (old, old_distances) = (
        tuple(_flat(maps[at : at + len(STRIDES)]) for at in (0, len(STRIDES))) for maps in (outputs, before)
    )
    kinds = F.one_hot(truth.labels, logits.shape[2]).float()
    in_subject = torch.einsum("bmn,bmc->bnc", inside(truth, cells).float(), kinds) > 0
    old_scores = old.sigmoid() * in_subject
    total = old_scores.amax(2).sum().clamp(min=1)
    apart = F.binary_cross_entropy_with_logits(logits, old_scores, reduction="none") - F.binary_cross_entropy(
        old_scores, old_scores, reduction="none"
    )
    confident = old_scores.amax(2) * (old_scores.amax(2) > MIN_SCORE)
    a, b = (torch.cat([cells[:, :2] - d[..., :2], cells[:, :2] + d[..., 2:]], -1) for d in (distances, old_distances))
    moved = (1 - iou(a, b, generalised=True)) * confident
    return CLASS_WEIGHT * (apart * in_subject).sum() / total + BOX_WEIGHT * moved.sum() / total


def inside(truth: Truth, cells: Tensor) -> Tensor:
    """Return whether the corner of a cell lies in the box of a subject (B, M, N)."""
    boxes, x, y = truth.boxes, cells[:, 0], cells[:, 1]
    within = (x > boxes[..., :1]) & (x < boxes[..., 2:3]) & (y > boxes[..., 1:2]) & (y < boxes[..., 3:4])
    return within & truth.is_subject[..., None]


def assign(scores: Tensor, found: Tensor, truth: Truth, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Return the quality (B, N) of every cell as a positive, 0 for negatives, and its subject (B, N)."""
    boxes, labels, _ = truth
    own = torch.gather(scores, 2, labels[:, None, :].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    shared = iou(found[:, None], boxes[:, :, None]).clamp(0, 1)
    within = inside(truth, cells)
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


def _flat(maps: tuple[Tensor, ...]) -> Tensor:
    """(B, C, h, w) per stride to (B, N, C)."""
    return torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)
