"""Publishes poses and camera states, and feeds the statistics of every camera.

Upstream: the loop and the capture threads. Downstream: the bus, which never blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import monotonic_ns

from edged.capture.camera import CameraState
from edged.config.tables.camera import CameraConfig
from edged.config.tables.mqtt import PublishConfig
from edged.device.rates import RateMeter
from edged.device.trends import CameraTrend, Outages
from edged.frame import Frame, FrameResult
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus
from edged.messages.schema import Poses
from edged.runtime.rate_limit import RateLimiter
from edged.units import NS_PER_S, ns


class Publisher:
    """Poses at no more than a maximum rate per camera; camera states as they change."""

    def __init__(
        self, bus: Bus, headers: HeaderFactory, options: PublishConfig, cameras: Mapping[str, CameraConfig]
    ) -> None:
        self._bus = bus
        self._headers = headers
        self.meters: dict[str, RateMeter] = {}
        self.trends: dict[str, CameraTrend] = {}
        self.outages: dict[str, Outages] = {}
        self._options = options
        self._limiters: dict[str, RateLimiter] = {}
        self._last_poses: dict[str, Poses] = {}
        self.reconfigure(options, cameras)

    def reconfigure(self, options: PublishConfig, cameras: Mapping[str, CameraConfig]) -> None:
        """Take other cameras. A remaining one keeps its statistics, and its rate limit unless that changed."""
        limiters = self._limiters if self._options.max_rate_hz == options.max_rate_hz else {}
        self._options = options
        self._private_cameras = {name for name, camera in cameras.items() if camera.hides_people}
        self._limiters = {name: limiters.get(name) or self._default_limiter() for name in cameras}
        self.meters = {name: self.meters.get(name) or RateMeter() for name in self._limiters}
        self.trends = {name: self.trends.get(name) or CameraTrend() for name in self._limiters}
        self.outages = {name: self.outages.get(name) or Outages() for name in self._limiters}

    def set_rate(self, cameras: Iterable[str], hz: float, seconds: float | None) -> None:
        """Limit the rate of these cameras for `seconds`; None: until the next call or restart. Thread: any."""
        until_ns = None if seconds is None else monotonic_ns() + ns(seconds)
        self._limiters.update({name: RateLimiter(round(NS_PER_S / hz), until_ns) for name in cameras})

    def publish_next(self, camera: str) -> None:
        """Publish the next frame of the camera, whatever the rate. Thread: any."""
        self._limiters[camera].reset()

    def last_poses(self, camera: str) -> Poses | None:
        """The last poses message of the camera; None before the first."""
        return self._last_poses.get(camera)

    def publish(self, frame: Frame, result: FrameResult) -> None:
        """Publish the poses of a frame unless its camera is over the rate, and count the frame. Thread: the loop's."""
        waited_ns = result.done_ns - result.captured_ns - sum(result.stage_ns.values())
        more_stages = {"wait": waited_ns}  # transfer from the sensor, waiting for the loop, and tracking
        if self._allowed(result):
            start_ns = monotonic_ns()
            shown = without_people(result) if result.camera in self._private_cameras else result
            body = build.poses(self._headers, shown, smoothed=self._options.smoothed)
            self._bus.publish(topics.POSES.at(camera=result.camera), body)
            self._last_poses[result.camera] = body
            more_stages["publish"] = monotonic_ns() - start_ns
        self.meters[result.camera].record(result, **more_stages)
        self.trends[result.camera].record(result)

    def publish_camera_status(self, state: CameraState) -> None:
        """Publish a camera's new state, and count outages. Thread: any."""
        if outages := self.outages.get(state.camera):
            outages.record(state.phase)
        body = build.camera_status(
            self._headers,
            state.camera,
            state=state.phase,
            reason=state.reason,
            since_ns=state.since_ns,
            size_wh=state.size_wh,
        )
        self._bus.publish(topics.CAMERA_STATUS.at(camera=state.camera), body)

    def _default_limiter(self) -> RateLimiter:
        return RateLimiter(round(NS_PER_S / self._options.max_rate_hz))

    def _allowed(self, result: FrameResult) -> bool:
        limiter = self._limiters[result.camera]
        if limiter.expires_ns is not None and result.done_ns >= limiter.expires_ns:
            limiter = self._limiters[result.camera] = self._default_limiter()
        return limiter.allow(result.captured_ns)


def without_people(result: FrameResult) -> FrameResult:
    """The result without its people, whose boxes and keypoints must not leave a watched stall."""
    return replace(result, subjects=tuple(subject for subject in result.subjects if subject.label != "person"))
