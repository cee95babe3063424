"""Trains a net faster on a CPU: parts of it that PyTorch computes slowly in bfloat16 are computed here."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from tools.nets.cspnext import Conv
from tools.train.depthwise import convolved, is_slow
from tools.train.normed import applied


def speed_up(net: nn.Module) -> None:
    """Let slow parts of `net`, which is trained in bfloat16 by autocast, compute themselves here; alike otherwise."""
    for part in net.modules():
        if isinstance(part, Conv):
            part.forward = partial(_normed, part)  # type: ignore[method-assign]
        elif isinstance(part, nn.Conv2d) and is_slow(part):
            part.forward = partial(_depthwise, part)


def _normed(conv: Conv, x: Tensor) -> Tensor:
    return applied(conv, x) if conv.training and torch.is_autocast_enabled("cpu") else Conv.forward(conv, x)


def _depthwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    if not torch.is_autocast_enabled("cpu"):
        return nn.Conv2d.forward(conv, x)
    return convolved(conv, x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last))
