"""The families of published nets; the net within a family is recognised by the shapes of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from engines.card import Task
from tools.nets.convnextpose import ConvNeXtPose
from tools.nets.integral import Integral
from tools.nets.mobilehumanpose import LARGE, SMALL, MobileHumanPose
from tools.nets.rootnet import RootNet
from tools.nets.rtmdet import STRIDES, RtmDet
from tools.nets.rtmpose import RtmPose

Weights = Mapping[str, Tensor]
CONVNEXT = {40: ((40, 80, 160, 320), (2, 2, 6, 2)), 48: ((48, 96, 192, 384), (3, 3, 9, 3))}
SIZES = {16: "nano", 24: "tiny", 32: "s", 48: "m", 64: "l", 80: "x"}  # of CSPNeXt, by the width of its first stage
BINS_PER_PX, PX_PER_CELL = 2, 32  # of RTMPose
NAMES = {  # of RTMPose's data and schema, by keypoints and whether the crop is square, as animals' are
    (17, False): ("body17", "coco-17"),
    (17, True): ("ap10k", "ap10k-17"),
    (26, False): ("halpe26", "halpe-26"),
}
CLASSES: dict[int, tuple[str, str | list[str], float]] = {  # by number: part of the name, class table, IoU of NMS
    1: ("person", ["person"], 0.6),
    80: ("coco", "coco-80", 0.65),
}
ON_MUCO = 21  # joints


class CheckpointError(Exception):
    """The file is not a checkpoint of its family."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """A net with its weights, and the contents of its card."""

    net: nn.Module
    name: str  # of its card
    size_wh: tuple[int, int]
    outputs: tuple[str, ...]
    white: float | None  # value of white before normalisation in the net; None: the card normalises
    task: Task
    table: Mapping[str, Any] | None  # table of the task in the card; None: the names of the outputs are not known
    islands: tuple[str, ...] = ()  # prefixes of the names of nodes that stay in FP32


def convnextpose(weights: Weights, joints: int) -> Export:
    stem, final = shape(weights, "backbone.downsample_layers.0.0.weight"), shape(weights, "head.final_layer.weight")
    if stem[0] not in CONVNEXT:
        raise CheckpointError(f"ConvNeXtPose: got a first layer {stem[0]} wide; want one of {sorted(CONVNEXT)}")
    widths, depths = CONVNEXT[stem[0]]
    depth = bins(final[0], joints, (32, 64))
    variant = "xs" if stem[0] == 40 else "l" if final[1] == 512 else "m" if depth == 64 else "s"
    net = ConvNeXtPose(widths, depths, final[1], final[0], depth)
    return _volume(net, f"convnextpose-{variant}", joints, depth, "/net/head/final_layer")


def mobilehumanpose(weights: Weights, joints: int) -> Export:
    large = shape(weights, "backbone.deconv0.0.weight")[0] == LARGE.widths[0]
    channels = shape(weights, "backbone.final_layer.weight")[0]
    depth = bins(channels, joints, (64,) if large else (32,))
    net = MobileHumanPose(LARGE if large else SMALL, channels)
    name = "mobilehumanpose-large" if large else "mobilehumanpose"
    return _volume(net, name, joints, depth, "/net/backbone/final_layer")


def integral(weights: Weights, joints: int) -> Export:
    layers = 152 if "backbone.layer3.35.conv1.weight" in weights else 50
    channels = shape(weights, "head.features.9.weight")[0]
    depth = bins(channels, joints, (64, 72))
    size_wh, usual, span_mm = ((288, 384), 152, 1485.0) if depth == 72 else ((256, 256), 50, 2000.0)
    name = f"integral-r{layers}" if layers == usual else f"integral-r{layers}-{size_wh[0]}"
    found = _volume(Integral(layers, channels), name, joints, depth, "/net/head/features/features.9")
    return replace(found, size_wh=size_wh, white=255.0, table={**(found.table or {}), "span_mm": span_mm})


def rootnet(weights: Weights, joints: int) -> Export:
    shape(weights, "root.depth_layer.weight")
    return Export(
        net=RootNet(),
        name="rootnet",
        size_wh=(256, 256),
        outputs=("root_xy", "gamma"),
        white=1.0,
        task="root",
        table={"cells": 64},
    )


def rtmpose(weights: Weights, joints: int) -> Export:
    widen, blocks = _cspnext(weights)
    keypoints, hidden = shape(weights, "head.final_layer.weight")[0], shape(weights, "head.mlp.1.weight")
    bins_xy = shape(weights, "head.cls_x.weight")[0], shape(weights, "head.cls_y.weight")[0]
    width, height = (count // BINS_PER_PX for count in bins_xy)
    if width // PX_PER_CELL * (height // PX_PER_CELL) != hidden[1]:
        raise CheckpointError(f"RTMPose: got {hidden[1]} cells for {width}x{height} px; want 2 bins a px, 32 px a cell")
    data, schema = NAMES.get((keypoints, width == height), (str(keypoints), None))
    size = SIZES[round(64 * widen)].replace("tiny", "t")
    larger = "" if width in {192, 256} and height == 256 else f"-{height}x{width}"
    return Export(
        net=RtmPose(widen, blocks, keypoints, hidden[1], bins_xy),
        name=f"rtmpose-{size}-{data}{larger}",
        size_wh=(width, height),
        outputs=("simcc_x", "simcc_y"),
        white=None,
        task="pose",
        table={"schema": schema} if schema else None,
        islands=("/head/cls_",),
    )


def rtmdet(weights: Weights, joints: int) -> Export:
    widen, blocks = _cspnext(weights)
    light = "backbone.stage1.0.depthwise_conv.conv.weight" in weights
    neck = _blocks(weights, "neck.top_down_blocks.0"), shape(weights, "bbox_head.rtm_cls.0.weight")[1]
    classes = shape(weights, "bbox_head.rtm_cls.0.weight")[0]
    side = 320 if light else 640
    data, names, nms_iou = CLASSES.get(classes, (f"{classes}-classes", [], 0.0))
    levels = range(len(STRIDES))
    return Export(
        net=RtmDet(widen, blocks, neck, classes, light=light),
        name=f"rtmdet-{SIZES[round(64 * widen)]}-{data}",
        size_wh=(side, side),
        outputs=(*(f"cls_score_{n}" for n in levels), *(f"bbox_pred_{n}" for n in levels)),
        white=None,
        task="detect",
        table={"classes": names, "score": 0.3, "nms_iou": nms_iou} if names else None,
    )


FAMILIES: dict[str, Callable[[Weights, int], Export]] = {
    "convnextpose": convnextpose,
    "rootnet": rootnet,
    "mobilehumanpose": mobilehumanpose,
    "integral": integral,
    "rtmpose": rtmpose,
    "rtmdet": rtmdet,
}


def shape(weights: Weights, name: str) -> tuple[int, ...]:
    if name not in weights:
        raise CheckpointError(f"got no {name!r}, but {sorted(weights)[:3]} …; is it a file of another family?")
    return tuple(weights[name].shape)


def bins(channels: int, joints: int, allowed: tuple[int, ...]) -> int:
    """Return the depth of the volume of a joint, cells."""
    depth, rest = divmod(channels, joints)
    if rest or depth not in allowed:
        raise CheckpointError(f"got {channels} channels for {joints} joints; want {allowed} of each. Pass --joints")
    return depth


def _volume(net: nn.Module, name: str, joints: int, depth: int, last: str) -> Export:
    """Return a net of the 3DMPPE family, with pixels from 0 to 255; layer `last` has a volume per joint."""
    on_muco = joints == ON_MUCO
    return Export(
        net=net,
        name=f"{name}-muco" if on_muco else name,
        size_wh=(256, 256),
        outputs=("volume",),
        white=1.0,
        task="lift",
        table={"schema": "muco-21" if on_muco else "h36m-18", "depth": depth, "span_mm": 2000.0},
        islands=(last,),
    )


def _cspnext(weights: Weights) -> tuple[float, tuple[int, ...]]:
    """Return the width relative to the large net, and the blocks of the four stages."""
    first = shape(weights, "backbone.stem.2.conv.weight")[0]
    if first not in SIZES:
        raise CheckpointError(f"CSPNeXt: got a first stage {first} wide; want one of {sorted(SIZES)}")
    ends = (f"backbone.stage{number}.{2 if number == 4 else 1}" for number in (1, 2, 3, 4))
    return first / 64, tuple(_blocks(weights, end) for end in ends)


def _blocks(weights: Weights, part: str) -> int:
    start = f"{part}.blocks."
    return len({name.removeprefix(start).split(".")[0] for name in weights if name.startswith(start)})
