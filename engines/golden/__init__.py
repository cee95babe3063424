"""Golden input: two rendered frames of ours, a horse and a person in each, as every model wants them.

`frames.npz` holds frames (2, 180, 320, 3) BGR and boxes (2, 2, 4) x0 y0 x1 y1. What a model makes of them is
not stored: the FP32 model on ONNX Runtime says what is right.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from engines.arrays import F32, U8
from engines.card import Card


def golden_inputs(card: Card) -> list[F32]:
    """(1, 3, H, W) tensors: the frames letterboxed for a detector, the subjects cut out for the others."""
    frames, boxes = _load()
    if card.padding is None:
        return [_normalised(card, _fitted(card, frame)) for frame in frames]
    windows = [(frame, box) for frame, found in zip(frames, boxes, strict=True) for box in found]
    return [_normalised(card, _cut(card, frame, box)) for frame, box in windows]


def golden_frames() -> U8:
    """(2, 180, 320, 3) BGR."""
    return _load()[0]


@cache
def _load() -> tuple[U8, F32]:
    with np.load(Path(__file__).with_name("frames.npz")) as golden:
        return golden["frames"], golden["boxes"]


def _fitted(card: Card, frame: U8) -> U8:
    """At the top left of a grey canvas, as large as fits; nearest pixels will do."""
    width, height = card.input.size_wh
    scale = max(frame.shape[1] / width, frame.shape[0] / height)
    canvas = np.full((height, width, 3), card.input.pad, np.uint8)
    xs, ys = (np.arange(int(n / scale)) * scale for n in (frame.shape[1], frame.shape[0]))
    canvas[: len(ys), : len(xs)] = frame[ys.astype(int)][:, xs.astype(int)]
    return canvas


def _cut(card: Card, frame: U8, box: F32) -> U8:
    """The padded window around a box, black beyond the frame; nearest pixels will do."""
    width, height = card.input.size_wh
    padding = card.padding or 1.0
    (x0, y0, x1, y1), aspect = box.tolist(), width / height
    wide = max((x1 - x0) * padding, (y1 - y0) * padding * aspect)
    xs = np.floor((x0 + x1) / 2 + (np.arange(width) + 0.5 - width / 2) * wide / width).astype(int)
    ys = np.floor((y0 + y1) / 2 + (np.arange(height) + 0.5 - height / 2) * wide / width).astype(int)
    inside = (xs >= 0) & (xs < frame.shape[1]), (ys >= 0) & (ys < frame.shape[0])
    window = np.zeros((height, width, 3), np.uint8)
    window[np.ix_(inside[1], inside[0])] = frame[np.ix_(ys[inside[1]], xs[inside[0]])]
    return window


def _normalised(card: Card, bgr: U8) -> F32:
    pixels = bgr if card.input.colour == "bgr" else bgr[..., ::-1]
    mean, std = np.array(card.input.mean, np.float32), np.array(card.input.std, np.float32)
    tensor = (pixels.astype(np.float32) - mean) / std
    return np.ascontiguousarray(tensor.transpose(2, 0, 1)[None])
