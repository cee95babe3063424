"""The nodes of a broker, and which of them is to be tried next.

Upstream: `client`, `subscribe`. Pure. Each device has an order of its own, so that a fleet spreads over all nodes, and
the devices of a node that fails over all others.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from edged.config.tables.mqtt import MqttConfig
from edged.runtime.backoff import INITIAL_WAIT_S, Backoff


class Nodes:
    """The nodes of one broker, in the order of this device; one node is the usual case."""

    def __init__(self, broker: MqttConfig, shuffle: Callable[[list[MqttConfig]], None] = random.shuffle) -> None:
        nodes = list(broker.nodes)
        shuffle(nodes)
        self._order = deque(nodes)

    @property
    def current(self) -> MqttConfig:
        return self._order[0]

    def advance(self) -> None:
        """The current node failed: the next one, and after the last the first again."""
        self._order.rotate(-1)

    def backoff(self, max_s: float) -> Backoff:
        """Waits between attempts: with n nodes n times as long, so that each is tried as often as a single one."""
        return Backoff(max_s * len(self._order), initial_s=INITIAL_WAIT_S * len(self._order))
