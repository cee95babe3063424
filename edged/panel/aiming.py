"""A technician aims a camera whose pictures are otherwise not shown: for ten minutes, and announced in `info`."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

from edged.units import NS_PER_S, S_PER_MIN, ns

AIMING_S = 10 * S_PER_MIN  # that a technician may see a camera whose pictures are off


class Aiming:
    """`announced` gets the end (UTC, ms) of each session by camera; `announce` publishes it. Thread: any."""

    def __init__(
        self,
        announced: dict[str, int],
        announce: Callable[[], None],
        utc_ms: Callable[[int], int],
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._announced = announced
        self._announce = announce
        self._utc_ms = utc_ms
        self._clock = clock
        self._until_ns: dict[str, int] = {}

    def begin(self, camera: str) -> None:
        """Ten minutes from now on."""
        self._until_ns[camera] = self._clock() + ns(AIMING_S)
        self._announced[camera] = self._utc_ms(self._until_ns[camera])
        self._announce()

    def end(self, camera: str) -> None:
        if self._until_ns.pop(camera, None) is not None:
            self._announced.pop(camera, None)
            self._announce()

    def holds(self, camera: str) -> bool:
        return self._clock() < self._until_ns.get(camera, 0)

    def left_s(self, camera: str) -> int:
        """Seconds to the end; 0: no session."""
        return max(0, self._until_ns.get(camera, 0) - self._clock()) // NS_PER_S

    def expire(self) -> None:
        """End what is over."""
        for camera in [camera for camera in self._until_ns if not self.holds(camera)]:
            self.end(camera)
