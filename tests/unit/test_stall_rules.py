"""When an alert is raised: never for a single sign, never unobserved, never while a person is in the stall."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

import pytest

from edged.behaviour.horse.day_log import DayLog, RollingCounts
from edged.behaviour.horse.rules import Mask, StallFacts, StallRule, evaluate, load_rules
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.behaviour.horse.thresholds import Stall
from edged.behaviour.types import Finding
from edged.config.tables.stall import StallConfig
from tests.support.stall import result, subject

NOW_S = 100 * 3600.0
NOON = datetime(2027, 1, 15, 12, 0).astimezone()
RULES = {rule.kind: rule for rule in load_rules()}


def facts(*, observed_s: float = 60.0, **increments: float) -> StallFacts:
    """A horse observed `observed_s` of every minute for hours, and `increments` within the last minute."""
    counts = RollingCounts()
    for minute in range(240):
        counts.add(NOW_S - 60 * (239 - minute), {"standing-s": observed_s})
    counts.add(NOW_S, {name.replace("_", "-"): count for name, count in increments.items()})
    return StallFacts(now_s=NOW_S, monitored_min=600, counts=counts)


def findings(seen: StallFacts) -> dict[str, Finding]:
    return evaluate(load_rules(), seen)


# Facts in which a rule holds, by its kind.
HOLDING = {
    "colic-suspected": facts(roll=2, paw=4),
    "restless": facts(paw=3, flank_look=3),
    "cast-suspected": replace(facts(thrash=2), gauges={"lying_min": 4.0, "hoof_at_wall": 1.0}),
    "down-too-long": replace(facts(), gauges={"lying_min": 110.0}),
    "foaling-suspected": replace(facts(lie_down=3, flank_look=2, walking_s=180), modes=frozenset({"expecting"})),
    "collapsing": replace(facts(collapse=2), gauges={"lying_last_day_min": 10.0}),
    "stereotypy": facts(box_walking_s=300),
}


@pytest.mark.parametrize("kind", RULES)
def test_rule_opens_a_finding_unless_a_person_is_in_the_stall(kind: str) -> None:
    assert kind in findings(HOLDING[kind])
    assert findings(replace(HOLDING[kind], masks=frozenset({"person"}))) == {}


@pytest.mark.parametrize("sign", ["lie_down", "roll", "paw", "flank_look", "thrash", "collapse"])
def test_single_sign_opens_no_alarm(sign: str) -> None:
    assert not any(RULES[kind].severity != "info" for kind in findings(facts(**{sign: 3})))


def test_rolling_and_pawing_is_colic_with_both_as_evidence() -> None:
    colic = findings(facts(roll=2, paw=4))["colic-suspected"]
    assert colic.reason == "rolled 2 times in 30 min; pawed 4 times in 30 min"
    assert (colic.evidence, colic.coverage) == ({"roll": 2, "paw": 4}, 1.0)


def test_pawing_and_looking_back_without_rolling_is_restless_only() -> None:
    assert findings(facts(paw=3, flank_look=3)).keys() == {"restless"}


def test_horse_that_was_hardly_observed_has_no_finding() -> None:
    assert findings(facts(observed_s=30, roll=2, paw=4)) == {}


def test_feeding_suppresses_restlessness_and_not_colic() -> None:
    masks: frozenset[Mask] = frozenset({"feeding"})
    assert set(findings(replace(facts(roll=2, paw=4, lie_down=3), masks=masks))) == {"colic-suspected"}


def test_signs_older_than_the_window_do_not_count() -> None:
    assert findings(replace(facts(roll=2, paw=4), now_s=NOW_S + 31 * 60)) == {}


def test_foaling_outside_her_dates_is_not_looked_for() -> None:
    assert "foaling-suspected" not in findings(facts(lie_down=3, flank_look=2, walking_s=180))


@pytest.mark.parametrize(
    ("minutes", "gauges", "holds"),
    [(70, {}, False), (70, {"daytime": 1.0}, True), (110, {}, True), (50, {"daytime": 1.0}, False)],
    ids=["an hour", "an hour by day", "longer than sleep", "less than an hour by day"],
)
def test_lying_long_holds_by_day_or_when_longer_than_sleep(
    minutes: float, gauges: dict[str, float], holds: bool
) -> None:
    seen = replace(facts(), gauges={"lying_min": minutes, **gauges}, monitored_min=30)
    assert ("down-too-long" in findings(seen)) == holds


@pytest.mark.parametrize("hoof_at_wall", [0.0, None])
def test_lying_horse_without_a_hoof_at_a_wall_is_not_cast(hoof_at_wall: float | None) -> None:
    gauges = {"lying_min": 4.0, "hoof_at_wall": hoof_at_wall}
    assert "cast-suspected" not in findings(replace(facts(thrash=2), gauges=gauges))


@pytest.mark.parametrize("minutes", [90.0, None])
def test_collapse_needs_a_horse_seen_standing_before(minutes: float | None) -> None:
    assert "collapsing" not in findings(replace(facts(collapse=2), gauges={"lying_last_day_min": minutes}))


def test_unusual_hour_counts_as_a_sign() -> None:
    def z_score(name: str) -> float | None:
        return 4.0 if name == "walking-s" else None

    assert "restless" in findings(replace(facts(paw=3), z_score=z_score))


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.kind)
def test_rule_names_its_source_and_needs_two_signs_or_is_info(rule: StallRule) -> None:
    assert rule.source
    assert rule.min_evidence >= 2 or rule.severity == "info"


def rule_on(gauge: str, maximum: float = math.inf) -> StallRule:
    """A rule of one gauge that holds without any observation of the horse."""
    return StallRule.from_toml(
        {
            "kind": "test",
            "severity": "info",
            "window_min": 5,
            "min_evidence": 1,
            "evidence": [{"gauge": gauge, "max": maximum, "text": "holds"}],
            "close_after_min": 1,
            "min_coverage": 0.0,
            "source": "test",
            "suppress_when": ["person"],
        }
    )


def test_stall_with_a_person_has_no_finding_until_ten_minutes_after() -> None:
    monitor = StallMonitor(StallConfig(enabled=True), 0.3, DayLog([]), [rule_on("daytime")])
    found: list[bool] = []
    for second in range(1000):
        if 100 <= second < 130:  # a person walks through the stall
            x = 4.0 * second
            monitor.process(result(subject("person", box=(x, 0, x + 20, 60)), t_s=second))
        monitor.tick(second, NOON)
        found.append(bool(monitor.findings))
    suppressed = [second for second, finding in enumerate(found) if not finding]
    assert found[0]
    assert suppressed[0] == pytest.approx(110, abs=10)
    assert len(suppressed) == pytest.approx(Stall.person_pause_s + 30, abs=20)
    assert found[-1]


def test_time_lying_in_a_day_is_a_gauge_after_six_hours_of_monitoring() -> None:
    monitor = StallMonitor(StallConfig(enabled=True), 0.3, DayLog([]), [rule_on("lying_last_day_min")])
    hours = []
    for hour in range(8):  # from clock time zero on
        monitor.tick(3600.0 * hour, NOON)
        if monitor.findings:
            hours.append(hour)
    assert hours == [7]


def test_floor_that_fits_neither_of_two_image_sizes_is_logged_once_for_each(caplog: pytest.LogCaptureFixture) -> None:
    floor = ((0.0, 359.0), (639.0, 359.0), (639.0, 150.0), (0.0, 150.0))
    monitor = StallMonitor(StallConfig(enabled=True, floor=floor, floor_m=(4, 4)), 0.3, DayLog([]))
    for _ in range(3):
        monitor.set_image_size((640, 360))
        monitor.set_image_size((300, 300))
    assert len(caplog.records) == 2
