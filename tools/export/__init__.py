"""Export of nets to ONNX, with the names and batch of their cards. Needs PyTorch."""

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
) -> None:
    """Write an ONNX file with one input, named `source`; the first axis is the batch, and dynamic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net.eval(),
            (torch.zeros(*shape),),
            str(path),
            input_names=[source],
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch"} for name in (source, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
