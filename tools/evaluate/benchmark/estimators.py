"""Loaded models that take one subject and return its joints, run by the code of `edged`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from edged.frame import F64, U8, XY, CameraIntrinsics
from edged.inference.cpu.backend import PoseEstimator
from edged.inference.cpu.onnxruntime import OrtSession
from edged.inference.cpu.pose3d import RootNet, VolumeNet
from edged.inference.pose3d.projection import heuristic_depth_mm, image_to_camera, joints_in_image, person_crop
from engines.card import Card
from engines.card.schema import SCHEMAS

SQUARE_WH, PADDING = (256, 256), 1.25  # of the crop from whose area the depth k is computed


class SubjectInput(NamedTuple):
    """One subject on an image."""

    image: U8  # (H, W, 3) BGR
    box_xyxy: F64
    intrinsics: F64  # fx, fy, cx, cy
    root_z_mm: float  # true depth of the root, which the protocols give to root-relative nets; NaN in 2D


# returns (J, 3): 2D x, y in px and score; 3D mm in the camera's frame
Estimate: TypeAlias = Callable[[SubjectInput], F64]


def simcc(card: Card, path: Path) -> Estimate:
    """Return a 2D pose model, run as the daemon runs it."""
    estimator = PoseEstimator(OrtSession(card, path))

    def estimate(subject: SubjectInput) -> F64:
        points = estimator.estimate(subject.image, subject.box_xyxy[None].astype(np.float32), lambda _: None)
        return points[0].astype(np.float64)

    return estimate


def volume(card: Card, path: Path) -> Estimate:
    """Return a root-relative 3D model, run as the daemon runs it, placed at the true depth of the root."""
    net = VolumeNet(OrtSession(card, path))

    def estimate(subject: SubjectInput) -> F64:
        (output,) = net.estimate(subject.image, subject.box_xyxy[None].astype(np.float32))
        if output is None:
            return _all_nan(len(SCHEMAS[net.spec.schema_name]))
        points = joints_in_image(output, net.spec.span_mm)
        return image_to_camera(points + np.array([0, 0, subject.root_z_mm], np.float32), _intrinsics(subject)).astype(
            np.float64
        )

    return estimate


def rootnet(card: Card, path: Path) -> Estimate:
    """Return RootNet: the pelvis in the camera's frame."""
    net = RootNet(OrtSession(card, path))

    def estimate(subject: SubjectInput) -> F64:
        (output,) = net.estimate(subject.image, subject.box_xyxy[None].astype(np.float32))
        intrinsics = _intrinsics(subject)
        if output is None:
            return _all_nan(1)
        return image_to_camera(
            np.array([[*output.xy_px, output.gamma * heuristic_depth_mm(output.crop, intrinsics)]]), intrinsics
        ).astype(np.float64)

    return estimate


def flat(estimate_2d: Estimate, joints: tuple[str, ...]) -> Estimate:
    """Return a baseline without a 3D net: 2D keypoints, all at the depth k of the box of a person two metres large."""
    hips = [joints.index("left_hip"), joints.index("right_hip")]

    def estimate(subject: SubjectInput) -> F64:
        px, intrinsics = estimate_2d(subject)[:, XY], _intrinsics(subject)
        height, width = subject.image.shape[:2]
        crop = person_crop(subject.box_xyxy, (width, height), SQUARE_WH, PADDING)
        if crop is None:
            return _all_nan(1 + len(px))
        with_pelvis = np.concatenate([px[hips].mean(axis=0, keepdims=True), px])
        depth = np.full((len(with_pelvis), 1), heuristic_depth_mm(crop, intrinsics))
        return image_to_camera(np.concatenate([with_pelvis, depth], axis=1), intrinsics).astype(np.float64)

    return estimate


def parameters_m(path: Path) -> float | None:
    """Return the number of weights of an ONNX file, in millions; None without the onnx package."""
    try:
        import onnx  # noqa: PLC0415
    except ImportError:
        return None
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    weights = (t for t in onnx.load(path).graph.initializer if t.data_type in floats)
    return sum(int(np.prod(t.dims)) for t in weights) / 1e6


def _intrinsics(subject: SubjectInput) -> CameraIntrinsics:
    fx, fy, cx, cy = subject.intrinsics.tolist()
    return CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy)


def _all_nan(joints: int) -> F64:
    """Return (J, 3) NaN: the result for a box outside the image."""
    return np.full((joints, 3), np.nan)
