"""One camera's frames in, its results out: infer, track, smooth.

Upstream: leases of the camera hub. Downstream: publisher, drawing, behaviour. Everything remembered between frames
lives here and in `tracking`; everything that touches pixels is in the backend. Compute thread only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from edged.config.tables.camera import CameraConfig
from edged.frame import (
    F32,
    I64,
    SCORE,
    X0,
    X1,
    Y0,
    Y1,
    Boxes,
    BoxSource,
    Flags,
    Frame,
    FrameResult,
    InferenceParams,
    InferenceResult,
    TrackedSubject,
)
from edged.inference.backend import PoseBackend
from edged.inference.params import camera_params, shown_thresholds
from edged.inference.select import clip_region
from edged.tracking.adaptive import AdaptiveMode
from edged.tracking.motion import box_from_keypoints
from edged.tracking.one_euro import OneEuroFilter, Pose3dFilter
from edged.tracking.static_region import StaticRegionTracker
from edged.tracking.subject_score import refuted, subject_scores
from edged.tracking.tracker import NO_ID, Tracker
from engines.card import Detect, Pose

log = logging.getLogger(__name__)


class StillTest(Protocol):
    """Tells which frames need no models; None in its place: all do."""

    def is_still(self, frame: Frame) -> bool: ...


class Pipeline:
    """Detects on every n-th frame, predicts tracked boxes on the others, and keeps the subjects' ids.

    With `smooth` off no smoothed keypoints are made. Ids count on from `last_id`.
    """

    def __init__(
        self,
        options: CameraConfig,
        backend: PoseBackend,
        detector: Detect,
        poses: Mapping[str, Pose],
        *,
        smooth: bool = True,
        last_id: int = 0,
        gate: StillTest | None = None,
    ) -> None:
        self._backend = backend
        self._classes = detector.classes
        self._poses = poses
        self._configured_params = (
            camera_params(options, detector, poses),
            camera_params(options, detector, poses, single=True),
        )
        self._multi_params, self._single_params = self._configured_params  # as far as they lie inside the image
        self._size_wh: tuple[int, int] | None = None  # of that image
        self._checks_quality = options.quality.enabled
        self._mode = AdaptiveMode(options.mode)
        self._interval = options.detector_interval
        self._min_keypoints = options.track.min_keypoints
        self._countdown = 0  # frames until the detector runs again
        self._detection_scores: dict[int, float] = {}  # by id, of the last detection
        self._shown_thresholds = shown_thresholds(options, detector, poses)
        self._tracker = (
            Tracker(options.track, self._shown_thresholds, last_id)
            if options.static_region is None
            else StaticRegionTracker(options.static_region, detector.classes, last_id)
        )
        self._filters = {label: OneEuroFilter(pose.score) for label, pose in poses.items() if smooth}
        self._filter3d = Pose3dFilter()
        self._source: str | None = None
        self._gate = gate
        self._last: FrameResult | None = None  # the last one that models made; None: nothing may be held

    @property
    def last_id(self) -> int:
        """The last id."""
        return self._tracker.last_id

    def run(self, frame: Frame) -> FrameResult:
        """One frame, start to end. Raises `Degrade` (give the frame up) or `DeviceLost`."""
        if frame.size_wh != self._size_wh:
            self._set_image_size(frame)
        if frame.source != self._source:
            self._source, self._countdown, self._last = frame.source, 0, None
            self._tracker.reset()
        if frame.damaged and self._checks_quality:
            self._last = None
            return self._result(frame, self._measured(frame), ())
        single = self._mode.is_single(frame.seq, frame.scene_ns)
        started_ns = time.monotonic_ns()
        is_still = self._gate is not None and self._gate.is_still(frame)
        motion_ns = time.monotonic_ns() - started_ns
        if is_still and self._last is not None:
            return self._held(frame, self._last, motion_ns)
        result = self._infer(frame, self._single_params if single else self._multi_params)
        self._last = None if result.quality.degraded else result
        return result

    def _held(self, frame: Frame, last: FrameResult, motion_ns: int) -> FrameResult:
        """The subjects of the last frame that models looked at: nothing has moved since. The detector runs next."""
        self._tracker.hold(frame.scene_ns)
        self._countdown = 0
        unseen = InferenceResult(
            quality=last.quality, boxes=Boxes.empty(), keypoints=(), stage_ns={"motion": motion_ns}
        )
        subjects = tuple(replace(subject, box_source="held") for subject in last.subjects)
        return replace(self._result(frame, unseen, subjects), held=True)

    def _infer(self, frame: Frame, params: InferenceParams) -> FrameResult:
        """A frame through the models and the tracker."""
        t_ns = frame.scene_ns
        detect = self._countdown == 0 and self._tracker.needs_detector
        ids, priors = self._tracker.predict(t_ns)
        inferred = self._backend.infer(frame, params, priors, detect=detect)
        if inferred.quality.degraded:
            return self._result(frame, inferred, ())
        self._countdown = self._interval - 1 if detect else max(0, self._countdown - 1)
        if detect:
            inferred, ids = self._update_from_detections(inferred, ids, t_ns)
        else:
            ids = self._update_from_keypoints(ids, inferred, t_ns)
        inferred = self._as_their_class(frame, params, inferred, ids)
        box_source: BoxSource = "detected" if detect else self._tracker.prediction_source
        subjects = tuple(
            self._subject(int(ids[row]), inferred, row, t_ns, box_source=box_source)
            for row in np.flatnonzero(ids > 0).tolist()
        )
        return self._result(frame, inferred, subjects)

    def _shows_somebody(self, inferred: InferenceResult) -> Flags:
        """(N,) bool which candidates have as many keypoints as a new subject must have, or no pose model."""
        shown = np.ones(len(inferred.boxes), bool)
        for row, keypoints in enumerate(inferred.keypoints):
            if keypoints is not None:
                pose = self._poses[self._classes[inferred.boxes.label[row]]]
                shown[row] = np.count_nonzero(keypoints[:, SCORE] >= pose.score) >= self._min_keypoints
        return shown

    def _as_their_class(
        self, frame: Frame, params: InferenceParams, inferred: InferenceResult, ids: I64
    ) -> InferenceResult:
        """The boxes of tracked subjects under the class of their track, which one detection does not change.

        Where the detector named another class, the pose model of the track's class runs on those boxes once more.
        """
        shown = np.flatnonzero(ids > 0)
        labels = self._tracker.labels(ids[shown])
        differs = inferred.boxes.label[shown] != labels
        rows = shown[differs]
        if not len(rows):
            return inferred
        scores, xyxy = self._tracker.scores(ids[rows]), inferred.boxes.xyxy[rows]
        boxes = Boxes(xyxy=xyxy, score=scores, label=labels[differs])
        return inferred.with_rows(rows, self._backend.infer(frame, params, boxes, detect=False))

    def _set_image_size(self, frame: Frame) -> None:
        """Cut the regions at the edges of images of this size. Raises `OutsideImage`."""
        configured, _ = self._configured_params
        multi, single = (clip_region(params, frame.size_wh) for params in self._configured_params)
        if multi is not configured and self._multi_params is configured:
            log.warning("camera %s: roi reaches beyond the image; only the part inside is used", frame.camera)
        if (lens := configured.intrinsics) and not _is_inside((lens.cx, lens.cy), frame.size_wh):
            text = "camera %s: the centre of intrinsics, %g, %g, lies outside the image of %dx%d; measure them again"
            log.warning(text, frame.camera, lens.cx, lens.cy, *frame.size_wh)
        self._multi_params, self._single_params, self._size_wh = multi, single, frame.size_wh
        self._last = None

    def _measured(self, frame: Frame) -> InferenceResult:
        """The measures of a damaged image, and no subjects: what it shows is partly made up."""
        measured = self._backend.infer(frame, self._single_params, Boxes.empty(), detect=False)
        quality = replace(measured.quality, degraded=(*measured.quality.degraded, "damaged"))
        return replace(measured, quality=quality)

    def _update_from_detections(
        self, inferred: InferenceResult, present: I64, t_ns: int
    ) -> tuple[InferenceResult, I64]:
        """The result with the subjects' scores, and (N,) int64 the ids of its boxes, -1 where none is shown.

        `present` are the ids that were expected in this frame.
        """
        boxes = subject_scores(inferred.boxes, inferred.keypoints, self._classes, self._poses)
        possible = ~refuted(boxes, self._shown_thresholds)
        ids, may_start = np.full(len(boxes), NO_ID), self._shows_somebody(inferred)
        ids[possible] = self._tracker.update(boxes.select(possible), t_ns, may_start[possible])
        kept = {track_id: score for track_id, score in self._detection_scores.items() if track_id in present}
        detected = zip(ids.tolist(), inferred.boxes.score.tolist(), strict=True)
        self._detection_scores = kept | {track_id: score for track_id, score in detected if track_id != NO_ID}
        return replace(inferred, boxes=boxes), ids

    def _update_from_keypoints(self, ids: I64, inferred: InferenceResult, t_ns: int) -> I64:
        """(N,) int64 the predicted ids, -1 where the keypoints show no subject; the other boxes follow theirs."""
        moved = [self._moved_box(inferred, row) for row in range(len(inferred.boxes))]
        found = np.array([box is not None for box in moved], bool)
        kept = inferred.boxes.select(found)
        xyxy = np.array([box for box in moved if box is not None], np.float32).reshape(-1, 4)
        self._tracker.update_from_keypoints(ids[found], Boxes(xyxy=xyxy, score=kept.score, label=kept.label), t_ns)
        return np.where(found, ids, NO_ID)

    def _moved_box(self, inferred: InferenceResult, row: int) -> F32 | None:
        """(4,) float32 a predicted box, moved onto its keypoints; None when they show no subject."""
        keypoints, box = inferred.keypoints[row], inferred.boxes.xyxy[row]
        if keypoints is None:  # the score NaN: a static region, which is no evidence by itself
            return np.asarray(box, np.float32) if np.isfinite(inferred.boxes.score[row]) else None
        pose = self._poses[self._classes[inferred.boxes.label[row]]]
        return box_from_keypoints(keypoints, pose.score, box)

    def _subject(
        self, track_id: int, inferred: InferenceResult, row: int, t_ns: int, *, box_source: BoxSource
    ) -> TrackedSubject:
        """One box under its track's id."""
        boxes, keypoints, smoothed, schema = inferred.boxes, inferred.keypoints[row], None, None
        xyxy, score, label = boxes.xyxy[row], float(boxes.score[row]), self._classes[boxes.label[row]]
        if keypoints is not None and (pose := self._poses.get(label)) is not None:
            schema = pose.schema_name
            score = score if np.isfinite(score) else float(np.clip(keypoints[:, SCORE].mean(), 0, 1))
            if smooth := self._filters.get(label):
                size_px = float(np.sqrt(max(0.0, (xyxy[X1] - xyxy[X0]) * (xyxy[Y1] - xyxy[Y0]))))
                smoothed = smooth(track_id, keypoints, size_px, t_ns)
        pose3d = inferred.poses3d[row] if inferred.poses3d else None
        return TrackedSubject(
            id=track_id,
            label=label,
            score=score,
            xyxy=xyxy,
            keypoints=keypoints,
            smoothed=smoothed,
            schema=schema,
            box_source=box_source,
            detection_score=self._detection_scores.get(track_id),
            pose3d=pose3d,
            smoothed3d=pose3d and self._filter3d(track_id, pose3d, t_ns),
        )

    def _result(self, frame: Frame, inferred: InferenceResult, subjects: tuple[TrackedSubject, ...]) -> FrameResult:
        shown = [subject.id for subject in subjects]
        self._filter3d.retain(shown)
        for smooth in self._filters.values():
            smooth.retain(shown)
        return FrameResult(
            camera=frame.camera,
            seq=frame.seq,
            captured_ns=frame.captured_ns,
            done_ns=time.monotonic_ns(),
            size_wh=frame.size_wh,
            subjects=subjects,
            quality=inferred.quality,
            stage_ns=inferred.stage_ns,
            source=frame.source,
            position=frame.position,
            source_ns=frame.source_ns,
            recorded_utc_ms=frame.recorded_utc_ms,
        )


def _is_inside(xy: tuple[float, float], size_wh: tuple[int, int]) -> bool:
    return all(0 < at < side for at, side in zip(xy, size_wh, strict=True))
