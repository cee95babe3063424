"""The pose models' loss: SimCC as soft labels, compared by Kullback-Leibler divergence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tools.nets.starter import BINS_PER_PX

SHARPNESS = 10.0  # of both distributions
SIGMA_PER_PX = (4.9 / 192, 5.66 / 256)  # spread of a label in bins, per pixel of the input's side


def loss(outputs: tuple[Tensor, Tensor], keypoints: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """`keypoints` (B, K, 3) x, y in px of the input, and whether it counts."""
    lost = keypoints.new_zeros(())
    for axis, (found, side) in enumerate(zip(outputs, size_wh, strict=True)):
        wanted = _label(keypoints[..., axis], side * BINS_PER_PX, SIGMA_PER_PX[axis] * side)
        apart = F.kl_div(
            F.log_softmax(found * SHARPNESS, -1), F.softmax(wanted * SHARPNESS, -1), reduction="none"
        ).mean(-1)
        lost = lost + (apart * keypoints[..., 2]).sum() / keypoints[..., 2].sum().clamp(min=1)
    return lost


def drift(outputs: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor], photographed: Tensor) -> Tensor:
    """How far the net has gone from what it said `before` of the samples `photographed` (B,), so that what rendered
    subjects teach costs nothing on real ones. Source: Li & Hoiem, Learning without Forgetting, ECCV 2016."""
    gone = photographed.new_zeros((), dtype=torch.float32)
    for found, was in zip(outputs, before, strict=True):
        apart = F.kl_div(F.log_softmax(found * SHARPNESS, -1), F.softmax(was * SHARPNESS, -1), reduction="none").mean(
            (-1, -2)
        )
        gone = gone + (apart * photographed).sum() / photographed.sum().clamp(min=1)
    return gone


def _label(place_px: Tensor, bins: int, sigma: float) -> Tensor:
    """(B, K, bins): a bell around the place."""
    at = torch.arange(bins, device=place_px.device)
    return torch.exp(-((at - place_px[..., None] * BINS_PER_PX) ** 2) / (2 * sigma**2))
