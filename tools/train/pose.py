"""The pose models' loss: SimCC as soft labels, compared by Kullback-Leibler divergence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tools.nets.starter import BINS_PER_PX

SHARPNESS = 10.0  # of both distributions
SIGMA_PER_PX = (4.9 / 192, 5.66 / 256)  # spread of a label in bins, per pixel of the input's side


def loss(outputs: tuple[Tensor, Tensor], keypoints: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Return the loss of a batch; `keypoints` (B, K, 3): x, y in px of the input, and whether it counts."""
    total = keypoints.new_zeros(())
    for axis, (found, side) in enumerate(zip(outputs, size_wh, strict=True)):
        wanted = _label(keypoints[..., axis], side * BINS_PER_PX, SIGMA_PER_PX[axis] * side)
        apart = F.kl_div(
            F.log_softmax(found * SHARPNESS, -1), F.softmax(wanted * SHARPNESS, -1), reduction="none"
        ).mean(-1)
        total = total + (apart * keypoints[..., 2]).sum() / keypoints[..., 2].sum().clamp(min=1)
    return total


def distillation_loss(outputs: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor], photographed: Tensor) -> Tensor:
    """Return the distance between the outputs and those `before` training, on the samples `photographed` (B,), so that
    rendered subjects do not reduce the accuracy on real ones.

    Source: Li & Hoiem, Learning without Forgetting, ECCV 2016.
    """
    total = photographed.new_zeros((), dtype=torch.float32)
    for found, old in zip(outputs, before, strict=True):
        apart = F.kl_div(F.log_softmax(found * SHARPNESS, -1), F.softmax(old * SHARPNESS, -1), reduction="none").mean(
            (-1, -2)
        )
        total = total + (apart * photographed).sum() / photographed.sum().clamp(min=1)
    return total


def _label(place_px: Tensor, bins: int, sigma: float) -> Tensor:
    """Return a Gaussian around each position (B, K, bins)."""
    at = torch.arange(bins, device=place_px.device)
    return torch.exp(-((at - place_px[..., None] * BINS_PER_PX) ** 2) / (2 * sigma**2))
