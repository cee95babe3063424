"""INT8 of a model: ranges by the least error of quantisation, the convolutions to leave out by their effect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort

from edged.frame import F32
from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.decode.detectors import DECODERS
from engines.card import Card, Int8, Tolerance
from engines.prepare import prepare
from engines.prepare.int8 import INT8_MAX, convolutions, to_int8
from engines.verify.selftest import selftest
from tools.precision.drift import Drift, Outputs, distance, drift, outputs

BINS = 2048  # of an activation's histogram
SHARES = np.linspace(0.3, 1.0, 29)  # of the largest magnitude, tried as range
LEFT_OUT = (0, 2, 4, 8, 16, 24, 32)  # numbers of convolutions, tried in this order
TOLERANCE = Tolerance(shift_px=5.0, iou=0.8, score=0.1)  # on the golden input, of two rendered frames
MAX_SHIFT_P95_PX, MIN_IOU_MEAN, MAX_SCORE_MEAN = 5.0, 0.93, 0.05  # on photographs


def measured(card: Card, data: bytes, calibration: Sequence[F32], check: Sequence[F32]) -> Int8 | None:
    """Return what the card needs for INT8; None where no choice of convolutions is close enough to FP32."""
    model = onnx.load_model_from_string(prepare(card, data, batch=1, precision="fp32", io="fp32").onnx)
    ranges = activation_ranges(model, calibration)
    reference = outputs(model.SerializeToString(), check)
    ranking = _by_effect(model, ranges, check[: len(check) // 4], reference)
    for count in LEFT_OUT:
        fp32 = tuple(sorted(ranking[:count]))
        quantised = _quantised(model, ranges, fp32)
        found = drift(card, reference, outputs(quantised, check))
        faults = _golden_faults(card, model, quantised)
        print(f"  {card.name}: INT8 with {count} convolutions in FP32: {found}{'; golden: ' if faults else ''}{faults}")
        if not faults and _is_close(found):
            return Int8(
                sha256=hashlib.sha256(data).hexdigest(),
                ranges={name: float(f"{value:.6g}") for name, value in ranges.items()},
                fp32=fp32,
                tolerance=TOLERANCE,
                measured={"on": f"{len(check)} photographs, against FP32", "drift": str(found)},
            )
    return None


def activation_ranges(model: onnx.ModelProto, inputs: Sequence[F32]) -> dict[str, float]:
    """Return the range of each activation that a convolution reads."""
    source = model.graph.input[0].name
    names = list(dict.fromkeys(node.input[0] for node in convolutions(model)))
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    taps = [name for name in names if name != source]
    tapped.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in taps)
    session = ort.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(names, 0.0)
    for tensor in inputs:
        for name, values in _values(session, source, taps, tensor):
            largest[name] = max(largest[name], float(np.abs(values).max()))
    counts = {name: np.zeros(BINS) for name in names}
    for tensor in inputs:
        for name, values in _values(session, source, taps, tensor):
            counts[name] += np.histogram(np.abs(values), BINS, (0, largest[name] or 1))[0]
    return {name: best_range(counts[name], largest[name] or 1.0) for name in names}


def best_range(counts: np.ndarray, largest: float) -> float:
    """Return the range of the least squared error, of clipping and of rounding; `counts` of magnitudes up to it."""
    middles = (np.arange(len(counts)) + 0.5) * largest / len(counts)

    def error(limit: float) -> float:
        step = limit / INT8_MAX
        quantised = np.minimum(np.rint(middles / step), INT8_MAX) * step
        return float((counts * (middles - quantised) ** 2).sum())

    return float(min(SHARES * largest, key=error))


def _values(session: ort.InferenceSession, source: str, taps: list[str], tensor: F32) -> list[tuple[str, F32]]:
    return [(source, tensor), *zip(taps, session.run(taps, {source: tensor}), strict=True)]


def _by_effect(
    model: onnx.ModelProto, ranges: dict[str, float], inputs: Sequence[F32], reference: Outputs
) -> list[str]:
    """Return the convolutions, the one first whose quantisation alone changes the outputs most."""
    names = [node.name for node in convolutions(model)]
    effect = {}
    for name in names:
        alone = _quantised(model, ranges, [other for other in names if other != name])
        effect[name] = distance(reference[: len(inputs)], outputs(alone, inputs))
    return sorted(names, key=lambda name: -effect[name])


def _quantised(model: onnx.ModelProto, ranges: dict[str, float], fp32: Sequence[str]) -> bytes:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    to_int8(changed, ranges, fp32)
    return bytes(changed.SerializeToString())


def _golden_faults(card: Card, model: onnx.ModelProto, quantised: bytes) -> str:
    wide = card.model_copy(update={"tolerance": TOLERANCE})
    runners = OnnxRunner(quantised), OnnxRunner(model.SerializeToString())
    return "; ".join(selftest(wide, *runners, DECODERS.get(card.family)).faults)


def _is_close(found: Drift) -> bool:
    return (
        found.shift_p95_px <= MAX_SHIFT_P95_PX and found.iou_mean >= MIN_IOU_MEAN and found.score_mean <= MAX_SCORE_MEAN
    )
