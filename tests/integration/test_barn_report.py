"""What a run of simulated stall-days says of itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from tools.barn.__main__ import plan_jobs, read_outcomes, run_jobs, write_report
from tools.barn.figures import most, report
from tools.barn.trial import CROWDED, Outcome

PLAN = 10, 1, 500  # days, lives, seed
MINUTES = Counter({("standing", "standing"): 600, ("sternal", "sternal"): 60, ("lateral", "unknown"): 60})


def outcome(seed: int, trouble: str | None, dropped: float) -> Outcome:
    found = [("colic-suspected", 12.0)] if trouble else []
    return Outcome(seed=seed, trouble=trouble, dropped=dropped, started_min=10.0, postures=MINUTES, found=found)


LIVED = [outcome(*job) for job in plan_jobs(*PLAN)]


def test_a_run_that_was_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    write_report(tmp_path, LIVED, *PLAN)
    assert read_outcomes(tmp_path) == LIVED
    assert list(run_jobs(list(plan_jobs(*PLAN)), read_outcomes(tmp_path), 1)) == []


def test_days_that_were_not_lived_are_named() -> None:
    parts = [one for one in LIVED if one.seed - 500 in (0, 1, 2, 7)]
    assert "**Of the 10 days only 0-2, 7 were lived.**" in report(parts, *PLAN)
    assert not any(line.startswith("**Of the") for line in report(LIVED, *PLAN))


def test_an_alert_on_a_calm_day_is_false_and_one_that_names_another_trouble_is_counted() -> None:
    calm = [one for one in LIVED if one.trouble is None]
    calm[0].found = [("cast-suspected", 3.0)]
    lines = "\n".join(report([one for one in LIVED if one.trouble != CROWDED], *PLAN))
    calm[0].found = []
    assert "| all | 7 | 1 | 4.29 | 20.33 | 0 | 0.00 |" in lines
    assert "On the other 3 days 2 critical alerts named another trouble." in lines


@pytest.mark.parametrize(("seen", "at_most"), [(0, 3.0), (1, 4.74), (5, 10.51)])
def test_what_was_never_seen_may_happen_yet(seen: int, at_most: float) -> None:
    assert most(seen) == pytest.approx(at_most, abs=0.01)
