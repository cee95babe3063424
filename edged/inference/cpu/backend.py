"""The CPU backend: OpenCV moves the pixels, sessions run the models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import LifoQueue

import cv2
import numpy as np

from edged.frame import F32, U8, XY, Boxes, Frame, InferenceParams, InferenceResult, Pose3d
from edged.inference.cpu.pixels import CropSampler, Normaliser, image_quality, to_bgr
from edged.inference.crop import Crop
from edged.inference.decode.detectors import FAMILIES
from edged.inference.decode.nms import nms
from edged.inference.decode.simcc import simcc
from edged.inference.image_quality import check_limits
from edged.inference.letterbox import Letterbox
from edged.inference.pose3d.lifter import Lifter
from edged.inference.select import low_thresholds, select_detections
from edged.inference.session import MOST_AT_ONCE, Session
from edged.inference.stage_timer import StageTimer
from engines.errors import CardError

PREALLOCATED_SUBJECTS = MOST_AT_ONCE  # subjects in one frame for which memory is taken at the start


class CpuBackend:
    """Detector, pose and 3D models, pixels on the host; buffers are made once. Closes all that it was given.

    Thread: `infer` as many as `frames_at_once`, where the sessions can and there is no lifter; everything else the one
    that made it.
    """

    def __init__(
        self,
        detector: Session,
        poses: Mapping[str, Session],
        lifter: Lifter | None = None,
        *,
        frames_at_once: int = 1,
        warm_up: Callable[[], bool] | None = None,
    ) -> None:
        """`warm_up` warms one model up and tells whether others remain.

        It is called before the second frame and those that follow: the first is published sooner, none waits long.
        """
        self._warm_up, self._has_begun = warm_up, False
        self._lock = threading.Lock()  # of both
        self._sessions = (*poses.values(), detector)
        self._lifter, self.frames_at_once = lifter, frames_at_once
        lanes = [
            _Lane(Detector(detector), {label: PoseEstimator(session) for label, session in poses.items()}, lifter)
            for _ in range(frames_at_once)
        ]
        self.classes = lanes[0].classes
        self._free: LifoQueue[_Lane] = LifoQueue()  # the last one returned is the one in the caches
        for lane in lanes:
            self._free.put(lane)

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        if self._warm_up is not None:
            self._warm_up_next()
        lane = self._free.get()
        try:
            return lane.infer(frame, params, priors, detect=detect)
        finally:
            self._free.put(lane)

    def _warm_up_next(self) -> None:
        with self._lock:
            if self._has_begun and (warm_up := self._warm_up) is not None:
                lanes = [self._free.get() for _ in range(self.frames_at_once)]  # a session cannot compute meanwhile
                try:
                    self._warm_up = warm_up if warm_up() else None
                finally:
                    for lane in lanes:
                        self._free.put(lane)
            self._has_begun = True

    def close(self) -> None:
        if self._lifter is not None:
            self._lifter.close()
        for session in self._sessions:
            session.close()


class _Lane:
    """The buffers of one frame on its way through the models."""

    def __init__(self, detector: Detector, estimators: Mapping[str, PoseEstimator], lifter: Lifter | None) -> None:
        self._detector, self._estimators, self._lifter = detector, estimators, lifter
        self.classes = detector.classes

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        timer = StageTimer()
        image = to_bgr(frame.image, frame.pixel_format)
        height, width = image.shape[:2]
        x0, y0, x1, y1 = params.roi or (0, 0, width, height)
        content = self._detector.letterbox(image[y0:y1, x0:x1])
        timer.lap("letterbox")
        quality = check_limits(*image_quality(content[::2]), params.quality_limits)  # every second row is enough
        timer.lap("quality")
        if quality.degraded:
            return InferenceResult(quality=quality, boxes=Boxes.empty(), keypoints=(), stage_ns=timer.stage_ns)
        boxes = priors
        if detect:
            found = self._detector.detect(low_thresholds(params.thresholds), timer.lap)
            boxes = select_detections(found.shifted(x0, y0) if params.roi else found, priors, params, (width, height))
            timer.lap("decode")
        keypoints = self._keypoints(image, boxes, timer.lap)
        poses3d = self._lift(frame, image, boxes, params, timer)
        return InferenceResult(
            quality=quality, boxes=boxes, keypoints=keypoints, poses3d=poses3d, stage_ns=timer.stage_ns
        )

    def _keypoints(self, image: U8, boxes: Boxes, lap: Callable[[str], None]) -> tuple[F32 | None, ...]:
        keypoints: list[F32 | None] = [None] * len(boxes)
        for label in sorted(set(boxes.label.tolist())):
            if estimator := self._estimators.get(self.classes[label]):
                rows = np.flatnonzero(boxes.label == label)
                for row, points in zip(rows, estimator.estimate(image, boxes.xyxy[rows], lap), strict=True):
                    keypoints[row] = points
        return tuple(keypoints)

    def _lift(
        self, frame: Frame, image: U8, boxes: Boxes, params: InferenceParams, timer: StageTimer
    ) -> tuple[Pose3d | None, ...]:
        if self._lifter is None:
            return ()
        poses3d = self._lifter.lift_people(frame, image, boxes, self.classes, params)
        timer.lap("lift")
        return poses3d


class Detector:
    """Letterbox, model, decode, NMS: `letterbox` an image, then `detect` in it."""

    def __init__(self, session: Session) -> None:
        card = session.card
        if card.detect is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.detector wants a detector")
        self.card, self._session, self._spec = card, session, card.detect
        self._decode = FAMILIES[card.family].decode
        self._normalise = Normaliser(card.input)
        width, height = card.input.size_wh
        self.canvas: U8 = np.full((height, width, 3), card.input.pad, np.uint8)  # BGR; the letterboxed image
        self.tensor: F32 = np.empty((1, 3, height, width), np.float32)  # the model's input
        self._fit = Letterbox(0.0, 0, 0, (0, 0))  # of the last image; at first that of no image

    @property
    def classes(self) -> tuple[str, ...]:
        return self._spec.classes

    def letterbox(self, image: U8) -> U8:
        """The (H, W, 3) uint8 BGR part of the canvas that the image now covers; a view, valid until the next image."""
        card = self.card.input
        fit = Letterbox.fit((image.shape[1], image.shape[0]), card.size_wh, card.fit)
        if fit != self._fit:
            self.canvas[:] = card.pad
            self._normalise(self.canvas, self.tensor[0])
            self._fit = fit
        cv2.resize(image, fit.resized_wh, dst=self.canvas[self._content], interpolation=cv2.INTER_LINEAR)
        return self.canvas[self._content]

    @property
    def _content(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that the image covers."""
        (w, h), x, y = self._fit.resized_wh, self._fit.pad_x, self._fit.pad_y
        return slice(y, y + h), slice(x, x + w)

    def detect(self, thresholds: F32, lap: Callable[[str], None]) -> Boxes:
        """Boxes in the letterboxed image, in its pixels, best first.

        thresholds  (C,) float32, least score per class in [0, 1]; inf: class not wanted
        Raises `ModelFault`.
        """
        rows, columns = self._content
        self._normalise(self.canvas[rows, columns], self.tensor[0, :, rows, columns])
        lap("letterbox")
        outputs = self._session.run(self.tensor)
        lap("detect")
        boxes = self._decode([output[0] for output in outputs], self._spec.strides, thresholds)
        if self.card.family != "rtmdet-end2end":
            boxes = nms(boxes, self._spec.nms_iou, self._spec.vote_iou)
        return Boxes(xyxy=self._fit.to_image(boxes.xyxy), score=boxes.score, label=boxes.label)


class PoseEstimator:
    """Crop, model, decode: keypoints of all boxes of one image in one batch."""

    def __init__(self, session: Session) -> None:
        card = session.card
        if card.pose is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.pose wants pose models")
        self._session, self._input, self._spec = session, card.input, card.pose
        self._sample_crop = CropSampler(card.input)
        width, height = card.input.size_wh
        # Written, so that the memory is taken now and not only reserved.
        self._batch = np.full((PREALLOCATED_SUBJECTS, 3, height, width), 0, np.float32)

    def estimate(self, image: U8, xyxy: F32, lap: Callable[[str], None]) -> list[F32]:
        """For each of the (N, 4) boxes (K, 3) float32 x, y in image px and score; x, y NaN: not found.

        Raises `ModelFault`.
        """
        crops = [Crop.around(box, self._input.size_wh, self._spec.padding) for box in xyxy]
        if len(crops) > len(self._batch):
            self._batch = np.empty((len(crops), *self._batch.shape[1:]), np.float32)
        for crop, tensor in zip(crops, self._batch, strict=False):
            self._sample_crop(image, crop, tensor)
        lap("crop")
        along_x, along_y = self._session.run(self._batch[: len(crops)])
        lap("pose")
        keypoints = simcc(along_x, along_y, self._spec.split)
        for crop, points in zip(crops, keypoints, strict=True):
            points[:, XY] = crop.to_image(points[:, XY])
        lap("decode")
        return list(keypoints)
