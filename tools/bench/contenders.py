"""Who runs: our pipeline, and rtmlib, on the same two ONNX files.

rtmlib feeds its pose model BGR with RGB statistics; it gets an RGB image here, so that it computes the right thing.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol

import numpy as np

from edged.adapters.plane_cpu import CpuPlane, PoseEstimator
from edged.adapters.session_ort import OrtSession
from edged.config import Camera, Track
from edged.frame import F32, U8, Frame
from edged.pipeline import Pipeline
from engines.card import Detect, Pose
from engines.catalogue import load
from engines.store import Store

DETECTOR, POSE = "own-rtmdet-person", "rtmpose-t-lsp14"
SCORE = 0.3  # of both detectors
SESSIONS = ("detect", "pose")  # stages that are nothing but ONNX Runtime


class Contender(Protocol):
    def __call__(self, bgr: U8, rgb: U8) -> int: ...  # people found


class Ours:
    """The whole pipeline of one camera, as the daemon runs it: gate, detector, pose, tracks."""

    def __init__(self, detector: Path) -> None:
        cards = load()
        self._found, pose = cards[DETECTOR], cards[POSE]
        pose_session = OrtSession(pose, Store(Path("/nonexistent")).path(pose))
        self.estimator = PoseEstimator(pose_session)
        self.stages: list[dict[str, int]] = []
        plane = CpuPlane(OrtSession(self._found, detector), {"person": pose_session})
        detect, posed = self._found.detect, pose.pose
        assert isinstance(detect, Detect)  # noqa: S101
        assert isinstance(posed, Pose)  # noqa: S101
        options = Camera(source="bench", track=Track(confirm=1), thresholds={"person": SCORE})
        self._pipeline = Pipeline(options, plane, detect, {"person": posed}, smooth=False)
        self._seq = 0

    def __call__(self, bgr: U8, rgb: U8) -> int:
        frame = Frame(camera="bench", seq=self._seq, captured_ns=monotonic_ns(), image=bgr)
        self._seq += 1
        result = self._pipeline.run(frame)
        self.stages.append(result.stage_ns)
        return len(result.subjects)


class Rtmlib:
    """rtmlib's RTMDet and RTMPose with its own defaults."""

    def __init__(self, detector: Path) -> None:
        from rtmlib import RTMDet, RTMPose  # noqa: PLC0415

        pose = Store(Path("/nonexistent")).path(load()[POSE])
        self.detect: Any = RTMDet(str(detector), model_input_size=(320, 320), score_thr=SCORE)
        self.pose: Any = RTMPose(str(pose), model_input_size=(192, 256), backend="onnxruntime")

    def __call__(self, bgr: U8, rgb: U8) -> int:
        boxes = self.detect(bgr)
        if not len(boxes):
            return 0
        keypoints, _ = self.pose(rgb, boxes)
        return len(keypoints)


def disagreement_px(ours: Ours, theirs: Rtmlib, bgr: U8, rgb: U8) -> F32:
    """(N·K,) distances between both keypoints of the same boxes, in image pixels."""
    boxes = np.asarray(theirs.detect(bgr), np.float32).reshape(-1, 4)
    keypoints, _ = theirs.pose(rgb, boxes)
    mine = np.stack(ours.estimator.estimate(bgr, boxes, lambda stage: None))
    distance: F32 = np.linalg.norm(mine[..., :2] - keypoints, axis=-1).ravel().astype(np.float32)
    return distance
