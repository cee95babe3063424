"""People in space, drawn from the side. The people stand where they are said to be, in a picture of 480 x 360."""

from __future__ import annotations

import numpy as np

from edged.drawing.annotate import LEFT, RIGHT
from edged.drawing.side_view import beside, side_size, side_view
from edged.frame import U8, FrameResult, ImageQuality, Pose3d, TrackedSubject
from engines.card.schema import SCHEMAS

SIZE_WH = (480, 360)
JOINTS = SCHEMAS["h36m-18"].keypoints
STANDS = {"hip": 0, "knee": 420, "ankle": 850, "torso": -250, "neck": -480, "thorax": -450, "nose": -600, "top": -720}
ARM = {"shoulder": -450, "elbow": -200, "wrist": 50}
RIGHT_ARM_AHEAD_MM = 500  # towards the camera


def joint_mm(name: str) -> tuple[float, float, float]:
    side, _, part = name.rpartition("_")
    ahead = RIGHT_ARM_AHEAD_MM if name in {"right_wrist", "right_elbow"} else 0
    return {"left": 150, "right": -150}.get(side, 0), {**STANDS, **ARM}.get(part, 0), -ahead


def person(number: int, root_mm: tuple[float, float, float], tilt_deg: float = 0) -> TrackedSubject:
    pose = Pose3d(
        xyz_mm=np.array([joint_mm(name) for name in JOINTS], np.float32),
        root_mm=np.array(root_mm, np.float32),
        schema="h36m-18",
        depth_source="rootnet",
        focal_source="given",
        tilt_deg=tilt_deg,
    )
    return TrackedSubject(
        id=number,
        label="person",
        score=0.9,
        xyxy=np.zeros(4, np.float32),
        keypoints=None,
        smoothed=None,
        schema=None,
        box_source="detected",
        pose3d=pose,
    )


def drawn(*people: TrackedSubject) -> U8:
    return side_view(result(*people), SIZE_WH)


def result(*people: TrackedSubject) -> FrameResult:
    quality = ImageQuality(brightness=0, contrast=0, sharpness=0)
    return FrameResult(
        camera="a",
        seq=0,
        captured_ns=0,
        done_ns=0,
        size_wh=(640, 360),
        subjects=people,
        quality=quality,
        stage_ns={},
    )


def columns(picture: U8, colour: tuple[int, int, int]) -> np.ndarray:
    """Of the pixels of exactly that colour, by column."""
    return np.flatnonzero((picture == colour).all(axis=2).any(axis=0))


def test_what_is_ahead_of_a_person_is_left_of_them() -> None:
    picture = drawn(person(1, (0, 300, 4000)))
    assert columns(picture, RIGHT).min() < columns(picture, LEFT).min() - 30


def test_who_is_farther_away_is_farther_right_and_both_are_whole() -> None:
    picture = drawn(person(1, (0, 300, 4000)), person(2, (0, 300, 7000)))
    seen = columns(picture, LEFT)
    (gap,) = np.flatnonzero(np.diff(seen) > 80)  # 3 m
    assert 0 < gap < len(seen) - 2
    assert seen.min() > 5
    assert seen.max() < SIZE_WH[0] - 5


def test_camera_that_looks_down_does_not_make_people_lean() -> None:
    tilt = np.radians(30)
    upright = person(1, (0, 300, 4000)).pose3d
    assert upright is not None
    down, ahead = np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([0, -np.sin(tilt), np.cos(tilt)])
    axes = np.stack([[1, 0, 0], down, ahead])  # of the room, as the tilted camera sees them
    seen = person(1, (0, 0, 0), tilt_deg=30)
    assert seen.pose3d is not None
    seen.pose3d.xyz_mm[:], seen.pose3d.root_mm[:] = upright.xyz_mm @ axes, upright.root_mm @ axes
    np.testing.assert_allclose(seen.pose3d.upright_mm, upright.upright_mm, atol=0.01)
    np.testing.assert_array_equal(drawn(seen), drawn(person(1, (0, 300, 4000))))


def test_picture_and_side_view_have_the_announced_size_also_without_people() -> None:
    image = np.full((360, 640, 3), 7, np.uint8)
    for people in ((), (person(1, (0, 300, 4000)),)):
        both = beside(image, result(*people))
        assert both.shape[1::-1] == side_size((640, 360))
        np.testing.assert_array_equal(both[:, :640], image)
    assert len(columns(drawn(), LEFT)) == 0
