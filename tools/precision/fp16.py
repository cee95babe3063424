"""FP16 of a model: how much of its end stays in FP32, so that half of its tolerance is left, on photographs too."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edged.frame import F32
from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.decode import ALL_DECODERS
from engines.card import Card, Tolerance
from engines.prepare import prepare
from engines.verify.selftest import SelfTest, selftest
from tools.precision.drift import drift, outputs

DEPTH = 3  # parts of a node's name that name its group: /net/head/cls_x
MAX_GROUPS = 12  # at the end of the graph, tried one more at a time


def islands(card: Card, data: bytes, check: Sequence[F32]) -> tuple[str, ...] | None:
    """Return beginnings of names of the nodes to keep in FP32; None where no choice is close enough."""
    whole = prepare(card, data, batch=1, precision="fp32", io="fp32").onnx
    reference, wanted = OnnxRunner(whole), outputs(whole, check)
    strict = card.model_copy(update={"tolerance": halved(card.tolerance)})
    groups = last_groups(whole)
    for count in range(min(MAX_GROUPS, len(groups)) + 1):
        chosen = tuple(groups[:count])
        half = prepare(card.model_copy(update={"fp32": chosen}), data, batch=1)
        found: SelfTest = selftest(strict, OnnxRunner(half.onnx), reference, ALL_DECODERS.get(half.family))
        apart = drift(strict.model_copy(update={"family": half.family}), wanted, outputs(half.onnx, check))
        said = "; ".join(found.faults) or "passes"
        print(f"  {card.name}: FP16 with {list(chosen)} in FP32: golden: {said}; photographs: {apart}")
        if found.passed and apart.is_within(strict.tolerance):
            return chosen
    return None


def halved(tolerance: Tolerance) -> Tolerance:
    """Return the tolerance with half of the room."""
    return Tolerance(
        shift_px=tolerance.shift_px / 2,
        shift_mm=tolerance.shift_mm / 2,
        depth=tolerance.depth / 2,
        iou=(1 + tolerance.iou) / 2,
        score=tolerance.score / 2,
    )


def last_groups(model: bytes) -> list[str]:
    """Return the groups of nodes from the end of the graph on, each as the beginning of their names."""
    nodes: Sequence[onnx.NodeProto] = onnx.load_model_from_string(model).graph.node
    return list(dict.fromkeys(group(node.name) for node in reversed(nodes)))


def group(name: str) -> str:
    """Return `/net/head/cls_x/` of `/net/head/cls_x/MatMul`; a name without parts as it is."""
    parts = name.split("/")[1:-1][:DEPTH]
    return f"/{'/'.join(parts)}/" if parts else name
