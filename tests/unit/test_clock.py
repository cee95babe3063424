from __future__ import annotations

import gc
import time

from edged.runtime.clock import Clock


def test_monotonic_now_becomes_wall_time_now() -> None:
    before_ms = time.time() * 1000
    told_ms = Clock().utc_ms(time.monotonic_ns())
    assert before_ms - 5 < told_ms < time.time() * 1000 + 5


def test_monotonic_past_becomes_the_past() -> None:
    clock, now_ns = Clock(), time.monotonic_ns()
    assert abs(clock.utc_ms(now_ns) - clock.utc_ms(now_ns - 60_000_000_000) - 60_000) <= 5


def test_synced_equals_the_kernels_flag() -> None:
    assert isinstance(Clock().synced, bool)


def test_reading_the_kernel_leaves_no_garbage() -> None:
    gc.collect()
    for _ in range(20):
        assert isinstance(Clock().synced, bool)
    assert gc.collect() < 20
