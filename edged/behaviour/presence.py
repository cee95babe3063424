"""What goes on in front of one camera, in seconds rather than frames: how good the view is, and who is there.

Upstream: a look, twice a second. Downstream: the `state` message, daily totals, alerts. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Literal

from edged.behaviour.horse.rules import Finding
from edged.behaviour.horse.stall_monitor import StallState
from edged.units import ns

WINDOW_NS = ns(3)  # what is true now was true in most of the looks of so long
View = Literal["ok", "degraded", "lost", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraObservation:
    """One camera at one instant."""

    t_ns: int  # CLOCK_MONOTONIC
    view: View  # unknown: connecting, or no frame was processed lately
    reason: str = ""  # why it is lost
    degraded: tuple[str, ...] = ()  # what is wrong with the image: "dark", "bright", "flat", "blurred"
    counts: Mapping[str, int] | None = None  # subjects per class; None: nobody can tell
    stall: StallState | None = None  # of a camera that watches over one
    view_change: str | None = None  # what has happened to the view of a stall: "moved", "dirty"
    findings: Mapping[str, Finding] = field(default_factory=dict)  # what somebody should know of it, by kind


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneState:
    """What holds until something changes."""

    view: View
    degraded: tuple[str, ...]
    counts: Mapping[str, int] | None
    since_ns: int
    stall: StallState | None = None


class PresenceFilter:
    """Looks in, situations out: a subject that is missed in a frame has not left."""

    def __init__(self) -> None:
        self._observations: deque[CameraObservation] = deque()
        self._state: SceneState | None = None

    def update(self, observation: CameraObservation) -> SceneState | None:
        """The new situation; None when it is still the one before."""
        if observation.view in ("lost", "unknown"):
            self._observations.clear()
            return self._change_to(observation.view, (), None, observation)
        self._observations.append(observation)
        while observation.t_ns - self._observations[0].t_ns > WINDOW_NS:
            self._observations.popleft()
        if observation.t_ns - self._observations[0].t_ns < WINDOW_NS // 2:  # too short to tell
            return None
        return self._change_to(*self._majority(), observation)

    def _majority(self) -> tuple[View, tuple[str, ...], Mapping[str, int] | None]:
        clear = [look for look in self._observations if look.view == "ok" and look.counts is not None]
        if 2 * len(clear) < len(self._observations):
            faults = Counter(fault for look in self._observations for fault in look.degraded)
            return (
                "degraded",
                tuple(sorted(fault for fault in faults if 2 * faults[fault] > len(self._observations))),
                None,
            )
        labels = sorted({label for look in clear for label in look.counts or ()})
        return "ok", (), {label: median_low((look.counts or {}).get(label, 0) for look in clear) for label in labels}

    def _change_to(
        self, view: View, degraded: tuple[str, ...], counts: Mapping[str, int] | None, observation: CameraObservation
    ) -> SceneState | None:
        now, stall = self._state, observation.stall if view == "ok" else None
        if now is not None and (now.view, now.degraded, now.counts, now.stall) == (view, degraded, counts, stall):
            return None
        self._state = SceneState(view=view, degraded=degraded, counts=counts, since_ns=observation.t_ns, stall=stall)
        return self._state
