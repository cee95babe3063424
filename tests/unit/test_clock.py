from __future__ import annotations

import gc
import time

import pytest

from edged.runtime import libc
from edged.runtime.clock import Clock
from edged.units import NS_PER_S


def test_monotonic_now_becomes_wall_time_now() -> None:
    before_ms = time.time() * 1000
    told_ms = Clock().utc_ms(time.monotonic_ns())
    assert before_ms - 5 < told_ms < time.time() * 1000 + 5


def test_monotonic_past_becomes_the_past() -> None:
    clock, now_ns = Clock(), time.monotonic_ns()
    assert abs(clock.utc_ms(now_ns) - clock.utc_ms(now_ns - 60_000_000_000) - 60_000) <= 5


@pytest.mark.parametrize(("state", "synced"), [(0, True), (4, True), (5, False), (-1, False)])
def test_synced_is_what_the_kernel_says_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, state: int, synced: bool
) -> None:
    now_s, answers = [100], [state, 0]
    monkeypatch.setattr(libc, "function", lambda name: lambda timex: answers.pop(0))
    monkeypatch.setattr("time.monotonic_ns", lambda: now_s[0] * NS_PER_S)
    clock = Clock()
    assert clock.synced is synced
    now_s[0] += 10
    assert clock.synced is synced
    now_s[0] += 1
    assert clock.synced
    assert not answers


def test_reading_the_kernel_leaves_no_garbage() -> None:
    gc.collect()
    for _ in range(20):
        assert isinstance(Clock().synced, bool)
    assert gc.collect() < 20
