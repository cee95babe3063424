"""The loss of the models of people in space: along each axis, the distribution of a joint and its mean."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tools.nets.space import CELLS, DEPTH, PX_PER_BIN, Seen

SPAN_MM = 2000.0  # depth of a volume
SIGMA = 0.8  # spread of a label, bins
FLAT, DEEP = 1, 2  # of a joint: x and y are known; z too
DEPTH_WEIGHT = 6.0  # of the relative error of a distance, beside errors in bins
ROOT_WEIGHT = 0.3  # of the root's position, which few use
Z = 2


class Truth(NamedTuple):
    joints: Tensor  # (B, J, 4) x, y in px of the window, z from the root in mm, state: 0, FLAT or DEEP
    gamma: Tensor  # (B,) depth of the root over k; 0: not known


def loss(seen: Seen, truth: Truth) -> Tensor:
    """Return the loss of a batch, about in bins."""
    state, wanted = truth.joints[..., 3], bins(truth.joints)
    total = seen.gamma.new_zeros(())
    for axis, activations in enumerate(seen.axes):
        known = state == DEEP if axis == Z else state >= FLAT
        total = total + _apart(activations.softmax(-1), wanted[..., axis], known)
    place = seen.place.flatten(1).softmax(1).view(-1, CELLS, CELLS)
    for axis, share in enumerate((place.sum(1), place.sum(2))):
        total = total + ROOT_WEIGHT * _apart(share, wanted[:, 0, axis], state[:, 0] >= FLAT)
    return total + DEPTH_WEIGHT * _distance(seen.gamma.flatten(), truth.gamma)


def bins(joints: Tensor) -> Tensor:
    """Return positions (B, J, 3) in bins of joints (B, J, 4) in px and mm."""
    z = (joints[..., 2:3] / SPAN_MM + 0.5) * DEPTH
    return torch.cat([joints[..., :2] / PX_PER_BIN, z], -1)


def means(marginal: Tensor) -> Tensor:
    """Return the mean (...) of distributions (..., bins), in bins."""
    return marginal @ torch.arange(marginal.shape[-1], dtype=marginal.dtype)


def _apart(found: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """Return how far distributions (..., N) are from positions (...), in mean and form; those that do not count."""
    inside = counts & (wanted > -1) & (wanted < found.shape[-1])
    at = torch.arange(found.shape[-1])
    label = torch.exp(-((at - wanted[..., None]) ** 2) / (2 * SIGMA**2)) + 1e-6
    label = label / label.sum(-1, keepdim=True)
    form = -(label * found.clamp(min=1e-7).log()).sum(-1)
    off = (means(found) - wanted).abs()
    return ((off + form) * inside).sum() / inside.sum().clamp(min=1)


def _distance(found: Tensor, wanted: Tensor) -> Tensor:
    known = wanted > 0
    return ((found / wanted.clamp(min=1e-3) - 1).abs() * known).sum() / known.sum().clamp(min=1)
