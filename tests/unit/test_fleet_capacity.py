"""What the comparison of brokers makes of its runs: what is held, whose limit it is, what is run next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from edged.units import NS_PER_S
from tools.fleet.capacity import Measurement, attempt, next_step
from tools.fleet.capacity_report import fault_key, growth_key, held, outcome_line, page, tools_limit
from tools.fleet.cluster import arrived
from tools.fleet.plan import message_bytes, plan

KIND, SIZES = "NATS x3", [100, 500, 1000]
HELD: dict[str, Any] = {
    "lost": [3, 0],
    "published": [400, 100],
    "planned": 500,
    "late_s": 0.1,
    "ms": [1.0, 90.0, 100.0],
    "took_s": 10.0,
}
SHARES = {"nodes": [0.1, 0.1, 0.1], "boxes_cpu": [0.2, 0.2], "reader_cpu": 0.1, "machine": 0.5}
REST = {"twice": 0, "disorder": 0, "memory_mb": [20.0, 20.0, 20.0], "connect_s": 1.0, "all_back_s": None}


def ran(boxes: int = 100, *, slow: bool = False, **other: Any) -> dict[str, Any]:
    return {"kind": KIND, "boxes": boxes, "rate_hz": 5.0, "slow": slow, **HELD, **SHARES, **REST, **other}


BEHIND: dict[str, Any] = {"late_s": 3.0, "boxes_cpu": [0.95, 0.9]}
SLOW_BROKERS: dict[str, Any] = {"ms": [1.0, 2500.0, 3000.0]}


@pytest.mark.parametrize(
    ("other", "is_held", "tools"),
    [
        ({}, True, False),
        ({"lost": [0, 1]}, False, False),
        (SLOW_BROKERS, False, False),
        ({"published": [300, 100], "late_s": -2.0, "machine": 0.95}, False, True),  # gave up
        (BEHIND, False, True),
        ({**SLOW_BROKERS, "machine": 0.95}, False, True),
        ({**SLOW_BROKERS, "machine": 0.95, "nodes": [0.3, 0.3, 0.3]}, False, False),
        ({**SLOW_BROKERS, "reader_cpu": 0.9}, False, True),
        ({"ms": [None, None, None]}, False, False),
        ({"error": "not connected"}, False, False),
    ],
)
def test_run_is_held_or_it_is_known_whose_limit_it_is(other: dict[str, Any], is_held: bool, tools: bool) -> None:
    found = ran(**other)
    assert (held(found), tools_limit(found)) == (is_held, tools)
    assert outcome_line(found).startswith("yes" if is_held else "no: ")


def test_growth_goes_on_where_it_ended_and_stops_at_what_brokers_do_not_hold() -> None:
    runs: dict[str, Any] = {}
    assert next_step(runs, KIND, SIZES) == (100, False)
    runs[growth_key(KIND, 100, slow=False)] = ran(100)
    assert next_step(runs, KIND, SIZES) == (500, False)
    runs[growth_key(KIND, 500, slow=False)] = ran(500, **SLOW_BROKERS)
    assert next_step(runs, KIND, SIZES) is None
    runs[growth_key(KIND, 500, slow=False)] = ran(500, **BEHIND)
    assert next_step(runs, KIND, SIZES) == (500, True)
    runs[growth_key(KIND, 500, slow=True)] = ran(500, slow=True)
    assert next_step(runs, KIND, SIZES) == (1000, True)
    runs[growth_key(KIND, 1000, slow=True)] = ran(1000, slow=True, error="not connected")
    assert next_step(runs, KIND, SIZES) is None


def test_page_has_a_row_for_each_run_and_the_cost_of_the_largest_that_was_held() -> None:
    runs = {
        growth_key(KIND, 100, slow=False): ran(100),
        growth_key(KIND, 500, slow=False): ran(500, memory_mb=[30.0, 30.0, 30.0], **BEHIND),
        fault_key(KIND, "killed"): ran(fault="killed", recovered_s=4.25),
        fault_key(KIND, "frozen"): {"kind": KIND, "boxes": 100, "fault": "frozen", "error": "no answer"},
    }
    assert outcome_line(runs[fault_key(KIND, "killed")]) == "0 states lost, recovered after 4.2 s"
    lines = list(page(runs, {"cores": "2"}))
    assert len([line for line in lines if line.startswith(f"| {KIND} | ")]) == 5
    cost = "| NATS x3 | 100 | 6.000 | 67 |"  # 0.3 cores for 10 s, 500 messages
    assert cost in lines
    assert any("| killed |" in line and line.endswith("| 4.2 |") for line in lines)
    assert any("| frozen |" in line and "no answer" in line for line in lines)
    assert any("not in time" in line for line in lines)
    memory = next(line for line in lines if line.startswith("| memory of a node"))
    assert memory.endswith("| 0.4 | 3.8 |")  # 30 MB of all nodes for 400 boxes, on two nodes of three


def test_plan_has_no_figure_for_what_was_not_measured() -> None:
    lines = list(plan([]))
    assert any(line.startswith("| cores") and line.endswith("| - | - |") for line in lines)
    size = 10_000 / 30 * message_bytes("health") / 1e6
    assert any(line.startswith("| `health`, MB/s") and f"| {size:.1f} |" in line for line in lines)


def test_recovery_lasts_until_no_state_comes_late() -> None:
    topic, s = "edged/a/cam/b/state", NS_PER_S
    rows = [
        (topic, 1, 0, s // 10),
        (topic, 3, 2 * s, 6 * s),
        (topic, 2, s, 7 * s),  # late, and after a newer one
        (topic, 4, 8 * s, 8 * s + 1),
        (topic, 2, s, 30 * s),  # once more: no delay
        ("edged/a/cam/b/poses", 1, 0, 20 * s),
    ]
    found = arrived(rows, s)
    late_ms = found.pop("late_ms")
    assert found == {"poses": 1, "states": 4, "twice": 1, "disorder": 1, "recovered_s": 6.0}
    assert late_ms.tolist() == [100.0, 4000.0, 6000.0, 1e-6, 29000.0]


def test_run_whose_node_is_gone_is_written_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure() -> NoReturn:
        raise psutil.NoSuchProcess(7)

    monkeypatch.setattr("tools.fleet.capacity.environment", lambda _: {})
    Measurement(tmp_path, 1, 1).take(fault_key(KIND, "killed"), measure, kind=KIND, boxes=5, fault="killed")
    (found,) = json.loads((tmp_path / "capacity.json").read_text())["runs"].values()
    assert "no longer exists" in found["error"] or "not found" in found["error"]


def test_brokers_that_do_not_start_end_their_part_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise RuntimeError("edged1 does not serve")

    attempt(KIND, fails)
    assert capsys.readouterr().out == "NATS x3: edged1 does not serve; the same command tries it again\n"
