"""Publishes Home Assistant discovery: at start, after each restart of Home Assistant, and empty for removed cameras.

Upstream: the configuration. Downstream: the bus, which repeats retained messages on every connect.
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

BIRTH_DELAY_S = (1.0, 5.0)  # random within, after a restart of Home Assistant: it needs time, and devices spread out


class DiscoveryPublisher:
    """`announced_file` lists the published topics, so that a removed camera is removed from Home Assistant too."""

    def __init__(
        self,
        bus: Bus,
        device: DiscoveryDevice,
        announced_file: Path,
        *,
        enabled: bool,
        birth_delay_s: tuple[float, float] = BIRTH_DELAY_S,
    ) -> None:
        self._bus = bus
        self._announced = JsonState(announced_file, "announcements to Home Assistant")
        self._birth_delay_s = birth_delay_s
        self.delayed: SupervisedThread | None = None  # publishes once, after a restart of Home Assistant
        self.reconfigure(device, enabled=enabled)

    def reconfigure(self, device: DiscoveryDevice, *, enabled: bool) -> None:
        """Take another configuration; `start` publishes it."""
        self._device = device
        self._enabled = enabled

    def start(self) -> None:
        """Publish all payloads, and an empty one for each topic that is no longer in use."""
        payloads = self._device.payloads() if self._enabled else {}
        none: set[str] = set()
        for path in self._announced.read(_paths, none) - {topic.path for topic in payloads}:
            self._bus.publish(Topic(path=path, spec=DISCOVERY), b"")
        self._announced.write(sorted(topic.path for topic in payloads))
        if self._enabled:
            self._publish_all()
            self._bus.subscribe(BIRTH.at(prefix=self._device.prefix), self._on_birth)

    def close(self) -> None:
        if self.delayed is not None:
            self.delayed.stop()

    def _on_birth(self, request: Request) -> None:
        if self._enabled and request.payload == b"online":
            self.close()
            delay_s = random.uniform(*self._birth_delay_s)  # noqa: S311  a delay, no secret
            self.delayed = SupervisedThread("discovery", self._publish_all, first_s=delay_s)
            self.delayed.start()

    def _publish_all(self) -> None:
        for topic, body in self._device.payloads().items():
            self._bus.publish(topic, body)


def _paths(paths: list[str]) -> set[str]:
    return set(paths)
