"""A whole simulated day of a stall: a minute of computing, which fits beside tests that mostly wait."""

from __future__ import annotations

from tools.barn.trial import run_day


def test_day_with_colic_is_understood_and_opens_its_alert_soon() -> None:
    day = run_day(2, "colic", 0.2)
    right = sum(seconds for (truth, posture), seconds in day.postures.items() if truth == posture)
    assert right / sum(day.postures.values()) > 0.95
    assert abs(day.bouts[0] - day.bouts[1]) <= 1
    assert day.missed["lie-down"] + day.missed["roll"] == 0
    assert day.started_min is not None
    assert any(kind == "colic-suspected" and 0 < minute - day.started_min < 20 for kind, minute in day.found)
