"""A hot device limits its frame rate step by step, and does not oscillate."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edged.config.tables.device import ThrottleConfig
from edged.device.sysfs import SysfsSensors
from edged.device.throttle import ThermalThrottle, ThrottlePolicy
from edged.messages.health_schema import HardwareThrottling
from edged.units import ns
from tests.support.clock import ManualClock

SETTINGS = ThrottleConfig(steps_hz=(10, 5, 2), hot_c=90, cool_c=82, step_down_s=30, step_up_s=120)
NO_THROTTLING: HardwareThrottling = {"active": [], "over_current_events": 0, "over_current_total": 0}


def steps_of(policy: ThrottlePolicy, clock: ManualClock, *phases: tuple[float, float]) -> list[int]:
    """The step after every 5 s of phases of (seconds, °C)."""
    steps = []
    for seconds, hottest_c in phases:
        for _ in range(round(seconds / 5)):
            steps.append(policy.update(hottest_c, NO_THROTTLING).step)
            clock.now_ns += ns(5)
    return steps


def test_hot_device_steps_down_at_once_then_every_hold_to_the_last_step(clock: ManualClock) -> None:
    steps = steps_of(ThrottlePolicy(SETTINGS, clock), clock, (200, 91))
    assert [steps.index(step) * 5 for step in (1, 2, 3)] == [0, 30, 60]
    assert steps[-1] == 3


def test_cool_device_steps_up_after_each_cool_time(clock: ManualClock) -> None:
    policy = ThrottlePolicy(SETTINGS, clock)
    steps_of(policy, clock, (40, 91))
    steps = steps_of(policy, clock, (400, 70))
    assert [steps.index(step) * 5 for step in (1, 0)] == [120, 240]
    assert policy.level.max_fps is None


def test_temperature_between_the_limits_keeps_the_step(clock: ManualClock) -> None:
    policy = ThrottlePolicy(SETTINGS, clock)
    assert set(steps_of(policy, clock, (5, 91), (3600, 86))) == {1}


def test_interrupted_cool_time_begins_again(clock: ManualClock) -> None:
    policy = ThrottlePolicy(SETTINGS, clock)
    assert set(steps_of(policy, clock, (5, 91), *[(100, 70), (10, 85)] * 5)) == {1}


@pytest.mark.parametrize(
    ("throttling", "reason"),
    [
        pytest.param(
            {"active": ["cpu-throttle"], "over_current_events": 0, "over_current_total": 0},
            "cpu-throttle",
            id="cooling",
        ),
        pytest.param(
            {"active": [], "over_current_events": 3, "over_current_total": 3},
            "3 over-current events",
            id="over-current",
        ),
    ],
)
def test_hardware_throttling_steps_down_at_any_temperature(
    clock: ManualClock, throttling: HardwareThrottling, reason: str
) -> None:
    level = ThrottlePolicy(SETTINGS, clock).update(None, throttling)
    assert (level.step, level.max_fps) == (1, 10)
    assert reason in level.reason


def test_hot_zone_limits_the_rate_once(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("tj-thermal")
    rates: list[float | None] = []
    throttle = ThermalThrottle(SETTINGS, rates.append, SysfsSensors(tmp_path))
    for millidegrees in (50_000, 91_500, 91_500):
        (zone / "temp").write_text(str(millidegrees))
        throttle.poll()
    assert rates == [10]
    assert "92 °C" in throttle.level.reason


@pytest.mark.parametrize(
    "keys",
    [{"steps_hz": (5, 10)}, {"steps_hz": (0.1,)}, {"hot_c": 80, "cool_c": 85}],
    ids=["rising", "slow", "crossed"],
)
def test_contradicting_settings_are_rejected(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ThrottleConfig.model_validate(keys)
