"""Rendered pictures and their truth."""

from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")
pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

import cv2

from tools import synth
from tools.demo import CLIP, stall
from tools.evaluate.clip import read_truth
from tools.synth import person, person_pose, pose, scatter, surroundings, takes, yard
from tools.synth.camera import Camera, Sensor
from tools.synth.gallery import sunlight
from tools.synth.geometry import Mesh
from tools.synth.person import Outfit
from tools.synth.pose import Pose
from tools.synth.stage import Actor, Stage
from tools.synth.truth import HIDDEN, OUTSIDE, VISIBLE, Truth, judged

SIZE_WH = (320, 180)
AHEAD = Camera(at=(4.0, 0.0, 1.2), to=(0.0, 0.0, 0.9), fov_deg=50)


@lru_cache
def stage(camera: Camera = AHEAD) -> Stage:
    place = yard.build(yard.Yard(kind="concrete", fence_m=None, trees=0), sunlight((0.4, 0.3, 0.9), 2.0))
    return Stage(place, camera, Sensor(noise=0), SIZE_WH, 1.5)


def groom(x: float, y: float, number: int = 1, top: tuple[float, float, float] = (200, 30, 30)) -> Actor:
    """Somebody who faces the camera."""
    body = person.build(Outfit(top=top))
    frames = pose.settle(body, person_pose.STANDING, (x, y), 0.0)
    return Actor(body=body, frames=frames, behaviour="standing", number=number)


def rendered(*actors: Actor, camera: Camera = AHEAD) -> tuple[Any, dict[int, Truth]]:
    image, truths = stage(camera).render(actors, np.random.default_rng(0))
    return image, {truth.number: truth for truth in truths}


def test_picture_depends_on_seed_and_number_only() -> None:
    (a, truth), (b, again), (c, _) = (synth.scene(3, n, SIZE_WH, "both") for n in (7, 7, 8))
    assert (a == b).all()
    assert (a != c).any()
    assert [t.as_dict() for t in truth] == [t.as_dict() for t in again]


@pytest.mark.parametrize("number", range(2))
def test_empty_scene_has_no_subjects(number: int) -> None:
    image, truths = synth.scene(3, number, SIZE_WH, "empty")
    assert (image.shape, truths) == ((180, 320, 3), [])


def test_scene_has_the_kind_of_subject_requested() -> None:
    assert {t.kind for n in range(2) for t in synth.scene(3, n, SIZE_WH, "horse")[1]} == {"horse"}
    assert {t.kind for n in range(2) for t in synth.scene(3, n, SIZE_WH, "person")[1]} == {"person"}


def test_passing_people_occlude_the_horse_and_touch_the_image_edge() -> None:
    pictures = [synth.scene(3, n, SIZE_WH, "passing")[1] for n in (1, 4, 6)]
    people = [truth for truths in pictures for truth in truths if truth.kind == "person"]
    assert all(any(truth.kind == "horse" for truth in truths) for truths in pictures)
    assert any(truth.xyxy[0] == 0 or truth.xyxy[2] == SIZE_WH[0] for truth in people)
    assert any(truth.kind == "horse" and truth.visible < 0.9 for truths in pictures for truth in truths)


def test_watched_stall_is_empty_or_has_a_horse_and_sometimes_a_person() -> None:
    seen = [sorted(truth.kind for truth in synth.scene(3, n, SIZE_WH, "watched")[1]) for n in (1, 3, 4)]
    assert {tuple(kinds) for kinds in seen} >= {(), ("horse",)}
    assert any("person" in kinds for kinds in seen)


def test_seated_person_rests_on_a_bale_unless_on_the_ground() -> None:
    body = person.build(Outfit())

    def seats(held: Pose) -> list[Mesh]:
        frames = pose.settle(body, held, (0, 0), 0.0)
        return surroundings._seat(Actor(body=body, frames=frames, behaviour=held.behaviour))

    assert seats(person_pose.STRETCHED) == []
    (bale,) = seats(person_pose.SITTING)
    assert 0.3 < bale.vertices[:, 2].max() < 0.6


def test_box_encloses_the_rendered_pixels() -> None:
    bare, _ = rendered()
    image, truth = rendered(groom(0, 0))
    rows = np.flatnonzero((np.abs(image.astype(int) - bare).max(axis=2) > 12)[:, 150:170].any(axis=1))
    assert truth[1].xyxy[1] == pytest.approx(rows[0], abs=1.5)
    assert truth[1].xyxy[0] < 150
    assert truth[1].xyxy[2] > 170


def test_keypoints_lie_on_the_body() -> None:
    image, truth = rendered(groom(0, 0))
    at = dict(zip(("right_shoulder", "left_shoulder"), truth[1].keypoints["lsp-14"][8:10], strict=True))
    for x, y, v in at.values():
        assert v == VISIBLE
        blue, _, red = image[int(y), int(x)]
        assert red > 2 * blue
    assert at["left_shoulder"][0] > at["right_shoulder"][0]  # who faces us has the left on our right


def test_occluded_person_has_hidden_keypoints_in_place() -> None:
    _, alone = rendered(groom(-0.6, 0))
    _, truth = rendered(groom(-0.6, 0), groom(0.6, 0, number=2))
    assert alone[1].visible > 0.95
    assert truth[1].visible < 0.3
    hip, before = truth[1].keypoints["lsp-14"][3], alone[1].keypoints["lsp-14"][3]
    assert (hip[2], before[2]) == (HIDDEN, VISIBLE)
    assert hip[:2] == pytest.approx(before[:2])


def test_keypoint_beyond_the_edge_is_outside_and_lowers_visibility() -> None:
    close = replace(AHEAD, to=(0.0, 0.0, 1.7), fov_deg=20)
    _, truth = rendered(groom(0, 0), camera=close)
    ankle = truth[1].keypoints["lsp-14"][0]
    assert ankle.tolist() == [0, 0, OUTSIDE]
    assert truth[1].visible < 0.6


def test_lens_distortion_of_image_and_truth_agree() -> None:
    bent = replace(AHEAD, barrel=0.3)
    xy = np.array([[20.0, 15.0], [160.0, 90.0], [300.0, 170.0], [-900.0, 2000.0]])
    assert np.isfinite(bent.bent(np.array([[1e12, -1e12]]), SIZE_WH)).all()
    assert bent.sources(bent.bent(xy, SIZE_WH), SIZE_WH) == pytest.approx(xy, abs=0.05)


def test_keypoint_visibility_follows_the_depth_in_front() -> None:
    at = np.array([[5.0, 5.0], [5.0, 5.0], [5.0, 5.0], [-1.0, 5.0]])
    own = np.array([False, False, True, False])
    in_front = np.array([2.95, 2.0, 2.95, 2.95], np.float32)
    got = judged(at, np.full(4, 3.0), np.full(4, 0.1), in_front, own, SIZE_WH)
    assert got[:, 2].tolist() == [VISIBLE, HIDDEN, HIDDEN, OUTSIDE]


def test_projected_3d_truth_equals_the_2d_truth() -> None:
    _, (truth, *_) = scatter.picture(77, 1, SIZE_WH, "person", pinhole=True)
    fx, fy, cx, cy = truth.lens
    space, points = truth.space_m["lsp-14"], truth.keypoints["lsp-14"]
    px = space[:, :2] / space[:, 2:] * [fx, fy] + [cx, cy]
    inside = points[:, 2] > 0
    assert inside.sum() > 8
    assert px[inside] == pytest.approx(points[inside, :2], abs=0.01)
    assert 0.2 < np.linalg.norm(space[2] - space[1]) < 0.6  # a thigh, in metres


def test_committed_demo_clip_and_its_truth_are_what_is_rendered() -> None:
    clip = cv2.VideoCapture(str(CLIP))
    for (image, truths), subjects in islice(zip(stall.pictures(), read_truth(CLIP), strict=True), 3):
        assert cv2.PSNR(image, clip.read()[1]) > 30
        assert np.allclose([t.xyxy for t in truths], [s["box"] for s in subjects], atol=2)
    clip.release()


def test_night_scene_is_grey() -> None:
    frames = takes.take(takes.acts("sternal:0.2"), SIZE_WH, 10, seed=1, night=True)
    image, truths = next(frames)
    assert (image[..., 0] == image[..., 2]).all()
    assert [t.behaviour for t in truths] == ["sternal"]


def test_acts_follow_one_another() -> None:
    frames = list(takes.take(takes.acts("standing:0.4,rising:2,standing:0.4"), SIZE_WH, 5, seed=1))
    seen = [truths[0].behaviour for _, truths in frames]
    assert (seen[0], seen[7], seen[-1], len(seen)) == ("standing", "rising", "standing", 14)


def test_unknown_act_is_rejected() -> None:
    with pytest.raises(ValueError, match="'flying' is no act; want one of standing"):
        takes.acts("standing:1,flying:2")
