"""INT8 of a model without measuring: one range for all its activations, and any difference from FP32 allowed."""

from __future__ import annotations

import hashlib

import onnx

from engines.card import Card, Int8, Tolerance


def with_int8(card: Card, data: bytes, *, limit: float = 4.0, fp32: tuple[str, ...] = ()) -> Card:
    """The card with INT8 of the model file `data`."""
    nodes = onnx.load_model_from_string(data).graph.node
    ranges = {node.input[0]: limit for node in nodes if node.op_type == "Conv"}
    tolerance = Tolerance(shift_px=1000, iou=0, score=1)
    int8 = Int8(sha256=hashlib.sha256(data).hexdigest(), ranges=ranges, fp32=fp32, tolerance=tolerance)
    return card.model_copy(update={"int8": int8})
