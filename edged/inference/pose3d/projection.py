"""The crop that a 3D model gets, and its answer as joints in the camera frame, in millimetres. Pure geometry.

Upstream: boxes and decoded volumes. Downstream: `Pose3d`. Any thread.
Source: 3DMPPE, RootNet and PoseNet, common/utils/pose_utils.py (Moon et al., ICCV 2019).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edged.frame import F32, XY, CameraIntrinsics, Pose3d
from edged.inference.crop import Crop
from engines.card import Lift, Root
from engines.card.schema import SCHEMAS

PERSON_CUBE_MM = 2000.0  # side of the cube around a person that the models were trained with
# Source: 0.67 to 1.15 on the photographs of tests/unit/test_projection.py; a value outside means a wrong crop.
GAMMA_RANGE = (0.5, 1.5)
# Of the distance by the box alone: two in three are nearer to the truth. Source: tools.evaluate.benchmark, `depth error
# p68` of flat-rtmpose-t-coco17 on 240 rendered people in all postures, true boxes, known focal length (0.202).
HEURISTIC_ERROR = 0.2
Z = 2


class VolumeJoints(NamedTuple):
    """A 3D model's answer for one person."""

    crop: Crop
    bins: F32  # (J, 3) x, y, z in bins of the volume, counted from 0
    shape_dhw: tuple[int, int, int]  # of the volume, bins


def person_crop(
    xyxy: NDArray[np.floating], size_wh: tuple[int, int], net_wh: tuple[int, int], padding: float
) -> Crop | None:
    """The box (4,) clipped to the image, then grown to the net's aspect ratio and by the factor `padding`.

    None when nothing of the box lies on the image. The crop itself may reach beyond the image.
    Source: process_bbox, whose box ends on its last pixel.
    """
    left, top, right, bottom = (float(edge) for edge in xyxy)
    x0, y0 = max(0.0, left), max(0.0, top)
    x1 = min(size_wh[0] - 1.0, x0 + max(0.0, right - left - 1))
    y1 = min(size_wh[1] - 1.0, y0 + max(0.0, bottom - top - 1))
    if right <= left or bottom <= top or x1 < x0 or y1 < y0 or (x1 == x0 and y1 == y0):
        return None
    return Crop.around(np.array([x0, y0, x1, y1]), net_wh, padding)


def heuristic_depth_mm(crop: Crop, intrinsics: CameraIntrinsics) -> float:
    """RootNet's k: the distance at which a square of PERSON_CUBE_MM has the crop's area.

    PERSON_CUBE_MM · sqrt(fx · fy / (w · h)).
    """
    return PERSON_CUBE_MM * intrinsics.focal_px / float(np.sqrt(crop.width * crop.height))


def is_surer_than_box(root: Root) -> bool:
    """Whether RootNet's distances are to be used: one that nobody measured is, else one better than HEURISTIC_ERROR."""
    return root.error is None or root.error < HEURISTIC_ERROR


def joints_in_image(joints: VolumeJoints, span_mm: float) -> F32:
    """(J, 3) float32: image x, y in px and depth from the root in mm; the volume is `span_mm` deep."""
    depth, height, width = joints.shape_dhw
    z = (joints.bins[:, Z:] / depth * 2 - 1) * (span_mm / 2)
    return np.concatenate([joints.crop.cells_to_image(joints.bins[:, XY], (width, height)), z], axis=1).astype(
        np.float32
    )


def image_to_camera(points: NDArray[np.floating], intrinsics: CameraIntrinsics) -> F32:
    """(…, 3) float32 mm in the camera frame, of image x, y in px and depth from the camera in mm.

    NaN where `CameraIntrinsics.rays` is.
    """
    depth = points[..., Z:].astype(np.float64)
    return np.concatenate([intrinsics.rays(points[..., XY]) * depth, depth], axis=-1).astype(np.float32)


def person_pose3d(
    joints: VolumeJoints,
    spec: Lift,
    intrinsics: CameraIntrinsics,
    gamma: float | None,
    root_error: float | None = None,
) -> Pose3d | None:
    """One person in the camera frame; `gamma` is RootNet's answer, `root_error` its card's; None without RootNet.

    A gamma outside GAMMA_RANGE is not used. None when a joint would lie behind the camera or where the lens has no
    ray: the crop or the intrinsics are wrong then.
    """
    is_plausible = gamma is not None and GAMMA_RANGE[0] <= gamma <= GAMMA_RANGE[1]
    points = joints_in_image(joints, spec.span_mm)
    points[:, Z] += heuristic_depth_mm(joints.crop, intrinsics) * (gamma if gamma is not None and is_plausible else 1.0)
    if points[:, Z].min() <= 0:
        return None
    joints_mm = image_to_camera(points, intrinsics)
    if not np.isfinite(joints_mm).all():
        return None
    schema = SCHEMAS[spec.schema_name]
    root = joints_mm[schema.keypoints.index(str(schema.root))]
    return Pose3d(
        xyz_mm=joints_mm - root,
        root_mm=root.copy(),
        schema=schema.name,
        depth_source="rootnet" if is_plausible else "heuristic",
        focal_source="assumed" if intrinsics.assumed else "given",
        depth_error=None if intrinsics.assumed else root_error if is_plausible else HEURISTIC_ERROR,
        tilt_deg=intrinsics.tilt_deg,
    )
