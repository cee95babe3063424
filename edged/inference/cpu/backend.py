"""The CPU plane: OpenCV moves the pixels, ONNX Runtime runs the models. Owned by the compute thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import cv2
import numpy as np

from edged.capture.sources.opencv import to_bgr
from edged.frame import F32, U8, XY, Boxes, Frame, InferenceParams, InferenceResult, Pose3d
from edged.inference.crop import Crop
from edged.inference.decode.detectors import DECODERS
from edged.inference.decode.nms import nms
from edged.inference.decode.simcc import simcc
from edged.inference.image_quality import GREY_LEVELS, check_limits, from_sums
from edged.inference.letterbox import Letterbox
from edged.inference.select import low_thresholds, select_detections
from edged.inference.stage_timer import StageTimer
from engines.card import Card, Input
from engines.errors import CardError

if TYPE_CHECKING:
    from edged.inference.pose3d.lifter import Lifter

PREALLOCATED_SUBJECTS = 4  # subjects of one frame whose memory is taken at the start


class Session(Protocol):
    """A model that runs: on ONNX Runtime, or as a TensorRT engine."""

    @property
    def card(self) -> Card: ...
    def run(self, tensor: F32) -> list[F32]: ...
    def close(self) -> None: ...


class CpuBackend:
    """Detector and pose models on the CPU; buffers are made once and reused for every frame."""

    def __init__(self, detector: Session, poses: Mapping[str, Session], lifter: Lifter | None = None) -> None:
        self._sessions = (*poses.values(), detector)
        self._lifter = lifter
        self._detector = Detector(detector)
        self._estimators = {label: PoseEstimator(session) for label, session in poses.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        return self._detector.classes

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        watch = StageTimer()
        image = to_bgr(frame.image, frame.pixel_format)
        height, width = image.shape[:2]
        x0, y0, x1, y1 = params.roi or (0, 0, width, height)
        content = self._detector.letterbox(image[y0:y1, x0:x1])
        watch.lap("letterbox")
        clarity = check_limits(*image_quality(content[::2]), params.quality_limits)  # every second row tells as much
        watch.lap("gate")
        if clarity.degraded:
            return InferenceResult(quality=clarity, boxes=Boxes.empty(), keypoints=(), stage_ns=watch.stage_ns)
        boxes = priors
        if detect:
            found = self._detector.detect(low_thresholds(params), watch.lap)
            boxes = select_detections(found.shifted(x0, y0) if params.roi else found, priors, params, (width, height))
            watch.lap("decode")
        keypoints = self._pose(image, boxes, watch.lap)
        poses3d = self._lift(frame, image, boxes, params, watch)
        return InferenceResult(
            quality=clarity, boxes=boxes, keypoints=keypoints, poses3d=poses3d, stage_ns=watch.stage_ns
        )

    def _pose(self, image: U8, boxes: Boxes, lap: Callable[[str], None]) -> tuple[F32 | None, ...]:
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

    def close(self) -> None:
        if self._lifter is not None:
            self._lifter.close()
        for session in self._sessions:
            session.close()


class Detector:
    """Letterbox, engine, decode, NMS: an image in, boxes in image pixels out."""

    def __init__(self, session: Session) -> None:
        card = session.card
        if card.detect is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.detector wants a detector")
        self._session, self._card, self._detect = session, card, card.detect
        self._decode = DECODERS[card.family]
        self._normalise = Normaliser(card.input)
        width, height = card.input.size_wh
        self._canvas = np.full((height, width, 3), card.input.pad, np.uint8)
        self._tensor = np.empty((1, 3, height, width), np.float32)
        self._fit = Letterbox(0.0, 0, 0, (0, 0))  # of the last image; fits none

    @property
    def classes(self) -> tuple[str, ...]:
        return self._detect.classes

    def letterbox(self, image: U8) -> U8:
        """Put the image on the canvas; the part of the canvas that it covers."""
        card = self._card.input
        placement: Literal["centred", "top-left"] = "centred" if card.fit == "centred" else "top-left"
        fit = Letterbox.fit((image.shape[1], image.shape[0]), card.size_wh, placement)
        if fit != self._fit:
            self._canvas[:] = card.pad
            self._normalise(self._canvas, self._tensor[0])
            self._fit = fit
        cv2.resize(image, fit.resized_wh, dst=self._canvas[self._content], interpolation=cv2.INTER_LINEAR)
        return self._canvas[self._content]

    @property
    def _content(self) -> tuple[slice, slice]:
        """The part of the canvas that the image covers."""
        (w, h), x, y = self._fit.resized_wh, self._fit.pad_x, self._fit.pad_y
        return slice(y, y + h), slice(x, x + w)

    def detect(self, thresholds: F32, lap: Callable[[str], None]) -> Boxes:
        """Boxes of the letterboxed image, in its pixels, best first. The tensor's border stays as it was."""
        rows, columns = self._content
        self._normalise(self._canvas[rows, columns], self._tensor[0, :, rows, columns])
        lap("letterbox")
        outputs = self._session.run(self._tensor)
        lap("detect")
        boxes = self._decode([output[0] for output in outputs], self._detect.strides, thresholds)
        if self._card.family != "rtmdet-end2end":
            boxes = nms(boxes, self._detect.nms_iou)
        return Boxes(xyxy=self._fit.to_image(boxes.xyxy), score=boxes.score, label=boxes.label)


class PoseEstimator:
    """Crop, engine, decode: boxes of one image in, keypoints in image pixels out, all in one batch."""

    def __init__(self, session: Session) -> None:
        card = session.card
        if card.pose is None:
            raise CardError(f"model {card.name} is a {card.task} model; models.pose wants pose models")
        self._session, self._input, self._pose = session, card.input, card.pose
        self._sample_crop = CropSampler(card.input)
        width, height = card.input.size_wh
        self._batch = np.full((PREALLOCATED_SUBJECTS, 3, height, width), 0, np.float32)  # written, not only reserved

    def estimate(self, image: U8, xyxy: F32, lap: Callable[[str], None]) -> list[F32]:
        """(K, 3) x, y, score for each of the (N, 4) boxes."""
        crops = [Crop.around(box, self._input.size_wh, self._pose.padding) for box in xyxy]
        if len(crops) > len(self._batch):
            self._batch = np.empty((len(crops), *self._batch.shape[1:]), np.float32)
        for crop, tensor in zip(crops, self._batch, strict=False):
            self._sample_crop(image, crop, tensor)
        lap("crop")
        along_x, along_y = self._session.run(self._batch[: len(crops)])
        lap("pose")
        keypoints = simcc(along_x, along_y, self._pose.split)
        for crop, points in zip(crops, keypoints, strict=True):
            points[:, XY] = crop.to_image(points[:, XY])
        lap("decode")
        return list(keypoints)


class CropSampler:
    """One subject's crop, normalised, for a net that looks at one subject."""

    def __init__(self, spec: Input) -> None:
        width, height = spec.size_wh
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._normalise = Normaliser(spec)

    def __call__(self, image: U8, crop: Crop, out: F32) -> None:
        """Write the (3, H, W) tensor of the crop into `out`."""
        cv2.warpAffine(image, crop.to_net, crop.net_wh, dst=self._pixels, flags=cv2.INTER_LINEAR)
        self._normalise(self._pixels, out)


class Normaliser:
    """(pixel - mean) / std by table: 256 values per channel, looked up exactly."""

    def __init__(self, spec: Input) -> None:
        tables = [((GREY_LEVELS - m) / s).astype(np.float32) for m, s in zip(spec.mean, spec.std, strict=True)]
        channels = (0, 1, 2) if spec.colour == "bgr" else (2, 1, 0)
        self._channel_tables = list(zip(channels, tables, strict=True))

    def __call__(self, bgr: U8, out: F32) -> None:
        """Write the (3, H, W) tensor of an (H, W, 3) image into `out`."""
        planes = cv2.split(bgr)
        for tensor, (channel, table) in zip(out, self._channel_tables, strict=True):
            cv2.LUT(planes[channel], table, tensor)


def image_quality(bgr: U8) -> tuple[float, float, float]:
    """`gate.measure` of the image's grey version, by OpenCV."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    laplacian = cv2.Laplacian(grey, cv2.CV_16S)
    return from_sums(histogram, int(cv2.sumElems(laplacian)[0]), int(cv2.norm(laplacian, cv2.NORM_L2SQR)))
