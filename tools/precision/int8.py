"""INT8 of a model: ranges by the least error of quantisation, the convolutions to leave out by their effect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from edged.frame import F32
from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.decode import ALL_DECODERS
from engines.card import Card, Int8, Tolerance
from engines.prepare import prepare
from engines.prepare.int8 import INT8_MAX, convolutions, to_int8
from engines.verify.accuracy import AccuracyDiff
from engines.verify.selftest import SelfTest, selftest
from tools.precision.accuracy import Photographs
from tools.precision.drift import Drift, Outputs, distance, drift, outputs

BINS = 2048  # of an activation's histogram
SHARES = np.linspace(0.3, 1.0, 29)  # of the largest magnitude, tried as range
LEFT_OUT = (0, 2, 4, 8, 16, 24, 32)  # numbers of convolutions, tried in this order
MAX_FP32 = 0.5  # share of a model's convolutions beyond which INT8 saves nothing
TOLERANCE = Tolerance(shift_px=5.0, iou=0.8, score=0.1)  # the least that a self-test on two rendered frames has
ANY_DISTANCE = Tolerance(shift_px=1e6, shift_mm=1e6, depth=1e6, iou=0, score=1e6)
ROOM = 1.5  # of a self-test's tolerance over what was measured
MIN_SCORE_TOLERANCE = 0.25  # of a score: 0.157 for the detector on OpenVINO 2026.4, where ONNX Runtime 1.32 has 0.037
MIN_IOU_MEAN, MAX_SCORE_MEAN = 0.93, 0.05  # on photographs
MAX_LOSS = 0.01  # of any figure on photographs


def measured(
    card: Card, file: Path, calibration: Sequence[F32], check: Sequence[F32], photographs: Photographs
) -> Int8 | None:
    """Return what the card needs for INT8; None where no choice of convolutions is close enough to FP32.

    A default model must lose next to nothing on photographs; another one is held to the drift of its outputs.
    """
    data = file.read_bytes()
    model = onnx.load_model_from_string(prepare(card, data, batch=1, precision="fp32", io="fp32").onnx)
    ranges = activation_ranges(model, calibration)
    reference = outputs(model.SerializeToString(), check)
    ranking: list[str] = []
    for count in LEFT_OUT:
        if count > len(convolutions(model)) * MAX_FP32:
            break
        if count and not ranking:
            ranking = _by_effect(model, ranges, check[: len(check) // 4], reference)
        fp32 = tuple(sorted(ranking[:count]))
        quantised = _quantised(model, ranges, fp32)
        untested = Int8(
            sha256=hashlib.sha256(data).hexdigest(),
            ranges={name: float(f"{value:.6g}") for name, value in ranges.items()},
            fp32=fp32,
            tolerance=TOLERANCE,
            measured={"on": f"{len(check)} photographs, against FP32"},
        )
        golden = _golden(card.model_copy(update={"int8": untested}), data, model)
        found = untested.model_copy(update={"tolerance": _with_room(golden.drift)})
        apart = drift(card, reference, outputs(quantised, check))
        lost = photographs.lost(card.model_copy(update={"int8": found}), file)
        said = {name: round(value, 4) for name, value in (lost or {}).items()}
        faults = "; golden: " + "; ".join(golden.faults) if golden.faults else ""
        print(f"  {card.name}: INT8 with {count} convolutions in FP32: {apart}; lost: {said}{faults}", flush=True)
        if not golden.faults and (_is_close(apart, golden.drift) if lost is None else max(lost.values()) <= MAX_LOSS):
            return found.model_copy(update={"measured": {**found.measured, "drift": str(apart), **said}})
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


def _golden(card: Card, data: bytes, model: onnx.ModelProto) -> SelfTest:
    """Compare what is built, with FP16 beside INT8, with FP32 on the golden input.

    Whatever the distance: a fault is what no INT8 may do.
    """
    wide = card.model_copy(update={"tolerance": ANY_DISTANCE})
    built = prepare(card, data, batch=1, precision="int8").onnx
    return selftest(wide, OnnxRunner(built), OnnxRunner(model.SerializeToString()), ALL_DECODERS.get(card.family))


def _with_room(found: AccuracyDiff) -> Tolerance:
    """Return the tolerance of engines' self-tests: they round elsewhere, and may be further from FP32 than this."""
    return Tolerance(
        shift_px=max(TOLERANCE.shift_px, ROOM * (found.max_shift_px or 0)),
        shift_mm=max(TOLERANCE.shift_mm, ROOM * (found.max_shift_mm or 0)),
        depth=max(TOLERANCE.depth, ROOM * (found.max_depth_diff or 0)),
        iou=min(TOLERANCE.iou, 1 - ROOM * (1 - (1 if found.min_iou is None else found.min_iou))),
        score=max(MIN_SCORE_TOLERANCE, ROOM * found.max_score_diff),
    )


def _is_close(apart: Drift, golden: AccuracyDiff) -> bool:
    near = apart.iou_mean >= MIN_IOU_MEAN and apart.score_mean <= MAX_SCORE_MEAN
    return near and apart.is_within(TOLERANCE) and not golden.violations(TOLERANCE)
