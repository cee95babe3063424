"""Training data that shows a pose model what is not a subject: what a detector takes for one, and plain background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edged.frame import F32, U8
from edged.inference.cpu.backend import Detector
from edged.inference.cpu.onnxruntime import OrtSession
from engines.arrays import shared_area
from engines.catalogue import load
from tools.train.crops import ABSENT, Subject, boxed
from tools.train.photographs import Photographs
from tools.train.pictures import boxes_of

CARD = "det-person-horse"
MIN_SCORE = 0.05  # of a false box; most are far from being published
MAX_OVERLAP = 0.1  # share of the box that may lie in a subject's
MIN_SIDE = 24  # px
PLAIN_SHARE = 0.3  # boxes that the detector did not find


@dataclass
class FalseBoxes:
    """Boxes without a subject, in photographs where all subjects of `kinds` are labelled; no keypoint is to be seen."""

    photographs: Photographs
    kinds: tuple[str, ...]
    keypoints: int
    model: Path

    @staticmethod
    def of(photographs: Photographs, kinds: tuple[str, ...], keypoints: int, model: Path) -> FalseBoxes:
        """`kinds`: what a pose model has keypoints of; the first is the class that the detector looks for."""
        complete = [row for row in photographs.rows if row["complete"].get(kinds[0], True)]
        return FalseBoxes(Photographs(photographs.file, complete), kinds, keypoints, model)

    def draw(self, rng: np.random.Generator) -> Subject:
        while True:
            row = self.photographs.rows[int(rng.integers(len(self.photographs.rows)))]
            image = self.photographs.image(row)
            boxes = _somewhere(image, rng) if rng.random() < PLAIN_SHARE else self._found(image)
            boxes = boxes[self._clear(boxes, row)]
            if len(boxes):
                points = np.full((self.keypoints, 3), ABSENT, np.float32)
                return boxed(image, boxes[int(rng.integers(len(boxes)))], points)

    @cached_property
    def _detector(self) -> Detector:  # made in the worker: a session cannot be passed to it
        return Detector(OrtSession(load()[CARD], self.model, threads=1))

    def _found(self, image: U8) -> F32:
        """Return what the detector takes for a subject (N, 4)."""
        wanted = [name == self.kinds[0] for name in self._detector.classes]
        self._detector.letterbox(image)
        return self._detector.detect(np.where(wanted, MIN_SCORE, np.inf).astype(np.float32), lambda _: None).xyxy

    def _clear(self, boxes: F32, row: dict[str, Any]) -> np.ndarray:
        """Return which boxes (N, 4) are large enough and lie hardly in a subject or a region to ignore."""
        subjects = boxes_of([box for kind, *box in row["boxes"] if kind in self.kinds] + row["ignore"])
        sides = boxes[:, 2:] - boxes[:, :2]
        inside = shared_area(boxes, subjects).max(axis=1, initial=0) / sides.prod(axis=1).clip(min=1)
        return (sides.min(axis=1, initial=np.inf) >= MIN_SIDE) & (inside <= MAX_OVERLAP)


def _somewhere(image: U8, rng: np.random.Generator) -> F32:
    """Return a few boxes (4, 4) of any place, size and shape."""
    size = np.array(image.shape[1::-1], np.float32)
    sides = size * rng.uniform(0.1, 0.9, (4, 2))
    corner = (size - sides) * rng.random((4, 2))
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
