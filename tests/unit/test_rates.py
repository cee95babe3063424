"""Rates and latencies with a clock moved by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edged.capture.frame_buffer import FrameCounts
from edged.device.rates import CAPACITY, RateMeter
from edged.frame import FrameResult, ImageQuality
from tests.support.clock import ManualClock

S = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def meter(clock: ManualClock) -> RateMeter:
    return RateMeter(window_s=10, clock=clock)


def counts(captured: int = 0, processed: int = 0, dropped: int = 0) -> FrameCounts:
    waiting = captured - processed - dropped
    return FrameCounts(captured=captured, processed=processed, dropped=dropped, failed=0, waiting=waiting)


def result(done_ns: int, latency_ms: int = 10, subjects: int = 0, **stage_ns: int) -> FrameResult:
    who: Any = (None,) * subjects
    return FrameResult(
        camera="a",
        seq=0,
        captured_ns=done_ns - latency_ms * MS,
        done_ns=done_ns,
        size_wh=(1, 1),
        subjects=who,
        quality=ImageQuality(brightness=0, contrast=0, sharpness=0),
        stage_ns=stage_ns,
    )


def test_meter_without_results_has_no_latency(meter: RateMeter) -> None:
    reading = meter.read(counts())
    assert (reading.latency, reading.in_hz, reading.subjects, reading.stages) == (None, 0, 0, {})


def test_rates_are_over_the_window(meter: RateMeter, clock: ManualClock) -> None:
    for second in range(31):
        clock.now_ns = second * S
        rate = 10 if second <= 20 else 30
        captured = 10 * min(second, 20) + 30 * max(second - 20, 0)
        reading = meter.read(counts(captured=captured, processed=captured // 2, dropped=captured - captured // 2))
    assert rate == 30
    assert (reading.in_hz, reading.processed_hz, reading.dropped_hz) == (30, 15, 15)
    assert reading.mean_processed_hz == pytest.approx(250 / 30)


def test_rates_read_rarely_are_since_the_last_reading(meter: RateMeter, clock: ManualClock) -> None:
    for minute in (0, 1, 2):
        clock.now_ns = minute * 60 * S
        reading = meter.read(counts(captured=minute * 600))
    assert reading.in_hz == 10


def test_percentiles_are_over_the_results_in_the_window(meter: RateMeter, clock: ManualClock) -> None:
    meter.record(result(1 * S, latency_ms=9999))
    for i in range(1, 101):
        meter.record(result(15 * S, latency_ms=i))
    clock.now_ns = 20 * S
    latency = meter.read(counts()).latency
    assert latency is not None
    assert (latency.p50_ms, latency.p95_ms, latency.max_ms) == pytest.approx((50.5, 95.05, 100))


def test_stage_percentiles_are_over_the_results_that_ran_it(meter: RateMeter) -> None:
    meter.record(result(S, detect=4 * MS, pose=2 * MS))
    meter.record(result(S, pose=4 * MS), publish=MS)
    middle = {stage: spread.p50_ms for stage, spread in meter.read(counts()).stages.items()}
    assert middle == {"detect": 4, "pose": 3, "publish": 1}


def test_subjects_are_of_the_latest_result_or_zero_when_it_is_old(meter: RateMeter, clock: ManualClock) -> None:
    meter.record(result(S, subjects=3))
    clock.now_ns = 2 * S
    assert meter.read(counts()).subjects == 3
    clock.now_ns = 20 * S
    assert meter.read(counts()).subjects == 0


def test_oldest_results_are_overwritten(meter: RateMeter, clock: ManualClock) -> None:
    for i in range(CAPACITY + 10):
        meter.record(result(S, latency_ms=1000 if i < 10 else 1))
    latency = meter.read(counts()).latency
    assert latency is not None
    assert latency.max_ms == 1
