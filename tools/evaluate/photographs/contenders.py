"""Detectors and pose models as the daemon runs them: its pipeline, its default thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.frame import F32, U8, Boxes, Frame, InferenceParams, QualityLimits, TrackedSubject
from edged.inference.cpu.backend import CpuBackend
from edged.inference.cpu.onnxruntime import OrtSession
from edged.pipeline import Pipeline
from edged.tracking.subject_score import subject_scores
from engines.card import Card, Pose
from engines.catalogue import load

LOWEST = 0.12  # score of the boxes that average precision is computed from
MOST = 64  # subjects of one image
CANDIDATES = 16  # boxes of one image that average precision is computed from


@dataclass(frozen=True, slots=True)
class Models:
    """Cards and files of a detector and the pose models."""

    detector: str
    file: Path
    poses: dict[str, tuple[str, Path]]  # by class


class Contender:
    """The published subjects of an image, and what they were chosen from."""

    def __init__(self, models: Models, cards: Mapping[str, Card] | None = None) -> None:
        """`cards`: of the models, by name; those of the catalogue by default."""
        cards = cards or load()
        self.detector = cards[models.detector]
        posing = {label: (cards[name], file) for label, (name, file) in models.poses.items()}
        assert self.detector.detect is not None  # noqa: S101  # a detector's card
        self.backend = CpuBackend(
            OrtSession(self.detector, models.file),
            {label: OrtSession(card, file) for label, (card, file) in posing.items()},
        )
        self.poses: dict[str, Pose] = {label: _pose(card) for label, (card, _) in posing.items()}
        options = CameraConfig(source="photographs", classes=list(models.poses), max_subjects=MOST)
        self._pipeline = Pipeline(options, self.backend, self.detector.detect, self.poses, smooth=False)
        self._count = 0

    def subjects(self, image: U8) -> Sequence[TrackedSubject]:
        """Return what is published of an image at the default thresholds."""
        return self._pipeline.run(self._frame(image)).subjects

    def candidates(self, image: U8) -> tuple[Boxes, Boxes, tuple[F32 | None, ...]]:
        """Return the detector's boxes from LOWEST on, the same with the subjects' scores, and their keypoints."""
        classes = self.backend.classes
        scores = np.array([LOWEST if name in self.poses else np.inf for name in classes], np.float32)
        params = InferenceParams(thresholds=scores, max_subjects=CANDIDATES, quality_limits=QualityLimits())
        found = self.backend.infer(self._frame(image), params, Boxes.empty(), detect=True)
        return found.boxes, subject_scores(found.boxes, found.keypoints, classes, self.poses), found.keypoints

    def keypoints(self, image: U8, label: str, boxes: F32) -> list[F32]:
        """Return the keypoints (K, 3) x, y, score of subjects in the boxes (N, 4) given."""
        known = Boxes(
            xyxy=boxes,
            score=np.ones(len(boxes), np.float32),
            label=np.full(len(boxes), self.backend.classes.index(label), np.int64),
        )
        scores = np.zeros(len(self.backend.classes), np.float32)
        params = InferenceParams(thresholds=scores, max_subjects=len(boxes), quality_limits=QualityLimits())
        found = self.backend.infer(self._frame(image), params, known, detect=False).keypoints
        return [points for points in found if points is not None]

    def _frame(self, image: U8) -> Frame:
        self._count += 1  # a source of its own: no image is tracked from another
        return Frame(camera="photographs", seq=self._count, captured_ns=0, image=image, source=str(self._count))


def _pose(card: Card) -> Pose:
    if card.pose is None:
        raise SystemExit(f"{card.name} is no pose model")
    return card.pose
