"""Ten minutes of a camera: degraded frames, detections, and how long tracks keep their ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edged.device.trends import CameraTrend, Outages
from edged.frame import BoxSource, ImageQuality, TrackedSubject
from edged.units import ns
from tests.support.clock import ManualClock
from tests.support.messages import result, subject


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(ns(6000))


@pytest.fixture
def trend(clock: ManualClock) -> CameraTrend:
    return CameraTrend(clock)


def seen(track: int, x: float = 0, *, box_source: BoxSource = "detected", score: float = 0.8) -> TrackedSubject:
    box = np.array([x, 0, x + 10, 10], np.float32)
    return replace(subject(id=track, score=score, box_source=box_source), xyxy=box)


def play(
    trend: CameraTrend,
    clock: ManualClock,
    *subjects: TrackedSubject,
    seconds: float = 1,
    degraded: tuple[str, ...] = (),
) -> None:
    """Ten frames a second."""
    quality = ImageQuality(brightness=0, contrast=0, sharpness=0, degraded=degraded)
    for _ in range(round(10 * seconds)):
        clock.now_ns += ns(0.1)
        trend.record(result(*subjects, done_ns=clock.now_ns, quality=quality))


def test_degraded_share_is_of_all_frames(trend: CameraTrend, clock: ManualClock) -> None:
    play(trend, clock, seconds=3)
    play(trend, clock, seconds=1, degraded=("dark",))
    assert trend.read().degraded_share == pytest.approx(0.25)


def test_trend_without_frames_is_unknown(trend: CameraTrend) -> None:
    figures = trend.read()
    assert (figures.degraded_share, figures.confidence, figures.median_s) == (None, None, None)
    assert (figures.detections_per_min, figures.alive, figures.switches) == (0, 0, 0)


def test_tracked_boxes_are_no_detections(trend: CameraTrend, clock: ManualClock) -> None:
    play(trend, clock, seen(1, score=0.6), seen(2, 50, box_source="tracked"), seconds=60)
    figures = trend.read()
    assert figures.detections_per_min == pytest.approx(600)
    assert figures.confidence == pytest.approx(0.6)


def test_frames_older_than_ten_minutes_do_not_count(trend: CameraTrend, clock: ManualClock) -> None:
    play(trend, clock, seconds=60, degraded=("dark",))
    clock.now_ns += ns(660)
    play(trend, clock, seconds=1)
    assert trend.read().degraded_share == 0


def test_new_id_where_a_track_just_ended_is_a_switch(trend: CameraTrend, clock: ManualClock) -> None:
    play(trend, clock, seen(1, 0))
    play(trend, clock, seen(2, 1))
    assert (trend.read().switches, trend.read().new_per_min > 0) == (1, True)


@pytest.mark.parametrize("later", [seen(2, 100), replace(seen(2, 1), label="person")], ids=["elsewhere", "other class"])
def test_id_of_another_subject_is_not_a_switch(trend: CameraTrend, clock: ManualClock, later: TrackedSubject) -> None:
    play(trend, clock, seen(1, 0))
    play(trend, clock, later)
    assert trend.read().switches == 0


def test_id_next_to_an_active_track_is_not_a_switch(trend: CameraTrend, clock: ManualClock) -> None:
    play(trend, clock, seen(1, 0))
    play(trend, clock, seen(2, 1), seen(1, 0))
    assert trend.read().switches == 0


def test_life_of_a_track_is_from_its_first_to_its_last_frame(trend: CameraTrend, clock: ManualClock) -> None:
    play(trend, clock, seen(1), seconds=5)
    assert (trend.read().alive, trend.read().median_s) == (1, None)
    play(trend, clock, seconds=3)
    assert trend.read().alive == 0
    assert trend.read().median_s == pytest.approx(4.9)


def test_losses_and_reconnects_of_the_last_hour_are_counted(clock: ManualClock) -> None:
    outages = Outages(clock)
    for phase in ("connecting", "online", "lost", "lost", "connecting", "online", "lost"):
        outages.record(phase)
    assert (outages.losses, outages.reconnects) == (2, 1)
    clock.now_ns += ns(3601)
    assert (outages.losses, outages.reconnects) == (0, 0)


def test_first_connection_is_not_a_reconnect(clock: ManualClock) -> None:
    outages = Outages(clock)
    outages.record("online")
    assert outages.reconnects == 0
