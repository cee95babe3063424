"""Weights in and out of files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def take(net: nn.Module, path: Path) -> None:
    """Load weights that were saved in the same order, whatever their names were. Raises ValueError on any other."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    own = net.state_dict()
    shapes = [(tuple(a.shape), tuple(b.shape)) for a, b in zip(own.values(), saved.values(), strict=False)]
    if len(own) != len(saved) or any(a != b for a, b in shapes):
        raise ValueError(f"{path}: {len(saved)} tensors that do not fit the {len(own)} of {type(net).__name__}")
    net.load_state_dict({name: value.to(own[name].dtype) for name, value in zip(own, saved.values(), strict=True)})


def keep(net: nn.Module, path: Path) -> None:
    """In half precision, which loses nothing that matters."""
    state = {name: v.half() if v.dtype == torch.float32 else v for name, v in net.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
