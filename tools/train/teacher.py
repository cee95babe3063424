"""Labels of people in photographs by another detector, an end-to-end RTMDet, where the dataset has none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from edged.frame import F32, U8
from tools.train.pictures import GREY

MEAN, STD = np.array([103.53, 116.28, 123.675], np.float32), np.array([57.375, 57.12, 58.395], np.float32)
SIDE = 320  # of its canvas
MIN_SCORE = 0.45


class Teacher:
    def __init__(self, model: Path) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, image: U8) -> F32:
        """Return the boxes (N, 4) x0 y0 x1 y1 of confident people, px."""
        scale = SIDE / max(image.shape[:2])
        canvas = np.full((SIDE, SIDE, 3), GREY, np.uint8)
        small = cv2.resize(image, None, fx=scale, fy=scale)
        canvas[: small.shape[0], : small.shape[1]] = small
        tensor = ((canvas - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        dets, labels = self._session.run(None, {self._input: tensor})
        confident = (dets[0, :, 4] >= MIN_SCORE) & (labels[0] == 0)
        found: F32 = (dets[0, confident, :4] / scale).clip(0, max(image.shape[:2]))
        return found
