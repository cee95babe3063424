"""A bus without a broker: keeps what would have been sent. For replay and tests; as strict as the real one."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from edged.message import STATUS, Body, Presence, encode
from edged.outbox import Tally


class MemoryBus:
    """Every message, in order; `keep` bounds how many."""

    def __init__(self, presence: Callable[[Presence], Body], keep: int | None = None) -> None:
        self.messages: deque[tuple[str, Body]] = deque(maxlen=keep)
        self.retained: dict[str, Body] = {}
        self._presence = presence
        self._lock = threading.Lock()
        self._accepted = self._dropped = 0
        self._open = True
        self.publish(STATUS, presence("online"), qos=1, retain=True)

    def publish(self, topic: str, message: Mapping[str, Any], *, qos: int = 0, retain: bool = False) -> None:
        """Raises ValueError for what cannot be sent: NaN, or a quality of service other than 0 and 1."""
        if qos not in (0, 1):
            raise ValueError(f"qos is {qos}; want 0 or 1")
        body = json.loads(encode(message))
        with self._lock:
            self._accepted += 1
            if not self._open:
                self._dropped += 1
                return
            self.messages.append((topic, body))
            if retain:
                self.retained[topic] = body

    def of(self, topic: str) -> list[Body]:
        """The messages of one topic."""
        with self._lock:
            return [body for name, body in self.messages if name == topic]

    @property
    def tally(self) -> Tally:
        with self._lock:
            return Tally(accepted=self._accepted, published=self._accepted - self._dropped, dropped=self._dropped)

    @property
    def figures(self) -> Body:
        """As the real bus reports itself in `health`."""
        return {"connected": self._open, "protocol": None, "reconnects": 0, **asdict(self.tally)}

    def close(self) -> None:
        if self._open:
            self.publish(STATUS, self._presence("stopped"), qos=1, retain=True)
            self._open = False
