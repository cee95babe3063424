"""Alerts: each opens once, is published at every stage, and closes once.

Upstream: observations, twice a second; commands that acknowledge or snooze. Downstream: the `alert` message.
The behaviour thread, except for `acknowledge` and `snooze`, which any thread may call.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from time import monotonic_ns
from typing import Literal

from edged.behaviour.alert_rules import RULES, AlertEvidence, AlertRule, rule_of_test, why_unseen
from edged.behaviour.types import CameraObservation
from edged.units import NS_PER_S, S_PER_MIN, ns

Stage = Literal["open", "acknowledged", "snoozed", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert at one stage; `id` stays from its opening to its closing."""

    id: str
    camera: str
    rule: AlertRule
    stage: Stage
    since_ns: int  # when the condition began to hold, CLOCK_MONOTONIC
    reason: str
    duration_s: float = 0.0  # how long the condition has held at this stage
    snoozed_until_ns: int = 0
    evidence: AlertEvidence | None = None
    published_ns: int = 0  # last time
    reminders: int = 0
    unseen: str = ""  # why nobody can see at this stage whether the condition still holds


class AlertMonitor:
    """One rule on one camera."""

    def __init__(self, camera: str, rule: AlertRule, alert: Alert | None = None) -> None:
        """`alert` is open already: from before a restart."""
        self.is_test = rule.is_test
        self._camera = camera
        self._rule = rule
        self._since_ns = None if alert is None else alert.since_ns  # None: the condition does not hold
        self._last_held_ns = 0 if alert is None else alert.since_ns + ns(alert.duration_s)
        self._clear_ns = 0  # for how long it was seen not to hold since it last held
        self._cleared_ns = 0  # when it was last seen not to hold; CLOCK_MONOTONIC, as all times here
        self._told_ns: int | None = None  # the observation before this one; None: from it nothing could be told
        self.alert = alert  # None: not open

    def update(self, observation: CameraObservation) -> Alert | None:
        """The alert when it is to be published: opened, closed, reminded of, or back from its snooze."""
        holds = self._rule.holds(observation)
        before_ns, self._told_ns = self._told_ns, None if holds is None else observation.t_ns
        if holds:
            self._since_ns = observation.t_ns if self._since_ns is None else self._since_ns
            self._last_held_ns, self._clear_ns = observation.t_ns, 0
            return self._open_or_remind(observation, self._since_ns)
        if holds is None:
            return self._remind_unseen(observation)
        self._cleared_ns = observation.t_ns
        self._clear_ns += observation.t_ns - (observation.t_ns if before_ns is None else before_ns)
        at_once = self._rule.unbroken and self.alert is None
        if not at_once and self._clear_ns < ns(self._rule.close_after_s):
            return None
        self._since_ns = None
        return self.close(observation.t_ns)

    def _open_or_remind(self, observation: CameraObservation, since_ns: int) -> Alert | None:
        if observation.t_ns - since_ns < ns(self._rule.open_after_s):
            return None
        if self.alert is None:
            self.alert = Alert(
                id=uuid.uuid4().hex,
                camera=self._camera,
                rule=self._rule,
                stage="open",
                since_ns=since_ns,
                reason=self._rule.reason(observation),
                duration_s=(observation.t_ns - since_ns) / NS_PER_S,
                evidence=self._rule.evidence(observation),
                published_ns=observation.t_ns,
            )
            return self.alert
        if self._snooze_is_over(self.alert, observation.t_ns):
            return self.set_stage("open", observation.t_ns)
        if not self._reminder_is_due(self.alert, observation.t_ns):
            return None
        reason, evidence = self._rule.reason(observation), self._rule.evidence(observation)
        return self._remind(replace(self.alert, reason=reason, evidence=evidence), observation.t_ns)

    def _remind_unseen(self, observation: CameraObservation) -> Alert | None:
        """The alert that stays open as nobody can look: back from its snooze, or a reminder of what was seen last."""
        if self.alert is None:
            return None
        if self._snooze_is_over(self.alert, observation.t_ns):
            self.set_stage("open", observation.t_ns)
        elif not self._reminder_is_due(self.alert, observation.t_ns, unseen_since_ns=self._cleared_ns):
            return None
        else:
            self._remind(self.alert, observation.t_ns)
        return replace(self.alert, unseen=why_unseen(observation))

    @staticmethod
    def _snooze_is_over(alert: Alert, t_ns: int) -> bool:
        return alert.stage == "snoozed" and t_ns >= alert.snoozed_until_ns

    def _reminder_is_due(self, alert: Alert, t_ns: int, unseen_since_ns: int = 0) -> bool:
        """What was seen not to hold must be unseen for as long as reminders are apart: one bad frame is no reason."""
        wait_s = self._rule.remind_every_s
        waited_ns = t_ns - max(alert.published_ns, unseen_since_ns)
        return alert.stage == "open" and wait_s is not None and waited_ns >= ns(wait_s)

    def _remind(self, alert: Alert, t_ns: int) -> Alert:
        """The open alert once more."""
        duration_s = (self._last_held_ns - alert.since_ns) / NS_PER_S
        self.alert = replace(alert, published_ns=t_ns, reminders=alert.reminders + 1, duration_s=duration_s)
        return self.alert

    def close(self, t_ns: int) -> Alert | None:
        """The alert, closed; None: it was not open."""
        closed = None if self.alert is None else self.set_stage("closed", t_ns)
        self.alert = None
        return closed

    def set_stage(self, stage: Stage, t_ns: int, snoozed_until_ns: int = 0) -> Alert:
        """The open alert at its next stage; its duration ends when its condition last held.

        Raises LookupError when it is not open.
        """
        if self.alert is None:
            raise LookupError(f"{self._camera}: no open alert of {self._rule.kind}")
        duration_s = (self._last_held_ns - self.alert.since_ns) / NS_PER_S
        self.alert = replace(
            self.alert, stage=stage, duration_s=duration_s, snoozed_until_ns=snoozed_until_ns, published_ns=t_ns
        )
        return self.alert


class AlertMonitors:
    """Every rule on every camera. `publish` is called for each stage of each alert, one call at a time."""

    def __init__(
        self, cameras: tuple[str, ...], publish: Callable[[Alert], None], rules: tuple[AlertRule, ...] = RULES
    ) -> None:
        self._rules = rules
        self._monitors: dict[str, list[AlertMonitor]] = {}
        self._publish = publish
        self._lock = threading.Lock()
        self.reconfigure(cameras)

    def reconfigure(self, cameras: tuple[str, ...], restored: Collection[Alert] = ()) -> None:
        """Monitor these cameras from now on. The open alerts of a camera that is gone close.

        `restored`: alerts from before a restart. They go on; one that no rule here may ever close is closed.
        """
        alerts = {(alert.camera, alert.rule.kind): alert for alert in restored if not alert.rule.is_test}
        with self._lock:
            gone = [monitors for camera, monitors in self._monitors.items() if camera not in cameras]
            self._monitors = {
                camera: self._monitors.get(camera)
                or [AlertMonitor(camera, rule, alerts.get((camera, rule.kind))) for rule in self._rules]
                for camera in cameras
            }
            taken = {monitor.alert for monitors in self._monitors.values() for monitor in monitors}
            left = [AlertMonitor(alert.camera, alert.rule, alert) for alert in restored if alert not in taken]
            for monitor in (*(monitor for monitors in gone for monitor in monitors), *left):
                if closed := monitor.close(monotonic_ns()):
                    self._publish(closed)

    def update(self, camera: str, observation: CameraObservation) -> None:
        with self._lock:
            if camera not in self._monitors:  # its alerts are off
                return
            for monitor in self._monitors[camera]:
                if alert := monitor.update(observation):
                    self._publish(alert)
            self._monitors[camera] = [one for one in self._monitors[camera] if one.alert is not None or not one.is_test]

    def open(self, camera: str) -> tuple[Alert, ...]:
        """The camera's alerts that have not closed, oldest first."""
        alerts = [monitor.alert for monitor in self._monitors.get(camera, ()) if monitor.alert is not None]
        return tuple(sorted(alerts, key=lambda alert: alert.since_ns))

    def test(self, camera: str, kind: str, seconds: float, t_ns: int) -> Alert:
        """An alert that opens now and closes after so long; an open test of the camera closes first. Any thread.

        Raises LookupError when the camera is not monitored.
        """
        observation = CameraObservation(t_ns=t_ns, view="unknown")
        monitor = AlertMonitor(camera, rule_of_test(kind, t_ns + ns(seconds)))
        with self._lock:
            for other in [one for one in self._monitors[camera] if one.is_test]:
                self._monitors[camera].remove(other)
                if closed := other.close(t_ns):
                    self._publish(closed)
            self._monitors[camera].append(monitor)
            opened = monitor.update(observation)
            if opened is None:
                raise LookupError(f"{camera}: a test of no length")
            self._publish(opened)
        return opened

    def acknowledge(self, alert_id: str, t_ns: int) -> bool:
        """Publish no reminders of it any more. False: no such alert is open. Any thread."""
        return self._set_stage(alert_id, "acknowledged", t_ns)

    def acknowledge_all(self, camera: str, t_ns: int) -> list[str]:
        """Acknowledge every alert of the camera that is open or snoozed; their ids. Any thread."""
        waiting = [alert.id for alert in self.open(camera) if alert.stage != "acknowledged"]
        return [alert_id for alert_id in waiting if self.acknowledge(alert_id, t_ns)]

    def snooze(self, alert_id: str, minutes: float, t_ns: int) -> bool:
        """Publish it again after so many minutes, unless it has ended. False: no such alert is open. Any thread."""
        return self._set_stage(alert_id, "snoozed", t_ns, t_ns + ns(minutes * S_PER_MIN))

    def snooze_all(self, camera: str, minutes: float, t_ns: int) -> list[str]:
        """Snooze every alert of the camera that is open; their ids. Any thread."""
        waiting = [alert.id for alert in self.open(camera) if alert.stage == "open"]
        return [alert_id for alert_id in waiting if self.snooze(alert_id, minutes, t_ns)]

    def _set_stage(self, alert_id: str, stage: Stage, t_ns: int, until_ns: int = 0) -> bool:
        with self._lock:
            for monitors in self._monitors.values():
                for monitor in monitors:
                    if monitor.alert is not None and monitor.alert.id == alert_id:
                        self._publish(monitor.set_stage(stage, t_ns, until_ns))
                        return True
        return False
