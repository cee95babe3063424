"""What goes on in front of one camera, in seconds rather than frames: how good the view is, and who is there.

Upstream: a look, twice a second. Downstream: the `state` message, daily totals, alerts. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Literal

from edged.barn.rules import Finding
from edged.barn.watch import StallNow
from edged.units import ns

WINDOW_NS = ns(3)  # what is true now was true in most of the looks of so long
View = Literal["ok", "degraded", "lost", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One camera at one instant."""

    t_ns: int  # CLOCK_MONOTONIC
    view: View  # unknown: connecting, or no frame was processed lately
    reason: str = ""  # why it is lost
    degraded: tuple[str, ...] = ()  # what is wrong with the image: "dark", "bright", "flat", "blurred"
    present: Mapping[str, int] | None = None  # subjects per class; None: nobody can tell
    stall: StallNow | None = None  # of a camera that watches over one
    outlook: str | None = None  # what has happened to the view of a stall: "moved", "dirty"
    findings: Mapping[str, Finding] = field(default_factory=dict)  # what somebody should know of it, by kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What holds until something changes."""

    view: View
    degraded: tuple[str, ...]
    present: Mapping[str, int] | None
    since_ns: int
    stall: StallNow | None = None


class Scene:
    """Looks in, situations out: a subject that is missed in a frame has not left."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque()
        self._now: Situation | None = None

    def see(self, look: Look) -> Situation | None:
        """The new situation; None when it is still the one before."""
        if look.view in ("lost", "unknown"):
            self._looks.clear()
            return self._settle(look.view, (), None, look)
        self._looks.append(look)
        while look.t_ns - self._looks[0].t_ns > WINDOW_NS:
            self._looks.popleft()
        if look.t_ns - self._looks[0].t_ns < WINDOW_NS // 2:  # too short to tell
            return None
        return self._settle(*self._usual(), look)

    def _usual(self) -> tuple[View, tuple[str, ...], Mapping[str, int] | None]:
        clear = [look for look in self._looks if look.view == "ok" and look.present is not None]
        if 2 * len(clear) < len(self._looks):
            faults = Counter(fault for look in self._looks for fault in look.degraded)
            return "degraded", tuple(sorted(fault for fault in faults if 2 * faults[fault] > len(self._looks))), None
        labels = sorted({label for look in clear for label in look.present or ()})
        return "ok", (), {label: median_low((look.present or {}).get(label, 0) for look in clear) for label in labels}

    def _settle(
        self, view: View, degraded: tuple[str, ...], present: Mapping[str, int] | None, look: Look
    ) -> Situation | None:
        now, stall = self._now, look.stall if view == "ok" else None
        if now is not None and (now.view, now.degraded, now.present, now.stall) == (view, degraded, present, stall):
            return None
        self._now = Situation(view=view, degraded=degraded, present=present, since_ns=look.t_ns, stall=stall)
        return self._now
