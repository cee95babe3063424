"""The barn's rules as rules for alerts: an episode opens when a finding appears, and closes when it is long gone."""

from __future__ import annotations

from edged.behaviour.alerts import AlertEvidence, AlertRule
from edged.behaviour.horse import rules
from edged.behaviour.presence import CameraObservation
from edged.units import S_PER_MIN


def alert_rule(rule: rules.StallRule) -> AlertRule:
    def evidence(look: CameraObservation) -> AlertEvidence | None:
        found = look.findings.get(rule.kind)
        return None if found is None else AlertEvidence(values=found.evidence, coverage=found.coverage)

    return AlertRule(
        kind=rule.kind,
        severity=rule.severity,
        holds=lambda look: rule.kind in look.findings,
        reason=lambda look: look.findings[rule.kind].reason,
        open_after_s=0,
        close_after_s=rule.close_min * S_PER_MIN,
        evidence=evidence,
        remind_every_s=None if rule.escalate_min is None else rule.escalate_min * S_PER_MIN,
    )


HORSE_RULES = tuple(map(alert_rule, rules.load_rules()))
