"""Actions for a camera that stays offline although it is opened again and again.

Upstream: the watchdog, with the cameras offline and online. Downstream: units of systemd, run as root (deploy/systemd),
and `health`. First the USB port or the Argus service is reset. The device is rebooted only when that did not help, no
camera is online, and the budget allows it. The budget is a count, not a time: a device may boot in 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns

from edged.config.tables.camera import CameraConfig
from edged.config.tables.device import DeviceConfig
from edged.runtime.json_state import JsonState
from edged.units import ns

FIRST_ACTION_S = 60.0  # offline, before the first action; each wait after it is twice as long
MAX_WAIT_S = 3600.0  # longest wait between two actions
TRIES_BEFORE_REBOOT = 3  # actions for a camera that did not help
REFILL_S = 86_400.0  # with a camera online, for one more reboot
# Names of units, without `edged-` and `.service`.
RESET_ARGUS = "reset-argus"
RESET_USB = "reset-usb-"  # and the port
REBOOT = "reset-box"


class RebootBudget:
    """How many reboots are left. `maximum` 0: none, ever. The count survives the reboot, in `state_file`."""

    def __init__(self, maximum: int = 0, state_file: JsonState | None = None) -> None:
        self._maximum = maximum
        self._state_file = state_file
        self.spent = state_file.read(lambda state: max(0, int(state["spent"])), 0) if state_file else 0

    @staticmethod
    def from_config(device: DeviceConfig) -> RebootBudget:
        return RebootBudget(device.max_reboots, JsonState(device.state_dir / "recovery.json", "requested reboots"))

    def spend(self) -> bool:
        """Whether there was one left. It is counted before it is requested."""
        if self.spent >= self._maximum:
            return False
        self._write(self.spent + 1)
        return True

    def refill(self) -> None:
        """One more reboot, up to `maximum`."""
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
    """Decides which actions are due. `port` returns the USB port of a source; None: it has none now."""

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
        self._online_since_ns: int | None = None  # when the first camera came online, or the last refill
        self.last_actions: Mapping[str, str] = {}  # by camera, in words; read by other threads

    def due_actions(self, offline: Mapping[str, CameraConfig], online: Mapping[str, CameraConfig]) -> list[str]:
        """The actions to request now."""
        now_ns, first_ns = self._clock(), ns(FIRST_ACTION_S)
        self._refill(now_ns, any_online=bool(online))
        self._outages = {name: self._outages.get(name) or _Outage(now_ns + first_ns, first_ns) for name in offline}
        actions = {}
        for name in self._due_cameras(now_ns):
            if action := self._action_for(offline[name], online):
                actions[name] = action
        resets_failed = any(self._outages[name].tries >= TRIES_BEFORE_REBOOT for name in actions)
        if resets_failed and not online and self._budget.spend():
            actions = dict.fromkeys(actions, REBOOT)
        last_actions = {name: action for name, action in self.last_actions.items() if name in offline}
        for name, action in actions.items():
            self._outages[name].tries += 1
            last_actions[name] = f"{action}, {self._outages[name].tries} times; {self._budget}"
        self.last_actions = last_actions
        return sorted(set(actions.values()))

    def _due_cameras(self, now_ns: int) -> list[str]:
        """Cameras whose wait is over; their next wait is twice as long."""
        due = [name for name, outage in self._outages.items() if now_ns >= outage.next_ns]
        for name in due:
            outage = self._outages[name]
            outage.wait_ns = min(2 * outage.wait_ns, ns(MAX_WAIT_S))
            outage.next_ns = now_ns + outage.wait_ns
        return due

    def _action_for(self, camera: CameraConfig, online: Mapping[str, CameraConfig]) -> str | None:
        """None: there is none, or it would disturb a camera that is online (Argus serves all of CSI)."""
        if camera.source_kind == "csi":
            argus_works = any(other.source_kind == "csi" for other in online.values())
            return None if argus_works else RESET_ARGUS
        if camera.source_kind == "v4l2":
            port = self._port(camera.source.reveal())
            return None if port is None else RESET_USB + port
        return None

    def _refill(self, now_ns: int, *, any_online: bool) -> None:
        if not any_online:
            self._online_since_ns = None
        elif self._online_since_ns is None:
            self._online_since_ns = now_ns
        elif now_ns - self._online_since_ns >= ns(REFILL_S):
            self._budget.refill()
            self._online_since_ns = now_ns
