"""A floor of known size gives the camera's place, and the height of a trunk on it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edged.behaviour.horse.ground_plane import BodySize, GroundPlane, project_to_ground
from edged.behaviour.horse.keypoints import HOOVES, NECK, NOSE, TAIL
from edged.errors import ConfigError
from edged.frame import F64

SIZE, FOCAL, AT, TOWARDS = (1280, 720), 620.0, (-0.2, -1.0, 2.7), (2.0, 2.0, 0.7)
FLOOR_M = np.array([(0, 0, 0), (4, 0, 0), (4, 3, 0), (0, 3, 0)], float)


def seen(points_m: F64) -> F64:
    """(…, 3) m to px, through a pinhole at `AT`."""
    ahead = np.subtract(TOWARDS, AT) / np.linalg.norm(np.subtract(TOWARDS, AT))
    right = np.cross(ahead, (0, 0, 1)) / np.linalg.norm(np.cross(ahead, (0, 0, 1)))
    across = (points_m - np.array(AT)) @ np.stack([right, np.cross(ahead, right), ahead], axis=1)
    return np.asarray(np.array(SIZE) / 2 + FOCAL * across[..., :2] / across[..., 2:])


def corners(floor_m: F64 = FLOOR_M) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in seen(floor_m)]


GROUND = GroundPlane(corners(), (4, 3), SIZE)


def test_four_corners_give_the_camera_position() -> None:
    assert GROUND.focal_px == pytest.approx(FOCAL)
    assert GROUND.camera_position_m.tolist() == pytest.approx(AT)


def test_corners_in_either_direction_give_the_same_camera() -> None:
    turned = GroundPlane(corners(FLOOR_M[[1, 0, 3, 2]]), (4, 3), SIZE)
    assert [turned.focal_px, turned.camera_height_m] == pytest.approx([FOCAL, 2.7])


def test_corners_a_few_pixels_off_move_the_camera_by_a_hand() -> None:
    off = np.array(corners()) + np.random.default_rng(0).normal(0, 3, (4, 2))
    assert GroundPlane([(float(x), float(y)) for x, y in off], (4, 3), SIZE).camera_height_m == pytest.approx(
        2.7, abs=0.15
    )


@pytest.mark.parametrize(
    ("drawn", "code"),
    [
        ([(0, 700), (1280, 700), (1279, 10)], "floor-corners"),
        ([(100, 100), (1200, 100), (900, 600), (300, 600)], "camera-upside-down"),
        ([(10, 10), (900, 300), (800, 700), (700, 320)], "floor-impossible"),
    ],
)
def test_floor_outside_the_view_is_rejected(drawn: list[tuple[float, float]], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GroundPlane(drawn, (4, 3), SIZE)
    assert caught.value.code == code


def test_low_camera_is_rejected() -> None:
    with pytest.raises(ConfigError) as caught:
        GroundPlane(corners(), (4 * 1.4 / 2.7, 3 * 1.4 / 2.7), SIZE)
    assert caught.value.code == "camera-too-low"


def horse(heading: float, high_m: float, nose_m: tuple[float, float] = (0.7, 0.0)) -> F64:
    """(17, 2) px of a trunk of 1.4 m; the nose is so far ahead of the neck, and aside."""
    ahead, aside = (
        np.array([math.cos(heading), math.sin(heading), 0]),
        np.array([-math.sin(heading), math.cos(heading), 0]),
    )
    middle, xy = np.array([2.0, 1.5, high_m]), np.full((17, 2), np.nan)
    xy[NECK], xy[TAIL] = seen(middle + 0.7 * ahead), seen(middle - 0.7 * ahead)
    xy[NOSE] = seen(middle + (0.7 + nose_m[0]) * ahead + nose_m[1] * aside)
    return xy


HEADINGS = [round(n * math.pi / 6, 2) for n in range(12)]
KNOWN = BodySize(
    ground=GROUND, length_m=project_to_ground(horse(0, 1.3), GROUND, BodySize()).trunk_length_m, standing_height_m=1.3
)


@pytest.mark.parametrize("heading", HEADINGS)
def test_trunk_at_any_heading_has_its_height_from_its_length(heading: float) -> None:
    for high_m in (1.3, 0.9, 0.3):
        assert project_to_ground(horse(heading, high_m), GROUND, KNOWN).relative_height == pytest.approx(
            high_m / 1.3, abs=0.01
        )


@pytest.mark.parametrize("heading", HEADINGS)
def test_nose_next_to_the_trunk_is_at_the_flank_at_any_heading(heading: float) -> None:
    assert project_to_ground(horse(heading, 1.3, (-0.5, 0.5)), GROUND, KNOWN).nose_at_flank == 1
    assert project_to_ground(horse(heading, 1.3, (0.7, 0.0)), GROUND, KNOWN).nose_at_flank == 0


def test_hooves_far_from_the_trunk_have_a_wide_leg_spread() -> None:
    near, far = horse(0.5, 0.3), horse(0.5, 0.3)
    for xy, away in ((near, 0.2), (far, 1.0)):
        for root, hoof in zip((5, 8, 11, 14), HOOVES, strict=True):
            xy[root], xy[hoof] = seen(np.array([2.0, 1.5, 0.3])), seen(np.array([2.0, 1.5 + away, 0.05]))
    folded, stretched = (
        project_to_ground(xy, GROUND, KNOWN).leg_spread * KNOWN.length_m for xy in (near, far) if KNOWN.length_m
    )
    assert [folded, stretched] == pytest.approx([0.2, 1.0], abs=0.01)
