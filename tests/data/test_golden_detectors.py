"""Real detectors on real photographs, against the outputs that plain ONNX Runtime gave for them."""

import cv2
import numpy as np
import pytest

from edged.frame import Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from tests.support.shared_data import SHARED

MODELS, PHOTOS = SHARED / "models/upstream", SHARED / "data/media"

pytestmark = pytest.mark.skipif(
    not (MODELS.is_dir() and PHOTOS.is_dir()), reason=f"{MODELS} or {PHOTOS} is not on this machine"
)

RTMDET = {
    "coco_000000000785.jpg": (1, [0.899]),
    "coco_000000040083.jpg": (2, [0.790, 0.748]),
    "coco_000000196141.jpg": (4, [0.874, 0.867, 0.745]),
    "coco_000000197388.jpg": (5, [0.829, 0.820, 0.783]),
}
YOLOX = [
    ("coco_000000000785.jpg", "person", 0.884, (278, 55, 492, 385)),
    ("coco_000000197388.jpg", "person", 0.908, None),
    ("animalpose_ho105.jpeg", "horse", 0.950, (12, 22, 272, 235)),
    ("horse10_0244.png", "horse", 0.825, (15, 43, 135, 123)),
    ("horse10_0292.png", "horse", 0.903, (145, 42, 249, 120)),
]


@pytest.fixture(scope="module")
def rtmdet() -> CpuBackend:
    return CpuBackend(OrtSession(load()["own-rtmdet-person"], MODELS / "rtmdet_nano.onnx"), {})


@pytest.fixture(scope="module")
def yolox() -> CpuBackend:
    return CpuBackend(OrtSession(load()["own-yolox-coco"], MODELS / "yolox_nano.onnx"), {})


def found(plane: CpuBackend, photo: str) -> Boxes:
    image = np.asarray(cv2.imread(str(PHOTOS / photo)), np.uint8)
    frame = Frame(camera="photo", seq=0, captured_ns=0, image=image)
    thresholds = np.full(len(plane.classes), 0.3, np.float32)
    focus = InferenceParams(thresholds=thresholds, max_subjects=32, quality_limits=QualityLimits())
    return plane.infer(frame, focus, Boxes.empty(), detect=True).boxes


@pytest.mark.parametrize("photo", RTMDET)
def test_rtmdet_finds_the_people_it_always_found(rtmdet: CpuBackend, photo: str) -> None:
    count, best = RTMDET[photo]
    boxes = found(rtmdet, photo)
    assert len(boxes) == count
    assert boxes.score[: len(best)] == pytest.approx(best, abs=0.005)


@pytest.mark.parametrize(("photo", "label", "score", "xyxy"), YOLOX)
def test_yolox_finds_the_subject_where_it_always_was(
    yolox: CpuBackend, photo: str, label: str, score: float, xyxy: tuple[int, ...] | None
) -> None:
    boxes = found(yolox, photo)
    best = boxes.select(boxes.label == yolox.classes.index(label))
    assert best.score[0] == pytest.approx(score, abs=0.005)
    if xyxy is not None:
        assert best.xyxy[0] == pytest.approx(xyxy, abs=1)
