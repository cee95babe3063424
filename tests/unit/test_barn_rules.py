"""When somebody should look: never for one sign, never for what was not seen, never while a person is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from edged.behaviour.horse.day_log import DayLog
from edged.behaviour.horse.rules import Finding, StallFacts, evaluate, load_rules
from edged.behaviour.horse.stall_monitor import StallMonitor
from edged.behaviour.horse.tally import RollingCounts
from edged.config.tables.stall import StallConfig

NOW_S = 100 * 3600.0


def facts(*, seen_s: float = 60.0, **told: float) -> StallFacts:
    """A stall in which, over the last hours, the horse was seen `seen_s` of every minute, and `told` happened now."""
    tally = RollingCounts()
    for minute in range(240):
        tally.add(NOW_S - 60 * (239 - minute), {"standing-s": seen_s})
    tally.add(NOW_S, {name.replace("_", "-"): count for name, count in told.items()})
    return StallFacts(now_s=NOW_S, watched_min=600, counts=tally)


def found(seen: StallFacts) -> dict[str, Finding]:
    return evaluate(load_rules(), seen)


@pytest.mark.parametrize("sign", ["lie_down", "roll", "paw", "flank_look", "thrash", "collapse"])
def test_one_sign_alone_alarms_nobody(sign: str) -> None:
    assert not any(rule.severity != "info" for rule in load_rules() if rule.kind in found(facts(**{sign: 3})))


def test_rolling_and_pawing_may_be_colic_and_what_speaks_for_it_is_said() -> None:
    one = found(facts(roll=2, paw=4))["colic-suspected"]
    assert one.reason == "rolled 2 times in 30 min; pawed 4 times in 30 min"
    assert (one.evidence, one.coverage) == ({"roll": 2, "paw": 4}, 1.0)


def test_without_rolling_it_is_restless_and_no_more() -> None:
    assert found(facts(paw=3, flank_look=3)).keys() == {"restless"}


def test_who_was_hardly_seen_is_not_judged() -> None:
    assert found(facts(seen_s=30, roll=2, paw=4)) == {}


@pytest.mark.parametrize(("mask", "left"), [("person", set()), ("feeding", {"colic-suspected"})])
def test_context_silences(mask: str, left: set[str]) -> None:
    seen = replace(facts(roll=2, paw=4, lie_down=3), masks=frozenset({mask}))
    assert set(found(seen)) == left


def test_what_happened_long_ago_is_over() -> None:
    seen = facts(roll=2, paw=4)
    assert found(replace(seen, now_s=NOW_S + 31 * 60)) == {}


def test_foaling_is_looked_for_in_her_time_only() -> None:
    seen = facts(lie_down=3, flank_look=2, walking_s=180)
    assert "foaling-suspected" not in found(seen)
    assert "foaling-suspected" in found(replace(seen, modes=frozenset({"expecting"})))


@pytest.mark.parametrize(
    ("minutes", "more", "said"),
    [
        (70, {}, False),
        (70, {"day": 1.0}, True),
        (110, {}, True),
        (50, {"day": 1.0}, False),
    ],
)
def test_lying_long_needs_a_second_reason_or_to_be_longer_than_sleep(
    minutes: float, more: dict[str, float], said: bool
) -> None:
    seen = replace(facts(), gauges={"down_min": minutes, **more}, watched_min=30)
    assert ("down-too-long" in found(seen)) == said


def test_a_cast_horse_lies_at_a_wall_and_thrashes() -> None:
    seen = facts(thrash=2)
    assert "cast-suspected" in found(replace(seen, gauges={"down_min": 4.0, "at_wall": 1.0}))
    assert "cast-suspected" not in found(replace(seen, gauges={"down_min": 4.0, "at_wall": 0.0}))
    assert "cast-suspected" not in found(replace(seen, gauges={"down_min": 4.0, "at_wall": None}))


def test_a_horse_that_collapses_alarms_when_it_hardly_lay_down() -> None:
    seen = facts(collapse=2)
    assert "collapsing" in found(replace(seen, gauges={"lain_min": 10.0}))
    assert "collapsing" not in found(replace(seen, gauges={"lain_min": 90.0}))
    assert "collapsing" not in found(replace(seen, gauges={"lain_min": None}))


def test_how_long_a_horse_lay_is_known_after_six_hours_of_watching() -> None:
    watch = StallMonitor(StallConfig(enabled=True), 0.3, DayLog([]))
    noon = datetime(2027, 1, 15, 12, 0).astimezone()
    told: dict[int, float | None] = {}
    for hour in range(8):  # whatever the clock begins at, zero too
        watch.tick(3600.0 * hour, noon)
        told[hour] = watch._facts(3600.0 * hour, noon).gauges["lain_min"]
    assert [hour for hour, minutes in told.items() if minutes is not None] == [7]


def test_habit_counts_as_a_sign_when_it_is_known() -> None:
    def unusual(name: str) -> float | None:
        return 4.0 if name == "walking-s" else None

    assert "restless" in found(replace(facts(paw=3), habit_z_score=unusual))


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.kind)
def test_every_rule_names_its_source_and_asks_for_more_than_one_sign(rule: object) -> None:
    named = next(one for one in load_rules() if one is rule)
    assert named.source
    assert named.needs >= 2 or named.severity == "info"
