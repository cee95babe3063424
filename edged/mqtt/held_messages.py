"""Which stored messages are not to be sent now, because the broker would not take them.

Upstream: the results of messages. Downstream: `persistent_queue`, which calls it under its own lock.
"""

from __future__ import annotations

import math
import time
from typing import Literal

from edged.mqtt.send_queue import StoreId
from edged.mqtt.sqlite_queue import QueueRow

RETRY_REFUSED_S = 15.0  # one message of each refused topic is sent again after this: rights may have been granted

SendResult = Literal["published", "failed", "refused", "set aside", "unverified"]


class HeldMessages:
    """Of a topic that was refused, the first message alone is tried again, so that the order stays."""

    def __init__(self) -> None:
        self._topics: dict[str, bool] = {}  # refused paths; True: its trial is on the way, or was refused
        self._set_aside: set[StoreId] = set()  # until the next connection
        self._unverified: set[StoreId] = set()  # sent; until something comes back
        self._retry_s = math.inf  # when the store is to be read again

    def record(self, row: QueueRow, result: SendResult) -> None:
        """The result of a message.

        `refused`: its whole topic waits. `set aside`: this broker cannot take this message. `unverified`: it was
        acknowledged, and nobody can tell what became of it.
        """
        if result == "published":
            self._retry_s = 0.0 if self._topics.pop(row.path, None) is not None else self._retry_s
        elif result == "refused":
            self._topics[row.path] = True
            self._retry_s = min(self._retry_s, time.monotonic() + RETRY_REFUSED_S)
        elif result == "set aside":
            self._set_aside.add(row.store_id)
        elif result == "unverified":
            self._unverified.add(row.store_id)

    def passes(self, row: QueueRow) -> bool:
        """Whether the row is to be sent. Rows are asked for in their order."""
        if row.store_id in self._set_aside or row.store_id in self._unverified or self._topics.get(row.path):
            return False
        if row.path in self._topics:
            self._topics[row.path] = True
        return True

    @property
    def retry_due(self) -> bool:
        return time.monotonic() > self._retry_s

    def reread(self) -> None:
        """The rows are asked for from the first one again: the first of each refused path passes."""
        self._topics = dict.fromkeys(self._topics, False)
        self._retry_s = math.inf

    def connected(self) -> None:
        """Another connection: it may be another broker, or have other limits."""
        self._set_aside.clear()

    def verified(self) -> None:
        """What arrives can be seen again."""
        self._retry_s = 0.0 if self._unverified else self._retry_s
        self._unverified.clear()
