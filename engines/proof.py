"""Whether an engine does what its model does: asked once before it is used, and again at every start.

The golden input goes through the engine and through the FP32 model; then the first input once more, which must
give the same again, and the second, which must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.card import Card
from engines.golden import golden_inputs
from engines.parity import Decode, Drift, drift

F32 = NDArray[np.float32]
REPEAT = 1e-3  # most that the same input may give otherwise, of the largest output


class Runner(Protocol):
    """A model that can be run: TensorRT on a GPU, ONNX Runtime anywhere."""

    def run(self, tensor: F32) -> Sequence[F32]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found, and what is wrong with it."""

    drift: Drift
    repeatable: bool  # the same input twice gives the same
    responsive: bool  # another input gives something else
    faults: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.faults

    def table(self) -> dict[str, Any]:
        return asdict(self)


def prove(card: Card, engine: Runner, reference: Runner, decode: Decode | None) -> Proof:
    """Compare an engine with its reference on the golden input."""
    inputs = golden_inputs(card)
    outputs = [_run(engine, tensor) for tensor in inputs]
    apart = reduce(
        add,
        (drift(card, decode, reference.run(tensor), output) for tensor, output in zip(inputs, outputs, strict=True)),
    )
    repeatable = _same(outputs[0], _run(engine, inputs[0]), REPEAT)
    responsive = not _same(outputs[0], outputs[1], 0.0)
    faults = [
        *apart.faults(card.tolerance),
        *([] if repeatable else ["the same input gives something else the second time"]),
        *([] if responsive else ["another input gives the same"]),
    ]
    return Proof(drift=apart, repeatable=repeatable, responsive=responsive, faults=tuple(faults))


def _run(runner: Runner, tensor: F32) -> list[F32]:
    """Copies: an engine may write into the same buffers again."""
    return [np.array(output, np.float32) for output in runner.run(tensor)]


def _same(a: Sequence[F32], b: Sequence[F32], within: float) -> bool:
    """What is not a number is the same as itself: it is a fault of its own."""
    scales = [float(np.nan_to_num(np.abs(x)).max(initial=1.0)) for x in a]
    return all(
        np.allclose(x, y, rtol=0, atol=within * scale, equal_nan=True) for x, y, scale in zip(a, b, scales, strict=True)
    )
