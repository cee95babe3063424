"""The rules of `rules.toml`: when somebody should look. Several signs at once, never one; each with its evidence.

Upstream: a stall's tally, its gauges and its habits. Downstream: alerts, an episode each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from edged.behaviour.horse.tally import RollingCounts
from edged.units import S_PER_MIN

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OBSERVED = ("standing-s", "sternal-s", "lateral-s")  # seconds in which the horse was seen well enough
MIN_WINDOW_MIN = 5.0

Mask = Literal["person", "feeding", "day"]
Kind = Literal["count", "minutes", "now", "habit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRule:
    """What speaks for a finding: `name` of a count, of seconds, of a gauge, or of what is unusual (z score)."""

    kind: Kind
    name: str
    text: str
    least: float = float("-inf")
    most: float = float("inf")

    @staticmethod
    def from_toml(table: Mapping[str, Any]) -> EvidenceRule:
        kinds: tuple[Kind, ...] = ("count", "minutes", "now", "habit")
        (kind,) = (kind for kind in kinds if kind in table)
        limits = {key: float(table[key]) for key in ("least", "most") if key in table}
        return EvidenceRule(kind=kind, name=table[kind], text=table["says"], **limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class StallRule:
    """See the head of rules.toml."""

    kind: str
    severity: Literal["info", "warning", "critical"]
    within_min: float
    needs: int
    evidence: tuple[EvidenceRule, ...]
    close_min: float
    coverage: float
    source: str
    mask: tuple[Mask, ...] = ()
    must: str | None = None
    only: str | None = None
    escalate_min: float | None = None
    report: bool = False

    @staticmethod
    def from_toml(table: Mapping[str, Any]) -> StallRule:
        plain = {key: value for key, value in table.items() if key not in ("sign", "mask")}
        return StallRule(
            **plain, evidence=tuple(map(EvidenceRule.from_toml, table["sign"])), mask=tuple(table.get("mask", ()))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StallFacts:
    """What is known of a stall at one instant."""

    now_s: float
    watched_min: float  # since when
    counts: RollingCounts
    gauges: Mapping[str, float | None] = field(default_factory=dict)
    habit_z_score: Callable[[str], float | None] = lambda name: (
        None
    )  # z score of the last hour against the same hour of before
    masks: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset()  # "expecting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that holds, and what speaks for it."""

    kind: str
    reason: str
    evidence: Mapping[str, float]  # by name: how often, how many minutes, or the gauge
    coverage: float  # share of the time in which the horse was seen


@cache
def load_rules() -> tuple[StallRule, ...]:
    text = Path(__file__).with_name("rules.toml").read_text()
    return tuple(StallRule.from_toml(table) for table in tomllib.loads(text)["rule"])


def evaluate(rules: tuple[StallRule, ...], facts: StallFacts) -> dict[str, Finding]:
    """The rules that hold, by kind."""
    return {rule.kind: found for rule in rules if (found := _evaluate_rule(rule, facts)) is not None}


def _evaluate_rule(rule: StallRule, facts: StallFacts) -> Finding | None:
    if (rule.only is not None and rule.only not in facts.modes) or facts.masks.intersection(rule.mask):
        return None
    sums = facts.counts.totals(rule.within_min, facts.now_s)
    watched_min = max(min(rule.within_min, facts.watched_min), MIN_WINDOW_MIN)
    coverage = min(1.0, sum(sums[name] for name in OBSERVED) / S_PER_MIN / watched_min)
    there = {sign: value for sign in rule.evidence if (value := _evidence_value(sign, sums, facts)) is not None}
    if coverage < rule.coverage or len(there) < rule.needs:
        return None
    if rule.must is not None and rule.must not in {sign.name for sign in there}:
        return None
    return Finding(
        kind=rule.kind,
        reason="; ".join(_describe(sign, value, rule.within_min) for sign, value in there.items()),
        evidence={sign.name: round(value, 1) for sign, value in there.items()},
        coverage=round(coverage, 2),
    )


def _evidence_value(evidence: EvidenceRule, sums: Mapping[str, float], facts: StallFacts) -> float | None:
    """How strong a sign is; None when it is not there, or nobody can tell."""
    values: dict[Kind, Callable[[], float | None]] = {
        "count": lambda: sums[evidence.name],
        "minutes": lambda: sums[evidence.name] / S_PER_MIN,
        "now": lambda: facts.gauges.get(evidence.name),
        "habit": lambda: facts.habit_z_score(evidence.name),
    }
    value = values[evidence.kind]()
    return value if value is not None and evidence.least <= value <= evidence.most else None


def _describe(evidence: EvidenceRule, value: float, within_min: float) -> str:
    if evidence.kind == "count":
        return f"{evidence.text} {value:.0f} times in {within_min:.0f} min"
    if evidence.kind == "minutes":
        return f"{evidence.text} for {value:.0f} of {within_min:.0f} min"
    return f"{evidence.text} ({value:.0f} min)" if evidence.name.endswith("_min") else evidence.text
