"""Photographs as a model is fed with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edged.frame import F32, U8
from edged.inference.cpu.pixels import CropSampler, Normaliser
from edged.inference.crop import Crop
from edged.inference.letterbox import Letterbox
from edged.inference.pose3d.projection import person_crop
from engines.card import Card
from tools.train.photographs import Photographs

MIN_HEIGHT_PX = 64  # of a subject whose crop is used
SEED = 7
CLASS_OF = {"lsp-14": "person", "coco-17": "person", "halpe-26": "person", "ap10k-17": "horse"}  # by schema


def inputs(card: Card, data: Path, split: str, count: int) -> list[F32]:
    """Up to `count` tensors (1, 3, H, W): whole pictures for a detector, subjects for other models."""
    photographs = Photographs.read(data / "real", split)
    order = np.random.default_rng(SEED).permutation(len(photographs.rows))
    found: list[F32] = []
    for at in order:
        if len(found) >= count:
            break
        row = photographs.rows[int(at)]
        if card.padding is None:
            found.append(_letterboxed(card, photographs.image(row)))
        elif boxes := _boxes(row, CLASS_OF[card.pose.schema_name] if card.pose else "person"):
            image = photographs.image(row)
            found += [_cropped(card, image, box) for box in boxes]
    return found[:count]


def _boxes(row: dict[str, Any], label: str) -> list[F32]:
    boxes = [np.array(box, np.float32) for kind, *box in row["boxes"] if kind == label]
    return [box for box in boxes if box[3] - box[1] >= MIN_HEIGHT_PX][:2]


def _letterboxed(card: Card, image: U8) -> F32:
    width, height = card.input.size_wh
    fit = Letterbox.fit((image.shape[1], image.shape[0]), card.input.size_wh, card.input.fit)
    canvas = np.full((height, width, 3), card.input.pad, np.uint8)
    w, h = fit.resized_wh
    canvas[fit.pad_y : fit.pad_y + h, fit.pad_x : fit.pad_x + w] = cv2.resize(image, (w, h))
    return _filled(card, lambda out: Normaliser(card.input)(canvas, out))


def _cropped(card: Card, image: U8, box: F32) -> F32:
    """The crop that the daemon would feed; boxes of photographs lie on them."""
    size_wh, padding = card.input.size_wh, card.padding or 1.0
    crop = Crop.around(box, size_wh, padding)
    if card.pose is None:
        crop = person_crop(box, (image.shape[1], image.shape[0]), size_wh, padding) or crop
    return _filled(card, lambda out: CropSampler(card.input)(image, crop, out))


def _filled(card: Card, fill: Any) -> F32:
    width, height = card.input.size_wh
    tensor: F32 = np.empty((1, 3, height, width), np.float32)
    fill(tensor[0])
    return tensor
