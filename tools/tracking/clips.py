"""Real boxes: an RTMDet export with NMS inside, run over a clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from edged.frame import U8, Boxes
from edged.units import ns

SIDE_PX = 320
MEAN, STD = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])
MIN_SCORE = 0.1


def detections(detector: Path, clip: Path, every: int = 1) -> Iterator[tuple[int, U8, Boxes]]:
    """Time, image and boxes of every n-th frame."""
    session = onnxruntime.InferenceSession(str(detector), providers=["CPUExecutionProvider"])
    video = cv2.VideoCapture(str(clip))
    fps, number = video.get(cv2.CAP_PROP_FPS) or 30.0, 0
    while True:
        got, image = video.read()
        if not got:
            return
        if number % every == 0:
            yield ns(number / fps), image, _detect(session, image)
        number += 1


def _detect(session: onnxruntime.InferenceSession, image: U8) -> Boxes:
    height, width = image.shape[:2]
    scale = SIDE_PX / max(height, width)
    canvas = np.full((SIDE_PX, SIDE_PX, 3), 114, np.uint8)
    small = cv2.resize(image, (round(width * scale), round(height * scale)))
    canvas[: small.shape[0], : small.shape[1]] = small
    tensor = ((canvas - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    dets, labels = session.run(None, {session.get_inputs()[0].name: tensor})
    kept = dets[0, :, 4] >= MIN_SCORE
    xyxy, score = dets[0, kept, :4] / np.float32(scale), dets[0, kept, 4]
    return Boxes(xyxy=xyxy, score=score, label=labels[0, kept].astype(np.int64))
