"""The loss of the models of people in space: along each axis, the distribution of a joint and its mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from tools.nets.space import DEPTH, JOINTS, PX_PER_CELL, Seen

SPAN_MM = 2000.0  # depth of a volume
SIGMA = 0.8  # spread of a label, cells
FLAT, DEEP = 1, 2  # of a joint: x and y are known; z too
DEPTH_WEIGHT = 6.0  # of the relative error of a distance, beside cells


class Truth(NamedTuple):
    joints: Tensor  # (B, J, 4) x, y in px of the window, z from the root in mm, state: 0, FLAT or DEEP
    gamma: Tensor  # (B,) depth of the root over k; 0: not known


class Marginals(torch.autograd.Function):
    """Activations (N, D, H, W) to the softmax over all three axes, summed along two: (N, W), (N, H) and (N, D).

    The gradient is written out: built by autograd it takes three times the memory, and a third of a training step.
    """

    @staticmethod
    def forward(ctx: Any, activations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        share = activations.flatten(1).softmax(1).view_as(activations)
        plane, z = share.sum(1), share.sum((2, 3))
        x, y = plane.sum(1), plane.sum(2)
        ctx.save_for_backward(share, x, y, z)
        return x, y, z

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        share, *marginals = ctx.saved_tensors
        x, y, z = gradients
        mean = sum((a * b).sum(1) for a, b in zip(gradients, marginals, strict=True))
        plane = x[:, None, :] + y[:, :, None] - torch.as_tensor(mean)[:, None, None]
        return (z[:, :, None, None] + plane[:, None]).mul_(share)


def loss(seen: Seen, truth: Truth) -> Tensor:
    """Return the loss of a batch, about in cells."""
    state = truth.joints[..., 3]
    volumes = seen.volume.float().unflatten(1, (JOINTS, DEPTH)).flatten(0, 1)
    found = [axis.unflatten(0, state.shape) for axis in Marginals.apply(volumes)]
    wanted = cells(truth.joints)
    total = sum(_apart(found[axis], wanted[..., axis], state >= FLAT) for axis in (0, 1))
    total = total + _apart(found[2], wanted[..., 2], state == DEEP)
    root = [axis for axis, _ in zip(Marginals.apply(seen.place.float()), "xy", strict=False)]
    known = state[:, 0] >= FLAT
    total = total + sum(_apart(found_, wanted[:, 0, axis], known) for axis, found_ in enumerate(root))
    return torch.as_tensor(total) + DEPTH_WEIGHT * _distance(seen.gamma.float().flatten(), truth.gamma)


def cells(joints: Tensor) -> Tensor:
    """Return positions (B, J, 3) in cells of the volume of joints (B, J, 4) in px and mm."""
    z = (joints[..., 2:3] / SPAN_MM + 0.5) * DEPTH
    return torch.cat([joints[..., :2] / PX_PER_CELL, z], -1)


def means(marginal: Tensor) -> Tensor:
    """Return the mean (...) of distributions (..., cells), in cells."""
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
