"""The pose models' loss: SimCC as soft labels, compared by Kullback-Leibler divergence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tools.nets.starter import BINS_PER_PX, SHARPNESS
from tools.train.crops import ABSENT, LABELLED

SIGMA_PER_PX = (4.9 / 192, 5.66 / 256)  # spread of a label in bins, per pixel of the input's side
ABSENT_WEIGHT = 0.3  # of keypoints that are not to be seen, for which a flat distribution is taught


def loss(outputs: tuple[Tensor, Tensor], keypoints: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Return the loss of a batch; `keypoints` (B, K, 3): x, y in px of the input, and state."""
    state = keypoints[..., 2]
    weight = (state == LABELLED) + ABSENT_WEIGHT * (state == ABSENT)
    total = keypoints.new_zeros(())
    for axis, (found, side) in enumerate(zip(outputs, size_wh, strict=True)):
        wanted = _label(keypoints[..., axis], side * BINS_PER_PX, SIGMA_PER_PX[axis] * side)
        wanted = wanted * (state == LABELLED)[..., None]
        apart = F.kl_div(
            F.log_softmax(found * SHARPNESS, -1), F.softmax(wanted * SHARPNESS, -1), reduction="none"
        ).mean(-1)
        total = total + (apart * weight).sum() / weight.sum().clamp(min=1)
    return total


def _label(place_px: Tensor, bins: int, sigma: float) -> Tensor:
    """Return a Gaussian around each position (B, K, bins)."""
    at = torch.arange(bins, device=place_px.device)
    return torch.exp(-((at - place_px[..., None] * BINS_PER_PX) ** 2) / (2 * sigma**2))
