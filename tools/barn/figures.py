"""The report of a run: text and tables from its outcomes. `limitations.md` is its list of known weaknesses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from tools.barn.trial import COUNTED, CROWDED, EXPECTED, Outcome, rules
from tools.reports.writer import table

POSTURES = ("standing", "sternal", "lateral", "unknown")
MONTH_DAYS = 30
CONFIDENCE = 0.95
WEAK = Path(__file__).with_name("limitations.md")


def report(outcomes: list[Outcome], days: int, crowded: int, seed: int) -> list[str]:
    """The lines of the report; `days` and `crowded` are the numbers that the run was to simulate."""
    dense = [one for one in outcomes if one.trouble == CROWDED]
    simulated = [one for one in outcomes if one.trouble != CROWDED]
    return [
        "# The stall monitor against simulated days",
        "",
        "Simulated keypoints: a camera in a corner under the roof, the floor drawn and its size given (`floor_m`),",
        "noise of 1.5 % of a body length, 10 or 20 % of the keypoints missing, half of those on the far side hidden,",
        "the camera away on one day in five. Nothing here is a claim about real horses: it shows that the rules do",
        "what they are meant to do.",
        "",
        f"`python -m tools.barn OUT --days {days} --crowded {crowded} --seed {seed}`; the thresholds were",
        "found on other seeds.",
        *(
            []
            if len(simulated) == days
            else [f"**Of the {days} days only {_numbers(simulated, seed)} were simulated.**"]
        ),
        "",
        *WEAK.read_text().splitlines(),
        *(
            ["", f"## {len(simulated)} days", "", *_postures(simulated), "", *_behaviours(simulated)]
            if simulated
            else []
        ),
        *(["", *_troubles(simulated), "", *_false(simulated), "", "![Postures](postures.webp)"] if simulated else []),
        *(["", f"## {len(dense)} times four hours in which every behaviour occurs"] if dense else []),
        *(["", *_postures(dense), "", *_behaviours(dense)] if dense else []),
    ]


def _numbers(days: list[Outcome], seed: int) -> str:
    """`0-3, 7`."""
    spans: list[list[int]] = []
    for number in sorted(one.seed - seed for one in days):
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    return ", ".join("-".join(map(str, span)) for span in spans) or "none"


def _postures(outcomes: list[Outcome]) -> list[str]:
    """Estimated against true minutes, and bouts of lying."""
    sums = total(one.postures for one in outcomes)
    rows = []
    for posture in POSTURES[:3]:
        true_min = sum(seconds for (truth, _), seconds in sums.items() if truth == posture) / 60
        estimated_min = sum(seconds for (_, estimate), seconds in sums.items() if estimate == posture) / 60
        error = (estimated_min - true_min) / true_min
        rows.append((posture, f"{true_min:.0f}", f"{estimated_min:.0f}", f"{error:+.1%}"))
    unknown = sum(s for (_, estimate), s in sums.items() if estimate == "unknown") / sum(sums.values())
    off = [abs(there - counted) for there, counted in (one.bouts for one in outcomes)]
    return [
        *table(("posture", "true minutes", "estimated minutes", "error"), rows, align="left"),
        "",
        f"Unknown in {unknown:.1%} of the time. Bouts of lying within one of the truth in {_of(off, 1)} of {len(off)}, "
        f"the same in {_of(off, 0)}.",
    ]


def _of(values: list[int], most: int) -> int:
    return sum(one <= most for one in values)


def _behaviours(outcomes: list[Outcome]) -> list[str]:
    right, missed, false = (total(getattr(one, name) for one in outcomes) for name in ("right", "missed", "false"))
    rows = []
    for name in COUNTED:
        there, counted = right[name] + missed[name], right[name] + false[name]
        recall, precision = right[name] / max(there, 1), right[name] / max(counted, 1)
        rows.append((name, there, f"{recall:.2f}", f"{precision:.2f}", false[name]))
    return table(("behaviour", "true bouts", "recall", "precision", "false bouts"), rows, align="left")


def _troubles(days: list[Outcome]) -> list[str]:
    rows = []
    for trouble, kinds in EXPECTED.items():
        there = [one for one in days if one.trouble == trouble]
        delays = [delay for one in there if (delay := delay_min(one, kinds)) is not None]
        late = (f"{median(delays):.0f}", f"{max(delays):.0f}") if delays else ("-", "-")
        rows.append((trouble, len(there), len(delays), *late))
    head = ("trouble", "days", "found", "minutes from its first signs: median", "at most")
    return table(head, rows, align="left")


def delay_min(outcome: Outcome, kinds: tuple[str, ...]) -> float | None:
    """Minutes from the first signs of a trouble to the first alert that names it; None: there was none."""
    if outcome.started_min is None:
        return None
    after = [minute - outcome.started_min for kind, minute in outcome.found if kind in kinds]
    return min((delay for delay in after if delay > -5), default=None)


def _false(days: list[Outcome]) -> list[str]:
    """False alerts on days without a trouble: how many, and the upper bound of their rate."""
    calm = [one for one in days if one.trouble is None]
    rows = []
    for dropped in (*sorted({one.dropped for one in calm}), None):
        those = [one for one in calm if dropped in (one.dropped, None)]
        if not those:
            continue
        months = len(those) / MONTH_DAYS
        critical, warned = (_alerts(those, severity) for severity in ("critical", "warning"))
        rates = (f"{critical / months:.2f}", f"{most(critical) / months:.2f}", warned, f"{warned / months:.2f}")
        rows.append(("all" if dropped is None else f"{dropped:.0%}", len(those), critical, *rates))
    troubled = [(one.trouble, kind) for one in days if one.trouble is not None for kind, _ in one.found]
    others = sum(rules()[kind] == "critical" and kind not in EXPECTED[trouble] for trouble, kind in troubled)
    head = (
        *("days without a trouble, keypoints missing", "days", "false critical", "per stall and month"),
        *(f"at most ({CONFIDENCE:.0%} confidence)", "false warnings", "per stall and month"),
    )
    calm_note = f"On the other {len(days) - len(calm)} days {others} critical alerts named another trouble."
    return [*table(head, rows, align="left"), "", calm_note]


def _alerts(days: list[Outcome], severity: str) -> int:
    severities = rules()
    return sum(severities[kind] == severity for one in days for kind, _ in one.found)


def most(events: int) -> float:
    """The upper 95 % bound of a Poisson mean with `events` counted."""
    low, high = 0.0, 10.0 + 3 * events
    for _ in range(60):
        mean = (low + high) / 2
        chance = sum(math.exp(-mean) * mean**n / math.factorial(n) for n in range(events + 1))
        low, high = (mean, high) if chance > 1 - CONFIDENCE else (low, mean)
    return high


def total(counters: Iterable[Counter[Any]]) -> Counter[Any]:
    return sum(counters, Counter())
