"""What each command does. A deed returns what its answer says, or raises `Declined`.

Upstream `control`, in its thread. Downstream the parts of the daemon, which let other threads in at these places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic_ns

from edged.behaviour.alerts import AlertMonitors
from edged.capture.hub import CameraHub
from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.control.dispatcher import CommandHandler, CommandResult
from edged.control.frame_grabber import FrameGrabber, GrabbedFrame
from edged.errors import CommandRejected, NotWritten
from edged.frame import U8
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus
from edged.messages.commands import Acknowledge, RestartCamera, SetRate, Snapshot, Snooze
from edged.messages.topics import SNAPSHOT
from edged.publisher import Publisher
from edged.units import BYTES_PER_KB, ns

GRAB_TIMEOUT_S = 5.0  # longest wait for a frame to show

Draw = Callable[[GrabbedFrame], U8]
Encode = Callable[[U8, int], tuple[bytes, tuple[int, int]]]  # to so many bytes at most; with width and height


class CommandHandlers:
    """`settings` is the configuration in effect; `draw` and `encode` make pictures."""

    def __init__(
        self,
        *,
        settings: Callable[[], Config],
        bus: Bus,
        headers: HeaderFactory,
        hub: CameraHub,
        publisher: Publisher,
        alerts: AlertMonitors,
        draw: Draw,
        encode: Encode,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._headers = headers
        self._hub = hub
        self._publisher = publisher
        self._alerts = alerts
        self._draw = draw
        self._encode = encode
        self.grabber = FrameGrabber(publisher.last_poses, publisher.publish_next)

    @property
    def table(self) -> Mapping[str, CommandHandler]:
        return {
            "snapshot": self.snapshot,
            "restart-camera": self.restart_camera,
            "set-rate": self.set_rate,
            "acknowledge": self.acknowledge,
            "snooze": self.snooze,
        }

    def snapshot(self, command: Snapshot) -> CommandResult:
        name = command.camera
        if not self._camera(name).allow_images:
            do = f"set cameras.{name}.allow_images = true in the configuration of the box"
            raise CommandRejected(
                f"camera {name}", got="allow_images = false", wanted="a camera whose pictures may be sent", do=do
            )
        still = self.grabber.grab(name, GRAB_TIMEOUT_S)
        if still is None:
            state = self._hub.states[name]
            got = f"no frame for {GRAB_TIMEOUT_S:g} s, camera {state.phase} {state.reason}".strip()
            raise CommandRejected(f"camera {name}", got=got, wanted="a camera that gives frames", do="see its status")
        image = self._draw(still) if command.annotated else still.image
        return CommandResult(data=self._publish_picture(name, still, image) | {"annotated": command.annotated})

    def restart_camera(self, command: RestartCamera) -> CommandResult:
        self._camera(command.camera)
        self._hub.restart(command.camera)
        return CommandResult()

    def set_rate(self, command: SetRate) -> CommandResult:
        if command.camera is not None:
            self._camera(command.camera)
        names = [command.camera] if command.camera is not None else list(self._settings().enabled_cameras)
        self._publisher.set_rate(names, command.hz, command.seconds)
        until_ts = None if command.seconds is None else self._headers.utc_ms(monotonic_ns() + ns(command.seconds))
        return CommandResult(data={"cameras": names, "hz": command.hz, "until_ts": until_ts})

    def acknowledge(self, command: Acknowledge) -> CommandResult:
        return _alert_result(command.alert_id, self._alerts.acknowledge(command.alert_id, monotonic_ns()))

    def snooze(self, command: Snooze) -> CommandResult:
        snoozed = self._alerts.snooze(command.alert_id, command.minutes, monotonic_ns())
        return _alert_result(command.alert_id, snoozed)

    def _camera(self, name: str) -> CameraConfig:
        cameras = self._settings().enabled_cameras
        if name not in cameras:
            raise CommandRejected(
                "camera", got=ascii(name), wanted=f"one of {', '.join(cameras)}", do="name one of these"
            )
        return cameras[name]

    def _publish_picture(self, name: str, still: GrabbedFrame, image: U8) -> dict[str, object]:
        """Send the picture; return what it shows: the frame of the poses message of this `seq`."""
        try:
            picture, (w, h) = self._encode(image, self._settings().commands.snapshot_max_kb * BYTES_PER_KB)
        except NotWritten as exc:
            do = "raise commands.snapshot_max_kb in the configuration of the box"
            raise CommandRejected("picture", got=str(exc), wanted="a smaller one", do=do) from exc
        self._bus.publish(SNAPSHOT.at(camera=name), picture)
        facts = {key: still.poses[key] for key in ("camera", "frame", "seq", "ts")}
        return {**facts, "image": {"w": w, "h": h}, "bytes": len(picture)}


def _alert_result(alert_id: str, found: bool) -> CommandResult:
    if not found:
        do = "see `alert_ids` in the camera's state"
        raise CommandRejected("alert_id", got=ascii(alert_id), wanted="that of an open alert", do=do)
    return CommandResult()
