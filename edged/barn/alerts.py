"""The barn's rules as rules for alerts: an episode opens when a finding appears, and closes when it is long gone."""

from __future__ import annotations

from edged.barn import rules
from edged.units import S_PER_MIN
from edged.watching.alerts import Evidence, Rule
from edged.watching.scene import Look


def rule_of(rule: rules.Rule) -> Rule:
    def evidence(look: Look) -> Evidence | None:
        found = look.findings.get(rule.kind)
        return None if found is None else Evidence(signs=found.signs, coverage=found.coverage)

    return Rule(
        kind=rule.kind,
        severity=rule.severity,
        holds=lambda look: rule.kind in look.findings,
        reason=lambda look: look.findings[rule.kind].reason,
        open_s=0,
        close_s=rule.close_min * S_PER_MIN,
        evidence=evidence,
        remind_s=None if rule.escalate_min is None else rule.escalate_min * S_PER_MIN,
    )


RULES = tuple(map(rule_of, rules.shipped()))
