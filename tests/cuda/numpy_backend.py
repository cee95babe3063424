"""The data path by its numpy definitions from end to end: what the CUDA backend is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from edged.frame import F32, U8, XY, Boxes, Frame, InferenceParams, InferenceResult
from edged.inference.crop import Crop, crop_image
from edged.inference.decode.detectors import FAMILIES
from edged.inference.decode.nms import nms
from edged.inference.decode.simcc import simcc
from edged.inference.image_quality import check_limits, image_quality
from edged.inference.letterbox import Letterbox, letterbox, normalise
from edged.inference.select import low_thresholds, select_detections
from edged.inference.session import Session
from engines.card import Input


class NumpyBackend:
    def __init__(self, detector: Session, poses: Mapping[str, Session]) -> None:
        self._detector, self._poses = detector, poses
        assert detector.card.detect is not None
        self._detect = detector.card.detect

    @property
    def classes(self) -> tuple[str, ...]:
        return self._detect.classes

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        card, bgr = self._detector.card, frame.image
        height, width = bgr.shape[:2]
        x0, y0, x1, y1 = params.roi or (0, 0, width, height)
        spec = card.input
        fit = Letterbox.fit((x1 - x0, y1 - y0), spec.size_wh, spec.fit)
        canvas = letterbox(bgr[y0:y1, x0:x1], fit, spec.size_wh, spec.pad)
        w, h = fit.resized_wh
        grey = cv2.cvtColor(canvas[fit.pad_y : fit.pad_y + h : 2, fit.pad_x : fit.pad_x + w], cv2.COLOR_BGR2GRAY)
        quality = check_limits(*image_quality(np.asarray(grey, np.uint8)), params.quality_limits)
        if quality.degraded:
            return InferenceResult(quality=quality, boxes=Boxes.empty(), keypoints=())
        boxes = priors
        if detect:
            outputs = [output[0] for output in self._detector.run(_tensor(canvas, spec)[None])]
            found = FAMILIES[card.family].decode(outputs, self._detect.strides, low_thresholds(params.thresholds))
            found = nms(found, self._detect.nms_iou, self._detect.vote_iou)
            in_frame = Boxes(xyxy=fit.to_image(found.xyxy), score=found.score, label=found.label).shifted(x0, y0)
            boxes = select_detections(in_frame, priors, params, (width, height))
        points = tuple(
            self._points(bgr, box, self.classes[label]) for box, label in zip(boxes.xyxy, boxes.label, strict=True)
        )
        return InferenceResult(quality=quality, boxes=boxes, keypoints=points)

    def _points(self, bgr: U8, box: F32, label: str) -> F32 | None:
        session = self._poses.get(label)
        if session is None:
            return None
        pose = session.card.pose
        assert pose is not None
        crop = Crop.around(box, session.card.input.size_wh, pose.padding)
        along_x, along_y = session.run(_tensor(crop_image(bgr, crop), session.card.input)[None])
        points: F32 = simcc(along_x, along_y, pose.split)[0]
        points[:, XY] = crop.to_image(points[:, XY])
        return points

    def close(self) -> None:
        """Does not own its sessions."""


def _tensor(bgr: U8, spec: Input) -> F32:
    return normalise(bgr, spec.colour, np.array(spec.mean, np.float32), np.array(spec.std, np.float32))
