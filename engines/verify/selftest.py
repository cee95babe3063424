"""Whether an engine does what its model does: asked once before it is used, and again at every start.

The golden input goes through the engine in every batch size it was built for, and through the FP32 model; then the
first input once more, which must give the same again, and the second, which must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import cycle, islice
from operator import add
from typing import Any, Protocol

import numpy as np

from engines.arrays import F32
from engines.card import Card
from engines.golden import golden_inputs
from engines.verify.accuracy import AccuracyDiff, Decode, accuracy_diff

REPEAT_TOLERANCE = 1e-3  # most that the same input may give otherwise, of the largest output


class Runner(Protocol):
    """A model that can be run, (B, 3, H, W) at a time: TensorRT on a GPU, ONNX Runtime anywhere."""

    def run(self, tensor: F32) -> Sequence[F32]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What was found, and what is wrong with it."""

    drift: AccuracyDiff
    repeatable: bool  # the same input twice gives the same
    responsive: bool  # another input gives something else
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def selftest(
    card: Card, engine: Runner, reference: Runner, decode: Decode | None, batches: Sequence[int] = (1,)
) -> SelfTest:
    """Compare an engine with its reference on the golden input; `batches` begins with 1."""
    inputs = golden_inputs(card)
    wanted = [_run(reference, tensor) for tensor in inputs]
    found = {size: _outputs(engine, inputs, size) for size in batches}
    apart = {
        size: reduce(add, (accuracy_diff(card, decode, *pair) for pair in zip(cycle(wanted), outputs)))
        for size, outputs in found.items()
    }
    outputs = found[batches[0]]
    repeatable = _agree(outputs[0], _run(engine, inputs[0]), REPEAT_TOLERANCE)
    responsive = not _agree(outputs[0], outputs[1], 0.0)
    faults = [
        *(_batch_fault(size, fault) for size, one in apart.items() for fault in one.violations(card.tolerance)),
        *([] if repeatable else ["the same input gives something else the second time"]),
        *([] if responsive else ["another input gives the same"]),
    ]
    whole = reduce(add, apart.values())
    return SelfTest(drift=whole, repeatable=repeatable, responsive=responsive, faults=tuple(faults))


def _outputs(runner: Runner, inputs: Sequence[F32], size: int) -> list[list[F32]]:
    """To each input, in batches of `size`; what is left of the last batch is filled with the first ones again."""
    count = -(-len(inputs) // size) * size
    filled = list(islice(cycle(inputs), count))
    batches = [_run(runner, np.concatenate(filled[at : at + size])) for at in range(0, count, size)]
    return [[output[i : i + 1] for output in outputs] for outputs in batches for i in range(size)]


def _batch_fault(size: int, fault: str) -> str:
    return fault if size == 1 else f"in batches of {size} {fault}"


def _run(runner: Runner, tensor: F32) -> list[F32]:
    """Copies: an engine may write into the same buffers again."""
    return [np.array(output, np.float32) for output in runner.run(tensor)]


def _agree(a: Sequence[F32], b: Sequence[F32], tolerance: float) -> bool:
    """What is not a number is the same as itself: it is a fault of its own."""
    scales = [float(np.nan_to_num(np.abs(x)).max(initial=1.0)) for x in a]
    return all(
        np.allclose(x, y, rtol=0, atol=tolerance * scale, equal_nan=True)
        for x, y, scale in zip(a, b, scales, strict=True)
    )
