"""Prints the starter models' accuracy.

python -m tools.evaluate DATA        pose models: PCK on annotated photographs
python -m tools.evaluate CLIP.mp4    the whole pipeline: recall and PCK on a rendered clip, CLIP.json.gz is its truth
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edged.frame import F32, U8, XY, Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.cpu.backend import CpuBackend, PoseEstimator
from edged.inference.cpu.onnxruntime import OrtSession
from engines.catalogue import load
from tools.evaluate import clip
from tools.metrics.pck import pck, torso

STARTER = Path(__file__).parents[2] / "engines/starter"
TORSO = (8, 3)  # right shoulder, left hip of LSP


class Row(NamedTuple):
    """One measurement, and the figure that the notes of the data state."""

    model: str
    data: str
    images: int
    metric: str
    value: float
    stated: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate", description="Print the starter models' accuracy.")
    parser.add_argument(
        "data", type=Path, help="folder with lsp/ and horse/, or a rendered clip with its truth in CLIP.json.gz"
    )
    data: Path = parser.parse_args().data
    if data.is_file():
        for score in clip.report(data):
            print(score.line())
        return
    for row in [*people(data / "lsp"), horses(data / "horse")]:
        print(f"{row.model:22} {row.data:28} {row.images:4} {row.metric:8} {row.value:.3f} (stated {row.stated:.3f})")


def people(data: Path) -> list[Row]:
    """Return PCK on LSP from the tight boxes of the visible joints, and from the boxes of the detector."""
    truth = json.loads((data / "val_full.json").read_text())
    images = [_image(data / "val_full" / name) for name in truth]
    joints = np.array(list(truth.values()))
    visible, xy = joints[..., 2] > 0, joints[..., XY]
    length_px, counted = torso(xy, visible, TORSO)
    tight = np.array([_around(points[seen]) for points, seen in zip(xy, visible, strict=True)], np.float32)
    model, detector = "rtmpose-t-lsp14", CpuBackend(_session("det-person-horse", "det_person_horse.onnx"), {})
    nearest = [_nearest(_people(detector, image), box) for image, box in zip(images, tight, strict=True)]
    hit = np.array([box is not None for box in nearest])
    found = np.array([box if box is not None else tight[i] for i, box in enumerate(nearest)], np.float32)
    pose = PoseEstimator(_session(model, "rtmpose_lsp_t.onnx"))
    from_truth, from_detector = _keypoints(pose, images, tight), _keypoints(pose, images, found)
    detected = pck(from_detector[hit], xy[hit], counted[hit], length_px[hit], 0.2)
    return [
        Row(model, "lsp, true boxes", len(images), "PCK@0.2", pck(from_truth, xy, counted, length_px, 0.2), 0.638),
        Row(model, "lsp, people detected", int(hit.sum()), "PCK@0.2", detected, 0.609),
    ]


def horses(data: Path) -> Row:
    """Return PCK on Weizmann horses from the boxes of their silhouettes: visible keypoints, by the longer box side."""
    truth = json.loads((data / "keypoints_val.json").read_text())
    boxes = json.loads((data / "boxes.json").read_text())
    paths = {path.stem: path for path in (data / "images").iterdir()}
    xyxy, points = np.array([boxes[name] for name in truth], np.float32), np.array(list(truth.values()))
    pose = PoseEstimator(_session("rtmpose-t-ap10k-horse", "rtmpose_horse_t.onnx"))
    found = _keypoints(pose, [_image(paths[name]) for name in truth], xyxy)
    side_px = (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1).astype(np.float64)
    value = pck(found, points[..., XY], points[..., 2] == 2, side_px, 0.1)
    return Row("rtmpose-t-ap10k-horse", "horse, true boxes", len(truth), "PCK@0.1", value, 0.953)


def _session(card: str, file: str) -> OrtSession:
    return OrtSession(load()[card], STARTER / file)


def _image(path: Path) -> U8:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def _around(points: Any) -> Any:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _keypoints(pose: PoseEstimator, images: list[U8], xyxy: F32) -> Any:
    pairs = zip(images, xyxy, strict=True)
    return np.array([pose.estimate(image, box[None], lambda _: None)[0][:, XY] for image, box in pairs], np.float64)


def _people(backend: CpuBackend, image: U8) -> F32:
    detect = load()["det-person-horse"].detect
    assert detect is not None  # noqa: S101  # it is the detector's card
    thresholds = np.array(
        [detect.threshold(name) if name == "person" else np.inf for name in backend.classes], np.float32
    )
    params = InferenceParams(thresholds=thresholds, max_subjects=99, quality_limits=QualityLimits())
    return backend.infer(
        Frame(camera="", seq=0, captured_ns=0, image=image), params, Boxes.empty(), detect=True
    ).boxes.xyxy


def _nearest(boxes: F32, box: F32) -> F32 | None:
    """Return the box (4,) with the highest IoU, px; None if that is below 0.3."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    iou = shared / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared)
    return boxes[iou.argmax()] if len(iou) and iou.max() >= 0.3 else None


if __name__ == "__main__":
    main()
