"""A loaded model that takes and gives host arrays, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from edged.errors import ModelFault
from edged.frame import F32
from edged.inference.decode.detectors import check_finite
from edged.inference.first_line import first_line
from engines.card import Card

MOST_AT_ONCE = 4  # images in one run of a model on the CPU


class Session(Protocol):
    """A model on ONNX Runtime, or as a TensorRT engine. Thread: the one that made it.

    `run` takes (B, 3, H, W) float32 of the card's input size and returns the outputs in the card's order, each with
    B first. Raises `ModelFault` on NaN, infinity or a failed run.
    """

    @property
    def card(self) -> Card: ...
    def run(self, tensor: F32) -> list[F32]: ...
    def close(self) -> None: ...


def run_in_parts(run: Callable[[F32], list[F32]], tensor: F32, fixed: int | None) -> list[F32]:
    """What `run` gives for any number of images (B, 3, H, W), where it takes `fixed` at a time; None: any number.

    At most `MOST_AT_ONCE`: a library keeps the memory of its largest batch, and a larger one saves no time (eight as
    twice four: 0.96 of the CPU time, ONNX Runtime 1.32 with one thread).
    """
    most = MOST_AT_ONCE if fixed is None else fixed
    if len(tensor) == fixed or (fixed is None and len(tensor) <= most):
        return run(tensor)
    parts = [run(_filled(tensor[at : at + most], fixed)) for at in range(0, len(tensor), most)]
    return [np.concatenate(pieces)[: len(tensor)] for pieces in zip(*parts, strict=True)]


def run_checked(
    card: Card, run: Callable[[F32], list[F32]], tensor: F32, fixed: int | None, refusals: tuple[type[Exception], ...]
) -> list[F32]:
    """As `run_in_parts`; what the library raises as `refusals`, and outputs that are not finite, as `ModelFault`."""
    try:
        outputs = run_in_parts(run, tensor, fixed)
    except refusals as refusal:
        raise ModelFault(f"model {card.name}: run failed: {first_line(refusal)}; frame given up") from refusal
    check_finite(card.name, outputs)
    return outputs


def _filled(tensor: F32, length: int | None) -> F32:
    """The tensor with as many zero images behind it as make `length`; None: as it is."""
    if length is None:
        return tensor
    missing = np.zeros((length - len(tensor), *tensor.shape[1:]), np.float32)
    return np.concatenate([tensor, missing]) if len(missing) else tensor
