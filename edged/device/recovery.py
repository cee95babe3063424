"""A camera that stays away although it is opened again and again: what is asked of root then, and how often.

Upstream: the cameras that give nothing, at every look. Downstream: systemd, whose units do it (deploy/systemd), and
health, which says so. A driver or Argus is restarted first; the box itself only when that did not help, no camera at
all is left to lose, and its budget allows it. The budget is a count, not a clock: boxes boot in 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns

from edged.config.tables.camera import CameraConfig
from edged.config.tables.device import DeviceConfig
from edged.runtime.json_state import JsonState
from edged.units import ns

FIRST_ACTION_S = 60.0  # away for so long, before anything is asked; from there the waits double
MAX_WAIT_S = 3600.0
TRIES_BEFORE_REBOOT = 3  # of the smaller remedy, before the box
REFILL_S = 86_400.0  # with a camera online, and one more reboot may be asked for
RESET_ARGUS = "reset-argus"
RESET_USB = "reset-usb-"  # and the port
REBOOT = "reset-box"


class RebootBudget:
    """Reboots that may still be asked for. `most` 0: none, ever. What was spent survives the reboot."""

    def __init__(self, maximum: int = 0, state_file: JsonState | None = None) -> None:
        self._maximum = maximum
        self._state_file = state_file
        self.spent = state_file.read(lambda kept: max(0, int(kept["spent"])), 0) if state_file else 0

    @staticmethod
    def from_config(device: DeviceConfig) -> RebootBudget:
        return RebootBudget(device.max_reboots, JsonState(device.state_dir / "rescue.json", "reboots asked for"))

    def spend(self) -> bool:
        """Whether there was one left; it counts before it is asked for."""
        if self.spent >= self._maximum:
            return False
        self._write(self.spent + 1)
        return True

    def refill(self) -> None:
        if self.spent:
            self._write(self.spent - 1)

    def __str__(self) -> str:
        return f"{self.spent} of {self._maximum} reboots spent"

    def _write(self, spent: int) -> None:
        self.spent = spent
        if self._state_file is not None:
            self._state_file.write({"spent": spent})


@dataclass(slots=True)
class _Outage:
    next_ns: int
    wait_ns: int
    tries: int = 0


class CameraRecovery:
    """`port` is where a source is plugged into USB; None: it is not, or not any more."""

    def __init__(
        self,
        port: Callable[[str], str | None],
        clock: Callable[[], int] = monotonic_ns,
        budget: RebootBudget | None = None,
    ) -> None:
        self._port = port
        self._clock = clock
        self._budget = budget or RebootBudget()
        self._outages: dict[str, _Outage] = {}
        self._online_since_ns: int | None = None  # since when a camera has been online, or the last refill
        self.last_actions: Mapping[str, str] = {}  # by camera: what was asked for last; read by other threads

    def due_actions(self, offline: Mapping[str, CameraConfig], online: Mapping[str, CameraConfig]) -> list[str]:
        """What is to be asked now."""
        now_ns, first_ns = self._clock(), ns(FIRST_ACTION_S)
        self._refill(now_ns, any_online=bool(online))
        self._outages = {name: self._outages.get(name) or _Outage(now_ns + first_ns, first_ns) for name in offline}
        remedies = {name: self._action_for(offline[name], online) for name in self._due_cameras(now_ns)}
        worn = any(remedy and self._outages[name].tries >= TRIES_BEFORE_REBOOT for name, remedy in remedies.items())
        if worn and not online and self._budget.spend():
            remedies = {name: remedy and REBOOT for name, remedy in remedies.items()}
        told = {name: said for name, said in self.last_actions.items() if name in offline}
        for name, remedy in remedies.items():
            if remedy:
                self._outages[name].tries += 1
                told[name] = f"{remedy}, {self._outages[name].tries} times; {self._budget}"
        self.last_actions = told
        return sorted({remedy for remedy in remedies.values() if remedy})

    def _due_cameras(self, now_ns: int) -> list[str]:
        """Cameras that have been away for as long as they may; the next time is twice as long."""
        late = [name for name, waits in self._outages.items() if now_ns >= waits.next_ns]
        for waits in map(self._outages.__getitem__, late):
            waits.wait_ns = min(2 * waits.wait_ns, ns(MAX_WAIT_S))
            waits.next_ns = now_ns + waits.wait_ns
        return late

    def _action_for(self, camera: CameraConfig, online: Mapping[str, CameraConfig]) -> str | None:
        """No camera that is well pays for it: Argus serves all of CSI."""
        if camera.source_kind == "csi":
            argus_lives = any(other.source_kind == "csi" for other in online.values())
            return None if argus_lives else RESET_ARGUS
        port = self._port(camera.source) if camera.source_kind == "v4l2" else None
        return port and RESET_USB + port

    def _refill(self, now_ns: int, *, any_online: bool) -> None:
        if not any_online:
            self._online_since_ns = None
        elif self._online_since_ns is None:
            self._online_since_ns = now_ns
        elif now_ns - self._online_since_ns >= ns(REFILL_S):
            self._budget.refill()
            self._online_since_ns = now_ns
