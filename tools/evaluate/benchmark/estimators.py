"""Opened models: one subject in, its joints out, by the appliance's own code."""

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

SQUARE_WH, PADDING = (256, 256), 1.25  # of the window whose area k is told from


class Question(NamedTuple):
    """One subject on an image."""

    image: U8  # (H, W, 3) BGR
    box_xyxy: F64
    lens: F64  # fx, fy, cx, cy
    root_z_mm: float  # the true depth of the root, which the protocols hand to root-relative nets; NaN in the plane


# (J, 3) px, px, score in the plane; mm in the camera's frame in space
Estimate: TypeAlias = Callable[[Question], F64]


def simcc(card: Card, path: Path) -> Estimate:
    """A 2D pose model, as the appliance runs it."""
    estimator = PoseEstimator(OrtSession(card, path))

    def estimate(question: Question) -> F64:
        points = estimator.estimate(question.image, question.box_xyxy[None].astype(np.float32), lambda _: None)
        return points[0].astype(np.float64)

    return estimate


def volume(card: Card, path: Path) -> Estimate:
    """A 3D model, as the appliance runs it, at the depth that the protocols hand to root-relative nets."""
    net = VolumeNet(OrtSession(card, path))

    def estimate(question: Question) -> F64:
        seen = net.estimate(question.image, question.box_xyxy.astype(np.float32))
        if seen is None:
            return _nowhere(len(SCHEMAS[net.spec.schema_name]))
        points = joints_in_image(seen, net.spec.span_mm)
        return image_to_camera(points + np.array([0, 0, question.root_z_mm], np.float32), _lens(question)).astype(
            np.float64
        )

    return estimate


def rootnet(card: Card, path: Path) -> Estimate:
    """The pelvis in the camera's frame."""
    net = RootNet(OrtSession(card, path))

    def estimate(question: Question) -> F64:
        seen, lens = net.estimate(question.image, question.box_xyxy.astype(np.float32)), _lens(question)
        if seen is None:
            return _nowhere(1)
        return image_to_camera(
            np.array([[*seen.xy_px, seen.gamma * heuristic_depth_mm(seen.crop, lens)]]), lens
        ).astype(np.float64)

    return estimate


def flat(plane: Estimate, joints: tuple[str, ...]) -> Estimate:
    """2D keypoints laid flat at the depth k of the box: a person without relief, two metres large. Needs no 3D net."""
    hips = [joints.index("left_hip"), joints.index("right_hip")]

    def estimate(question: Question) -> F64:
        px, lens = plane(question)[:, XY], _lens(question)
        height, width = question.image.shape[:2]
        crop = person_crop(question.box_xyxy, (width, height), SQUARE_WH, PADDING)
        if crop is None:
            return _nowhere(1 + len(px))
        with_pelvis = np.concatenate([px[hips].mean(axis=0, keepdims=True), px])
        depth = np.full((len(with_pelvis), 1), heuristic_depth_mm(crop, lens))
        return image_to_camera(np.concatenate([with_pelvis, depth], axis=1), lens).astype(np.float64)

    return estimate


def parameters_m(path: Path) -> float | None:
    """Millions of numbers in the file's weights; None without the onnx package."""
    try:
        import onnx  # noqa: PLC0415
    except ImportError:
        return None
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    weights = (t for t in onnx.load(path).graph.initializer if t.data_type in floats)
    return sum(int(np.prod(t.dims)) for t in weights) / 1e6


def _lens(question: Question) -> CameraIntrinsics:
    fx, fy, cx, cy = question.lens.tolist()
    return CameraIntrinsics(fx=fx, fy=fy, cx=cx, cy=cy)


def _nowhere(joints: int) -> F64:
    """The answer where nothing of the box lies on the image."""
    return np.full((joints, 3), np.nan)
