"""INT8 of a model: ranges by the least error of quantisation, the convolutions to leave out by their effect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from tools.precision.accuracy import Accuracy, Truth, allowed, too_much
from tools.precision.drift import Drift, Outputs, distance, drift, outputs

BINS = 2048  # of an activation's histogram
SHARES = np.linspace(0.3, 1.0, 29)  # of the largest magnitude, tried as range
LEFT_OUT = (0, 2, 4, 8, 16, 24, 32)  # numbers of convolutions, tried in this order
MAX_FP32 = 0.5  # share of a model's convolutions beyond which INT8 saves nothing
TOLERANCE = Tolerance(shift_px=5.0, iou=0.8, score=0.1)  # the least that a self-test on two rendered frames has
ANY_DISTANCE = Tolerance(shift_px=1e6, shift_mm=1e6, depth=1e6, iou=0, score=1e6)
ROOM = 1.5  # of a self-test's tolerance over what was measured
MIN_SCORE_TOLERANCE = 0.25  # of a score: 0.157 for the detector on OpenVINO 2026.4, where ONNX Runtime 1.32 has 0.037


@dataclass(frozen=True, slots=True)
class Found:
    """What a card needs for INT8, and how it did."""

    int8: Int8
    drift: Drift  # on photographs
    lost: Accuracy  # on data with a truth
    faults: tuple[str, ...]  # why it is not offered; empty: it is


def measured(
    card: Card,
    file: Path,
    calibration: Sequence[F32],
    check: Sequence[F32],
    truth: Truth,
    *,
    tries: int = len(LEFT_OUT),
) -> Found:
    """Return the fewest convolutions left in FP32 with which next to nothing is lost, else what loses least."""
    data = file.read_bytes()
    whole = prepare(card, data, batch=1, precision="fp32", io="fp32")
    card = card.model_copy(update={"family": whole.family})  # of the outputs before its NMS
    model = onnx.load_model_from_string(whole.onnx)
    ranges = activation_ranges(model, calibration)
    reference = outputs(model.SerializeToString(), check)
    ranking: list[str] = []
    tried: list[Found] = []
    for count in LEFT_OUT[:tries]:
        if count > len(convolutions(model)) * MAX_FP32:
            break
        if count and not ranking:
            ranking = _by_effect(model, ranges, check[: len(check) // 4], reference)
        int8 = int8_of(data, ranges, tuple(sorted(ranking[:count])))
        golden = _golden(card.model_copy(update={"int8": int8}), data, model)
        int8 = int8.model_copy(update={"tolerance": _with_room(golden.drift)})
        apart = drift(card, reference, outputs(_quantised(model, ranges, int8.fp32), check))
        lost = truth.lost(card.model_copy(update={"int8": int8}), file)
        said = {name: round(value, 4) for name, value in lost.items()}
        about = {"on": f"{len(check)} photographs, against FP32", "drift": str(apart), **said}
        faults = (*golden.faults, *(f"{name}: {value:.3g} lost" for name, value in too_much(lost).items()))
        print(f"  {card.name}: INT8 with {count} convolutions in FP32: {apart}; lost: {said}; {faults}", flush=True)
        tried.append(Found(int8.model_copy(update={"measured": about}), apart, said, faults))
        if not faults:
            return tried[-1]
    return min(tried, key=lambda one: max(value / allowed(name) for name, value in one.lost.items()))


def int8_of(data: bytes, ranges: dict[str, float], fp32: tuple[str, ...] = ()) -> Int8:
    """Return INT8 of a model file, with the tolerance of one that is not measured yet."""
    written = {name: float(f"{value:.6g}") for name, value in ranges.items()}
    return Int8(sha256=hashlib.sha256(data).hexdigest(), ranges=written, fp32=fp32, tolerance=TOLERANCE)


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
        for name, values in _values(session, source, names, tensor):
            largest[name] = max(largest[name], float(np.abs(values).max()))
    counts = {name: np.zeros(BINS) for name in names}
    for tensor in inputs:
        for name, values in _values(session, source, names, tensor):
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


def _values(session: ort.InferenceSession, source: str, names: list[str], tensor: F32) -> Iterator[tuple[str, F32]]:
    """Yield the activations; the input is one where no layer before the convolutions normalises it."""
    taps = [name for name in names if name != source]
    yield from zip(taps, session.run(taps, {source: tensor}) if taps else (), strict=True)
    if source in names:
        yield source, tensor


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
