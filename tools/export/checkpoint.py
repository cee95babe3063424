"""Official checkpoint files: reading any age of them, and telling from the shapes which net they are of.

Old and zip-serialised torch files, weights under "network" or "state_dict", names with or without "module.".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tools.export.nets.convnextpose import ConvNeXtPose
from tools.export.nets.integral import Integral
from tools.export.nets.mobilehumanpose import LARGE, SMALL, MobileHumanPose
from tools.export.nets.rootnet import RootNet

Weights = Mapping[str, Tensor]
DATA_PARALLEL = "module."
HOLDERS = ("network", "state_dict", "model")
CONVNEXT = {40: ((40, 80, 160, 320), (2, 2, 6, 2)), 48: ((48, 96, 192, 384), (3, 3, 9, 3))}


class CheckpointError(Exception):
    """The file is not what its family's checkpoints are."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A net with its weights, and what only its family and shapes tell."""

    net: nn.Module
    variant: str
    size_wh: tuple[int, int]
    depth: int  # bins along z; 0: no volume
    joints: int


def read(path: Path) -> Weights:
    """The weights of a checkpoint file, without "module."; only tensors and plain values are unpickled."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    for holder in HOLDERS:
        if isinstance(content, dict) and isinstance(content.get(holder), Mapping):
            content = content[holder]
            break
    weights = {name.removeprefix(DATA_PARALLEL): w for name, w in content.items() if isinstance(w, Tensor)}
    if not weights:
        raise CheckpointError(f"{path}: got no tensors; want a file of weights, as published")
    return weights


def convnextpose(weights: Weights, joints: int) -> Loaded:
    stem, final = shape(weights, "backbone.downsample_layers.0.0.weight"), shape(weights, "head.final_layer.weight")
    if stem[0] not in CONVNEXT:
        raise CheckpointError(f"ConvNeXtPose: got a first layer {stem[0]} wide; want one of {sorted(CONVNEXT)}")
    widths, depths = CONVNEXT[stem[0]]
    depth = bins(final[0], joints, (32, 64))
    variant = "xs" if stem[0] == 40 else "l" if final[1] == 512 else "m" if depth == 64 else "s"
    net = ConvNeXtPose(widths, depths, final[1], final[0], depth)
    return Loaded(net=net, variant=variant, size_wh=(256, 256), depth=depth, joints=joints)


def rootnet(weights: Weights, joints: int) -> Loaded:
    return Loaded(net=RootNet(), variant="r50", size_wh=(256, 256), depth=0, joints=1)


def mobilehumanpose(weights: Weights, joints: int) -> Loaded:
    large = shape(weights, "backbone.deconv0.0.weight")[0] == LARGE.widths[0]
    channels = shape(weights, "backbone.final_layer.weight")[0]
    depth = bins(channels, joints, (64,) if large else (32,))
    net = MobileHumanPose(LARGE if large else SMALL, channels)
    variant = "large" if large else "small"
    return Loaded(net=net, variant=variant, size_wh=(256, 256), depth=depth, joints=joints)


def integral(weights: Weights, joints: int) -> Loaded:
    layers = 152 if "backbone.layer3.35.conv1.weight" in weights else 50
    channels = shape(weights, "head.features.9.weight")[0]
    depth = bins(channels, joints, (64, 72))
    size_wh = (288, 384) if depth == 72 else (256, 256)
    return Loaded(net=Integral(layers, channels), variant=f"r{layers}", size_wh=size_wh, depth=depth, joints=joints)


FAMILIES: dict[str, Callable[[Weights, int], Loaded]] = {
    "convnextpose": convnextpose,
    "rootnet": rootnet,
    "mobilehumanpose": mobilehumanpose,
    "integral": integral,
}


def load(family: str, weights: Weights, joints: int = 18) -> Loaded:
    """The net that the weights are of, holding them, ready to run. Raises `CheckpointError`."""
    found = FAMILIES[family](weights, joints)
    names = found.net.state_dict().keys()
    counts = {name for name in names if name.endswith("num_batches_tracked")}  # absent from old files
    missing, extra = names - counts - weights.keys(), weights.keys() - names
    if missing or extra:
        raise CheckpointError(f"{family}: the file lacks {sorted(missing)[:3]} and has unknown {sorted(extra)[:3]}")
    found.net.load_state_dict(dict(weights), strict=False)
    found.net.eval()
    return found


def shape(weights: Weights, name: str) -> tuple[int, ...]:
    if name not in weights:
        raise CheckpointError(f"got no {name!r}, but {sorted(weights)[:3]} …; is it another family's file?")
    return tuple(weights[name].shape)


def bins(channels: int, joints: int, allowed: tuple[int, ...]) -> int:
    """The depth of each joint's volume."""
    depth, rest = divmod(channels, joints)
    if rest or depth not in allowed:
        raise CheckpointError(f"got {channels} channels for {joints} joints; want {allowed} of each. Pass --joints")
    return depth
