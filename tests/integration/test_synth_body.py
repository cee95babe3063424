"""Rendered bodies: closed flesh, bones that turn the right way, poses that stand on the ground."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from engines.card.schema import SCHEMAS
from tools.synth import flesh, horse, horse_pose, person, person_pose, portraits, pose
from tools.synth.body import Body
from tools.synth.flesh import Cone
from tools.synth.horse_coat import COATS
from tools.synth.pose import SINK_M, Pose


@pytest.fixture(scope="module")
def mare() -> Body:
    return horse.build(np.random.default_rng(1), COATS[0])


@pytest.fixture(scope="module")
def groom() -> Body:
    return person.build(person.Outfit())


def joints(body: Body, held: Pose, schema: str = "ap10k-17") -> dict[str, Any]:
    """Where each keypoint is when the body faces along x, in m."""
    where = body.where(schema, pose.settle(body, held, (0, 0), 0.0))
    return dict(zip(SCHEMAS[schema].keypoints, where, strict=True))


def test_mesh_is_closed_and_has_the_volume_of_its_cone() -> None:
    vertices, _, triangles = flesh.mesh([Cone("b", (0, 0, 1), (0, 0, 1.001), 0.2, 0.2)])
    edges = Counter(tuple(sorted((int(t[i]), int(t[i - 1])))) for t in triangles for i in range(3))
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    volume = float((a * np.cross(b, c)).sum() / 6)
    assert set(edges.values()) == {2}
    assert volume == pytest.approx(4 / 3 * np.pi * 0.2**3, rel=0.03)


def test_mesh_ends_at_the_floor() -> None:
    vertices, _, _ = flesh.mesh([Cone("b", (0, 0, 0), (0, 0, 0.5), 0.2, 0.2)])
    assert vertices[:, 2].min() == pytest.approx(0, abs=0.004)


@pytest.mark.parametrize("body", ["mare", "groom"])
def test_body_has_a_point_for_every_keypoint_of_its_schemas(body: str, request: pytest.FixtureRequest) -> None:
    points = request.getfixturevalue(body).points
    assert all(tuple(p.name for p in points[schema]) == SCHEMAS[schema].keypoints for schema in points)


def test_left_keypoints_are_on_the_left_side(mare: Body, groom: Body) -> None:
    places = {**joints(mare, horse_pose.STANDING), **joints(groom, person_pose.STANDING, "lsp-14")}
    assert all(y > 0 for name, (_, y, _) in places.items() if name.startswith("left"))
    assert all(y < 0 for name, (_, y, _) in places.items() if name.startswith("right"))


def test_standing_horse_has_four_hooves_on_the_ground(mare: Body) -> None:
    at = joints(mare, horse_pose.STANDING)
    assert all(at[f"{side}_{end}_paw"][2] < 0.08 for side in ("left", "right") for end in ("front", "back"))


def test_hock_points_backwards_and_a_carpus_does_not(mare: Body) -> None:
    at = joints(mare, horse_pose.STANDING)
    assert at["left_knee"][0] < min(at["left_hip"][0], at["left_back_paw"][0])
    assert at["left_elbow"][0] == pytest.approx(at["left_shoulder"][0], abs=0.06)


def test_feeding_horse_has_its_nose_at_the_ground(mare: Body) -> None:
    assert joints(mare, horse_pose.FEEDING)["nose"][2] < 0.35


def test_lying_horse_rests_on_its_trunk(mare: Body) -> None:
    frames = pose.settle(mare, horse_pose.STERNAL, (0, 0), 0.0)
    assert mare.some(frames)[mare.firm][mare.trunk][:, 2].min() == pytest.approx(-SINK_M, abs=0.01)


@pytest.mark.parametrize(
    "held", [horse_pose.PROPPED, horse_pose.PUSHING, horse_pose.KNEELING], ids=lambda p: p.behaviour
)
def test_rising_or_lowering_horse_touches_the_ground_at_both_ends(mare: Body, held: Pose) -> None:
    points = mare.some(pose.settle(mare, held, (0, 0), 0.0))[mare.firm]
    assert [points[end, 2].min() for end in mare.ends] == pytest.approx([0, 0], abs=0.04)


def test_tail_does_not_pass_through_the_ground(mare: Body) -> None:
    frames = pose.settle(mare, horse_pose.STERNAL, (0, 0), 0.0)
    ends = [
        frames[mare.skeleton.index[name]] @ [*mare.skeleton.joints[mare.skeleton.index[name]], 1] for name in mare.tail
    ]
    assert min(end[2] for end in ends) > 0


def test_rising_ends_in_the_standing_pose(mare: Body) -> None:
    end = joints(mare, pose.along(horse_pose.RISING, 1.0))
    assert all(np.allclose(end[name], at) for name, at in joints(mare, horse_pose.STANDING).items())
    assert pose.along(horse_pose.RISING, 0.5).behaviour == "rising"


def test_mirroring_twice_gives_the_same_pose() -> None:
    assert pose.mirrored(pose.mirrored(horse_pose.STERNAL)) == horse_pose.STERNAL


def test_mirrored_pose_lifts_the_other_leg(mare: Body) -> None:
    at, other = joints(mare, horse_pose.PAWING), joints(mare, pose.mirrored(horse_pose.PAWING))
    assert other["right_front_paw"][2] == pytest.approx(at["left_front_paw"][2], abs=0.02)
    assert at["left_front_paw"][2] > 0.15


def test_size_scales_the_whole_body(mare: Body) -> None:
    whole, half = (pose.settle(mare, horse_pose.STANDING, (0, 0), 0.0, size) for size in (1.0, 0.5))
    assert half[0, :3, :3] == pytest.approx(0.5 * whole[0, :3, :3], abs=0.01)


def test_positive_pitch_lowers_the_head(mare: Body) -> None:
    low = replace(horse_pose.STANDING, turns={**horse_pose.STANDING.turns, "neck": (0, 40, 0)})
    assert joints(mare, low)["nose"][2] < joints(mare, horse_pose.STANDING)["nose"][2] - 0.4


def test_human36m_joints_lie_as_that_data_set_places_them(groom: Body) -> None:
    at = joints(groom, person_pose.STANDING, "h36m-18")
    for middle, end in (("pelvis", "hip"), ("thorax", "shoulder")):
        np.testing.assert_allclose(at[middle], (np.add(at[f"left_{end}"], at[f"right_{end}"])) / 2, atol=1e-6)
    column = [at[name][2] for name in ("pelvis", "torso", "neck", "nose", "head_top")]
    assert column == sorted(column)
    assert np.linalg.norm(np.subtract(at["neck"], at["pelvis"])) == pytest.approx(0.51, abs=0.03)


@pytest.fixture(scope="module")
def drawn() -> portraits.Portrait:
    return portraits.portrait(3, 0)


def test_portrait_projects_onto_itself_and_its_box_fits(drawn: portraits.Portrait) -> None:
    xy = drawn.joints_mm[:, :2] / drawn.joints_mm[:, 2:] * drawn.lens[:2] + drawn.lens[2:]
    assert drawn.image.shape == (portraits.SIDE_PX, portraits.SIDE_PX, 4)
    assert (xy > drawn.xyxy[:2] - 4).all()
    assert (xy < drawn.xyxy[2:] + 4).all()
    assert max(drawn.xyxy[2:] - drawn.xyxy[:2]) == pytest.approx(portraits.BOX_PX, abs=2)
    hit = [drawn.image[int(y), int(x), 3] == 255 for x, y in xy]
    assert np.mean(hit) > 0.8  # joints lie in the flesh


def test_portraits_are_read_as_they_were_written(tmp_path: Path, drawn: portraits.Portrait) -> None:
    portraits.Portraits.write(tmp_path, 3, 1, apart=False)
    read = portraits.Portraits(tmp_path)
    assert len(read) == 1
    np.testing.assert_array_equal(read.image(0), drawn.image)
    np.testing.assert_allclose(read.joints_mm[0], drawn.joints_mm)


def test_portrait_covers_the_background_by_its_share_rounded_to_the_nearest() -> None:
    portrait = np.array([[[100, 50, 0, 255], [0, 0, 0, 0], [50, 25, 0, 127], [0, 0, 0, 126]]], np.uint8)
    out = portraits.over(portrait, np.full((1, 4, 3), 200, np.uint8))
    assert out[0].tolist() == [[100, 50, 0], [200, 200, 200], [150, 125, 100], [101, 101, 101]]
