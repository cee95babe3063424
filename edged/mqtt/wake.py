"""Ends the MQTT thread's wait for its broker early."""

from __future__ import annotations

import socket
from contextlib import suppress


class Wake:
    """`receiver` is readable after a call, until it is read. Thread: any."""

    def __init__(self) -> None:
        self._sender, self.receiver = socket.socketpair()
        self._sender.setblocking(False)

    def __call__(self) -> None:
        with suppress(OSError):  # full already, or closed
            self._sender.send(b"\0")

    def close(self) -> None:
        self._sender.close()
        self.receiver.close()
