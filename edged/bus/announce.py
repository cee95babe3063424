"""Keeps Home Assistant informed of what there is: announced at start, again when it starts, removed when gone.

Upstream: the appliance as configured. Downstream: the bus, which repeats retained messages on every connect.
"""

from __future__ import annotations

import logging
import random
import threading
from pathlib import Path

from edged.bus.discovery import BIRTH, DISCOVERY, Appliance
from edged.bus.topics import Topic
from edged.memory import Memory
from edged.ports import Bus, Request

log = logging.getLogger(__name__)

SETTLE_S = (1.0, 5.0)  # a Home Assistant that has just started is given so long, and not by all boxes at once


class Announcer:
    """`memory` lists what was announced, so that a camera taken out of the configuration goes there too."""

    def __init__(self, bus: Bus, appliance: Appliance, memory: Path, *, enabled: bool) -> None:
        self._bus = bus
        self._memory = Memory(memory, "announcements to Home Assistant")
        self._timer: threading.Timer | None = None
        self.adopt(appliance, enabled=enabled)

    def adopt(self, appliance: Appliance, *, enabled: bool) -> None:
        """What there is from now on; `start` tells it."""
        self._appliance = appliance
        self._enabled = enabled

    def start(self) -> None:
        wanted = self._appliance.announcements() if self._enabled else {}
        nothing: set[str] = set()
        for path in self._memory.read(_paths, nothing) - {topic.path for topic in wanted}:
            self._bus.publish(Topic(path=path, channel=DISCOVERY), b"")
        self._memory.write(sorted(topic.path for topic in wanted))
        if self._enabled:
            self._announce()
            self._bus.listen(BIRTH.at(prefix=self._appliance.prefix), self._born)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _born(self, request: Request) -> None:
        if self._enabled and request.payload == b"online":
            self.close()
            self._timer = threading.Timer(random.uniform(*SETTLE_S), self._announce)  # noqa: S311  a delay, no secret
            self._timer.daemon = True
            self._timer.start()

    def _announce(self) -> None:
        for topic, body in self._appliance.announcements().items():
            self._bus.publish(topic, body)


def _paths(told: list[str]) -> set[str]:
    return set(told)
