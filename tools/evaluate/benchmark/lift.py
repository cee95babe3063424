"""What every net of the 3DMPPE family is fed and how its answer becomes mm: crop, depth, pinhole."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from edged.frame import F32, U8
from tools.evaluate.metrics.oks import F64

PADDING = 1.25
BODY_MM = 2000.0  # the side of the cube a person is taken to fill


class Processed(NamedTuple):
    """A box clipped to the image, grown to the net's shape and by a quarter; not clipped again."""

    x: float
    y: float
    w: float
    h: float


def processed(box_xyxy: F64, image_wh: tuple[int, int], aspect: float = 1.0) -> Processed:
    """Source: process_bbox of the 3DMPPE family, whose box ends on the last pixel, not after it."""
    low = np.maximum(box_xyxy[:2], 0)
    size = np.maximum(box_xyxy[2:] - box_xyxy[:2] - 1, 0)
    w, h = np.minimum(low + size, np.array(image_wh) - 1.0) - low
    middle = low + np.array([w, h]) / 2
    w, h = PADDING * max(w, aspect * h), PADDING * max(h, w / aspect)
    return Processed(middle[0] - w / 2, middle[1] - h / 2, w, h)


def k_mm(box: Processed, lens: F64) -> float:
    """The depth at which two metres fill the box: sqrt(2000² fx fy / area). RootNet corrects it by a factor."""
    return float(np.sqrt(BODY_MM**2 * lens[0] * lens[1] / (box.w * box.h)))


def crop(image_bgr: U8, box: Processed, net_wh: tuple[int, int]) -> F32:
    """(1, 3, H, W) float32 RGB, 0 to 255; black beyond the image."""
    (w, h), scale_x, scale_y = net_wh, net_wh[0] / box.w, net_wh[1] / box.h
    turn = np.array([[scale_x, 0, -scale_x * box.x], [0, scale_y, -scale_y * box.y]])
    patch = cv2.warpAffine(image_bgr, turn, (w, h), flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(patch[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)


def soft_argmax(volume: F64) -> F64:
    """(J, 3) x, y, z as shares of the cube, from its (J, D, H, W) heat.

    p = softmax over all cells; x = Σ p i / W, y = Σ p j / H, z = Σ p k / D with i, j, k from 0.
    """
    joints = len(volume)
    heat = volume.astype(np.float64)
    p = np.exp(heat - heat.reshape(joints, -1).max(axis=1)[:, None, None, None])
    p /= p.sum(axis=(1, 2, 3), keepdims=True)
    depth, height, width = volume.shape[1:]
    x = p.sum(axis=(1, 2)) @ np.arange(width) / width
    y = p.sum(axis=(1, 3)) @ np.arange(height) / height
    z = p.sum(axis=(2, 3)) @ np.arange(depth) / depth
    return np.stack([x, y, z], axis=1)


def to_camera_mm(share: F64, box: Processed, root_z_mm: float, span_mm: float, lens: F64) -> F64:
    """(J, 3) mm in the camera's frame from shares of the cube around the root's depth."""
    px = share[:, :2] * [box.w, box.h] + [box.x, box.y]
    return unprojected(px, (share[:, 2] * 2 - 1) * span_mm / 2 + root_z_mm, lens)


def unprojected(px: F64, z_mm: F64, lens: F64) -> F64:
    """(J, 3) mm of pixels (J, 2) at depths (J,)."""
    return np.concatenate([(px - lens[2:]) / lens[:2] * z_mm[:, None], z_mm[:, None]], axis=1)
