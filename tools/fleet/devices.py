"""Simulated devices, a few hundred to a process: the daemon's own bus and messages, without cameras.

Each has one camera that sees one horse. Four of five messages are poses, the fifth is a state, which goes through the
persistent queue as on a device; but the queue is in memory, as 500 devices would not share a disk.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
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
from tools.mqtt_bench import result

CAMERA = "stall1"
STATE_EVERY = 5  # messages, the last is a state
TIMEOUT_S = 600.0  # until all are connected, or have sent everything; a thousand of them take minutes on a busy machine
READER = ("operator", "o-secret")  # who reads all of them

Kind = Literal["poses", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the devices of one process do."""

    broker: MqttConfig
    passwords: dict[str, str]  # by device
    rate_hz: float  # messages per device
    seconds: float
    limit_s: float = TIMEOUT_S  # until all are connected, or have sent everything
    late_s: float = TIMEOUT_S  # behind schedule, from which on nothing more is published


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one process has sent."""

    published: dict[Kind, int]
    counts: DeliveryCounts  # of all devices
    cpu_s: float  # of all devices, while publishing
    late_s: float  # behind schedule at the end


def load_parser(
    tool: str, description: str | None, *, devices: Sequence[int], seconds: float, processes: int
) -> argparse.ArgumentParser:
    """Return a parser of `devices`, `rate_hz`, `seconds` and `processes`, with these defaults."""
    parser = argparse.ArgumentParser(prog=f"python -m {tool}", description=description)
    parser.add_argument("--devices", type=int, nargs="+", default=list(devices), metavar="N")
    parser.add_argument("--rate-hz", type=float, default=5, help="messages per device, every fifth a state with QoS 1")
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--processes", type=int, default=processes, help="processes for the devices")
    return parser


def passwords(count: int) -> dict[str, str]:
    """Return the passwords of so many devices, by device."""
    return {f"box-{number:05d}": f"secret-{number}" for number in range(count)}


class DeviceProcess:
    """One process of devices. Call in this order: `connected`, `publish`, `sent`, `reconnected`, `close`.

    The first four raise RuntimeError when devices take longer than the load's `limit_s`.
    """

    def __init__(self, load: Load) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_end = context.Pipe()
        self._process = context.Process(target=_run, args=(load, child_end), daemon=True)
        self._process.start()

    def connected(self) -> None:
        """Wait until all devices are connected."""
        self._answer()

    def publish(self, start_s: float) -> None:
        """Begin at this time, CLOCK_MONOTONIC in s."""
        self._pipe.send(start_s)

    def sent(self) -> Sent:
        """Wait until all is sent, and return it."""
        sent: Sent = self._answer()
        return sent

    def reconnected(self) -> None:
        """Wait until all are connected again to a broker that was restarted."""
        self._answer()

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join(TIMEOUT_S)

    def kill(self) -> None:
        """In place of `reconnected` and `close`."""
        self._process.kill()
        self._process.join(TIMEOUT_S)

    def _answer(self) -> Any:
        answer = self._pipe.recv()
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


def _run(load: Load, parent: Connection) -> None:
    logging.disable(logging.WARNING)  # hundreds would log the same
    try:
        _live(load, parent)
    except RuntimeError as error:
        parent.send(error)


def _live(load: Load, parent: Connection) -> None:
    """Raises RuntimeError when devices take longer than `limit_s`."""
    headers = HeaderFactory(Clock())
    buses = [_bus(load.broker, name, password, headers) for name, password in load.passwords.items()]
    _until_all(buses, lambda bus: bus.connected and bus.counts.waiting == 0, "connected", load.limit_s)
    parent.send(None)
    start_s = parent.recv()
    before = sum((bus.counts for bus in buses), DeliveryCounts())
    cpu_s = time.process_time()
    published = _publish(buses, headers, load, start_s)
    cpu_s = time.process_time() - cpu_s
    late_s = time.monotonic() - start_s - load.seconds
    _until_all(buses, lambda bus: bus.counts.waiting == 0, "through with their messages", load.limit_s)
    after = sum((bus.counts for bus in buses), DeliveryCounts())
    parent.send(Sent(published=published, counts=_difference(before, after), cpu_s=cpu_s, late_s=late_s))
    _until_all(buses, lambda bus: bus.connected and bus.stats["reconnects"] > 0, "connected again", load.limit_s)
    parent.send(None)
    parent.recv()
    for bus in buses:
        bus.close()


def _bus(broker: MqttConfig, name: str, password: str, headers: HeaderFactory) -> MqttBus:
    own = MqttConfig.model_validate({**broker.model_dump(), "username": name, "password": password})
    return MqttBus(own, name, partial(build.device_status, headers), PublishConfig())


def _publish(buses: Sequence[MqttBus], headers: HeaderFactory, load: Load, start_s: float) -> dict[Kind, int]:
    """Publish from one device after the other, evenly over time."""
    poses = build.poses(headers, result(CAMERA, 1))
    state = SceneState(view="ok", degraded=(), counts={"horse": 1}, since_ns=time.monotonic_ns())
    bodies: dict[Kind, Any] = {"poses": poses, "state": state_message(headers, CAMERA, state, (), state.since_ns)}
    topic_of = {"poses": topics.POSES.at(camera=CAMERA), "state": topics.STATE.at(camera=CAMERA)}
    published: dict[Kind, int] = {"poses": 0, "state": 0}
    for index in range(round(load.rate_hz * load.seconds) * len(buses)):
        ahead_s = start_s + index / (load.rate_hz * len(buses)) - time.monotonic()
        if ahead_s < -load.late_s:
            break
        time.sleep(max(0.0, ahead_s))
        number, device = divmod(index, len(buses))
        kind: Kind = (
            "state" if (number + device) % STATE_EVERY == STATE_EVERY - 1 else "poses"
        )  # not all devices at once
        body = {"sent_ns": time.monotonic_ns(), "n": number, **bodies[kind]}
        buses[device].publish(topic_of[kind], body)
        published[kind] += 1
    return published


def _until_all(buses: Sequence[MqttBus], ready: Callable[[MqttBus], bool], what: str, limit_s: float) -> None:
    """Raises RuntimeError. Who was ready is asked again only when all were: thousands would take the processor."""
    end_s = time.monotonic() + limit_s
    waiting = list(buses)
    while waiting := [bus for bus in waiting if not ready(bus)] or [bus for bus in buses if not ready(bus)]:
        if time.monotonic() > end_s:
            raise RuntimeError(f"{len(waiting)} of {len(buses)} devices were not {what} within {limit_s:g} s")
        time.sleep(0.05)


def _difference(before: DeliveryCounts, after: DeliveryCounts) -> DeliveryCounts:
    fields = DeliveryCounts.__slots__
    return DeliveryCounts(**{name: getattr(after, name) - getattr(before, name) for name in fields})
