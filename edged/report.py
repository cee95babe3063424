"""Results and states to the bus, figures to the meters.

Upstream the loop and the capture threads, downstream the bus, which never blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import monotonic_ns

from edged.box.meter import Meter
from edged.box.trend import Outages, Trend
from edged.bus import message, topics
from edged.bus.message import Stamps
from edged.channel import CameraState
from edged.config import Camera, Publish
from edged.contract.bodies import Poses
from edged.frame import Frame, Result
from edged.pace import Pace
from edged.ports import Bus
from edged.units import NS_PER_S, ns


class Reporter:
    """Publishes what the loop found, at most so often per camera."""

    def __init__(self, bus: Bus, stamps: Stamps, options: Publish, cameras: Mapping[str, Camera]) -> None:
        self._bus = bus
        self._stamps = stamps
        self.meters: dict[str, Meter] = {}
        self.trends: dict[str, Trend] = {}
        self.outages: dict[str, Outages] = {}
        self._options = options
        self._pace: dict[str, Pace] = {}
        self._poses: dict[str, Poses] = {}
        self.adopt(options, cameras)

    def adopt(self, options: Publish, cameras: Mapping[str, Camera]) -> None:
        """From now on these cameras; those that were here keep their figures, and their rate if it has not changed."""
        paces = self._pace if self._options.max_rate_hz == options.max_rate_hz else {}
        self._options = options
        self._private = {name for name, camera in cameras.items() if camera.private}
        self._pace = {name: paces.get(name) or self._usual() for name in cameras}
        self.meters = {name: self.meters.get(name) or Meter() for name in self._pace}
        self.trends = {name: self.trends.get(name) or Trend() for name in self._pace}
        self.outages = {name: self.outages.get(name) or Outages() for name in self._pace}

    def set_rate(self, cameras: Iterable[str], hz: float, seconds: float | None) -> None:
        """Another rate, for so long or until something else is said. Any thread."""
        until_ns = None if seconds is None else monotonic_ns() + ns(seconds)
        self._pace.update({name: Pace(round(NS_PER_S / hz), until_ns) for name in cameras})

    def hurry(self, camera: str) -> None:
        """The next frame is published, whatever the rate. Any thread."""
        self._pace[camera].skip()

    def published(self, camera: str) -> Poses | None:
        """The last poses message."""
        return self._poses.get(camera)

    def result(self, frame: Frame, result: Result) -> None:
        waited_ns = result.done_ns - result.captured_ns - sum(result.stage_ns.values())
        beside = {"wait": waited_ns}  # on its way from the sensor, for its turn, and a little tracking
        if self._due(result):
            begun_ns = monotonic_ns()
            shown = without_people(result) if result.camera in self._private else result
            body = message.poses(self._stamps, shown, smoothed=self._options.smoothed)
            self._bus.publish(topics.POSES.at(camera=result.camera), body)
            self._poses[result.camera] = body
            beside["publish"] = monotonic_ns() - begun_ns
        self.meters[result.camera].record(result, **beside)
        self.trends[result.camera].record(result)

    def camera(self, state: CameraState) -> None:
        if outages := self.outages.get(state.camera):
            outages.note(state.phase)
        body = message.camera_status(
            self._stamps, state.camera, state=state.phase, reason=state.reason, since_ns=state.since_ns
        )
        self._bus.publish(topics.CAMERA_STATUS.at(camera=state.camera), body)

    def _usual(self) -> Pace:
        return Pace(round(NS_PER_S / self._options.max_rate_hz))

    def _due(self, result: Result) -> bool:
        pace = self._pace[result.camera]
        if pace.until_ns is not None and result.done_ns >= pace.until_ns:
            pace = self._pace[result.camera] = self._usual()
        return pace.due(result.captured_ns)


def without_people(result: Result) -> Result:
    """Of people, that somebody is there is told elsewhere; where they are and how they stand is told nowhere."""
    return replace(result, subjects=tuple(one for one in result.subjects if one.label != "person"))
