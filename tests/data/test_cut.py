"""RTMDet as published, with its NMS in the graph, against our cut of it with our decoder and NMS: the same people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.frame import F32, Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OnnxRunner, OrtSession
from engines.card import Precision
from engines.catalogue import load
from engines.prepare import prepare
from tests.support.shared_data import SHARED

MODEL, PHOTOS = SHARED / "models/upstream/rtmdet_nano.onnx", SHARED / "data/media"
CARD = load()["own-rtmdet-person"]

pytestmark = pytest.mark.skipif(
    not (MODEL.exists() and PHOTOS.is_dir()), reason=f"{MODEL} or {PHOTOS} is not on this machine"
)


class Cut:
    """The prepared graph, as a session."""

    def __init__(self, precision: Precision) -> None:
        prepared = prepare(CARD, MODEL.read_bytes(), batch=1, precision=precision, io="fp32")
        self.card = CARD.model_copy(update={"family": prepared.family})
        self._runner = OnnxRunner(prepared.onnx)

    def run(self, tensor: F32) -> list[F32]:
        return self._runner.run(tensor)

    def close(self) -> None:
        self._runner.close()


def found(plane: CpuBackend, photo: Path) -> Boxes:
    frame = Frame(camera="photo", seq=0, captured_ns=0, image=np.asarray(cv2.imread(str(photo)), np.uint8))
    focus = InferenceParams(thresholds=np.full(1, 0.3, np.float32), max_subjects=32, quality_limits=QualityLimits())
    return plane.infer(frame, focus, Boxes.empty(), detect=True).boxes


@pytest.mark.parametrize(("precision", "px", "score"), [("fp32", 0.05, 1e-4), ("fp16", 2.0, 0.01)])
def test_the_cut_graph_finds_what_the_whole_one_finds(precision: Precision, px: float, score: float) -> None:
    whole, cut = CpuBackend(OrtSession(CARD, MODEL), {}), CpuBackend(Cut(precision), {})
    seen = 0
    for photo in sorted(PHOTOS.glob("coco_*.jpg")):
        wanted, got = found(whole, photo), found(cut, photo)
        assert got.score == pytest.approx(wanted.score, abs=score), photo.name
        assert got.xyxy == pytest.approx(wanted.xyxy, abs=px), photo.name
        seen += len(wanted)
    assert seen > 10
