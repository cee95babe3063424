"""One camera's frames in, its results out: all that remembers lives here, all that touches pixels in the plane.

Upstream the intake's leases, downstream the reporter. Compute thread only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import numpy as np

from edged.config.tables.camera import CameraConfig, IntrinsicsConfig, QualityConfig, StaticRegionConfig
from edged.frame import (
    F32,
    I64,
    SCORE,
    X0,
    X1,
    Y0,
    Y1,
    Boxes,
    CameraIntrinsics,
    Flags,
    Frame,
    FrameResult,
    InferenceParams,
    InferenceResult,
    QualityLimits,
    TrackedSubject,
)
from edged.inference.backend import PoseBackend
from edged.inference.select import clip_region
from edged.tracking.adaptive import AdaptiveMode
from edged.tracking.one_euro import OneEuroFilter
from edged.tracking.tracker import Tracker, box_from_keypoints
from engines.card import Detect, Pose

log = logging.getLogger(__name__)


class Pipeline:
    """Detects on every n-th frame, carries tracked boxes through the others, and keeps the subjects' ids.

    With `smooth` off nobody will look at smoothed keypoints, and none are made. Ids count on from `given`.
    """

    def __init__(
        self,
        options: CameraConfig,
        plane: PoseBackend,
        detect: Detect,
        poses: Mapping[str, Pose],
        *,
        smooth: bool = True,
        last_id: int = 0,
    ) -> None:
        self._plane = plane
        self._classes = detect.classes
        self._poses = poses
        self._configured_params = _params(options, detect, poses), _params(options, detect, poses, single=True)
        self._multi_params, self._single_params = self._configured_params  # as far as they lie inside the image
        self._size_wh: tuple[int, int] | None = None  # of that image
        self._mode = AdaptiveMode(options.mode)
        self._interval = options.detector_interval
        self._countdown = 0  # frames until the detector runs again
        self._tracker = (
            Tracker(options.track, self._multi_params.thresholds, last_id)
            if options.fixed is None
            else StaticRegionTracker(options.fixed, detect.classes, last_id)
        )
        self._filters = {label: OneEuroFilter(pose.score) for label, pose in poses.items() if smooth}
        self._source: str | None = None

    @property
    def last_id(self) -> int:
        """The last id."""
        return self._tracker.last_id

    def run(self, frame: Frame) -> FrameResult:
        """One frame, start to end. Raises `Degrade` (give the frame up) or `DeviceLost`."""
        if frame.size_wh != self._size_wh:
            self._set_image_size(frame)
        if frame.source != self._source:
            self._source, self._countdown = frame.source, 0
            self._tracker.reset()
        t_ns = frame.scene_ns
        detect = self._countdown == 0 and isinstance(self._tracker, Tracker)
        ids, known = self._tracker.predict_for_match(t_ns) if detect else self._tracker.predict(t_ns)
        focus = self._single_params if self._mode.is_single(frame.seq, t_ns) else self._multi_params
        sight = self._plane.infer(frame, focus, known, detect=detect)
        if sight.quality.degraded:
            return self._result(frame, sight, ())
        self._countdown = self._interval - 1 if detect else max(0, self._countdown - 1)
        ids = self._tracker.update(sight.boxes, t_ns) if detect else self._update_from_keypoints(ids, sight, t_ns)
        rows = np.flatnonzero(ids > 0)
        labels, bridged = self._tracker.labels(ids[rows]), self._tracker.bridged(ids[rows])
        subjects = tuple(
            self._subject(int(ids[row]), self._classes[label], sight, row, t_ns, carried=not detect, bridged=hint)
            for row, label, hint in zip(rows.tolist(), labels.tolist(), bridged.tolist(), strict=True)
        )
        return self._result(frame, sight, subjects)

    def _set_image_size(self, frame: Frame) -> None:
        """From now on images are of this size. Raises `OutsideImage`."""
        every, one = (clip_region(focus, frame.size_wh) for focus in self._configured_params)
        if every is not self._configured_params[0] and self._multi_params is self._configured_params[0]:
            log.warning("camera %s: roi reaches beyond the image; only what is inside is looked at", frame.camera)
        self._multi_params, self._single_params, self._size_wh = every, one, frame.size_wh

    def _update_from_keypoints(self, ids: I64, sight: InferenceResult, t_ns: int) -> I64:
        """The carried ids, -1 where the keypoints show nobody; the others' boxes go on with their keypoints."""
        moved = [self._moved_box(sight, row) for row in range(len(sight.boxes))]
        here = np.array([box is not None for box in moved], bool)
        kept = sight.boxes.select(here)
        xyxy = np.array([box for box in moved if box is not None], np.float32).reshape(-1, 4)
        self._tracker.update_from_keypoints(ids[here], Boxes(xyxy=xyxy, score=kept.score, label=kept.label), t_ns)
        return np.where(here, ids, -1)

    def _moved_box(self, sight: InferenceResult, row: int) -> F32 | None:
        """A carried box, moved onto its keypoints; None when they show nobody."""
        keypoints, box = sight.keypoints[row], sight.boxes.xyxy[row]
        if keypoints is None:
            return np.asarray(box, np.float32)
        pose = self._poses[self._classes[sight.boxes.label[row]]]
        return box_from_keypoints(keypoints, pose.score, box)

    def _subject(
        self, track_id: int, label: str, sight: InferenceResult, row: int, t_ns: int, *, carried: bool, bridged: bool
    ) -> TrackedSubject:
        """One row of the sight under its track's id and class; keypoints of an outvoted class are left out."""
        xyxy, score, keypoints = sight.boxes.xyxy[row], float(sight.boxes.score[row]), sight.keypoints[row]
        pose = self._poses.get(label)
        smoothed, schema, pose3d = None, None, None
        if self._classes[sight.boxes.label[row]] == label and sight.poses3d and not bridged:
            pose3d = sight.poses3d[row]
        if pose is None or keypoints is None or self._classes[sight.boxes.label[row]] != label:
            keypoints = None
        else:
            schema = pose.schema_name
            score = score if np.isfinite(score) else float(np.clip(keypoints[:, SCORE].mean(), 0, 1))
            if smooth := self._filters.get(label):
                size_px = float(np.sqrt(max(0.0, (xyxy[X1] - xyxy[X0]) * (xyxy[Y1] - xyxy[Y0]))))
                smoothed = smooth(track_id, keypoints, size_px, t_ns)
        return TrackedSubject(
            id=track_id,
            label=label,
            score=score,
            xyxy=xyxy,
            keypoints=keypoints,
            smoothed=smoothed,
            schema=schema,
            carried=carried or bridged,
            bridged=bridged,
            pose3d=pose3d,
        )

    def _result(self, frame: Frame, sight: InferenceResult, subjects: tuple[TrackedSubject, ...]) -> FrameResult:
        for smooth in self._filters.values():
            smooth.retain(subject.id for subject in subjects)
        return FrameResult(
            camera=frame.camera,
            seq=frame.seq,
            captured_ns=frame.captured_ns,
            done_ns=time.monotonic_ns(),
            size_wh=frame.size_wh,
            subjects=subjects,
            quality=sight.quality,
            stage_ns=sight.stage_ns,
            source=frame.source,
            position=frame.position,
        )


class StaticRegionTracker:
    """The one subject of a fixed region, with the face of `Tracks`: its box never moves, its id is 1.

    Nobody detected it, so its score is NaN until keypoints are seen.
    """

    def __init__(self, region: StaticRegionConfig, classes: tuple[str, ...], last_id: int = 0) -> None:
        self.last_id = max(1, last_id)
        self._box = Boxes(
            xyxy=np.array([region.box], np.float32),
            score=np.full(1, np.nan, np.float32),
            label=np.array([classes.index(region.label)]),
        )

    def reset(self) -> None:
        """A new scene has the same stall."""

    def predict(self, t_ns: int) -> tuple[I64, Boxes]:
        return np.ones(1, np.int64), self._box

    def predict_for_match(self, t_ns: int) -> tuple[I64, Boxes]:
        return self.predict(t_ns)

    def update(self, boxes: Boxes, t_ns: int) -> I64:
        return np.full(len(boxes), -1, np.int64)

    def update_from_keypoints(self, ids: I64, boxes: Boxes, t_ns: int) -> None:
        """The stall stays where it is."""

    def labels(self, ids: I64) -> I64:
        return np.repeat(self._box.label, len(ids))

    def bridged(self, ids: I64) -> Flags:
        return np.zeros(len(ids), bool)


def _params(
    options: CameraConfig, detect: Detect, poses: Mapping[str, Pose], *, single: bool = False
) -> InferenceParams:
    """What the camera's options ask of the plane."""
    wanted = options.classes if options.classes is not None else tuple(poses)
    scores = [
        options.thresholds.get(name, detect.threshold(name)) if name in wanted else np.inf for name in detect.classes
    ]
    return InferenceParams(
        thresholds=np.array(scores, np.float32),
        max_subjects=1 if single else options.max_subjects,
        quality_limits=quality_limits(options.gate),
        roi=options.roi,
        pick=options.pick if single else "score",
        bridge=options.track.bridge_s > 0,
        lift_3d=options.lift,
        intrinsics=_camera_intrinsics(options.intrinsics),
    )


def quality_limits(config: QualityConfig) -> QualityLimits:
    """The limits of a usable image; none where they are switched off."""
    if not config.enabled:
        return QualityLimits()
    return QualityLimits(
        min_brightness=config.min_brightness,
        max_brightness=config.max_brightness,
        min_contrast=config.min_contrast,
        min_sharpness=config.min_sharpness,
    )


def _camera_intrinsics(given: IntrinsicsConfig | None) -> CameraIntrinsics | None:
    if given is None:
        return None
    return CameraIntrinsics(fx=given.fx, fy=given.fy, cx=given.cx, cy=given.cy, distortion=given.distortion)
