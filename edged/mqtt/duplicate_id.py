"""Whether another device uses our id. A broker disconnects the older of two such clients, and hardly any says why.

Upstream: the ends of connections, and the retained `info` that each new connection finds: not ours, another device
has been there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256

from edged.errors import BrokerLost
from edged.foreign_text import foreign_json, printable

REPEATED_AFTER = 4  # connections in a row that did not last: something ends them
MAX_OWN = 64  # payloads sent that are remembered, the newest
FORGET_S = 240.0  # without a sign of the other device; it tries at least every three minutes
OTHER_ID = "give one of them another device.id"


class RepeatedDisconnect(BrokerLost):
    """The broker accepts the connection and ends it soon after, again and again."""


class DuplicateId(RepeatedDisconnect):
    """Another device has our id."""


class DuplicateIdDetector:
    """One broker. Thread: the MQTT thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._short = self._explained = 0  # connections in a row; those of them whose end the broker explained
        self._other: str | None = None
        self._seen_s = 0.0  # when it was last seen
        self._own: dict[bytes, None] = {}  # digests of our own `info`
        self._own_arrived = False  # at least one of them
        self._looked = False  # on this connection

    @property
    def other_device(self) -> str | None:
        """What is known of it; None: there is no sign of one."""
        return self._other if self._clock() - self._seen_s < FORGET_S else None

    @property
    def short_connections(self) -> int:
        """Connections in a row that did not last, without a reason of the broker's."""
        return self._short - self._explained

    def connected(self) -> None:
        self._short += 1
        self._looked = False

    def lasted(self) -> None:
        """The connection is stable."""
        self._short = self._explained = 0

    def not_short(self) -> None:
        """This connection ended for another reason."""
        self._short = max(self._explained, self._short - 1)

    def explained(self) -> None:
        """The broker has said why it ended this connection, and not that another device has our id."""
        self._explained = min(self._short, self._explained + 1)

    def sent_info(self, payload: bytes, *, arrived: bool) -> None:
        self._own_arrived |= arrived
        self._own[sha256(payload).digest()] = None
        if len(self._own) > MAX_OWN:
            del self._own[next(iter(self._own))]

    def found_info(self, payload: bytes) -> None:
        """The first retained `info` of a connection."""
        if self._looked:
            return
        self._looked = True
        if self._own_arrived and sha256(payload).digest() not in self._own:
            self._other, self._seen_s = describe(payload), self._clock()

    @property
    def repeated(self) -> bool:
        """Whether connections end soon, again and again: to be made seldom, for two devices would take turns."""
        return self._short >= REPEATED_AFTER or self.other_device is not None


def describe(info: bytes) -> str:
    """The device that sent this `info`, in words."""
    body = foreign_json(info)
    if not isinstance(body, dict):
        return "another program"
    cameras = body.get("cameras")
    names = ", ".join(sorted(map(str, cameras))) if isinstance(cameras, dict) and cameras else "none"
    name = body.get("name")
    return printable(f"{f'{name!r}, ' if name else ''}cameras: {names}")
