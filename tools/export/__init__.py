"""Trained nets as ONNX, with the names and the dynamic batch that the cards state. Needs PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

OPSET = 17


def to_onnx(net: nn.Module, shape: Sequence[int], outputs: Sequence[str], path: Path) -> None:
    """One input called `input`; the first axis of every tensor is the batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = {name: {0: "batch"} for name in ("input", *outputs)}
    torch.onnx.export(
        net.eval(),
        (torch.zeros(*shape),),
        str(path),
        input_names=["input"],
        output_names=list(outputs),
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
