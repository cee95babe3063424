"""A loaded model that takes and gives host arrays, wherever it runs."""

from __future__ import annotations

from typing import Protocol

from edged.frame import F32
from engines.card import Card


class Session(Protocol):
    """A model on ONNX Runtime, or as a TensorRT engine. Thread: the one that made it.

    `run` takes (B, 3, H, W) float32 of the card's input size and returns the outputs in the card's order, each with
    B first. Raises `ModelFault` on NaN, infinity or a failed run.
    """

    @property
    def card(self) -> Card: ...
    def run(self, tensor: F32) -> list[F32]: ...
    def close(self) -> None: ...
