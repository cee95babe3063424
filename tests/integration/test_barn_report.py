"""The report of a run of simulated stall-days."""

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


def made_outcome(seed: int, trouble: str | None, dropped: float) -> Outcome:
    found = [("colic-suspected", 12.0)] if trouble else []
    return Outcome(seed=seed, trouble=trouble, dropped=dropped, started_min=10.0, postures=MINUTES, found=found)


OUTCOMES = [made_outcome(*job) for job in plan_jobs(*PLAN)]


def test_interrupted_run_resumes_with_the_missing_days(tmp_path: Path) -> None:
    write_report(tmp_path, OUTCOMES, *PLAN)
    assert read_outcomes(tmp_path) == OUTCOMES
    assert list(run_jobs(list(plan_jobs(*PLAN)), read_outcomes(tmp_path), 1)) == []


def test_report_of_an_interrupted_run_names_its_days() -> None:
    parts = [one for one in OUTCOMES if one.seed - 500 in (0, 1, 2, 7)]
    assert "**Of the 10 days only 0-2, 7 were simulated.**" in report(parts, *PLAN)
    assert not any(line.startswith("**Of the") for line in report(OUTCOMES, *PLAN))


def test_alerts_without_trouble_and_of_another_trouble_are_counted_apart() -> None:
    calm = [one for one in OUTCOMES if one.trouble is None]
    calm[0].found = [("cast-suspected", 3.0)]
    lines = "\n".join(report([one for one in OUTCOMES if one.trouble != CROWDED], *PLAN))
    calm[0].found = []
    assert "| all | 7 | 1 | 4.29 | 20.33 | 0 | 0.00 |" in lines
    assert "On the other 3 days 2 critical alerts named another trouble." in lines


@pytest.mark.parametrize(("seen", "at_most"), [(0, 3.0), (1, 4.74), (5, 10.51)])
def test_upper_bound_of_events_never_seen_is_not_zero(seen: int, at_most: float) -> None:
    assert most(seen) == pytest.approx(at_most, abs=0.01)
