"""Every kernel against the numpy function that defines it; on the emulated GPU its threads take random turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import cv2
import numpy as np
import pytest

from edged.frame import F32, U8, XY, Boxes, InferenceParams, PixelFormat, QualityLimits, image_shape
from edged.inference.colour import to_bgr
from edged.inference.crop import Crop, crop_image
from edged.inference.cuda import layout
from edged.inference.cuda.context import Gpu
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import BOX, HEAD_LAYOUT, MAX_MODELS, MAX_SUBJECTS
from edged.inference.decode import detectors
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.decode.nms import MAX_CANDIDATES, nms
from edged.inference.decode.simcc import simcc
from edged.inference.image_quality import from_sums, image_quality
from edged.inference.letterbox import letterbox, normalise
from edged.inference.select import low_thresholds, select_detections
from tests.cuda.bench import KINDS, Bench, fitted, frame_params, net_of
from tests.cuda.emulated import Emulated

MEAN, STD = np.array([103.5, 116.3, 123.7], np.float32), np.array([57.4, 57.1, 58.4], np.float32)
NONE = QualityLimits()
both_kinds = pytest.mark.parametrize("kind", ["_f16", "_f32"])


@pytest.fixture
def bench(gpu: Gpu, kernels: Kernels) -> Iterator[Bench]:
    made = Bench(gpu, kernels)
    yield made
    made.free()


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def memory(size_wh: tuple[int, int], form: PixelFormat) -> U8:
    """A camera frame of soft noise."""
    noise = random().integers(0, 256, image_shape(size_wh, form), np.uint8)
    return np.asarray(cv2.blur(noise, (3, 3)), np.uint8) if min(noise.shape[:2]) > 2 else noise


@pytest.mark.parametrize(
    ("struct", "dtype"),
    [
        ("FrameParams", layout.FRAME_PARAMS),
        ("Counters", layout.COUNTERS),
        ("NetParams", layout.NET_PARAMS),
        ("HeadLayout", layout.HEAD_LAYOUT),
        ("Box", BOX),
    ],
)
def test_struct_has_same_size_on_host_and_device(emulated: Emulated, struct: str, dtype: np.dtype[Any]) -> None:
    assert dtype.itemsize == emulated.size(struct)


@both_kinds
@pytest.mark.parametrize("form", ["bgr", "gray", "yuyv", "nv12"])
@pytest.mark.parametrize(
    "where",
    [
        ((640, 360), None, "top-left"),
        ((360, 642), (30, 50, 330, 600), "centred"),
        ((2, 2), None, "centred"),
        ((38, 26), None, "top-left"),
        ((1922, 1082), (1, 3, 1920, 1081), "centred"),
    ],
    ids=str,
)
def test_letterbox_equals_definition_within_one_level(bench: Bench, kind: str, form: PixelFormat, where: Any) -> None:
    size_wh, roi, placement = where
    net_wh, image = (96, 64), memory(size_wh, form)
    params = frame_params(bench.put(image), image, form)
    x0, y0, x1, y1 = roi or (0, 0, *size_wh)
    params[0]["roi"] = (x0, y0, x1 - x0, y1 - y0)
    fit = fitted(params, net_wh, placement)
    out, grey = bench.room(3 * 96 * 64 * 4), bench.room(96 * 64)
    net = bench.put(net_of(net_wh, MEAN, STD, rgb=True))
    bench.run(f"letterbox{kind}", (3, 8), (32, 8), bench.put(params), net, out, grey)
    canvas = letterbox(to_bgr(image, form)[y0:y1, x0:x1], fit, net_wh, 114)
    got = bench.get(out, KINDS[kind], (3, 64, 96)).astype(np.float32)
    pixels = got * STD[:, None, None] + MEAN[:, None, None]
    expected = normalise(canvas, "rgb", MEAN, STD) * STD[:, None, None] + MEAN[:, None, None]
    assert np.abs(pixels - expected).max() <= (1e-3 if kind == "_f32" else 0.1)  # FP16 holds 2.0 to 1/512 of 58
    inside = np.s_[fit.pad_y : fit.pad_y + fit.resized_wh[1], fit.pad_x : fit.pad_x + fit.resized_wh[0]]
    seen = bench.get(grey, np.uint8, (64, 96))[inside].astype(int)
    assert seen.tolist() == cv2.cvtColor(canvas[inside], cv2.COLOR_BGR2GRAY).tolist()


@pytest.mark.parametrize("fit", [(0, 0, 96, 54), (3, 5, 40, 59), (0, 0, 96, 1), (7, 0, 1, 64), (0, 0, 2, 4)], ids=str)
def test_image_quality_sums_are_exact(bench: Bench, fit: tuple[int, int, int, int]) -> None:
    grey = random().integers(0, 256, (64, 96), np.uint8)
    x, y, w, h = fit
    params = frame_params(0, np.zeros((64, 96, 3), np.uint8))
    params[0]["fit"] = fit
    net = bench.put(net_of((96, 64), MEAN, STD, rgb=False))
    bench.run("image_quality", (3, 4), (32, 8), bench.put(params), net, bench.put(grey), bench.counters)
    results, part = bench.counted(), grey[y : y + h : 2, x : x + w]
    assert results["histogram"].tolist() == np.bincount(part.ravel(), minlength=256).tolist()
    sums = from_sums(results["histogram"], int(results["laplacian"]), int(results["laplacian_squared"]))
    assert sums == pytest.approx(image_quality(part), rel=1e-9)


def heads(bench: Bench, classes: int, size_wh: tuple[int, int], strides: tuple[int, ...]) -> Any:
    sizes = [(size_wh[0] // stride, size_wh[1] // stride) for stride in strides]
    made = np.zeros(1, HEAD_LAYOUT)
    made[0]["classes"], made[0]["levels"], made[0]["nms_iou"] = classes, len(strides), 0.5
    made[0]["anchors"] = sum(w * h for w, h in sizes)
    made[0]["stride"][: len(strides)] = strides
    made[0]["width"][: len(strides)], made[0]["height"][: len(strides)] = zip(*sizes, strict=True)
    made[0]["first_anchor"][: len(strides)] = np.cumsum([0, *(w * h for w, h in sizes[:-1])])
    return made


def decoded(bench: Bench, family: str, kind: str, made: Any, limits: F32) -> Boxes:
    """A decoder's boxes, in the order of the definition."""
    params = frame_params(0, np.zeros((8, 8, 3), np.uint8))
    params[0]["min_output"][: len(limits)] = limits
    anchors = int(made[0]["anchors"])
    out = bench.room(anchors * BOX.itemsize)
    bench.run(
        f"{family}{kind}", (ceil(anchors / 128),), (128,), bench.put(params), bench.put(made), bench.counters, out
    )
    found = bench.get(out, BOX, (anchors,))[: bench.counted()["found"]]
    found = found[np.argsort(found["order"])]
    return Boxes(xyxy=found["xyxy"], score=found["score"], label=found["label"].astype(np.int64))


def same_boxes(got: Boxes, expected: Boxes) -> None:
    assert got.label.tolist() == expected.label.tolist()
    np.testing.assert_allclose(got.xyxy, expected.xyxy, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(got.score, expected.score, rtol=1e-5, atol=1e-6)


THRESHOLDS = np.array([0.6, np.inf, 0.5, 0.8], np.float32)


def test_rtmdet_kernel_equals_definition(bench: Bench) -> None:
    for kind, dtype in KINDS.items():
        bench.counters = bench.room(layout.COUNTERS.itemsize)
        strides, made = (8, 16, 32), heads(bench, 4, (96, 64), (8, 16, 32))
        scores = [random(s).normal(0, 1, (4, 64 // s, 96 // s)).astype(dtype) for s in strides]
        distances = [random(s + 1).uniform(0, 90, (4, 64 // s, 96 // s)).astype(dtype) for s in strides]
        scores[0][:, 0, 0] = 2  # every class the same: the first
        made[0]["scores"][:3], made[0]["distances"][:3] = ([bench.put(x) for x in xs] for xs in (scores, distances))
        got = decoded(bench, "rtmdet", kind, made, detectors.logit(THRESHOLDS))
        wide = [x.astype(np.float32) for x in (*scores, *distances)]
        same_boxes(got, detectors.rtmdet(wide, strides, THRESHOLDS))
        assert len(got) > 20


@both_kinds
def test_yolox_kernel_equals_definition(bench: Bench, kind: str) -> None:
    made = heads(bench, 4, (96, 96), (8, 16, 32))
    raw = random().uniform(0, 1, (int(made[0]["anchors"]), 9)).astype(KINDS[kind])
    made[0]["scores"][0] = bench.put(raw)
    got = decoded(bench, "yolox", kind, made, THRESHOLDS * np.float32(0.5))
    same_boxes(got, detectors.yolox([raw.astype(np.float32)], (8, 16, 32), THRESHOLDS * np.float32(0.5)))
    assert len(got) > 20


@both_kinds
def test_yolov8_kernel_equals_definition(bench: Bench, kind: str) -> None:
    made = heads(bench, 4, (96, 96), (8, 16, 32))
    raw = random().uniform(0, 1, (8, int(made[0]["anchors"]))).astype(KINDS[kind])
    made[0]["scores"][0] = bench.put(raw)
    got = decoded(bench, "yolov8", kind, made, THRESHOLDS)
    same_boxes(got, detectors.yolov8([raw.astype(np.float32)], (8, 16, 32), THRESHOLDS))
    assert len(got) > 20


@both_kinds
def test_boxes_kernel_equals_definition(bench: Bench, kind: str) -> None:
    made = heads(bench, 4, (96, 96), (8, 16, 32))
    n = int(made[0]["anchors"])
    xyxy, scores = (
        random().uniform(0, 90, (n, 4)).astype(KINDS[kind]),
        random(1).uniform(0, 1, (n, 4)).astype(KINDS[kind]),
    )
    made[0]["distances"][0], made[0]["scores"][0] = bench.put(xyxy), bench.put(scores)
    got = decoded(bench, "boxes", kind, made, THRESHOLDS)
    same_boxes(got, detectors.boxes([xyxy.astype(np.float32), scores.astype(np.float32)], (8, 16, 32), THRESHOLDS))


@pytest.mark.parametrize("at", [2, 7], ids=["size", "score"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 65504, 100])
def test_output_that_no_sound_model_gives_is_counted(bench: Bench, bad: float, at: int) -> None:
    made = heads(bench, 4, (96, 96), (8, 16, 32))
    raw = np.zeros((int(made[0]["anchors"]), 9), np.float32)
    raw[40, 4] = raw[40, 7] = 1
    raw[40, at] = bad
    made[0]["scores"][0] = bench.put(raw)
    decoded(bench, "yolox", "_f32", made, THRESHOLDS)
    assert (bench.counted()["detector_faults"] > 0) == (bad != 100 or at == 2)  # e^100 is infinite in FP32


def as_boxes(rows: Any) -> Boxes:
    return Boxes(xyxy=rows["xyxy"], score=rows["score"], label=rows["label"].astype(np.int64))


def crowd(n: int, seed: int = 0, scores: int = 40) -> Any:
    """Overlapping candidates, many of equal score, in a mixed order."""
    rows, chance = np.zeros(n, BOX), random(seed)
    corner, size = chance.uniform(0, 60, (n, 2)), chance.uniform(0, 40, (n, 2))
    rows["xyxy"] = np.concatenate((corner, corner + size), axis=1)
    rows["score"] = np.round(chance.uniform(0, 1, n) * scores) / scores
    rows["label"] = chance.integers(0, 3, n)
    rows["order"] = chance.permutation(n)
    return rows


def suppressed(bench: Bench, rows: Any, vote_iou: float = layout.NO_VOTE) -> Any:
    n = len(rows)
    params = np.zeros(1, layout.COUNTERS)
    params[0]["found"] = n
    bench.counters = bench.put(params)
    candidates = bench.put(rows) if n else bench.room(BOX.itemsize)
    ordered, kept = bench.room(MAX_CANDIDATES * BOX.itemsize), bench.room(MAX_CANDIDATES * BOX.itemsize)
    made = heads(bench, 3, (96, 96), (8,))
    made[0]["vote_iou"] = vote_iou
    bench.run("rank", (max(1, ceil(n / 128)),), (128,), bench.counters, candidates, ordered)
    bench.run("nms", (1,), (MAX_CANDIDATES,), bench.put(made), bench.counters, ordered, kept)
    return bench.get(kept, BOX, (MAX_CANDIDATES,))[: bench.counted()["kept"]]


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 64, 299, 300, 301, 700])
def test_nms_kernel_equals_definition_with_ties(bench: Bench, n: int) -> None:
    rows = crowd(n, seed=n)
    expected = nms(as_boxes(rows[np.argsort(rows["order"])]), 0.5)
    got = as_boxes(suppressed(bench, rows))
    assert got.score.tolist() == expected.score.tolist()
    assert got.xyxy.tolist() == expected.xyxy.tolist()
    assert got.label.tolist() == expected.label.tolist()


@pytest.mark.parametrize("n", [1, 33, 300, 700])
def test_votes_of_the_nms_kernel_equal_definition(bench: Bench, n: int) -> None:
    rows = crowd(n, seed=n, scores=1000)
    expected = nms(as_boxes(rows[np.argsort(rows["order"])]), 0.5, 0.47)
    same_boxes(as_boxes(suppressed(bench, rows, 0.47)), expected)


def chosen(bench: Bench, params: Any, kept: Any) -> tuple[Any, Any, Any]:
    counters = np.zeros(1, layout.COUNTERS)
    counters[0]["kept"] = len(kept)
    bench.counters = bench.put(counters)
    room = np.zeros(MAX_CANDIDATES, BOX)
    room[: len(kept)] = kept
    out, rows = bench.room(MAX_SUBJECTS * BOX.itemsize), bench.room(MAX_MODELS * MAX_SUBJECTS * 4)
    bench.run(
        "select_detections", (1,), (MAX_CANDIDATES,), bench.put(params), bench.counters, bench.put(room), out, rows
    )
    results = bench.counted()
    return (
        bench.get(out, BOX, (MAX_SUBJECTS,))[: results["selected"]],
        results,
        bench.get(rows, np.int32, (MAX_MODELS, MAX_SUBJECTS)),
    )


@pytest.mark.parametrize("pick", ["score", "largest", "central"])
@pytest.mark.parametrize("limit", [1, 3, 64])
@pytest.mark.parametrize("n", [0, 1, 40, 300])
def test_selection_kernel_equals_definition(bench: Bench, pick: Any, limit: int, n: int) -> None:
    kept = crowd(n, seed=n + limit)
    kept = kept[np.argsort(-kept["score"], kind="stable")]
    priors = kept[::5][:MAX_SUBJECTS].copy()  # where they are now, or nearly
    priors["xyxy"] += random(9).normal(0, 2, priors["xyxy"].shape)
    params = InferenceParams(
        thresholds=np.array([0.5, 0.7, np.inf], np.float32),
        max_subjects=limit,
        quality_limits=NONE,
        roi=(10, 20, 210, 120),
        pick=pick,
    )
    frame = frame_params(0, np.zeros((120, 210, 3), np.uint8))
    row = frame[0]
    row["roi"] = (10, 20, 200, 100)
    fit = fitted(frame, (100, 100), "centred")
    row["max_subjects"], row["pick"] = limit, layout.PICKS.index(pick)
    row["threshold"][:3], row["min_output"][:3] = params.thresholds, low_thresholds(params.thresholds)
    row["prior_count"] = len(priors)
    row["priors"][: len(priors)] = priors
    row["priors"]["xyxy"][: len(priors)] = (
        Boxes(xyxy=fit.to_image(priors["xyxy"]), score=priors["score"], label=priors["label"].astype(np.int64))
        .shifted(10, 20)
        .xyxy
    )
    row["model_of"][:3] = (1, 0, 1)
    boxes = as_boxes(kept)
    in_frame = Boxes(xyxy=fit.to_image(boxes.xyxy), score=boxes.score, label=boxes.label).shifted(10, 20)
    expecting = as_boxes(row["priors"][: len(priors)])
    expected = select_detections(in_frame, expecting, params, (210, 120))
    got, results, rows = chosen(bench, frame, kept)
    same_boxes(as_boxes(got[: len(expected)]), expected.select(np.arange(min(len(expected), MAX_SUBJECTS))))
    for model, labels in ((0, [1]), (1, [0, 2])):
        mine = np.flatnonzero(np.isin(got["label"], labels)).tolist()
        assert results["rows"][model] == len(mine)
        assert rows[model, : len(mine)].tolist() == mine


@pytest.mark.parametrize(("apart_px", "label", "count"), [(0, 1, 2), (60, 1, 1), (0, 0, 1)])
def test_low_box_needs_a_prior_of_its_class(bench: Bench, apart_px: int, label: int, count: int) -> None:
    kept = np.zeros(2, BOX)
    kept["xyxy"] = [(50, 50, 90, 90), (150, 50, 190, 90)]
    kept["score"], kept["label"] = (0.9, 0.3), 1
    params = frame_params(0, np.zeros((200, 300, 3), np.uint8))
    params[0]["threshold"][:2], params[0]["prior_count"] = 0.6, 1
    params[0]["priors"]["xyxy"][0] = (150 + apart_px, 50, 190 + apart_px, 90)
    params[0]["priors"]["label"][0] = label
    got, _, _ = chosen(bench, params, kept)
    assert len(got) == count


def test_priors_are_selected_without_detector(bench: Bench) -> None:
    priors = crowd(MAX_SUBJECTS, seed=3)
    params = frame_params(0, np.zeros((8, 8, 3), np.uint8))
    params[0]["detect"], params[0]["prior_count"], params[0]["priors"] = 0, MAX_SUBJECTS, priors
    got, _, _ = chosen(bench, params, crowd(10))
    assert got["xyxy"].tolist() == priors["xyxy"].tolist()


BOXES = [(20, 10, 90, 100), (-50, -40, 30, 40), (100, 60, 300, 260), (60, 60, 60, 60), (-900, 5, -800, 50)]


def posed(bench: Bench, params: Any, boxes: Sequence[tuple[int, ...]]) -> tuple[int, int, int]:
    rows = np.zeros(len(boxes), BOX)
    rows["xyxy"] = boxes
    counters = np.zeros(1, layout.COUNTERS)
    counters[0]["rows"][1] = len(boxes)
    bench.counters = bench.put(counters)
    return bench.put(params), bench.put(rows), bench.put(np.arange(len(boxes), dtype=np.int32))


@both_kinds
@pytest.mark.parametrize("form", ["bgr", "gray", "yuyv", "nv12"])
def test_crop_kernel_equals_definition_within_two_levels(bench: Bench, kind: str, form: PixelFormat) -> None:
    net_wh, image = (48, 64), memory((164, 122), form)
    params, rows, mine = posed(bench, frame_params(bench.put(image), image, form), BOXES)
    net = bench.put(net_of(net_wh, MEAN, STD, rgb=False))
    out = bench.room(8 * 3 * 64 * 48 * 4)
    bench.run(f"crop{kind}", (2, 8, 8), (32, 8), params, net, rows, mine, bench.counters, 1, out)
    got = bench.get(out, KINDS[kind], (8, 3, 64, 48)).astype(np.float32)
    bgr = to_bgr(image, form)
    for box, tensor in zip(BOXES, got, strict=False):
        expected = crop_image(bgr, Crop.around(np.array(box, np.float32), net_wh, 1.25)).transpose(2, 0, 1)
        difference = np.abs(tensor * STD[:, None, None] + MEAN[:, None, None] - expected)
        assert difference.max() <= 2
        assert difference.mean() < 0.1
    assert not got[len(BOXES) :].any(), "rows beyond the subjects are left alone"


@both_kinds
def test_simcc_kernel_equals_definition_with_ties(bench: Bench, kind: str) -> None:
    net_wh, count = (48, 64), 5
    chance, dtype = random(4), KINDS[kind]
    along_x = np.round(chance.normal(0, 1, (len(BOXES), count, 96)) * 4).astype(dtype)  # many ties
    along_y = np.round(chance.normal(0, 1, (len(BOXES), count, 128)) * 4).astype(dtype)
    along_x[1, 2] = -1  # nowhere to be found
    along_y[2, 3] = 0
    along_x[0, 0, 0] = along_x[0, 0, 95] = 90
    params, rows, mine = posed(bench, frame_params(0, np.zeros((8, 8, 3), np.uint8)), BOXES)
    out = bench.room(MAX_SUBJECTS * count * 3 * 4)
    net = bench.put(net_of(net_wh, MEAN, STD, rgb=False))
    bench.run(
        f"simcc{kind}", (count, len(BOXES)), (128,),
        params, net, rows, mine, bench.counters, 1, bench.put(along_x), bench.put(along_y), out,
    )  # fmt: skip
    expected = simcc(along_x.astype(np.float32), along_y.astype(np.float32), 2)
    for box, points in zip(BOXES, expected, strict=True):
        points[:, XY] = Crop.around(np.array(box, np.float32), net_wh, 1.25).to_image(points[:, XY])
    got = bench.get(out, np.float32, (MAX_SUBJECTS, count, 3))[: len(BOXES)]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-3)
    assert not bench.counted()["pose_faults"].any()


@pytest.mark.parametrize("bad", [np.nan, 65504.0])
def test_bin_that_no_sound_model_gives_wins_and_is_counted(bench: Bench, bad: float) -> None:
    along_x, along_y = np.ones((1, 1, 96), np.float32), np.ones((1, 1, 128), np.float32)
    along_x[0, 0, 40] = bad
    params, rows, mine = posed(bench, frame_params(0, np.zeros((8, 8, 3), np.uint8)), BOXES[:1])
    out, net = bench.room(MAX_SUBJECTS * 12), bench.put(net_of((48, 64), MEAN, STD, rgb=False))
    bench.run(
        "simcc_f32",
        (1, 1),
        (128,),
        params,
        net,
        rows,
        mine,
        bench.counters,
        1,
        bench.put(along_x),
        bench.put(along_y),
        out,
    )
    assert np.isnan(bench.get(out, np.float32, (3,))[2]) == np.isnan(bad)
    assert bench.counted()["pose_faults"][1] == 1


@both_kinds
@pytest.mark.parametrize("size", [(8, 8, 8), (3, 5, 7), (16, 16, 12)], ids=str)
def test_soft_argmax_kernel_equals_definition(bench: Bench, kind: str, size: tuple[int, int, int]) -> None:
    depth, height, width = size
    volume = (random().normal(0, 4, (2, 3 * depth, height, width))).astype(KINDS[kind])
    volume[1, 0] = 60000  # the softmax must not overflow
    volume[1, depth, 0, 0] = 65504  # of another joint
    out = bench.room(2 * 3 * 3 * 4)
    bench.run(f"soft_argmax{kind}", (3, 2), (256,), bench.put(np.array(size, np.int32)), bench.put(volume), out)
    got = bench.get(out, np.float32, (2, 3, 3))
    expected = soft_argmax(volume.astype(np.float32), 3)
    expected[1, 1] = np.nan
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
