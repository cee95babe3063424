"""The rules of `rules.toml`: when a person should look. Several signs at once, each finding with its evidence.

Upstream: the stall monitor's counts, gauges and day log. Downstream: alerts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from edged.behaviour.horse.day_log import OBSERVED, RollingCounts
from edged.behaviour.types import Finding
from edged.units import S_PER_MIN

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MIN_WINDOW_MIN = 5.0  # that coverage is a share of, however short the stall has been monitored

Mask = Literal["person", "feeding", "day"]
Mode = Literal["expecting"]
Measure = Literal["count", "minutes", "gauge", "z_score"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRule:
    """One sign: a measure of something named, and the range in which it counts."""

    measure: Measure
    name: str  # of the count, of the seconds, or of the gauge
    text: str
    minimum: float = float("-inf")
    maximum: float = float("inf")

    @staticmethod
    def from_toml(table: Mapping[str, Any]) -> EvidenceRule:
        (measure,) = (measure for measure in MEASURES if measure in table)
        limits = {f"{key}imum": float(table[key]) for key in ("min", "max") if key in table}
        return EvidenceRule(measure=measure, name=table[measure], text=table["text"], **limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class StallRule:
    """The fields are explained at the head of rules.toml."""

    kind: str
    severity: Literal["info", "warning", "critical"]
    window_min: float
    min_evidence: int
    evidence: tuple[EvidenceRule, ...]
    close_after_min: float
    min_coverage: float
    source: str
    suppress_when: tuple[Mask, ...] = ()
    required: str | None = None
    only_when: Mode | None = None
    remind_every_min: float | None = None

    @staticmethod
    def from_toml(table: Mapping[str, Any]) -> StallRule:
        evidence = tuple(map(EvidenceRule.from_toml, table["evidence"]))
        return StallRule(**{**table, "evidence": evidence, "suppress_when": tuple(table.get("suppress_when", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class StallFacts:
    """What is known of a stall at one instant."""

    now_s: float  # CLOCK_MONOTONIC
    monitored_min: float  # since the monitor began
    counts: RollingCounts
    gauges: Mapping[str, float | None] = field(default_factory=dict)  # None: unknown
    z_score: Callable[[str], float | None] = lambda name: None  # of the last hour against the same hour of other days
    masks: frozenset[Mask] = frozenset()
    modes: frozenset[Mode] = frozenset()


@cache
def load_rules() -> tuple[StallRule, ...]:
    text = Path(__file__).with_name("rules.toml").read_text()
    return tuple(StallRule.from_toml(table) for table in tomllib.loads(text)["rule"])


def evaluate(rules: Sequence[StallRule], facts: StallFacts) -> dict[str, Finding]:
    """The rules that hold, by kind."""
    return {rule.kind: finding for rule in rules if (finding := _evaluate_rule(rule, facts)) is not None}


def _evaluate_rule(rule: StallRule, facts: StallFacts) -> Finding | None:
    if facts.masks.intersection(rule.suppress_when):
        return None
    if rule.only_when is not None and rule.only_when not in facts.modes:
        return None
    sums = facts.counts.totals(rule.window_min, facts.now_s)
    coverage = _coverage(rule, sums, facts.monitored_min)
    values = {sign: value for sign in rule.evidence if (value := _evidence_value(sign, sums, facts)) is not None}
    if coverage < rule.min_coverage or len(values) < rule.min_evidence:
        return None
    if rule.required is not None and rule.required not in {sign.name for sign in values}:
        return None
    return Finding(
        kind=rule.kind,
        reason="; ".join(_describe(sign, value, rule.window_min) for sign, value in values.items()),
        evidence={sign.name: round(value, 1) for sign, value in values.items()},
        coverage=round(coverage, 2),
    )


def _coverage(rule: StallRule, sums: Mapping[str, float], monitored_min: float) -> float:
    """Share of the rule's window, or of the monitored part of it, in which the horse was observed."""
    window_min = max(min(rule.window_min, monitored_min), MIN_WINDOW_MIN)
    return min(1.0, sum(sums[name] for name in OBSERVED) / S_PER_MIN / window_min)


def _evidence_value(sign: EvidenceRule, sums: Mapping[str, float], facts: StallFacts) -> float | None:
    """The value of a sign; None: it is out of its range, or unknown."""
    value: float | None
    if sign.measure == "count":
        value = sums[sign.name]
    elif sign.measure == "minutes":
        value = sums[sign.name] / S_PER_MIN
    elif sign.measure == "gauge":
        value = facts.gauges.get(sign.name)
    else:
        value = facts.z_score(sign.name)
    return value if value is not None and sign.minimum <= value <= sign.maximum else None


def _describe(sign: EvidenceRule, value: float, window_min: float) -> str:
    if sign.measure == "count":
        return f"{sign.text} {value:.0f} times in {window_min:.0f} min"
    if sign.measure == "minutes":
        return f"{sign.text} for {value:.0f} of {window_min:.0f} min"
    return f"{sign.text} ({value:.0f} min)" if sign.name.endswith("_min") else sign.text
