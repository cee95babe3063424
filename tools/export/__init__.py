"""Nets as ONNX, with the names and the batch that their cards state. Needs PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

OPSET = 17


def to_onnx(
    net: nn.Module,
    shape: Sequence[int],
    outputs: Sequence[str],
    path: Path,
    *,
    source: str = "input",
    open_batch: bool = True,
) -> None:
    """One input, called `source`; the first axis of every tensor is the batch, which may be left open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net.eval(),
            (torch.zeros(*shape),),
            str(path),
            input_names=[source],
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (source, *outputs)} if open_batch else None,
            opset_version=OPSET,
            dynamo=False,
        )
