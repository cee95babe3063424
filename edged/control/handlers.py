"""What each command does: a handler returns the data of its reply, or raises CommandRejected.

Upstream: the dispatcher, on its thread. Downstream: the parts of the daemon, by methods that any thread may call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns

from edged.behaviour.alert_rules import alert_kinds
from edged.behaviour.alerts import AlertMonitors
from edged.behaviour.horse.day_log import StallDay
from edged.capture.hub import CameraHub
from edged.config.tables.camera import CameraConfig
from edged.config.tree import Config
from edged.control.dispatcher import CommandHandler, CommandResult
from edged.control.frame_grabber import FrameGrabber, GrabbedFrame
from edged.errors import CommandRejected, NotWritten
from edged.evidence.store import EvidenceStore
from edged.frame import U8
from edged.messages.build import HeaderFactory
from edged.messages.bus import Bus
from edged.messages.commands import Acknowledge, Day, Evidence, RestartCamera, SetRate, Snapshot, Snooze, TestAlert
from edged.messages.topics import ALERT_CLIP, ALERT_STILL, DAY, SNAPSHOT, TopicSpec
from edged.publisher import Publisher
from edged.units import BYTES_PER_KB, ns

GRAB_TIMEOUT_S = 5.0  # for a frame to be published


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """How pictures are made. Images are (H, W, 3) uint8, BGR."""

    frame: Callable[[GrabbedFrame], U8]  # annotated
    day: Callable[[str, StallDay], U8]  # of the camera of this name
    encode: Callable[[U8, int], tuple[bytes, tuple[int, int]]]  # JPEG of at most so many bytes; its width and height


class CommandHandlers:
    """The handlers of all commands but `reload` and `diagnose`, which belong to the daemon."""

    def __init__(
        self,
        *,
        config: Callable[[], Config],
        bus: Bus,
        headers: HeaderFactory,
        hub: CameraHub,
        publisher: Publisher,
        alerts: AlertMonitors,
        days_of: Callable[[str], Sequence[StallDay]],
        pictures: Pictures,
        evidence: EvidenceStore | None = None,
    ) -> None:
        """`config` is the one in effect; `days_of` a camera are the days of its stall, oldest first."""
        self._config = config
        self._bus = bus
        self._headers = headers
        self._hub = hub
        self._publisher = publisher
        self._alerts = alerts
        self._days_of = days_of
        self._pictures = pictures
        self._evidence = evidence
        self.grabber = FrameGrabber(publisher.last_poses, publisher.publish_next, self._hides_people)

    @property
    def table(self) -> Mapping[str, CommandHandler]:
        return {
            "snapshot": self.snapshot,
            "day": self.day,
            "evidence": self.evidence,
            "restart-camera": self.restart_camera,
            "set-rate": self.set_rate,
            "acknowledge": self.acknowledge,
            "snooze": self.snooze,
            "test-alert": self.test_alert,
        }

    def snapshot(self, command: Snapshot) -> CommandResult:
        name = command.camera
        if not self._camera(name).images:
            do = f"set cameras.{name}.images = true in the configuration of the device"
            wanted = "a camera whose pictures may be sent"
            raise CommandRejected(f"camera {name}", got="images = false", wanted=wanted, do=do)
        grabbed = self.grabber.grab(name, GRAB_TIMEOUT_S)
        if grabbed is None:
            state = self._hub.states[name]
            got = f"no frame for {GRAB_TIMEOUT_S:g} s, camera {state.phase} {state.reason}".strip()
            raise CommandRejected(f"camera {name}", got=got, wanted="a camera that gives frames", do="see its status")
        image = self._pictures.frame(grabbed) if command.annotated else grabbed.image
        facts = {key: grabbed.poses[key] for key in ("camera", "frame", "seq", "ts")}
        return CommandResult(data={**facts, **self._publish(SNAPSHOT, name, image), "annotated": command.annotated})

    def day(self, command: Day) -> CommandResult:
        """A stall's day as a drawing, which shows no image of the stall."""
        name = command.camera
        days = {day.date: day for day in self._days_of(name)}
        if not days:
            stalls = ", ".join(stall for stall, camera in self._cameras.items() if camera.stall.enabled)
            wanted = f"one with days: {stalls or 'none'}"
            raise CommandRejected("camera", got=ascii(name), wanted=wanted, do="name one, or wait")
        date = command.date or max(days)
        if date not in days:
            wanted = f"one of {', '.join(days)}"
            raise CommandRejected("date", got=ascii(date), wanted=wanted, do="name one of these")
        image = self._pictures.day(name, days[date])
        return CommandResult(data={"camera": name, "date": date, **self._publish(DAY, name, image)})

    def evidence(self, command: Evidence) -> CommandResult:
        """The still or the clip of an alert, once more."""
        do = "see `evidence.enabled`, the camera's `images`, and whether it is too old"
        path = None if self._evidence is None else self._evidence.path(command.alert_id, command.part)
        camera = None if self._evidence is None else self._evidence.camera(command.alert_id)
        if path is None or camera is None:
            got = f"none of {command.alert_id!a}"
            raise CommandRejected(command.part, got=got, wanted="an alert that has one", do=do)
        if camera not in self._cameras or not self._cameras[camera].images:
            raise CommandRejected(f"camera {camera}", got="images = false", wanted="pictures that may be sent", do=do)
        content = path.read_bytes()
        spec = ALERT_STILL if command.part == "still" else ALERT_CLIP
        self._bus.publish(spec.at(camera=camera, alert_id=command.alert_id), content)
        facts = {"alert_id": command.alert_id, "camera": camera, "part": command.part, "bytes": len(content)}
        return CommandResult(data=facts)

    def restart_camera(self, command: RestartCamera) -> CommandResult:
        self._camera(command.camera)
        self._hub.restart(command.camera)
        return CommandResult()

    def set_rate(self, command: SetRate) -> CommandResult:
        if command.camera is not None:
            self._camera(command.camera)
        names = [command.camera] if command.camera is not None else list(self._cameras)
        self._publisher.set_rate(names, command.hz, command.seconds)
        until_ts = None if command.seconds is None else self._headers.utc_ms(monotonic_ns() + ns(command.seconds))
        return CommandResult(data={"cameras": names, "hz": command.hz, "until_ts": until_ts})

    def acknowledge(self, command: Acknowledge) -> CommandResult:
        _check_one_named(command)
        if command.camera is not None:
            self._camera(command.camera)
            return CommandResult(data={"alert_ids": self._alerts.acknowledge_all(command.camera, monotonic_ns())})
        found = self._alerts.acknowledge(str(command.alert_id), monotonic_ns())
        return _alert_result(str(command.alert_id), found)

    def snooze(self, command: Snooze) -> CommandResult:
        _check_one_named(command)
        if command.camera is not None:
            self._camera(command.camera)
            found = self._alerts.snooze_all(command.camera, command.minutes, monotonic_ns())
            return CommandResult(data={"alert_ids": found})
        alert_id = str(command.alert_id)
        return _alert_result(alert_id, self._alerts.snooze(alert_id, command.minutes, monotonic_ns()))

    def test_alert(self, command: TestAlert) -> CommandResult:
        kinds = alert_kinds(self._camera(command.camera))
        if command.event_type not in kinds:
            wanted = f"one of {', '.join(kinds)}"
            raise CommandRejected("event_type", got=ascii(command.event_type), wanted=wanted, do="name one of these")
        if not self._camera(command.camera).alerts:
            do = "switch them on, or wait until the profile ends"
            raise CommandRejected(f"camera {command.camera}", got="alerts = false", wanted="its alerts on", do=do)
        alert = self._alerts.test(command.camera, command.event_type, command.seconds, monotonic_ns())
        kind, severity = alert.rule.kind, alert.rule.severity
        facts = {"alert_id": alert.id, "camera": command.camera, "event_type": kind, "severity": severity}
        return CommandResult(data=facts)

    @property
    def _cameras(self) -> Mapping[str, CameraConfig]:
        return self._config().enabled_cameras

    def _hides_people(self, name: str) -> bool:
        return name not in self._cameras or self._cameras[name].hides_people

    def _camera(self, name: str) -> CameraConfig:
        """Raises CommandRejected when there is none of this name."""
        if name not in self._cameras:
            wanted = f"one of {', '.join(self._cameras)}"
            raise CommandRejected("camera", got=ascii(name), wanted=wanted, do="name one of these")
        return self._cameras[name]

    def _publish(self, spec: TopicSpec, camera: str, image: U8) -> dict[str, object]:
        """Send the picture; its size in pixels and bytes."""
        try:
            jpeg, (w, h) = self._pictures.encode(image, self._config().commands.snapshot_max_kb * BYTES_PER_KB)
        except NotWritten as exc:
            do = "raise commands.snapshot_max_kb in the configuration of the device"
            raise CommandRejected("picture", got=str(exc), wanted="a smaller one", do=do) from exc
        self._bus.publish(spec.at(camera=camera), jpeg)
        return {"image": {"w": w, "h": h}, "bytes": len(jpeg)}


def _check_one_named(command: Acknowledge | Snooze) -> None:
    """Raises CommandRejected unless it names either an alert or a camera."""
    if (command.alert_id is None) == (command.camera is None):
        got = "neither" if command.camera is None else "both"
        raise CommandRejected("alert_id, camera", got=got, wanted="one of the two", do="name an alert or a camera")


def _alert_result(alert_id: str, found: bool) -> CommandResult:
    if not found:
        do = "see `alert_ids` in the camera's state"
        raise CommandRejected("alert_id", got=ascii(alert_id), wanted="that of an open alert", do=do)
    return CommandResult(data={"alert_ids": [alert_id]})
