"""What each command does. A deed returns what its answer says, or raises `Declined`.

Upstream `control`, in its thread. Downstream the parts of the daemon, which let other threads in at these places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic_ns

from edged import config
from edged.bus.message import Stamps
from edged.bus.topics import SNAPSHOT
from edged.capture import Intake
from edged.config import Config
from edged.contract.commands import Acknowledge, RestartCamera, SetRate, Snapshot, Snooze
from edged.control.control import Deed, Done
from edged.control.still import Still, Stills
from edged.errors import Declined, NotWritten
from edged.frame import U8
from edged.ports import Bus
from edged.report import Reporter
from edged.units import BYTES_PER_KB, ns
from edged.watching.alerts import Alerts

STILL_S = 5.0  # longest wait for a frame to show

Draw = Callable[[Still], U8]
Encode = Callable[[U8, int], tuple[bytes, tuple[int, int]]]  # to so many bytes at most; with width and height


class Deeds:
    """`settings` is the configuration in effect; `draw` and `encode` make pictures."""

    def __init__(
        self,
        *,
        settings: Callable[[], Config],
        bus: Bus,
        stamps: Stamps,
        intake: Intake,
        reporter: Reporter,
        alerts: Alerts,
        draw: Draw,
        encode: Encode,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._stamps = stamps
        self._intake = intake
        self._reporter = reporter
        self._alerts = alerts
        self._draw = draw
        self._encode = encode
        self.stills = Stills(reporter.published, reporter.hurry)

    @property
    def table(self) -> Mapping[str, Deed]:
        return {
            "snapshot": self.snapshot,
            "restart-camera": self.restart_camera,
            "set-rate": self.set_rate,
            "acknowledge": self.acknowledge,
            "snooze": self.snooze,
        }

    def snapshot(self, command: Snapshot) -> Done:
        name = command.camera
        if not self._camera(name).images:
            do = f"set cameras.{name}.images = true in the configuration of the box"
            raise Declined(f"camera {name}", got="images = false", wanted="a camera whose pictures may be sent", do=do)
        still = self.stills.ask(name, STILL_S)
        if still is None:
            state = self._intake.states[name]
            got = f"no frame for {STILL_S:g} s, camera {state.phase} {state.reason}".strip()
            raise Declined(f"camera {name}", got=got, wanted="a camera that gives frames", do="see its status")
        image = self._draw(still) if command.annotated else still.image
        return Done(data=self._show(name, still, image) | {"annotated": command.annotated})

    def restart_camera(self, command: RestartCamera) -> Done:
        self._camera(command.camera)
        self._intake.restart(command.camera)
        return Done()

    def set_rate(self, command: SetRate) -> Done:
        if command.camera is not None:
            self._camera(command.camera)
        names = [command.camera] if command.camera is not None else list(self._settings().in_use)
        self._reporter.set_rate(names, command.hz, command.seconds)
        until = None if command.seconds is None else self._stamps.utc_ms(monotonic_ns() + ns(command.seconds))
        return Done(data={"cameras": names, "hz": command.hz, "until": until})

    def acknowledge(self, command: Acknowledge) -> Done:
        return _found(command.alert, self._alerts.acknowledge(command.alert, monotonic_ns()))

    def snooze(self, command: Snooze) -> Done:
        return _found(command.alert, self._alerts.snooze(command.alert, command.minutes, monotonic_ns()))

    def _camera(self, name: str) -> config.Camera:
        cameras = self._settings().in_use
        if name not in cameras:
            raise Declined("camera", got=ascii(name), wanted=f"one of {', '.join(cameras)}", do="name one of these")
        return cameras[name]

    def _show(self, name: str, still: Still, image: U8) -> dict[str, object]:
        """Send the picture; return what it shows: the frame of the poses message of this `seq`."""
        try:
            picture, (w, h) = self._encode(image, self._settings().commands.snapshot_kb * BYTES_PER_KB)
        except NotWritten as exc:
            do = "raise commands.snapshot_kb in the configuration of the box"
            raise Declined("picture", got=str(exc), wanted="a smaller one", do=do) from exc
        self._bus.publish(SNAPSHOT.at(camera=name), picture)
        facts = {key: still.poses[key] for key in ("camera", "frame", "seq", "ts")}
        return {**facts, "image": {"w": w, "h": h}, "bytes": len(picture)}


def _found(alert: str, found: bool) -> Done:
    if not found:
        raise Declined("alert", got=ascii(alert), wanted="an open one", do="see `alerts` in the camera's state")
    return Done()
