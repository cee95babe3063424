"""The contenders: our pipeline on any backend, rtmlib, and plain ONNX Runtime, with the same two ONNX files.

Each uses the best boxes up to a limit, so that all estimate the same number of poses. rtmlib passes BGR to a pose model
normalised for RGB; it gets an RGB image here, so that its results are correct.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import onnxruntime as ort

from edged.config.tables.camera import CameraConfig, TrackConfig
from edged.errors import ModelMissing
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
from tools.bench.frames import BenchFrame
from tools.bench.unavailable import Unavailable

DETECTOR, POSE = "own-rtmdet-person", "rtmpose-t-coco17"
MIN_SCORE = 0.3  # of every detector
SESSIONS = ("detect", "pose")  # stages that only run the models
FPS = 30  # of the scenes, for the tracker
CUDA = "CUDAExecutionProvider"


class Contender(Protocol):
    def set_max_people(self, people: int) -> None: ...
    def __call__(self, frame: BenchFrame) -> int: ...  # returns the number of poses


class EdgedPipeline:
    """The pipeline of one camera, as the daemon runs it: image quality, detector, pose, tracker."""

    def __init__(self, backend: PoseBackend, detector: Card, pose: Card) -> None:
        assert isinstance(detector.detect, Detect)  # noqa: S101
        self.backend = backend
        self.stages: list[Mapping[str, int]] = []  # ns, of each frame
        self._detect, self._pose = detector.detect, _pose(pose)
        self.set_max_people(1)

    def set_max_people(self, people: int) -> None:
        """Create the pipeline anew with this limit."""
        tracks, scores = TrackConfig(min_hits=1), {"person": MIN_SCORE}
        options = CameraConfig(source="bench", classes=["person"], track=tracks, thresholds=scores, max_subjects=people)
        self._pipeline = Pipeline(options, self.backend, self._detect, {"person": self._pose}, smooth=False)
        self._seq = 0
        self.stages = []

    def __call__(self, frame: BenchFrame) -> int:
        t_ns = self._seq * NS_PER_S // FPS
        captured = Frame(camera="bench", seq=self._seq, captured_ns=t_ns, image=frame.bgr, source=frame.scene)
        self._seq += 1
        result = self._pipeline.run(captured)
        self.stages.append(result.stage_ns)
        return len(result.subjects)

    def boxes(self, frame: BenchFrame) -> F32:
        """Return the boxes (N, 4) of the detected people, px; not timed."""
        captured = Frame(camera="bench", seq=self._seq, captured_ns=0, image=frame.bgr, source=f"{frame.scene} once")
        boxes = [subject.xyxy for subject in self._pipeline.run(captured).subjects]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def keypoints(self, frame: BenchFrame, boxes: F32) -> F32:
        """Return the keypoints (N, K, 3) x, y, score of people in boxes (N, 4), px; not timed."""
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
        captured = Frame(camera="bench", seq=self._seq, captured_ns=0, image=frame.bgr)
        found = self.backend.infer(captured, params, known, detect=False).keypoints
        return np.array(found, np.float32).reshape(people, -1, 3)


def openvino_contenders(detector: Path) -> dict[str, Contender]:
    """Return our pipeline and rtmlib on OpenVINO, by name; ours in BF16 too, where the CPU has it.

    Raises `Unavailable` where it is not installed.
    """
    try:
        from edged.inference.cpu.openvino import OpenVinoSession  # noqa: PLC0415
    except ImportError as missing:
        raise Unavailable(f"{missing}; pip install '.[openvino]'") from missing
    cards = load()
    files = {DETECTOR: detector, POSE: model_path(POSE)}

    def ours(*, bf16: bool) -> EdgedPipeline:
        return cpu_pipeline(*(OpenVinoSession(cards[name], file, bf16=bf16) for name, file in files.items()))

    found: dict[str, Contender] = {"edged, OpenVINO": ours(bf16=False)}
    with suppress(ModelMissing):
        found["edged, OpenVINO in BF16"] = ours(bf16=True)
    return {**found, "rtmlib, OpenVINO": Rtmlib(detector, backend="openvino")}


def cpu_pipeline(detector: Session, pose: Session) -> EdgedPipeline:
    return EdgedPipeline(CpuBackend(detector, {"person": pose}), detector.card, pose.card)


class Rtmlib:
    """RTMDet and RTMPose of rtmlib with its defaults, on a `device` of its `backend`. Raises `Unavailable`.

    On OpenVINO its defaults are BF16 where the CPU has it.
    """

    def __init__(
        self,
        detector: Path,
        device: Literal["cpu", "cuda"] = "cpu",
        backend: Literal["onnxruntime", "openvino"] = "onnxruntime",
    ) -> None:
        try:
            from rtmlib import RTMDet, RTMPose  # noqa: PLC0415
        except ImportError as missing:
            raise Unavailable(f"{missing}; pip install --no-deps rtmlib==0.0.16 tqdm") from missing
        chosen = {"backend": backend, "device": device}
        self._detect: Any = RTMDet(str(detector), model_input_size=(320, 320), score_thr=MIN_SCORE, **chosen)
        self._pose: Any = RTMPose(str(model_path(POSE)), model_input_size=(192, 256), **chosen)
        if device == "cuda" and not all(CUDA in net.session.get_providers() for net in (self._detect, self._pose)):
            raise Unavailable("ONNX Runtime has no CUDA here and would run rtmlib on the CPU; install onnxruntime-gpu")
        self._people = 1

    def set_max_people(self, people: int) -> None:
        self._people = people

    def boxes(self, frame: BenchFrame) -> F32:
        return np.asarray(self._detect(frame.bgr), np.float32).reshape(-1, 4)[: self._people]

    def keypoints(self, frame: BenchFrame, boxes: F32) -> F32:
        return np.asarray(self._pose(frame.rgb, boxes)[0], np.float32)

    def __call__(self, frame: BenchFrame) -> int:
        boxes = self.boxes(frame)
        return len(self.keypoints(frame, boxes)) if len(boxes) else 0


class PlainOnnxRuntime:
    """Plain ONNX Runtime with default options: OpenCV blobs, all people in one batch, argmax decoding."""

    def __init__(self, detector: Path) -> None:
        cards = load()
        self._found, self._posed = cards[DETECTOR].input, cards[POSE].input
        self._padding = _pose(cards[POSE]).padding
        self._detect, self._pose = (
            ort.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (detector, model_path(POSE))
        )
        self._people = 1

    def set_max_people(self, people: int) -> None:
        self._people = people

    def __call__(self, frame: BenchFrame) -> int:
        boxes = self._boxes(frame)
        if not len(boxes):
            return 0
        crops = [Crop.around(box, self._posed.size_wh, self._padding) for box in boxes]
        cut = [cv2.warpAffine(frame.rgb, crop.to_net, crop.net_wh).transpose(2, 0, 1) for crop in crops]
        mean, std = (np.array(value, np.float32).reshape(3, 1, 1) for value in (self._posed.mean, self._posed.std))
        batch = (np.stack(cut) - mean) / std
        along_x, along_y = self._pose.run(None, {self._posed.name: batch.astype(np.float32)})
        keypoints = [crop.to_image(np.stack([x.argmax(1), y.argmax(1)], axis=1) / np.float32(2))
                  for crop, x, y in zip(crops, along_x, along_y, strict=True)]  # fmt: skip
        return len(keypoints)

    def _boxes(self, frame: BenchFrame) -> F32:
        spec, (height, width) = self._found, frame.bgr.shape[:2]
        scale = min(spec.size_wh[0] / width, spec.size_wh[1] / height)
        canvas = np.full((spec.size_wh[1], spec.size_wh[0], 3), spec.pad, np.uint8)
        small = cv2.resize(frame.bgr, (int(width * scale), int(height * scale)))
        canvas[: small.shape[0], : small.shape[1]] = small
        blob = (canvas - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        found, _ = self._detect.run(None, {spec.name: blob.transpose(2, 0, 1)[None].astype(np.float32)})
        confident = found[0][found[0][:, 4] >= MIN_SCORE]
        return np.asarray(confident[: self._people, :4] / scale, np.float32)


def keypoint_distances_px(pipeline: EdgedPipeline, rtmlib: Rtmlib, frame: BenchFrame) -> F32:
    """Return the distances (N·K,) of the keypoints of two contenders in the same boxes, px of the image."""
    boxes = rtmlib.boxes(frame)
    distances = np.linalg.norm(pipeline.keypoints(frame, boxes)[..., XY] - rtmlib.keypoints(frame, boxes), axis=-1)
    return np.asarray(distances.ravel(), np.float32)


def model_path(card: str) -> Path:
    """Return the path of a bundled model."""
    return ModelStore(Path("/nonexistent")).path(load()[card])


def _pose(card: Card) -> Pose:
    assert card.pose is not None  # noqa: S101
    return card.pose
