"""Who runs: our pipeline on any backend, rtmlib, and ONNX Runtime called by hand, on the same two ONNX files.

Each takes the best boxes up to a limit, so that all pose the same number of people. rtmlib feeds its pose model BGR
with RGB statistics; it gets an RGB image here, so that it computes the right thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import onnxruntime as ort

from edged.config.tables.camera import CameraConfig, TrackConfig
from edged.frame import F32, XY, Boxes, Frame, InferenceParams, QualityLimits
from edged.inference.backend import PoseBackend
from edged.inference.cpu.backend import CpuBackend
from edged.inference.crop import Crop
from edged.inference.session import Session
from edged.pipeline import Pipeline
from edged.units import NS_PER_S
from engines.card import Card, Detect, Pose
from engines.catalogue import load
from engines.store.model_store import ModelStore
from tools.bench.absent import Absent
from tools.bench.frames import Shown

DETECTOR, POSE = "own-rtmdet-person", "rtmpose-t-lsp14"
SCORE = 0.3  # of every detector
SESSIONS = ("detect", "pose")  # stages that are nothing but the models
FPS = 30  # of the scenes, for tracks
CUDA = "CUDAExecutionProvider"


class Contender(Protocol):
    def limit(self, people: int) -> None: ...
    def __call__(self, shown: Shown) -> int: ...  # people posed


class Ours:
    """The whole pipeline of one camera, as the daemon runs it: gate, detector, pose, tracks."""

    def __init__(self, backend: PoseBackend, detector: Card, pose: Card) -> None:
        assert isinstance(detector.detect, Detect)  # noqa: S101
        self.backend = backend
        self.stages: list[Mapping[str, int]] = []  # ns, of each frame
        self._detect, self._pose = detector.detect, _pose(pose)
        self.limit(1)

    def limit(self, people: int) -> None:
        """A new pipeline, for so many."""
        tracks, scores = TrackConfig(min_hits=1), {"person": SCORE}
        options = CameraConfig(source="bench", classes=["person"], track=tracks, thresholds=scores, max_subjects=people)
        self._pipeline = Pipeline(options, self.backend, self._detect, {"person": self._pose}, smooth=False)
        self._seq = 0
        self.stages = []

    def __call__(self, shown: Shown) -> int:
        t_ns = self._seq * NS_PER_S // FPS
        frame = Frame(camera="bench", seq=self._seq, captured_ns=t_ns, image=shown.bgr, source=shown.scene)
        self._seq += 1
        result = self._pipeline.run(frame)
        self.stages.append(result.stage_ns)
        return len(result.subjects)

    def boxes(self, shown: Shown) -> F32:
        """(N, 4) of the people found, not timed."""
        frame = Frame(camera="bench", seq=self._seq, captured_ns=0, image=shown.bgr, source=f"{shown.scene} once")
        boxes = [subject.xyxy for subject in self._pipeline.run(frame).subjects]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def keypoints(self, shown: Shown, boxes: F32) -> F32:
        """(N, K, 3) of people in these (N, 4) boxes, not timed."""
        people, classes = len(boxes), self.backend.classes
        known = Boxes(
            xyxy=boxes,
            score=np.ones(people, np.float32),
            label=np.full(people, classes.index("person"), np.int64),
        )
        params = InferenceParams(
            thresholds=np.zeros(len(classes), np.float32),
            max_subjects=people,
            quality_limits=QualityLimits(),
        )
        frame = Frame(camera="bench", seq=self._seq, captured_ns=0, image=shown.bgr)
        found = self.backend.infer(frame, params, known, detect=False).keypoints
        return np.array(found, np.float32).reshape(people, -1, 3)


def on_cpu(detector: Session, pose: Session) -> Ours:
    return Ours(CpuBackend(detector, {"person": pose}), detector.card, pose.card)


class Rtmlib:
    """rtmlib's RTMDet and RTMPose with its own defaults, on ONNX Runtime's `device`. Raises `Absent`."""

    def __init__(self, detector: Path, device: Literal["cpu", "cuda"] = "cpu") -> None:
        try:
            from rtmlib import RTMDet, RTMPose  # noqa: PLC0415
        except ImportError as missing:
            raise Absent(f"{missing}; pip install --no-deps rtmlib==0.0.16 tqdm") from missing
        self._detect: Any = RTMDet(str(detector), model_input_size=(320, 320), score_thr=SCORE, device=device)
        self._pose: Any = RTMPose(str(path_of(POSE)), model_input_size=(192, 256), backend="onnxruntime", device=device)
        if device == "cuda" and not all(CUDA in net.session.get_providers() for net in (self._detect, self._pose)):
            raise Absent("ONNX Runtime has no CUDA here, and runs rtmlib's models on the CPU; install onnxruntime-gpu")
        self._people = 1

    def limit(self, people: int) -> None:
        self._people = people

    def boxes(self, shown: Shown) -> F32:
        return np.asarray(self._detect(shown.bgr), np.float32).reshape(-1, 4)[: self._people]

    def keypoints(self, shown: Shown, boxes: F32) -> F32:
        return np.asarray(self._pose(shown.rgb, boxes)[0], np.float32)

    def __call__(self, shown: Shown) -> int:
        boxes = self.boxes(shown)
        return len(self.keypoints(shown, boxes)) if len(boxes) else 0


class Plain:
    """ONNX Runtime by hand, its options untouched: blobs by OpenCV, all people in one batch, the highest bins."""

    def __init__(self, detector: Path) -> None:
        cards = load()
        self._found, self._posed = cards[DETECTOR].input, cards[POSE].input
        self._padding = _pose(cards[POSE]).padding
        self._detect, self._pose = (
            ort.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (detector, path_of(POSE))
        )
        self._people = 1

    def limit(self, people: int) -> None:
        self._people = people

    def __call__(self, shown: Shown) -> int:
        boxes = self._boxes(shown)
        if not len(boxes):
            return 0
        crops = [Crop.around(box, self._posed.size_wh, self._padding) for box in boxes]
        cut = [cv2.warpAffine(shown.rgb, crop.to_net, crop.net_wh).transpose(2, 0, 1) for crop in crops]
        mean, std = (np.array(value, np.float32).reshape(3, 1, 1) for value in (self._posed.mean, self._posed.std))
        batch = (np.stack(cut) - mean) / std
        along_x, along_y = self._pose.run(None, {self._posed.name: batch.astype(np.float32)})
        places = [crop.to_image(np.stack([x.argmax(1), y.argmax(1)], axis=1) / np.float32(2))
                  for crop, x, y in zip(crops, along_x, along_y, strict=True)]  # fmt: skip
        return len(places)

    def _boxes(self, shown: Shown) -> F32:
        spec, (height, width) = self._found, shown.bgr.shape[:2]
        scale = min(spec.size_wh[0] / width, spec.size_wh[1] / height)
        canvas = np.full((spec.size_wh[1], spec.size_wh[0], 3), spec.pad, np.uint8)
        small = cv2.resize(shown.bgr, (int(width * scale), int(height * scale)))
        canvas[: small.shape[0], : small.shape[1]] = small
        blob = (canvas - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        found, _ = self._detect.run(None, {spec.name: blob.transpose(2, 0, 1)[None].astype(np.float32)})
        sure = found[0][found[0][:, 4] >= SCORE]
        return np.asarray(sure[: self._people, :4] / scale, np.float32)


def disagreement_px(ours: Ours, theirs: Rtmlib, shown: Shown) -> F32:
    """(N·K,) distances between both keypoints of the same boxes, in image pixels."""
    boxes = theirs.boxes(shown)
    apart = np.linalg.norm(ours.keypoints(shown, boxes)[..., XY] - theirs.keypoints(shown, boxes), axis=-1)
    return np.asarray(apart.ravel(), np.float32)


def path_of(card: str) -> Path:
    """Of a bundled model."""
    return ModelStore(Path("/nonexistent")).path(load()[card])


def _pose(card: Card) -> Pose:
    assert card.pose is not None  # noqa: S101
    return card.pose
