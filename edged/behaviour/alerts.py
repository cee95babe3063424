"""Episodes a person should know of: each opens once, is told once, and closes once.

Upstream: looks, twice a second, and people who acknowledge or snooze. Downstream: the `alert` message.
Rules are data. One thread, but for `acknowledge` and `snooze`, which any thread may call.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edged.behaviour.presence import CameraObservation
from edged.units import NS_PER_S, S_PER_MIN, ns

Stage = Literal["open", "acknowledged", "snoozed", "closed"]
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """What must hold, and for how long, before a person is told; and for how long not, before all is well."""

    kind: str
    severity: Severity
    holds: Callable[[CameraObservation], bool]
    reason: Callable[[CameraObservation], str]
    open_after_s: float
    close_after_s: float
    evidence: Callable[[CameraObservation], AlertEvidence | None] = lambda look: None
    remind_every_s: float | None = None  # after which it is told again, until somebody acknowledges it


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvidence:
    """What speaks for an episode, and how much was seen of the time that was looked at."""

    values: Mapping[str, float]
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One trouble from its beginning to its end; `id` stays, `stage` moves."""

    id: str
    camera: str
    rule: AlertRule
    stage: Stage
    since_ns: int  # when the condition began to hold, CLOCK_MONOTONIC
    reason: str
    duration_s: float = 0.0  # how long it has held, as of this stage
    snoozed_until_ns: int = 0
    evidence: AlertEvidence | None = None
    published_ns: int = 0  # last
    reminders: int = 0


def _degraded_reason(degraded: tuple[str, ...]) -> str:
    if "no-model" in degraded:
        return "nobody looks at the image: the detector is missing"
    return "the image is " + " and ".join(degraded)


CAMERA_RULES = (
    AlertRule(
        kind="camera-lost",
        severity="critical",
        holds=lambda look: look.view == "lost",
        reason=lambda look: look.reason or "no frames",
        open_after_s=60,
        close_after_s=10,
    ),
    AlertRule(
        kind="view-degraded",
        severity="warning",
        holds=lambda look: look.view == "degraded",
        reason=lambda look: _degraded_reason(look.degraded),
        open_after_s=120,
        close_after_s=30,
    ),
    AlertRule(
        kind="camera-moved",
        severity="warning",
        holds=lambda look: look.view_change == "moved",
        reason=lambda look: "it looks elsewhere than when the stall was drawn: turn it back, or draw the stall again",
        open_after_s=300,
        close_after_s=120,
    ),
    AlertRule(
        kind="camera-dirty",
        severity="warning",
        holds=lambda look: look.view_change == "dirty",
        reason=lambda look: "parts of the view have lost their detail: clean the lens, look for a web",
        open_after_s=600,
        close_after_s=300,
    ),
)


class AlertMonitor:
    """One rule on one camera."""

    def __init__(self, camera: str, rule: AlertRule) -> None:
        self._camera = camera
        self._rule = rule
        self._since_ns: int | None = None  # the condition holds since
        self._last_held_ns = 0  # when it held last
        self.alert: Alert | None = None

    def update(self, observation: CameraObservation) -> Alert | None:
        """The episode, when it has just opened, closed, or come out of its snooze."""
        if self._rule.holds(observation):
            self._since_ns = observation.t_ns if self._since_ns is None else self._since_ns
            self._last_held_ns = observation.t_ns
            return self._open_or_remind(observation, self._since_ns)
        if self._since_ns is None or observation.t_ns - self._last_held_ns < ns(self._rule.close_after_s):
            return None
        self._since_ns = None
        return self._close()

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
        if self.alert.stage == "snoozed" and observation.t_ns >= self.alert.snoozed_until_ns:
            return self.set_stage("open", observation.t_ns)
        return self._remind(observation, self.alert)

    def _remind(self, observation: CameraObservation, alert: Alert) -> Alert | None:
        """Told once more, with what speaks for it now, when nobody has answered."""
        wait_s = self._rule.remind_every_s
        if alert.stage != "open" or wait_s is None or observation.t_ns - alert.published_ns < ns(wait_s):
            return None
        self.alert = replace(
            alert,
            reason=self._rule.reason(observation),
            evidence=self._rule.evidence(observation),
            published_ns=observation.t_ns,
            reminders=alert.reminders + 1,
            duration_s=(observation.t_ns - alert.since_ns) / NS_PER_S,
        )
        return self.alert

    def force_close(self) -> Alert:
        """The open episode, closed: nobody looks any more."""
        return self.set_stage("closed", self._last_held_ns)

    def _close(self) -> Alert | None:
        episode = self.set_stage("closed", self._last_held_ns) if self.alert is not None else None
        self.alert = None
        return episode

    def set_stage(self, stage: Stage, t_ns: int, snoozed_until_ns: int = 0) -> Alert:
        """The open episode at its next stage."""
        if self.alert is None:
            raise LookupError(f"{self._camera}: no open episode of {self._rule.kind}")
        held_s = (t_ns - self.alert.since_ns) / NS_PER_S
        self.alert = replace(
            self.alert, stage=stage, duration_s=held_s, snoozed_until_ns=snoozed_until_ns, published_ns=t_ns
        )
        return self.alert


class AlertMonitors:
    """Every rule on every camera. `tell` is called for each stage of each episode, one call at a time."""

    def __init__(
        self, cameras: tuple[str, ...], publish: Callable[[Alert], None], rules: tuple[AlertRule, ...] = CAMERA_RULES
    ):
        self._rules = rules
        self._monitors: dict[str, list[AlertMonitor]] = {}
        self._publish = publish
        self._lock = threading.Lock()
        self.reconfigure(cameras)

    def reconfigure(self, cameras: tuple[str, ...]) -> None:
        """Watch these from now on. What is open on a camera that is gone will not be heard of again, and closes."""
        with self._lock:
            gone = [watches for camera, watches in self._monitors.items() if camera not in cameras]
            for watch in (watch for watches in gone for watch in watches):
                if watch.alert is not None:
                    self._publish(watch.force_close())
            self._monitors = {
                camera: self._monitors.get(camera) or [AlertMonitor(camera, rule) for rule in self._rules]
                for camera in cameras
            }

    def update(self, camera: str, observation: CameraObservation) -> None:
        with self._lock:
            for watch in self._monitors[camera]:
                if episode := watch.update(observation):
                    self._publish(episode)

    def open_ids(self, camera: str) -> tuple[str, ...]:
        """Ids of the camera's episodes that have not closed, oldest first."""
        episodes = sorted((e for w in self._monitors[camera] if (e := w.alert)), key=lambda e: e.since_ns)
        return tuple(episode.id for episode in episodes)

    def acknowledge(self, alert_id: str, t_ns: int) -> bool:
        """A person has seen it. False: there is no such episode, or it has closed."""
        return self._set_stage(alert_id, "acknowledged", t_ns)

    def snooze(self, alert_id: str, minutes: float, t_ns: int) -> bool:
        """Quiet for so long; if it still holds then, it is told again. False: as above."""
        return self._set_stage(alert_id, "snoozed", t_ns, t_ns + ns(minutes * S_PER_MIN))

    def _set_stage(self, alert_id: str, stage: Stage, t_ns: int, until_ns: int = 0) -> bool:
        with self._lock:
            for watch in self._all_monitors():
                if watch.alert is not None and watch.alert.id == alert_id:
                    self._publish(watch.set_stage(stage, t_ns, until_ns))
                    return True
        return False

    def _all_monitors(self) -> Iterator[AlertMonitor]:
        return (watch for watches in self._monitors.values() for watch in watches)
