"""A pipeline over a scripted backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.frame import Boxes, Frame, FrameResult, ImageQuality, InferenceParams, InferenceResult, Pose3d
from edged.pipeline import Pipeline, StillTest
from engines.card import Detect, Pose

HORSE = (100.0, 50.0, 300.0, 200.0)
CLASSES = ("person", "horse")
CLEAR = ImageQuality(brightness=120, contrast=90, sharpness=0.5)
DARK = ImageQuality(brightness=2, contrast=90, sharpness=0.5, degraded=("dark",))

BODY = Pose3d(
    xyz_mm=np.zeros((18, 3), np.float32),
    root_mm=np.zeros(3, np.float32),
    schema="h36m-18",
    depth_source="heuristic",
    focal_source="assumed",
)


class ScriptedBackend:
    """Detects one horse, gives keypoints of `score` in every box, and records its calls."""

    classes = CLASSES

    def __init__(self) -> None:
        self.quality, self.score, self.label, self.detection_score = CLEAR, 0.8, 1, 0.9
        self.posed = True  # False: there is no pose model
        self.detected: list[bool] = []
        self.params: list[InferenceParams] = []
        self.priors: list[Boxes] = []

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        self.detected.append(detect)
        self.params.append(params)
        self.priors.append(priors)
        if self.quality.degraded:
            return InferenceResult(quality=self.quality, boxes=Boxes.empty(), keypoints=())
        boxes = priors
        if detect:
            found = np.array([HORSE], np.float32)
            boxes = Boxes(xyxy=found, score=np.full(1, self.detection_score, np.float32), label=np.array([self.label]))
        points = tuple(self._points(box) if self.posed else None for box in boxes.xyxy)
        return InferenceResult(quality=self.quality, boxes=boxes, keypoints=points, poses3d=tuple(BODY for _ in points))

    def _points(self, box: Any) -> Any:
        along = np.linspace(0.1, 0.9, 17)
        x, y = box[0] + along * (box[2] - box[0]), box[1] + along * (box[3] - box[1])
        return np.stack([x, y, np.full(17, self.score)], axis=1).astype(np.float32)

    def close(self) -> None: ...


class PipelineRun:
    """Frames 40 ms apart through a pipeline."""

    def __init__(self, subject: dict[str, float] | None = None, **options: Any) -> None:
        self.backend, self._seq = ScriptedBackend(), 0
        detect = Detect(classes=CLASSES, score=0.3, nms_iou=0.5)
        poses = {label: Pose(schema="ap10k-17", subject=subject) for label in CLASSES}
        camera = CameraConfig(source="0", **options)
        self._pipeline = Pipeline(camera, self.backend, detect, poses, gate=self.gate(camera))

    def gate(self, camera: CameraConfig) -> StillTest | None:
        return None

    def frame(
        self, source: str | None = None, skip: int = 0, size_wh: tuple[int, int] = (320, 240), *, damaged: bool = False
    ) -> FrameResult:
        self._seq += 1 + skip
        image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        t_ns = self._seq * 40_000_000
        return self._pipeline.run(
            Frame(camera="a", seq=self._seq, captured_ns=t_ns, image=image, source=source, damaged=damaged)
        )
