"""A simulated horse that walks past with a known stride, and with even or uneven steps."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from edged.behaviour.horse.gait import AisleMonitor, GaitDay, measure_passage
from edged.behaviour.horse.keypoints import KeypointObservation
from edged.frame import F64, FrameResult, ImageQuality, TrackedSubject
from tools.barn.moves import motion
from tools.barn.tracks import View

AISLE = View(position=(0.0, -6.0, 1.6), towards=(0.0, 0.0, 0.9), focal_px=900)
RIGHT_FORE = [8, 9, 10]
SPEED_M_S, LENGTH_M = 1.4, 1.39
AT = datetime(2027, 1, 20, 9, 0).astimezone()


def walked(
    stride_hz: float, fps: float, *, late_s: float = 0.0, seed: int = 0, seconds: float = 5.0
) -> list[KeypointObservation]:
    """Along x, past the camera; the right fore leg comes `late_s` after its time."""
    rng, made = np.random.default_rng(seed), []
    for t_s in np.arange(0, seconds, 1 / fps):
        points = posed(t_s * stride_hz)
        points[RIGHT_FORE] = posed((t_s - late_s) * stride_hz)[RIGHT_FORE]
        xy = AISLE.project(points + np.array([SPEED_M_S * (t_s - seconds / 2), 0, 0]))
        xy += rng.normal(0, 0.01, xy.shape) * np.hypot(*(xy[3] - xy[4]))
        xy[rng.random(17) < 0.1] = np.nan
        low, high = np.nanmin(xy, axis=0), np.nanmax(xy, axis=0)
        made.append(KeypointObservation(float(t_s), xy, (*low.tolist(), *high.tolist())))
    return made


def posed(strides: float) -> F64:
    frames = motion("walking")
    at = strides * len(frames)
    share = at % 1
    return np.asarray((1 - share) * frames[int(at) % len(frames)] + share * frames[(int(at) + 1) % len(frames)])


@pytest.mark.parametrize(("stride_hz", "fps"), [(0.8, 25), (1.0, 15), (0.8, 12), (1.2, 30)])
def test_walk_at_known_stride_has_that_stride_and_speed(stride_hz: float, fps: float) -> None:
    one = measure_passage(walked(stride_hz, fps))
    assert one is not None
    assert one.stride_hz == pytest.approx(stride_hz, rel=0.03)
    assert one.body_lengths_per_s == pytest.approx(SPEED_M_S / LENGTH_M, rel=0.06)


@pytest.mark.parametrize("seed", range(12))
def test_fast_walk_at_low_frame_rate_is_not_read_as_half_its_stride(seed: int) -> None:
    one = measure_passage(walked(1.6, 12, seed=seed))
    assert one is not None
    assert one.stride_hz == pytest.approx(1.6, rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_step_ratio_is_one_for_even_steps_and_high_for_a_late_leg(seed: int) -> None:
    even, late, early = (measure_passage(walked(0.8, 25, late_s=late_s, seed=seed)) for late_s in (0.0, 0.1, -0.1))
    assert even is not None
    assert late is not None
    assert early is not None
    assert even.fore_ratio == pytest.approx(1, abs=0.08)
    assert late.fore_ratio is not None
    assert early.fore_ratio is not None
    assert (late.fore_ratio > 1.25, early.fore_ratio < 0.85) == (True, True)
    assert late.hind_ratio == pytest.approx(1, abs=0.08)


def test_step_ratios_at_a_low_frame_rate_are_none() -> None:
    one = measure_passage(walked(1.0, 12))
    assert one is not None
    assert (one.fore_ratio, one.hind_ratio) == (None, None)


@pytest.mark.parametrize(
    ("fps", "seconds", "count"),
    [(25, 1.5, 99), (6, 5.0, 99), (25, 5.0, 5), (25, 5.0, 0)],
    ids=["short", "slow", "few", "none"],
)
def test_passage_too_short_or_too_slow_is_none(fps: float, seconds: float, count: int) -> None:
    assert measure_passage(walked(0.8, fps, seconds=seconds)[:count]) is None


def test_standing_horse_in_the_aisle_is_not_a_passage() -> None:
    there = walked(0.8, 25)[60]
    assert measure_passage([KeypointObservation(n / 25, there.xy, there.box) for n in range(125)]) is None


def test_passages_of_a_day_have_a_trend_and_an_empty_day_has_none() -> None:
    changes: list[int] = []
    monitor = AisleMonitor(0.3, None, lambda: changes.append(1))
    for number, late_s in enumerate((0.0, 0.0, 0.1)):
        seen = walked(0.8, 25, late_s=late_s)
        for one in seen:
            monitor.process(result(number, one))
        monitor.tick(seen[-1].t_s + 1, AT)
        assert len(changes) == number, "it may still come into view again"
        monitor.tick(seen[-1].t_s + 3, AT)
    assert monitor.day is not None
    assert len(monitor.day.passages) == 3
    assert monitor.day.trend()["stride_hz"] == pytest.approx(0.8, abs=0.03)
    assert monitor.day.trend()["fore_ratio"] == pytest.approx(1, abs=0.08)
    assert GaitDay("2027-01-21").trend() == dict.fromkeys(
        ("stride_hz", "body_lengths_per_s", "fore_ratio", "hind_ratio")
    )


def result(number: int, one: KeypointObservation) -> FrameResult:
    keypoints = np.column_stack([one.xy, np.where(np.isnan(one.xy[:, 0]), 0.0, 0.9)]).astype(np.float32)
    horse = TrackedSubject(
        id=number,
        label="horse",
        score=0.9,
        xyxy=np.array(one.box, np.float32),
        keypoints=keypoints,
        smoothed=None,
        schema="ap10k-17",
        box_source="detected",
    )
    t_ns = round(one.t_s * 1e9)
    clear = ImageQuality(brightness=100, contrast=100, sharpness=1)
    return FrameResult(
        camera="aisle",
        seq=0,
        captured_ns=t_ns,
        done_ns=t_ns,
        size_wh=(1280, 720),
        subjects=(horse,),
        quality=clear,
        stage_ns={},
    )
