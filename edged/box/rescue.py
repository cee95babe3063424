"""A camera that stays away although it is opened again and again: what is asked of root then, and how often.

Upstream: the cameras that give nothing, at every look. Downstream: systemd, whose units do it (deploy/systemd), and
health, which says so. A driver or Argus is restarted first; the box itself only when that did not help, no camera at
all is left to lose, and its budget allows it. The budget is a count, not a clock: boxes boot in 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns

from edged.config import Camera, Device
from edged.memory import Memory
from edged.units import ns

FIRST_S = 60.0  # away for so long, before anything is asked; from there the waits double
MOST_S = 3600.0
TRIES = 3  # of the smaller remedy, before the box
REFILL_S = 86_400.0  # with a camera online, and one more reboot may be asked for
ARGUS = "reset-argus"
USB = "reset-usb-"  # and the port
BOX = "reset-box"


class Budget:
    """Reboots that may still be asked for. `most` 0: none, ever. What was spent survives the reboot."""

    def __init__(self, most: int = 0, memory: Memory | None = None) -> None:
        self._most = most
        self._memory = memory
        self.spent = memory.read(lambda kept: max(0, int(kept["spent"])), 0) if memory else 0

    @staticmethod
    def of(device: Device) -> Budget:
        return Budget(device.reboots, Memory(device.state / "rescue.json", "reboots asked for"))

    def spend(self) -> bool:
        """Whether there was one left; it counts before it is asked for."""
        if self.spent >= self._most:
            return False
        self._write(self.spent + 1)
        return True

    def refill(self) -> None:
        if self.spent:
            self._write(self.spent - 1)

    def __str__(self) -> str:
        return f"{self.spent} of {self._most} reboots spent"

    def _write(self, spent: int) -> None:
        self.spent = spent
        if self._memory is not None:
            self._memory.write({"spent": spent})


@dataclass(slots=True)
class _Away:
    next_ns: int
    wait_ns: int
    tries: int = 0


class Rescue:
    """`port` is where a source is plugged into USB; None: it is not, or not any more."""

    def __init__(
        self,
        port: Callable[[str], str | None],
        clock: Callable[[], int] = monotonic_ns,
        budget: Budget | None = None,
    ) -> None:
        self._port = port
        self._clock = clock
        self._budget = budget or Budget()
        self._away: dict[str, _Away] = {}
        self._well_ns: int | None = None  # since when a camera has been online, or the last refill
        self.told: Mapping[str, str] = {}  # by camera: what was asked for last; read by other threads

    def due(self, away: Mapping[str, Camera], well: Mapping[str, Camera]) -> list[str]:
        """What is to be asked now."""
        now_ns, first_ns = self._clock(), ns(FIRST_S)
        self._refill(now_ns, well=bool(well))
        self._away = {name: self._away.get(name) or _Away(now_ns + first_ns, first_ns) for name in away}
        remedies = {name: self._remedy(away[name], well) for name in self._late(now_ns)}
        worn = any(remedy and self._away[name].tries >= TRIES for name, remedy in remedies.items())
        if worn and not well and self._budget.spend():
            remedies = {name: remedy and BOX for name, remedy in remedies.items()}
        told = {name: said for name, said in self.told.items() if name in away}
        for name, remedy in remedies.items():
            if remedy:
                self._away[name].tries += 1
                told[name] = f"{remedy}, {self._away[name].tries} times; {self._budget}"
        self.told = told
        return sorted({remedy for remedy in remedies.values() if remedy})

    def _late(self, now_ns: int) -> list[str]:
        """Cameras that have been away for as long as they may; the next time is twice as long."""
        late = [name for name, waits in self._away.items() if now_ns >= waits.next_ns]
        for waits in map(self._away.__getitem__, late):
            waits.wait_ns = min(2 * waits.wait_ns, ns(MOST_S))
            waits.next_ns = now_ns + waits.wait_ns
        return late

    def _remedy(self, camera: Camera, well: Mapping[str, Camera]) -> str | None:
        """No camera that is well pays for it: Argus serves all of CSI."""
        if camera.kind == "csi":
            argus_lives = any(other.kind == "csi" for other in well.values())
            return None if argus_lives else ARGUS
        port = self._port(camera.source) if camera.kind == "v4l2" else None
        return port and USB + port

    def _refill(self, now_ns: int, *, well: bool) -> None:
        if not well:
            self._well_ns = None
        elif self._well_ns is None:
            self._well_ns = now_ns
        elif now_ns - self._well_ns >= ns(REFILL_S):
            self._budget.refill()
            self._well_ns = now_ns
