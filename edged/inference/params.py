"""What a camera's configuration asks of the backend, with the thresholds of the models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edged.config.tables.camera import CameraConfig, IntrinsicsConfig, QualityConfig
from edged.frame import F32, CameraIntrinsics, InferenceParams, QualityLimits
from engines.card import Detect, Pose


def camera_params(
    options: CameraConfig, detector: Detect, poses: Mapping[str, Pose], *, single: bool = False
) -> InferenceParams:
    """What the camera's options ask of the backend; `single`: for frames inferred for one subject only."""
    wanted = options.classes if options.classes is not None else tuple(poses)
    scores = [
        _detection_threshold(name, options, detector, poses) if name in wanted else np.inf for name in detector.classes
    ]
    return InferenceParams(
        thresholds=np.array(scores, np.float32),
        max_subjects=1 if single else options.max_subjects,
        quality_limits=quality_limits(options.quality),
        roi=options.roi,
        pick=options.pick if single else "score",
        lift_3d=options.lift,
        intrinsics=_camera_intrinsics(options.intrinsics),
    )


def _detection_threshold(name: str, options: CameraConfig, detector: Detect, poses: Mapping[str, Pose]) -> float:
    """The detector's score from which boxes of a class are posed."""
    own, given = detector.threshold(name), options.thresholds.get(name)
    if given is None:
        return own
    pose = poses.get(name)
    return min(own, given) if pose is not None and pose.subject is not None else given


def shown_thresholds(options: CameraConfig, detector: Detect, poses: Mapping[str, Pose]) -> F32:
    """(C,) float32 the score from which a subject of each class is shown: the camera's, else the models'."""
    models = {name: detector.threshold(name) for name in detector.classes}
    confirming = {name: pose.subject.score for name, pose in poses.items() if pose.subject is not None}
    shown = models | confirming | options.thresholds
    return np.array([shown[name] for name in detector.classes], np.float32)


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
    return CameraIntrinsics(
        fx=given.fx, fy=given.fy, cx=given.cx, cy=given.cy, distortion=given.distortion, tilt_deg=given.tilt_deg
    )
