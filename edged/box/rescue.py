"""A camera that stays away although it is opened again and again: what is asked of root then, and how often. Pure.

Upstream: the cameras that give nothing, at every look. Downstream: systemd, whose units do it (deploy/systemd).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic_ns

from edged.config import Camera
from edged.units import ns

FIRST_S = 60.0  # away for so long, before anything is asked; from there the waits double
MOST_S = 3600.0
ARGUS = "reset-argus"
USB = "reset-usb-"  # and the port


@dataclass(slots=True)
class _Away:
    next_ns: int
    wait_ns: int


class Rescue:
    """`port` is where a source is plugged into USB; None: it is not, or not any more."""

    def __init__(self, port: Callable[[str], str | None], clock: Callable[[], int] = monotonic_ns) -> None:
        self._port = port
        self._clock = clock
        self._away: dict[str, _Away] = {}

    def due(self, away: Mapping[str, Camera], well: Mapping[str, Camera]) -> list[str]:
        """What is to be asked now."""
        now_ns, first_ns = self._clock(), ns(FIRST_S)
        self._away = {name: self._away.get(name) or _Away(now_ns + first_ns, first_ns) for name in away}
        late = [name for name, waits in self._away.items() if now_ns >= waits.next_ns]
        for waits in map(self._away.__getitem__, late):
            waits.wait_ns = min(2 * waits.wait_ns, ns(MOST_S))
            waits.next_ns = now_ns + waits.wait_ns
        argus_lives = any(camera.kind == "csi" for camera in well.values())
        remedies = (self._remedy(away[name], argus_lives=argus_lives) for name in late)
        return sorted({remedy for remedy in remedies if remedy})

    def _remedy(self, camera: Camera, *, argus_lives: bool) -> str | None:
        """No camera that is well pays for it: Argus serves all of CSI."""
        if camera.kind == "csi":
            return None if argus_lives else ARGUS
        port = self._port(camera.source) if camera.kind == "v4l2" else None
        return port and USB + port
