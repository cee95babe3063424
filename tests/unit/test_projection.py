"""The geometry of 3D poses, against RootNet's published results on COCO images."""

from __future__ import annotations

import numpy as np
import pytest

from edged.frame import CameraIntrinsics
from edged.inference.crop import Crop
from edged.inference.decode.heatmap3d import soft_argmax
from edged.inference.pose3d.projection import (
    HEURISTIC_ERROR,
    VolumeJoints,
    heuristic_depth_mm,
    image_to_camera,
    joints_in_image,
    person_crop,
    person_pose3d,
)
from engines.card import Lift
from engines.card.schema import SCHEMAS

SIZES = {785: (640, 425), 40083: (500, 333), 196141: (640, 429), 197388: (640, 392)}
GOLDEN = [  # image; annotated x y w h; published x, y, side; k = 2000 · 1500 / side; published root z; gamma
    (785, (280.79, 44.73, 218.7, 346.68), (173.59, 1.52, 432.10), 6942.837306, 7492.7, 1.0792),
    (40083, (38.08, 110.95, 174.71, 174.71), (16.37, 89.24, 217.14), 13816.130332, 10543.5, 0.7631),
    (40083, (257.76, 139.06, 140.05, 154.21), (231.53, 119.91, 191.51), 15664.773840, 11670.0, 0.7450),
    (196141, (247.76, 74.23, 169.67, 300.78), (144.73, 36.76, 374.72), 8005.870972, 8654.8, 1.0811),
    (196141, (555.57, 99.84, 48.32, 113.05), (509.20, 85.83, 140.06), 21419.009371, 16868.4, 0.7875),
    (196141, (453.77, 206.81, 177.23, 210.87), (410.72, 180.58, 262.34), 11435.650641, 9423.1, 0.8240),
    (196141, (36.12, 67.59, 30.41, 96.08), (-8.60, 55.70, 118.85), 25241.901557, 16974.2, 0.6725),
    (197388, (139.41, 102.25, 222.39, 241.57), (99.749, 72.179, 300.713), 9976.306273, 11250.57, 1.1277),
    (197388, (287.17, 61.52, 74.88, 165.61), (221.229, 40.944, 205.763), 14579.916165, 15522.87, 1.0647),
    (197388, (540.04, 48.81, 99.96, 223.36), (450.545, 21.015, 277.950), 10793.308149, 11831.38, 1.0962),
    (197388, (372.58, 170.84, 266.63, 217.19), (339.376, 112.916, 332.038), 9035.124045, 8852.56, 0.9798),
    (197388, (0.5, 43.74, 90.1, 220.09), (-91.881, 16.354, 273.862), 10954.402300, 12572.60, 1.1477),
]
XYWH = tuple[float, float, float, float]
XYZ = tuple[float, float, float]
LENS = CameraIntrinsics(fx=1000, fy=500, cx=320, cy=240)


def square(xywh: XYWH, size_wh: tuple[int, int] = (640, 392)) -> Crop | None:
    x, y, width, height = xywh
    return person_crop(np.array([x, y, x + width, y + height]), size_wh, (256, 256), 1.25)


@pytest.mark.parametrize("row", GOLDEN)
def test_crop_depth_and_gamma_equal_published_values(row: tuple[int, XYWH, XYZ, float, float, float]) -> None:
    image, xywh, expected, k, z, gamma = row
    crop = square(xywh, SIZES[image])
    assert crop is not None
    assert (crop.cx - crop.width / 2, crop.cy - crop.height / 2, crop.width) == pytest.approx(expected, abs=0.01)
    assert crop.height == crop.width
    assert heuristic_depth_mm(crop, CameraIntrinsics.default(SIZES[image])) == pytest.approx(k, rel=1e-6)
    assert z / heuristic_depth_mm(crop, CameraIntrinsics.default(SIZES[image])) == pytest.approx(gamma, abs=1e-4)


def test_heuristic_depth_uses_both_focal_lengths_and_crop_area() -> None:
    intrinsics = CameraIntrinsics(fx=900, fy=1600, cx=0, cy=0)
    assert heuristic_depth_mm(Crop(0, 0, 50, 200, (64, 256)), intrinsics) == pytest.approx(24000, rel=1e-6)


def test_crop_has_aspect_of_tall_net() -> None:
    crop = person_crop(np.array([100, 100, 201, 201]), (640, 480), (288, 384), 1.25)
    assert crop is not None
    assert (crop.width, crop.height) == pytest.approx((125, 125 * 4 / 3))


@pytest.mark.parametrize("xywh", [(700, 0, 50, 50), (0, 0, 0, 10), (5, 5, 1, 1)], ids=["outside", "flat", "a point"])
def test_box_outside_image_has_no_crop(xywh: XYWH) -> None:
    assert square(xywh) is None


def test_bins_map_to_image_pixels_and_root_depth() -> None:
    seen = VolumeJoints(Crop(42, 52, 64, 64, (256, 256)), np.array([[16, 8, 24]], np.float32), (32, 32, 32))
    assert joints_in_image(seen, 2000).tolist() == [[42, 36, 500]]


def test_pixel_right_of_centre_is_right_of_camera() -> None:
    assert image_to_camera(np.array([[420, 190, 2000]], np.float32), LENS).tolist() == [[200, -200, 2000]]


def person(z_bin: float = 16) -> VolumeJoints:
    """All joints in the middle of a crop 400 px wide, the last one a quarter to the right."""
    bins = np.full((18, 3), 16, np.float32)
    bins[17] = (24, 16, z_bin)
    return VolumeJoints(Crop(320, 240, 400, 400, (256, 256)), bins, (32, 32, 32))


LIFT = Lift(schema="h36m-18", depth=32)


def test_joints_are_relative_to_pelvis() -> None:
    found = person_pose3d(person(), LIFT, LENS, 1.2)
    assert found is not None
    k = 2000 * np.sqrt(1000 * 500) / 400
    assert found.root_mm == pytest.approx([0, 0, 1.2 * k])
    assert found.xyz_mm[17] == pytest.approx([100 / 1000 * 1.2 * k, 0, 0])
    assert (found.schema, found.depth_source, found.focal_source) == ("h36m-18", "rootnet", "given")
    assert SCHEMAS["h36m-18"].keypoints[0] == SCHEMAS["h36m-18"].root


def test_error_of_the_depth_is_that_of_its_source() -> None:
    def error(lens: CameraIntrinsics, gamma: float | None) -> float | None:
        found = person_pose3d(person(), LIFT, lens, gamma, root_error=0.07)
        assert found is not None
        return found.depth_error

    assert error(LENS, 1.2) == 0.07
    assert error(LENS, 0.3) == error(LENS, None) == HEURISTIC_ERROR
    assert error(CameraIntrinsics.default((640, 480)), 1.2) is None  # by a focal length that was guessed


@pytest.mark.parametrize("gamma", [None, 0.3, 1.6, float("nan")])
def test_implausible_gamma_falls_back_to_heuristic_depth(gamma: float | None) -> None:
    found = person_pose3d(person(), LIFT, CameraIntrinsics.default((640, 480)), gamma)
    assert found is not None
    assert found.root_mm[2] == pytest.approx(2000 * 1500 / 400)
    assert (found.depth_source, found.focal_source) == ("heuristic", "assumed")


def test_joint_behind_camera_gives_no_pose() -> None:
    near = CameraIntrinsics(fx=100, fy=100, cx=320, cy=240)  # k is 500 mm
    assert person_pose3d(person(z_bin=16), LIFT, near, None) is not None
    assert person_pose3d(person(z_bin=7), LIFT, near, None) is None  # 562 mm before the root


def test_pixel_without_ray_gives_no_pose() -> None:
    barrel = CameraIntrinsics(fx=100, fy=100, cx=320, cy=240, distortion=(-0.5,))  # shows r (1 - r² / 2), 0.544 at most
    rays = barrel.rays(np.array([[360.0, 240.0], [420.0, 240.0]]))  # at 0.4 and at 1
    assert rays[0, 0] * (1 - 0.5 * rays[0, 0] ** 2) == pytest.approx(0.4, abs=1e-3)
    assert np.isnan(rays[1]).all()
    assert person_pose3d(person(), LIFT, barrel, None) is None


def test_corners_of_a_wide_lens_have_rays() -> None:
    """Where each step of the iteration overshoots: OpenCV's undistortPoints is a hundred pixels off there."""
    wide = CameraIntrinsics(fx=600, fy=600, cx=640, cy=360, distortion=(-0.35, 0.12))
    corners = np.array([[0.0, 0.0], [1280.0, 720.0], [640.0, 0.0]])
    rays = wide.rays(corners)
    r2 = (rays**2).sum(axis=1, keepdims=True)
    again = rays * (1 - 0.35 * r2 + 0.12 * r2**2) * 600 + [640, 360]
    np.testing.assert_allclose(again, corners, atol=1e-3)


def test_pixels_beyond_what_the_lens_model_reaches_have_no_ray_in_the_opposite_direction() -> None:
    """It ends where r - 0.35 r^3 is largest: at 0.65 focal lengths from the centre."""
    lens = CameraIntrinsics(fx=600, fy=600, cx=640, cy=360, distortion=(-0.35,))
    across_px = np.array([600 * at for at in (0.5, 0.64, 0.74, 0.75, 0.84, 1.2)])
    rays = lens.rays(np.stack([640 + across_px, np.full(6, 360.0)], axis=1))
    assert np.isnan(rays).any(axis=1).tolist() == [False, False, True, True, True, True]


def test_soft_argmax_of_one_peak_is_its_bin() -> None:
    volume = np.zeros((1, 2 * 4, 5, 6), np.float32)
    volume[0, 4 + 3, 1, 2] = 100  # joint 1, depth 3, row 1, column 2
    np.testing.assert_allclose(soft_argmax(volume, 2)[0], np.array([[2.5, 2.0, 1.5], [2.0, 1.0, 3.0]]), rtol=1e-6)


def test_soft_argmax_of_huge_activations_is_finite() -> None:
    assert np.isfinite(soft_argmax(np.full((1, 8, 4, 4), 60000, np.float16), 2)).all()


def test_soft_argmax_rejects_channels_not_multiple_of_joints() -> None:
    with pytest.raises(ValueError, match="9 channels"):
        soft_argmax(np.zeros((1, 9, 2, 2), np.float32), 2)
