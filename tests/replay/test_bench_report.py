"""The guard over the benchmark's ratios, and the slope it states."""

from __future__ import annotations

from typing import Any

import pytest

from tools.bench.growth import slope_ms
from tools.bench.report import worse


def run(speedup: float, loop: float, people: int = 1) -> dict[str, Any]:
    return {"rows": [{"people": people, "speedup": speedup, "loop_per_sessions": loop}]}


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param(run(1.4, 1.1), 0, id="as before"),
        pytest.param(run(1.3, 1.18), 0, id="within what runs differ by"),
        pytest.param(run(1.2, 1.1), 1, id="slower than rtmlib than before"),
        pytest.param(run(1.4, 1.3), 1, id="more host time"),
        pytest.param(run(2.0, 1.0), 0, id="better"),
        pytest.param(run(0.5, 9.0, people=3), 0, id="nothing to compare with"),
    ],
)
def test_a_ratio_that_got_worse_is_told(now: dict[str, Any], told: int) -> None:
    assert len(worse(now, run(1.4, 1.1))) == told


def test_the_slope_is_what_each_further_subject_costs() -> None:
    assert slope_ms({"1": 7.0, "2": 10.0, "4": 16.0}) == pytest.approx(3.0)
