"""Keeps Home Assistant informed of what there is: announced at start, again when it starts, removed when gone.

Upstream: the appliance as configured. Downstream: the bus, which repeats retained messages on every connect.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

from edged.messages.bus import Bus, Request
from edged.messages.topics import Topic
from edged.mqtt.homeassistant_entities import BIRTH, DISCOVERY, DiscoveryDevice
from edged.runtime.json_state import JsonState
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

BIRTH_DELAY_S = (1.0, 5.0)  # a Home Assistant that has just started is given so long, and not by all boxes at once


class DiscoveryPublisher:
    """`memory` lists what was announced, so that a camera taken out of the configuration goes there too."""

    def __init__(self, bus: Bus, device: DiscoveryDevice, announced_file: Path, *, enabled: bool) -> None:
        self._bus = bus
        self._announced = JsonState(announced_file, "announcements to Home Assistant")
        self.delayed: SupervisedThread | None = None  # until Home Assistant has settled
        self.reconfigure(device, enabled=enabled)

    def reconfigure(self, device: DiscoveryDevice, *, enabled: bool) -> None:
        """What there is from now on; `start` tells it."""
        self._device = device
        self._enabled = enabled

    def start(self) -> None:
        wanted = self._device.payloads() if self._enabled else {}
        nothing: set[str] = set()
        for path in self._announced.read(_paths, nothing) - {topic.path for topic in wanted}:
            self._bus.publish(Topic(path=path, spec=DISCOVERY), b"")
        self._announced.write(sorted(topic.path for topic in wanted))
        if self._enabled:
            self._publish_all()
            self._bus.subscribe(BIRTH.at(prefix=self._device.prefix), self._on_birth)

    def close(self) -> None:
        if self.delayed is not None:
            self.delayed.stop()

    def _on_birth(self, request: Request) -> None:
        if self._enabled and request.payload == b"online":
            self.close()
            delay_s = random.uniform(*BIRTH_DELAY_S)  # noqa: S311  a delay, no secret
            self.delayed = SupervisedThread("discovery", self._step, first_s=delay_s)
            self.delayed.start()

    def _step(self) -> None:
        self._publish_all()

    def _publish_all(self) -> None:
        for topic, body in self._device.payloads().items():
            self._bus.publish(topic, body)


def _paths(told: list[str]) -> set[str]:
    return set(told)
