"""A loaded net as an ONNX file: static shapes, RGB 0–255 in, normalisation inside, metadata that says what it is."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from tools.export.checkpoint import Loaded

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WHITE = {"integral": 255.0}  # the others were trained on pixels that nobody divided by 255
OPSET = 17


class Normalised(nn.Module):
    """The net behind its normalisation. Zero padding inside the net keeps meaning the mean colour."""

    def __init__(self, net: nn.Module, white: float) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) * white)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1) * white)

    def forward(self, rgb: Tensor) -> Tensor | tuple[Tensor, ...]:
        out: Tensor | tuple[Tensor, ...] = self.net((rgb - self.get_buffer("mean")) / self.get_buffer("std"))
        return out


def write(family: str, loaded: Loaded, path: Path) -> str:
    """Write the file; its sha256."""
    width, height = loaded.size_wh
    outputs = ["volume"] if loaded.depth else ["root_xy", "gamma"]
    net = Normalised(loaded.net, WHITE.get(family, 1.0)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        image = torch.zeros(1, 3, height, width)
        torch.onnx.export(
            net, (image,), str(path), input_names=["image"], output_names=outputs, opset_version=OPSET, dynamo=False
        )
    model = onnx.load(path)
    facts = {"family": family, "variant": loaded.variant, "joints": loaded.joints, "depth": loaded.depth}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()} | {"input": "RGB 0-255"})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
