"""The rules of alerts, as data: what must hold, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from edged.behaviour.down import KIND as DOWN
from edged.behaviour.horse.rules import StallRule, load_rules
from edged.behaviour.types import CameraObservation
from edged.config.tables.camera import CameraConfig
from edged.units import S_PER_MIN

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """The condition of an alert, and how long it must hold before the alert opens, and not hold before it closes."""

    kind: str
    severity: Severity
    holds: Callable[[CameraObservation], bool | None]  # None: this observation cannot tell
    reason: Callable[[CameraObservation], str]
    open_after_s: float
    close_after_s: float
    evidence: Callable[[CameraObservation], AlertEvidence | None] = lambda observation: None
    remind_every_s: float | None = None  # until it is acknowledged; None: never
    unbroken: bool = False  # before it opens, any pause begins the wait anew
    is_test: bool = False  # nothing has happened: somebody asked for an alert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvidence:
    values: Mapping[str, float]  # by name
    coverage: float  # share of the rule's window that was observed, 0 to 1


def _degraded_reason(degraded: tuple[str, ...]) -> str:
    if "no-model" in degraded:
        return "the image is not analysed: the detector is missing"
    return "the image is " + " and ".join(degraded)


def _unknown_reason(observation: CameraObservation) -> str:
    if observation.connecting:
        return "nobody looks at the image: the camera is still connecting"
    return "nobody looks at the image: frames arrive, and none can be analysed; see `frames-failed` in health"


def why_unseen(observation: CameraObservation) -> str:
    """Why this observation cannot tell what happens before the camera."""
    if observation.view == "lost":
        return f"the camera is lost: {observation.reason or 'no frames'}"
    if observation.view == "degraded":
        return _degraded_reason(observation.degraded)
    return "its source has ended" if observation.ended else _unknown_reason(observation)


CAMERA_RULES = (
    AlertRule(
        kind="camera-lost",
        severity="critical",
        holds=lambda observation: None if observation.connecting else observation.view == "lost",
        reason=lambda observation: observation.reason or "no frames",
        open_after_s=60,
        close_after_s=10,
    ),
    AlertRule(
        kind="view-unknown",
        severity="warning",
        holds=lambda observation: observation.overdue,
        reason=_unknown_reason,
        open_after_s=120,
        close_after_s=30,
        unbroken=True,
    ),
    AlertRule(
        kind="view-degraded",
        severity="warning",
        holds=lambda observation: None if observation.view == "unknown" else observation.view == "degraded",
        reason=lambda observation: _degraded_reason(observation.degraded),
        open_after_s=120,
        close_after_s=30,
    ),
    AlertRule(
        kind="camera-moved",
        severity="warning",
        holds=lambda observation: observation.view_change == "moved" if observation.view == "ok" else None,
        reason=lambda observation: (
            "the view is not the one that the floor was drawn in: turn the camera back, or draw the floor again"
        ),
        open_after_s=300,
        close_after_s=120,
    ),
    AlertRule(
        kind="camera-dirty",
        severity="warning",
        holds=lambda observation: observation.view_change == "dirty" if observation.view == "ok" else None,
        reason=lambda observation: "parts of the view have lost their detail: clean the lens, look for a web",
        open_after_s=600,
        close_after_s=300,
    ),
)


def _evidence(observation: CameraObservation, kind: str) -> AlertEvidence | None:
    finding = observation.findings.get(kind)
    return None if finding is None else AlertEvidence(values=finding.evidence, coverage=finding.coverage)


def alert_rule(rule: StallRule) -> AlertRule:
    """A stall's rule as the rule of an alert: it opens when its finding appears."""
    return AlertRule(
        kind=rule.kind,
        severity=rule.severity,
        holds=lambda observation: rule.kind in observation.findings if observation.view == "ok" else None,
        reason=lambda observation: observation.findings[rule.kind].reason,
        open_after_s=0,
        close_after_s=rule.close_after_min * S_PER_MIN,
        evidence=lambda observation: _evidence(observation, rule.kind),
        remind_every_s=None if rule.remind_every_min is None else rule.remind_every_min * S_PER_MIN,
    )


DOWN_RULE = AlertRule(
    kind=DOWN,
    severity="critical",
    holds=lambda observation: DOWN in observation.findings if observation.view == "ok" else None,
    reason=lambda observation: observation.findings[DOWN].reason,
    open_after_s=0,  # the finding has waited `person_down.after_s`
    close_after_s=60,
    evidence=lambda observation: _evidence(observation, DOWN),
    remind_every_s=300,
)
STALL_RULES = tuple(map(alert_rule, load_rules()))
RULES = (*CAMERA_RULES, DOWN_RULE, *STALL_RULES)


def alert_kinds(camera: CameraConfig) -> tuple[str, ...]:
    """The kinds of alerts that a camera may have, with these settings."""
    more = (*((DOWN_RULE,) if camera.person_down.enabled else ()), *(STALL_RULES if camera.stall.enabled else ()))
    return tuple(rule.kind for rule in (*CAMERA_RULES, *more))


def rule_of_test(kind: str, until_ns: int) -> AlertRule:
    """A rule of a kind of `RULES` that holds until then, whatever is seen."""
    return AlertRule(
        kind=kind,
        severity=next(rule.severity for rule in RULES if rule.kind == kind),
        holds=lambda observation: observation.t_ns < until_ns,
        reason=lambda observation: "a test: nothing has happened",
        open_after_s=0,
        close_after_s=0,
        is_test=True,
    )
