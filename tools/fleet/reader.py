"""A reader of the whole fleet, in a process of its own: arrived messages, duplicates and latency."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from edged.config.tables.mqtt import MqttConfig
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.subscribe import subscribe
from edged.units import ms

FIRST = b'{"sent_ns":'  # how every message of the fleet begins; `n`, its number, comes next


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The arrivals of one kind of message."""

    count: int  # distinct messages
    duplicates: int  # arrivals of a message that had arrived before
    late_ms: NDArray[np.float64]  # (N,) from `publish` to arrival


class Reader:
    """Subscribes when created."""

    def __init__(self, broker: MqttConfig, topic: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_end = context.Pipe()
        self._process = context.Process(target=_run, args=(broker, topic, child_end), daemon=True)
        self._process.start()
        self._pipe.recv()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def arrivals(self, since_ns: int) -> dict[str, Arrivals]:
        """Return the arrivals by kind, of messages sent since `since_ns`."""
        self._pipe.send(since_ns)
        found: dict[str, Arrivals] = self._pipe.recv()
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.join(10)


def _run(broker: MqttConfig, topic: str, parent: Connection) -> None:
    rows: list[tuple[str, bytes, int, int]] = []  # topic, number, when sent, when here

    def on_message(arrived: IncomingMessage) -> None:
        if arrived.payload.startswith(FIRST):
            sent, number, _ = arrived.payload[len(FIRST) :].split(b",", 2)
            rows.append((arrived.topic, number, int(sent), time.monotonic_ns()))

    def answer() -> None:
        while True:
            since_ns = parent.recv()
            parent.send(_summary([row for row in list(rows) if row[2] >= since_ns]))

    threading.Thread(target=answer, daemon=True).start()
    subscribe(broker, topic, on_message, parent.send, threading.Event())


def _summary(rows: list[tuple[str, bytes, int, int]]) -> dict[str, Arrivals]:
    kinds = {topic: topic.rpartition("/")[2] for topic, *_ in rows}
    found: dict[str, Arrivals] = {}
    for kind in set(kinds.values()):
        mine = [row for row in rows if kinds[row[0]] == kind]
        times = Counter((topic, number) for topic, number, *_ in mine)
        late_ms = np.array([ms(here - sent) for *_, sent, here in mine])
        found[kind] = Arrivals(count=len(times), duplicates=len(mine) - len(times), late_ms=late_ms)
    return found
