"""Publishes Home Assistant discovery: at start, and after each restart of Home Assistant.

What is gone since is removed there: a camera by an empty payload, one entity by a component with its platform alone.
A topic is forgotten once the broker has its empty payload.
Upstream: the configuration. Downstream: the bus, which repeats retained messages on every connect.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edged.messages.bus import Bus, Request
from edged.messages.topics import Topic
from edged.mqtt.homeassistant_entities import SEPARATOR, Body
from edged.mqtt.homeassistant_payloads import BIRTH, DISCOVERY, DiscoveryDevice
from edged.runtime.json_state import JsonState
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

Announced = dict[str, dict[str, str]]  # platforms by component, by topic

BIRTH_DELAY_S = (1.0, 5.0)  # random within, after a restart of Home Assistant: it needs time, and devices spread out


class DiscoveryPublisher:
    """`announced_file` has what was published and is not removed: topics, and each component of those in use."""

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
        self._lock = threading.RLock()  # of that file
        self._birth_delay_s = birth_delay_s
        self._payloads: dict[Topic, Body] = {}
        self.delayed: SupervisedThread | None = None  # publishes once, after a restart of Home Assistant
        self.reconfigure(device, enabled=enabled)

    def reconfigure(self, device: DiscoveryDevice, *, enabled: bool) -> None:
        """Take another configuration; `start` publishes it."""
        self._device = device
        self._enabled = enabled

    def start(self) -> None:
        """Publish all payloads, and an empty one for each topic that is no longer in use."""
        payloads = self._device.payloads() if self._enabled else {}
        with self._lock:
            before = self._read(payloads)
            self._payloads = {
                topic: _with_removals(body, before.get(topic.path, {})) for topic, body in payloads.items()
            }
            now = {topic.path: _platforms(body) for topic, body in self._payloads.items()}
            gone = before.keys() - now.keys()
            self._announced.write({path: before[path] for path in gone} | now)
        self._remove(path for path in gone if _box(path) == self._device.id)
        if self._enabled:
            self._publish_all()
            self._bus.subscribe(BIRTH.at(prefix=self._device.prefix), self._on_birth)

    def remove_former(self, device: str) -> None:
        """Remove what was announced under a former id of this device and is not in use. Thread: any."""
        with self._lock:
            announced = self._read()
            gone = announced.keys() - {topic.path for topic in self._payloads}
        self._remove(path for path in gone if _box(path) == device)

    def _read(self, payloads: Mapping[Topic, Body] | None = None) -> Announced:
        """What the file has; under the lock. `payloads` have the components that old files do not list."""
        return self._announced.read(lambda table: _announced(table, payloads or {}), Announced())

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._bus.publish(Topic(path=path, spec=DISCOVERY), b"", on_published=partial(self._forget, path))

    def _forget(self, path: str) -> None:
        """The broker has its empty payload, unless it is in use again."""
        with self._lock:
            announced = self._read()
            if path not in {topic.path for topic in self._payloads} and announced.pop(path, None) is not None:
                self._announced.write(announced)

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
        for topic, body in self._payloads.items():
            self._bus.publish(topic, body)


def _box(path: str) -> str:
    """The device id in a topic of discovery: see `DISCOVERY`."""
    return path.rsplit("/", 3)[1] if path.count("/") > 3 else ""


def _platforms(payload: Body) -> dict[str, str]:
    return {key: component["platform"] for key, component in payload["components"].items()}


def _with_removals(payload: Body, before: Mapping[str, str]) -> Body:
    """The payload with a component of its platform alone for each that is gone. They come first: they free names."""
    removals = {key: {"platform": platform} for key, platform in before.items() if key not in payload["components"]}
    return {**payload, "components": {**removals, **payload["components"]}}


def _announced(table: Any, payloads: Mapping[Topic, Body]) -> Announced:
    """A state file. Those of 0.1.0's development versions list topics, and their keys were joined with `_`."""
    if isinstance(table, dict):
        return {path: {key: str(platform) for key, platform in keys.items()} for path, keys in table.items()}
    old = {
        topic.path: {key.replace(SEPARATOR, "_"): platform for key, platform in _platforms(body).items()}
        for topic, body in payloads.items()
    }
    return {path: old.get(path, {}) for path in table}
