"""Simulated boxes, a few hundred to a process: the daemon's own bus and messages, without cameras.

Each has one camera with one horse in front of it. Four of five messages are poses, the fifth is a state, which goes
through the store as on a box; but the store is in memory, as 500 boxes do not share a disk.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal

from edged.behaviour.messages import state_message
from edged.behaviour.types import SceneState
from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.mqtt.send_queue import DeliveryCounts
from edged.runtime.clock import Clock
from edged.units import NS_PER_S
from tools.mqtt_bench import result

CAMERA = "stall1"
EVERY = 5  # messages, of which the last is a state
PATIENCE_S = 120.0  # for all to connect, or to have sent what waits

Kind = Literal["poses", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the boxes of one process do."""

    broker: MqttConfig
    passwords: dict[str, str]  # of each box
    rate_hz: float  # messages of each box
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of it."""

    posted: dict[Kind, int]
    tally: DeliveryCounts  # of all boxes
    cpu_s: float  # of all boxes, while publishing
    late_s: float  # behind schedule at the end


class Boxes:
    """One process of boxes. Call in this order: `connected`, `publish`, `sent`, `back`, `close`."""

    def __init__(self, load: Load) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(load, theirs), daemon=True)
        self._process.start()

    def connected(self) -> None:
        self._pipe.recv()

    def publish(self, start_s: float) -> None:
        """Begin at this instant of the monotonic clock."""
        self._pipe.send(start_s)

    def sent(self) -> Sent:
        """When nothing waits any more."""
        sent: Sent = self._pipe.recv()
        return sent

    def back(self) -> None:
        """When all are connected again, to a broker that was away since."""
        self._pipe.recv()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join(PATIENCE_S)


def _run(load: Load, parent: Connection) -> None:
    logging.disable(logging.WARNING)  # hundreds would say the same
    stamps = HeaderFactory(Clock())
    buses = [_bus(load.broker, name, password, stamps) for name, password in load.passwords.items()]
    _until_all(buses, lambda bus: bus.connected and bus.counts.waiting == 0)
    parent.send(None)
    start_s = parent.recv()
    before = sum((bus.counts for bus in buses), DeliveryCounts())
    cpu_s = time.process_time()
    posted = _publish(buses, stamps, load, start_s)
    cpu_s = time.process_time() - cpu_s
    late_s = time.monotonic() - start_s - load.seconds
    _until_all(buses, lambda bus: bus.counts.waiting == 0)
    after = sum((bus.counts for bus in buses), DeliveryCounts())
    parent.send(Sent(posted=posted, tally=_difference(before, after), cpu_s=cpu_s, late_s=late_s))
    _until_all(buses, lambda bus: bus.connected and bus.stats["reconnects"] > 0)
    parent.send(None)
    parent.recv()
    for bus in buses:
        bus.close()


def _bus(broker: MqttConfig, name: str, password: str, headers: HeaderFactory) -> MqttBus:
    own = MqttConfig.model_validate({**broker.model_dump(), "username": name, "password": password})
    return MqttBus(own, name, partial(build.device_status, headers), PublishConfig())


def _publish(buses: Sequence[MqttBus], headers: HeaderFactory, load: Load, start_s: float) -> dict[Kind, int]:
    """One box after the other, evenly over time."""
    poses = build.poses(headers, result(CAMERA, 1))
    situation = SceneState(view="ok", degraded=(), counts={"horse": 1}, since_ns=time.monotonic_ns())
    bodies: dict[Kind, Any] = {"poses": poses, "state": state_message(headers, CAMERA, situation, ())}
    channels = {"poses": topics.POSES.at(camera=CAMERA), "state": topics.STATE.at(camera=CAMERA)}
    posted: dict[Kind, int] = {"poses": 0, "state": 0}
    for turn in range(round(load.rate_hz * load.seconds) * len(buses)):
        time.sleep(max(0.0, start_s + turn / (load.rate_hz * len(buses)) - time.monotonic()))
        number, box = divmod(turn, len(buses))
        kind: Kind = "state" if (number + box) % EVERY == EVERY - 1 else "poses"  # not all boxes at once
        body = {"sent_ns": time.monotonic_ns(), "n": number, **bodies[kind]}
        buses[box].publish(channels[kind], body)
        posted[kind] += 1
    return posted


def _until_all(buses: Sequence[MqttBus], ready: Callable[[MqttBus], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not all(ready(bus) for bus in buses):
        if time.monotonic() > end_s:
            sys.exit(f"{sum(not ready(bus) for bus in buses)} of {len(buses)} boxes: waited {PATIENCE_S:g} s in vain")
        time.sleep(0.05)


def _difference(before: DeliveryCounts, after: DeliveryCounts) -> DeliveryCounts:
    fields = DeliveryCounts.__slots__
    return DeliveryCounts(**{name: getattr(after, name) - getattr(before, name) for name in fields})


def in_s(seconds: float) -> int:
    """That many seconds in nanoseconds of the monotonic clock."""
    return round(seconds * NS_PER_S)
