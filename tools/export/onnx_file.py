"""Writes the ONNX file of a net, with metadata, and with normalisation if the card has none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from tools.export import to_onnx
from tools.export.families import Export

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalised(nn.Module):
    """A net with normalisation in front, so that zero padding inside the net is still the mean colour."""

    def __init__(self, net: nn.Module, white: float) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) * white)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1) * white)

    def forward(self, rgb: Tensor) -> Tensor | tuple[Tensor, ...]:
        out: Tensor | tuple[Tensor, ...] = self.net((rgb - self.get_buffer("mean")) / self.get_buffer("std"))
        return out


def write(export: Export, path: Path) -> str:
    """Write the file and return its sha256. The batch is dynamic."""
    width, height = export.size_wh
    if export.white is None:
        to_onnx(export.net, (1, 3, height, width), export.outputs, path)
    else:
        net = Normalised(export.net, export.white)
        to_onnx(net, (1, 3, height, width), export.outputs, path, source="image")
    model = onnx.load(path)
    feed = "normalised, see the card" if export.white is None else "RGB, 0 to 255"
    table = {key: str(value) for key, value in (export.table or {}).items()}
    onnx.helper.set_model_props(model, {"name": export.name, "input": feed, **table})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
