"""A hot box does less, step by step, and does not flicker."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edged.config.tables.device import ThrottleConfig
from edged.device.sysfs import SysfsSensors
from edged.device.throttle import ThermalThrottle, ThrottlePolicy
from edged.messages.health_schema import HardwareThrottling
from edged.units import ns
from tests.unit.conftest import Hand

HEAT = ThrottleConfig(steps_hz=(10, 5, 2), hot_c=90, cool_c=82, step_down_s=30, step_up_s=120)
CALM: HardwareThrottling = {"active": [], "over_current_events": 0}


def levels(stairs: ThrottlePolicy, hand: Hand, *course: tuple[float, float]) -> list[int]:
    """The level after every 5 s of a course of (seconds, temperature)."""
    seen = []
    for seconds, hottest_c in course:
        for _ in range(round(seconds / 5)):
            seen.append(stairs.update(hottest_c, CALM).step)
            hand.now_ns += ns(5)
    return seen


def test_the_rate_falls_at_once_then_after_each_hold_and_no_further_than_the_last_step(hand: Hand) -> None:
    seen = levels(ThrottlePolicy(HEAT, hand), hand, (200, 91))
    assert [seen.index(level) * 5 for level in (1, 2, 3)] == [0, 30, 60]
    assert seen[-1] == 3


def test_it_comes_back_a_step_at_a_time_when_it_has_been_cool_for_long_enough(hand: Hand) -> None:
    stairs = ThrottlePolicy(HEAT, hand)
    levels(stairs, hand, (40, 91))
    seen = levels(stairs, hand, (400, 70))
    assert [seen.index(level) * 5 for level in (1, 0)] == [120, 240]
    assert stairs.level.max_fps is None


def test_between_the_two_temperatures_it_stays_where_it_is(hand: Hand) -> None:
    stairs = ThrottlePolicy(HEAT, hand)
    assert set(levels(stairs, hand, (5, 91), (3600, 86))) == {1}


def test_a_short_coolness_does_not_count_towards_a_long_one(hand: Hand) -> None:
    stairs = ThrottlePolicy(HEAT, hand)
    assert set(levels(stairs, hand, (5, 91), *[(100, 70), (10, 85)] * 5)) == {1}


@pytest.mark.parametrize(
    ("throttling", "reason"),
    [
        pytest.param(
            {"active": ["cpu-throttle"], "over_current_events": 0}, "cooling at work: cpu-throttle", id="cooling"
        ),
        pytest.param({"active": [], "over_current_events": 3}, "3 over-current events", id="over-current"),
    ],
)
def test_throttling_is_a_reason_whatever_the_temperature(
    hand: Hand, throttling: HardwareThrottling, reason: str
) -> None:
    step = ThrottlePolicy(HEAT, hand).update(None, throttling)
    assert (step.step, step.max_fps, step.reason) == (1, 10, reason)


def test_the_board_is_read_and_the_intake_told(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("tj-thermal")
    told: list[float | None] = []
    warden = ThermalThrottle(HEAT, told.append, SysfsSensors(tmp_path))
    for milli in (50_000, 91_500, 91_500):
        (zone / "temp").write_text(str(milli))
        warden.poll()
    assert told == [10]
    assert warden.level.reason == "92 °C in the hottest zone"


@pytest.mark.parametrize(
    "keys",
    [{"steps_hz": (5, 10)}, {"steps_hz": (0.1,)}, {"hot_c": 80, "cool_c": 85}],
    ids=["rising", "slow", "crossed"],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ThrottleConfig.model_validate(keys)
