"""Opened models: one subject in, its joints out. Everything that knows ONNX Runtime in the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import onnxruntime as ort

from edged.adapters.plane_cpu import PoseEstimator
from edged.adapters.session_ort import OrtSession
from edged.frame import U8, XY
from engines.card import Card
from tools.evaluate.benchmark import lift
from tools.evaluate.metrics.oks import F64


class Question(NamedTuple):
    """One subject on an image."""

    image: U8  # (H, W, 3) BGR
    box_xyxy: F64
    lens: F64  # fx, fy, cx, cy
    root_z_mm: float  # the true depth of the root, which the protocols hand to root-relative nets; NaN in the plane


# (J, 3) px, px, score in the plane; mm in the camera's frame in space
Estimate: TypeAlias = Callable[[Question], F64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """How a volume of heat is laid out; 3D nets take (1, 3, H, W) RGB from 0 to 255, normalised inside."""

    bins_whd: tuple[int, int, int]
    wh: tuple[int, int] = (256, 256)
    span_mm: float = lift.BODY_MM


def simcc(card: Card, path: Path) -> Estimate:
    """A 2D pose model, as the appliance runs it."""
    estimator = PoseEstimator(OrtSession(card, path))

    def estimate(question: Question) -> F64:
        points = estimator.estimate(question.image, question.box_xyxy[None].astype(np.float32), lambda _: None)
        return points[0].astype(np.float64)

    return estimate


def volume(net: Net, path: Path) -> Estimate:
    """A net that gives heat (1, J·D, H, W), or already its soft-argmax (1, J, 3) in bins."""
    session = _session(path)

    def estimate(question: Question) -> F64:
        box = _box(question, net.wh)
        (out,) = session.run(None, {_names(session)[0]: lift.crop(question.image, box, net.wh)})
        share = out[0] / np.array(net.bins_whd) if out.ndim == 3 else _of_heat(out[0], net.bins_whd[2])
        return lift.to_camera_mm(share.astype(np.float64), box, question.root_z_mm, net.span_mm, question.lens)

    return estimate


def rootnet(path: Path) -> Estimate:
    """The pelvis in the camera's frame; answers x, y in 64 bins and the depth in mm."""
    session = _session(path)

    def estimate(question: Question) -> F64:
        box = _box(question, (256, 256))
        k = np.array([[lift.k_mm(box, question.lens)]], np.float32)
        (out,) = session.run(
            None, dict(zip(_names(session), (lift.crop(question.image, box, (256, 256)), k), strict=True))
        )
        x, y, z_mm = out.reshape(3).astype(np.float64)
        px = np.array([[x / 64 * box.w + box.x, y / 64 * box.h + box.y]])
        return lift.unprojected(px, np.array([z_mm]), question.lens)

    return estimate


def flat(plane: Estimate, joints: tuple[str, ...]) -> Estimate:
    """2D keypoints laid flat at the depth k of the box: a person without relief, two metres large. Needs no 3D net."""
    hips = [joints.index("left_hip"), joints.index("right_hip")]

    def estimate(question: Question) -> F64:
        px = plane(question)[:, XY]
        k = lift.k_mm(_box(question, (256, 256)), question.lens)
        with_pelvis = np.concatenate([px[hips].mean(axis=0, keepdims=True), px])
        return lift.unprojected(with_pelvis, np.full(len(with_pelvis), k), question.lens)

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


def _of_heat(heat: F64, depth: int) -> F64:
    """Channel j · D + d is joint j at depth d."""
    return lift.soft_argmax(heat.reshape(-1, depth, *heat.shape[1:]))


def _box(question: Question, net_wh: tuple[int, int]) -> lift.Processed:
    height, width = question.image.shape[:2]
    return lift.processed(question.box_xyxy, (width, height), net_wh[0] / net_wh[1])


def _session(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def _names(session: ort.InferenceSession) -> list[str]:
    return [node.name for node in session.get_inputs()]
