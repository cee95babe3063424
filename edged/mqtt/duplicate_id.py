"""Whether another device uses our id. A broker disconnects the older of two such clients, and hardly any says why.

Upstream: the ends of connections, and the retained `info` that each new connection finds: not ours, another device
has been there. Pure.
"""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256

REPEATED_AFTER = 4  # connections in a row that did not last: something ends them
MAX_OWN = 64
OTHER_ID = "give one of them another device.id"


class DuplicateIdDetector:
    """One broker. Thread: the MQTT thread."""

    def __init__(self) -> None:
        self.short_connections = 0  # in a row
        self.other_device: str | None = None  # what is known of it; None: there is no sign of one
        self._own: dict[bytes, None] = {}  # digests of our own `info`
        self._looked = False  # on this connection

    def connected(self) -> None:
        self.short_connections += 1
        self._looked = False

    def lasted(self) -> None:
        """The connection is stable."""
        self.short_connections = 0
        self.other_device = None

    def not_short(self) -> None:
        """This connection ended for another reason."""
        self.short_connections = max(0, self.short_connections - 1)

    def sent_info(self, payload: bytes) -> None:
        self._own[sha256(payload).digest()] = None
        if len(self._own) > MAX_OWN:
            del self._own[next(iter(self._own))]

    def found_info(self, payload: bytes) -> None:
        """The first retained `info` of a connection."""
        if self._looked:
            return
        self._looked = True
        if self.short_connections > 1 and self._own and sha256(payload).digest() not in self._own:
            self.other_device = describe(payload)

    @property
    def repeated(self) -> bool:
        """Whether connections end soon, again and again: to be made seldom, for two devices would take turns."""
        return self.short_connections >= REPEATED_AFTER or self.other_device is not None


def describe(info: bytes) -> str:
    """The device that sent this `info`, in words."""
    body: object = None
    with suppress(ValueError):
        body = json.loads(info)
    if not isinstance(body, dict):
        return "another program"
    cameras = body.get("cameras")
    names = ", ".join(sorted(map(str, cameras))) if isinstance(cameras, dict) and cameras else "none"
    name = body.get("name")
    return f"{f'{name!r}, ' if name else ''}cameras: {names}"
