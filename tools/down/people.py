"""Stick people on a floor: postures in space, as noisy keypoints of a camera that looks down on them.

Lengths of segments are shares of the body's height. Source: Winter, Biomechanics and Motor Control of Human Movement,
table 4.1. Postures are by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edged.frame import F64, FrameResult, ImageQuality, TrackedSubject
from edged.units import NS_PER_S
from engines.card.schema import SCHEMAS

SCHEMA = "coco-17"
NAMES = SCHEMAS[SCHEMA].keypoints
TRUNK, THIGH, SHANK, HEAD = 0.288, 0.245, 0.246, 0.15  # shares of the height
SHOULDER, HIP = 0.11, 0.055  # half widths
IMAGE_WH = (1280, 720)


@dataclass(frozen=True, slots=True)
class Posture:
    """Elevations in degrees above the horizontal, in the direction that the person faces."""

    hip: float  # height, share of the body's
    trunk: float
    thigh: float
    shank: float
    lies: bool = False
    roll: float = 0.0  # about the trunk: 90 lies on the side


POSTURES = {
    "standing": Posture(0.53, 88, -90, -90),
    "bending": Posture(0.51, -5, -82, -96),
    "crouching": Posture(0.2, 60, 15, -115),
    "kneeling": Posture(0.27, 85, -88, 180),
    "on all fours": Posture(0.27, 3, -90, 180),
    "sitting on a chair": Posture(0.27, 84, 0, -90),
    "sitting on the floor": Posture(0.06, 75, 2, -2),
    "sitting, knees up": Posture(0.06, 68, 52, -58),
    "leaning back on the floor": Posture(0.06, 42, 2, -2),
    "on the back": Posture(0.06, 1, 0, 0, lies=True),
    "on the back, knees up": Posture(0.06, 1, 50, -55, lies=True),
    "on the front": Posture(0.06, 1, 1, 1, lies=True),
    "on the side": Posture(0.1, 1, 5, 0, lies=True, roll=80),
    "curled up on the side": Posture(0.1, 2, 0, 0, lies=True, roll=80),
}
CURLED = "curled up on the side"


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole over the edge of the floor, y ahead; the floor's near side is at `near_m`."""

    height_m: float
    near_m: float = 1.5
    floor_m: tuple[float, float] = (4.0, 4.0)
    pitch_deg: float = 32.0  # below the horizon
    focal_px: float = 560.0

    def project(self, points: F64) -> F64:
        """(…, 3) m to (…, 2) px."""
        pitch = math.radians(self.pitch_deg)
        x, y, z = points[..., 0], points[..., 1], points[..., 2] - self.height_m
        ahead = y * math.cos(pitch) - z * math.sin(pitch)
        down = -y * math.sin(pitch) - z * math.cos(pitch)
        middle = np.array(IMAGE_WH) / 2
        return np.asarray(middle + self.focal_px * np.stack([x, down], axis=-1) / ahead[..., None])

    @property
    def corners_px(self) -> list[tuple[float, float]]:
        half, near = self.floor_m[0] / 2, self.near_m
        places = [(-half, near), (half, near), (half, near + self.floor_m[1]), (-half, near + self.floor_m[1])]
        return [(float(x), float(y)) for x, y in self.project(np.array([(x, y, 0.0) for x, y in places]))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    height_m: float
    place_m: tuple[float, float]
    facing_deg: float
    legs_hidden: bool  # behind furniture, for the whole episode


def joints(name: str, body: Body) -> dict[str, F64]:
    """(3,) m of every joint that a posture places."""
    posture, tall = POSTURES[name], body.height_m
    azimuth = math.radians(body.facing_deg)
    ahead, left = (
        np.array([math.cos(azimuth), math.sin(azimuth), 0]),
        np.array([-math.sin(azimuth), math.cos(azimuth), 0]),
    )
    up, roll = np.array([0.0, 0, 1]), math.radians(posture.roll)
    across = math.cos(roll) * left + math.sin(roll) * up
    legs = -ahead if posture.lies else ahead  # a person who lies has the legs opposite to the trunk
    if name == CURLED:
        legs = math.cos(math.radians(70)) * legs + math.sin(math.radians(70)) * left

    def along(forward: F64, elevation: float, length: float) -> F64:
        angle = math.radians(elevation)
        return np.asarray(tall * length * (math.cos(angle) * forward + math.sin(angle) * up))

    hip = np.array([*body.place_m, tall * posture.hip])
    shoulder = hip + along(ahead, posture.trunk, TRUNK)
    knee = hip + along(legs, posture.thigh, THIGH)
    shin = math.cos(2.4) * legs - math.sin(2.4) * left if name == CURLED else legs
    ankle = knee + along(np.asarray(shin), posture.shank, SHANK)
    head = shoulder + along(ahead, posture.trunk, HEAD)
    wide = {"shoulder": (shoulder, SHOULDER), "hip": (hip, HIP), "knee": (knee, HIP), "ankle": (ankle, HIP)}
    found = {
        f"{side}_{part}": middle + sign * half * tall * across
        for part, (middle, half) in wide.items()
        for side, sign in (("left", 1), ("right", -1))
    }
    return {**found, "nose": head}


def frame(
    t_s: float, name: str, body: Body, camera: Camera, rng: np.random.Generator, *, number: int, seen: bool
) -> FrameResult:
    """One result at `t_s`; `seen` False: the detector missed the person, whose track has the id `number`."""
    subjects = (_subject(name, body, camera, rng, number),) if seen else ()
    t_ns, quality = round(t_s * NS_PER_S), ImageQuality(brightness=100, contrast=100, sharpness=1)
    return FrameResult(
        camera="hall",
        seq=0,
        captured_ns=t_ns,
        done_ns=t_ns,
        size_wh=IMAGE_WH,
        subjects=subjects,
        quality=quality,
        stage_ns={},
    )


NOISE, NOISE_LYING = 0.015, 0.03  # of the height in px, standard deviation: models know lying people less well
DROPPED, DROPPED_LYING = 0.08, 0.2  # share of the keypoints


def _subject(name: str, body: Body, camera: Camera, rng: np.random.Generator, number: int) -> TrackedSubject:
    lies, points = POSTURES[name].lies, np.full((len(NAMES), 3), np.nan, np.float32)
    points[:, 2] = 0
    scale = camera.focal_px * body.height_m / math.hypot(body.place_m[1], camera.height_m)
    for joint, place in joints(name, body).items():
        hidden = body.legs_hidden and joint.endswith(("knee", "ankle"))
        if not hidden and rng.random() > (DROPPED_LYING if lies else DROPPED):
            noise = rng.normal(0, (NOISE_LYING if lies else NOISE) * scale, 2)
            points[NAMES.index(joint)] = (*(camera.project(place) + noise), 0.8)
    return TrackedSubject(
        id=number,
        label="person",
        score=0.8,
        xyxy=np.array([0, 0, 1, 1], np.float32),  # nobody looks at it
        keypoints=points,
        smoothed=None,
        schema=SCHEMA,
        box_source="detected",
    )
