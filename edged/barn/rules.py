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

from edged.barn.tally import Tally
from edged.units import S_PER_MIN

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SEEN = ("standing-s", "sternal-s", "lateral-s")  # seconds in which the horse was seen well enough
LEAST_WATCHED_MIN = 5.0

Mask = Literal["person", "feeding", "day"]
Kind = Literal["count", "minutes", "now", "habit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What speaks for a finding: `name` of a count, of seconds, of a gauge, or of what is unusual (z score)."""

    kind: Kind
    name: str
    says: str
    least: float = float("-inf")
    most: float = float("inf")

    @staticmethod
    def read(table: Mapping[str, Any]) -> Sign:
        kinds: tuple[Kind, ...] = ("count", "minutes", "now", "habit")
        (kind,) = (kind for kind in kinds if kind in table)
        limits = {key: float(table[key]) for key in ("least", "most") if key in table}
        return Sign(kind=kind, name=table[kind], says=table["says"], **limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """See the head of rules.toml."""

    kind: str
    severity: Literal["info", "warning", "critical"]
    within_min: float
    needs: int
    signs: tuple[Sign, ...]
    close_min: float
    coverage: float
    source: str
    mask: tuple[Mask, ...] = ()
    must: str | None = None
    only: str | None = None
    escalate_min: float | None = None
    report: bool = False

    @staticmethod
    def read(table: Mapping[str, Any]) -> Rule:
        plain = {key: value for key, value in table.items() if key not in ("sign", "mask")}
        return Rule(**plain, signs=tuple(map(Sign.read, table["sign"])), mask=tuple(table.get("mask", ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a stall at one instant."""

    now_s: float
    watched_min: float  # since when
    tally: Tally
    gauges: Mapping[str, float | None] = field(default_factory=dict)
    habit: Callable[[str], float | None] = lambda name: None  # z score of the last hour against the same hour of before
    masks: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset()  # "expecting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that holds, and what speaks for it."""

    kind: str
    reason: str
    signs: Mapping[str, float]  # by name: how often, how many minutes, or the gauge
    coverage: float  # share of the time in which the horse was seen


@cache
def shipped() -> tuple[Rule, ...]:
    text = Path(__file__).with_name("rules.toml").read_text()
    return tuple(Rule.read(table) for table in tomllib.loads(text)["rule"])


def findings(rules: tuple[Rule, ...], facts: Facts) -> dict[str, Finding]:
    """The rules that hold, by kind."""
    return {rule.kind: found for rule in rules if (found := _found(rule, facts)) is not None}


def _found(rule: Rule, facts: Facts) -> Finding | None:
    if (rule.only is not None and rule.only not in facts.modes) or facts.masks.intersection(rule.mask):
        return None
    sums = facts.tally.last(rule.within_min, facts.now_s)
    watched_min = max(min(rule.within_min, facts.watched_min), LEAST_WATCHED_MIN)
    coverage = min(1.0, sum(sums[name] for name in SEEN) / S_PER_MIN / watched_min)
    there = {sign: value for sign in rule.signs if (value := _value(sign, sums, facts)) is not None}
    if coverage < rule.coverage or len(there) < rule.needs:
        return None
    if rule.must is not None and rule.must not in {sign.name for sign in there}:
        return None
    return Finding(
        kind=rule.kind,
        reason="; ".join(_says(sign, value, rule.within_min) for sign, value in there.items()),
        signs={sign.name: round(value, 1) for sign, value in there.items()},
        coverage=round(coverage, 2),
    )


def _value(sign: Sign, sums: Mapping[str, float], facts: Facts) -> float | None:
    """How strong a sign is; None when it is not there, or nobody can tell."""
    values: dict[Kind, Callable[[], float | None]] = {
        "count": lambda: sums[sign.name],
        "minutes": lambda: sums[sign.name] / S_PER_MIN,
        "now": lambda: facts.gauges.get(sign.name),
        "habit": lambda: facts.habit(sign.name),
    }
    value = values[sign.kind]()
    return value if value is not None and sign.least <= value <= sign.most else None


def _says(sign: Sign, value: float, within_min: float) -> str:
    if sign.kind == "count":
        return f"{sign.says} {value:.0f} times in {within_min:.0f} min"
    if sign.kind == "minutes":
        return f"{sign.says} for {value:.0f} of {within_min:.0f} min"
    return f"{sign.says} ({value:.0f} min)" if sign.name.endswith("_min") else sign.says
