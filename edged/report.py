"""Results and states to the bus, figures to the meters.

Upstream the loop and the capture threads, downstream the bus, which never blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic_ns

from edged import message, topics
from edged.channel import CameraState
from edged.config import Publish
from edged.frame import Frame, Result
from edged.message import Stamps
from edged.meter import Meter
from edged.ports import Bus
from edged.trend import Outages, Trend
from edged.units import NS_PER_S


class Reporter:
    """Publishes what the loop found, at most so often per camera."""

    def __init__(self, bus: Bus, stamps: Stamps, options: Publish, cameras: Iterable[str]) -> None:
        self._bus = bus
        self._stamps = stamps
        self._smoothed = options.smoothed
        self.meters = {name: Meter() for name in cameras}
        self.trends = {name: Trend() for name in self.meters}
        self.outages = {name: Outages() for name in self.meters}
        self._pace = {name: Pace(round(NS_PER_S / options.max_rate_hz)) for name in self.meters}

    def result(self, frame: Frame, result: Result) -> None:
        waited_ns = result.done_ns - result.captured_ns - sum(result.stage_ns.values())
        beside = {"wait": waited_ns}  # on its way from the sensor, for its turn, and a little tracking
        if self._pace[result.camera].due(result.captured_ns):
            begun_ns = monotonic_ns()
            topic = topics.POSES.at(camera=result.camera)
            self._bus.publish(topic, message.poses(self._stamps, result, smoothed=self._smoothed))
            beside["publish"] = monotonic_ns() - begun_ns
        self.meters[result.camera].record(result, **beside)
        self.trends[result.camera].record(result)

    def camera(self, state: CameraState) -> None:
        self.outages[state.camera].note(state.phase)
        body = message.camera_status(
            self._stamps, state.camera, state=state.phase, reason=state.reason, since_ns=state.since_ns
        )
        self._bus.publish(topics.CAMERA_STATUS.at(camera=state.camera), body)


@dataclass(slots=True)
class Pace:
    """Lets one event through per period on average, early by at most half a period: cameras jitter."""

    period_ns: int
    _next_ns: int = 0

    def due(self, t_ns: int) -> bool:
        """Whether an event at `t_ns` may pass. Source: the generic cell rate algorithm, ITU-T I.371."""
        if t_ns < self._next_ns - self.period_ns // 2:
            return False
        self._next_ns = max(t_ns, self._next_ns) + self.period_ns
        return True
