"""A bus without a broker: it stores what would have been sent; as strict as the real one."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from edged.messages import topics
from edged.messages.build import Body, DeviceStatus, encode
from edged.messages.bus import Request
from edged.messages.topics import Topic, matches
from edged.mqtt.send_queue import DeliveryCounts, MessageCounter


class MemoryBus:
    """The last `max_messages` messages with their paths, in order. Bytes stay bytes."""

    def __init__(
        self, make_status: Callable[[DeviceStatus], Mapping[str, Any]], max_messages: int | None = None
    ) -> None:
        self.messages: deque[tuple[str, Any]] = deque(maxlen=max_messages)
        self.retained: dict[str, Any] = {}
        self._make_status = make_status
        self._callbacks: dict[str, Callable[[Request], None]] = {}
        self._lock = threading.Lock()
        self._counter = MessageCounter()
        self._open = True
        self.connected = True  # False: no message arrives, as far as `on_published` is told
        self.calls: list[Callable[[], None]] = []  # for the thread that may wait for the disk; nothing runs them here
        self.unwritten = 0  # what `stats` says of messages that are not stored yet
        self.publish(topics.STATUS.at(), make_status("online"))

    def publish(
        self,
        topic: Topic,
        message: Mapping[str, Any] | bytes,
        *,
        correlation: bytes | None = None,
        on_published: Callable[[], None] | None = None,
    ) -> None:
        body = message if isinstance(message, bytes) else json.loads(encode(message))
        with self._lock:
            self._counter.accept()
            self._counter.finish("published" if self._open else "dropped")
            if not self._open:
                return
            self.messages.append((topic.path, body))
            if topic.spec.retain:
                self.retained[topic.path] = body
        if on_published is not None and self.connected:
            on_published()

    def subscribe(self, topic: Topic, callback: Callable[[Request], None], *, optional: bool = False) -> None:
        self._callbacks[topic.path] = callback

    def call(self, function: Callable[[], None]) -> None:
        self.calls.append(function)

    def receive(self, request: Request) -> None:
        """Deliver a request as if it came from a broker."""
        for path, callback in self._callbacks.items():
            if matches(path, request.path):
                callback(request)

    def messages_on(self, path: str) -> list[Any]:
        """The messages of one topic."""
        with self._lock:
            return [body for name, body in self.messages if name == path]

    @property
    def counts(self) -> DeliveryCounts:
        with self._lock:
            return self._counter.counts

    @property
    def broker_certificate_end_s(self) -> float | None:
        return None

    @property
    def stats(self) -> Body:
        """As the real bus reports itself in `health`."""
        stored = {
            "messages": 0,
            "unwritten": self.unwritten,
            "bytes": 0,
            "oldest_s": None,
            "durable": False,
            "corrupt_files": 0,
        }
        connection = {"connected": self._open, "reason": "", "protocol": None, "reconnects": 0}
        limits = {"retain_available": True, "max_qos": 1, "max_message_bytes": None}
        duplicate = {"short_connections": 0, "other_device": None}
        refused = {"refused": 0, "refused_topics": {}, "too_large": {}, "unverified": False}
        return {**connection, **duplicate, **limits, **refused, "stored": stored, **asdict(self.counts)}

    def close(self) -> None:
        if self._open:
            self.publish(topics.STATUS.at(), self._make_status("stopped"))
            self._open = False
