"""One-Euro smoothing. Frames are 0.1 s apart and subjects 100 px large unless stated."""

from __future__ import annotations

import numpy as np
import pytest

from edged.frame import F32, Pose3d
from edged.tracking.one_euro import BETA, D_CUTOFF_HZ, MIN_CUTOFF_HZ, PERSON_MM, OneEuroFilter, Pose3dFilter
from edged.units import ns


def points(*xs: float, score: float | tuple[float, ...] = 0.9) -> F32:
    """Keypoints at y = 0."""
    scores = np.broadcast_to(score, len(xs))
    return np.stack([xs, np.zeros(len(xs)), scores], axis=1).astype(np.float32)


def gain(cutoff_hz: float, dt_s: float) -> float:
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * dt_s))


def test_keypoint_at_rest_stays() -> None:
    smooth = OneEuroFilter(0.3)
    for i in range(5):
        out = smooth(1, points(10, 20), 100, ns(0.1 * i))
    assert out.tolist() == points(10, 20).tolist()


@pytest.mark.parametrize("dt_s", [0.01, 0.1, 0.4])
def test_step_follows_the_papers_formula(dt_s: float) -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0), 100, 0)
    speed = gain(D_CUTOFF_HZ, dt_s) * 10 / dt_s / 100
    expected = gain(MIN_CUTOFF_HZ + BETA * speed, dt_s) * 10
    assert smooth(1, points(10), 100, ns(dt_s))[0, 0] == pytest.approx(expected, rel=1e-5)


def test_irregular_frame_times_end_alike() -> None:
    ends = []
    for times in ([0.1, 0.2, 0.3, 0.4], [0.02, 0.1, 0.35, 0.4]):
        smooth = OneEuroFilter(0.3)
        smooth(1, points(0), 100, 0)
        ends.append([smooth(1, points(100 * t), 100, ns(t))[0, 0] for t in times][-1])
    assert ends[0] == pytest.approx(ends[1], abs=3)


def test_subject_twice_as_large_is_smoothed_alike() -> None:
    near, far = OneEuroFilter(0.3), OneEuroFilter(0.3)
    for i, x in enumerate((0, 5, 7, 30)):
        a, b = far(1, points(x), 100, ns(0.1 * i)), near(1, points(2 * x), 200, ns(0.1 * i))
    assert b[0, 0] == pytest.approx(2 * a[0, 0], rel=1e-5)


def test_noise_is_halved_at_rest_and_motion_lags_below_40_ms() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 200)
    rest, run = OneEuroFilter(0.3), OneEuroFilter(0.3)
    times = np.arange(200) / 30
    calm = [rest(1, points(x), 100, ns(t))[0, 0] for x, t in zip(noise, times, strict=True)]
    ran = [run(1, points(200 * t), 100, ns(t))[0, 0] for t in times]
    assert np.std(calm[30:]) < 0.5 * np.std(noise[30:])
    assert 200 * times[-1] - ran[-1] < 200 * 0.04  # 40 ms


def test_low_keypoint_follows_the_body() -> None:
    smooth = OneEuroFilter(0.3)
    for i in range(20):
        out = smooth(1, points(10 * i, 10 * i + 50, score=(0.9, 0.9 if i < 10 else 0.01)), 100, ns(0.1 * i))
    assert out[1, 0] - out[0, 0] == pytest.approx(50, abs=2)


def test_low_keypoint_does_not_jump() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0, 50), 100, 0)
    out = smooth(1, points(0, 500, score=(0.9, 0.03)), 100, ns(0.1))
    assert out[1, 0] == pytest.approx(50 + 0.01 * gain(MIN_CUTOFF_HZ, 0.1) * 450, rel=1e-4)


def test_low_keypoint_does_not_freeze() -> None:
    smooth = OneEuroFilter(0.3)
    for i in range(40):
        out = smooth(1, points(0, 50 if i == 0 else 80, score=(0.9, 0.2)), 100, ns(0.1 * i))
    assert out[1, 0] == pytest.approx(80, abs=1)


def test_keypoint_low_for_long_restarts_where_it_is_measured() -> None:
    smooth = OneEuroFilter(0.3)
    for i in range(8):
        smooth(1, points(0, 50, score=(0.9, 0.9 if i == 0 else 0.01)), 100, ns(0.1 * i))
    assert smooth(1, points(0, 200), 100, ns(0.8))[1, 0] == 200


def test_keypoint_is_nan_until_first_measured() -> None:
    smooth = OneEuroFilter(0.3)
    first = smooth(1, points(0, np.nan), 100, 0)
    second = smooth(1, points(0, -1, score=(0.9, 0.0)), 100, ns(0.1))
    assert np.isnan([first[1, 0], second[1, 0]]).all()
    assert smooth(1, points(0, 50), 100, ns(0.2))[1, 0] == 50


def test_nan_keypoint_follows_the_body() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0, 50), 100, 0)
    body, lost = smooth(1, points(20, np.nan), 100, ns(0.1))[:, 0]
    assert body > 10
    assert lost == pytest.approx(50 + body)


def test_scores_pass_through() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0, 5), 100, 0)
    assert smooth(1, points(0, 5, score=(0.7, 0.1)), 100, ns(0.1))[:, 2] == pytest.approx([0.7, 0.1])


def test_gap_restarts() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0), 100, 0)
    assert smooth(1, points(300), 100, ns(0.6))[0, 0] == 300


def test_dropped_track_loses_its_state() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0), 100, 0)
    smooth(2, points(0), 100, 0)
    smooth.retain([2])
    assert smooth(1, points(10), 100, ns(0.1))[0, 0] == 10
    assert smooth(2, points(10), 100, ns(0.1))[0, 0] < 10


def test_other_number_of_keypoints_restarts() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(0), 100, 0)
    assert smooth(1, points(10, 20), 100, ns(0.1))[:, 0].tolist() == [10, 20]


def test_same_time_twice_changes_nothing() -> None:
    smooth = OneEuroFilter(0.3)
    smooth(1, points(5), 100, 0)
    assert smooth(1, points(9), 100, 0)[0, 0] == 5


def pose(z_mm: float = 0.0, root_z_mm: float = 5000.0) -> Pose3d:
    """A person whose last joint is so far behind the root."""
    xyz_mm = np.zeros((18, 3), np.float32)
    xyz_mm[17] = (300, -200, z_mm)
    root_mm = np.array([400, 100, root_z_mm], np.float32)
    return Pose3d(xyz_mm=xyz_mm, root_mm=root_mm, schema="h36m-18", depth_source="rootnet", focal_source="given")


def test_person_in_space_is_smoothed_along_all_axes_in_mm() -> None:
    smooth = Pose3dFilter()
    assert smooth(1, pose(), 0).xyz_mm.tolist() == pose().xyz_mm.tolist()
    found = smooth(1, pose(z_mm=100), ns(0.1))
    speed = gain(D_CUTOFF_HZ, 0.1) * 100 / 0.1 / PERSON_MM
    assert found.xyz_mm[17].tolist() == pytest.approx(
        [300, -200, gain(MIN_CUTOFF_HZ + BETA * speed, 0.1) * 100], rel=1e-5
    )
    assert found.root_mm.tolist() == [400, 100, 5000]
    assert (found.schema, found.depth_source) == ("h36m-18", "rootnet")


def test_unsure_distance_is_steadied_more_than_a_limb_and_walking_lags_15_cm_at_most() -> None:
    noise, times = np.random.default_rng(0).normal(0, 1, 150), np.arange(150) / 15
    limb, far, walks = Pose3dFilter(), Pose3dFilter(), Pose3dFilter()
    limbs = [limb(1, pose(z_mm=200 * x), ns(t)).xyz_mm[17, 2] / 200 for x, t in zip(noise, times, strict=True)]
    roots = [far(1, pose(root_z_mm=5000 + 200 * x), ns(t)).root_mm[2] for x, t in zip(noise, times, strict=True)]
    steps = [walks(1, pose(root_z_mm=2000 + 1400 * t), ns(t)).root_mm[2] for t in times]
    assert (np.array(roots) - 5000).std() / 200 < 0.8 * np.std(limbs)
    assert 2000 + 1400 * times[-1] - steps[-1] < 150


def test_people_are_smoothed_apart_and_forgotten() -> None:
    smooth = Pose3dFilter()
    smooth(1, pose(), 0)
    assert smooth(2, pose(z_mm=900), ns(0.1)).xyz_mm[17, 2] == 900
    smooth.retain([2])
    assert smooth(1, pose(z_mm=900), ns(0.2)).xyz_mm[17, 2] == 900
