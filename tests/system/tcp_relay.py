"""A relay that fails on request, between a client and a broker; and a broker that acknowledges nothing."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress
from typing import Literal

State = Literal["up", "down", "swallowing", "refusing wills"]
NOT_AUTHORIZED = b"\x20\x02\x00\x05"  # CONNACK of MQTT 3.1.1


class TcpRelay:
    """A TCP relay. `down`: refuses and cuts connections. `swallowing`: stays connected and relays nothing.

    `refusing wills`: refuses a CONNECT of MQTT 3.1.1 with a last will, as some brokers do that grant no right to it.
    """

    def __init__(self, target: int) -> None:
        self.state: State = "up"
        self.bytes_relayed = 0  # bytes, both ways
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(20)
        self._server.close()

    def _serve(self) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        while not self._closing.is_set():
            if self.state == "swallowing":
                time.sleep(0.01)  # the kernel still accepts data, but none is read
                continue
            readable, _, _ = select.select([self._server, *pairs], [], [], 0.01)
            for end in readable:
                if end is self._server:
                    self._accept(pairs)
                elif end in pairs and (self.state == "down" or not self._relay(end, pairs[end])):
                    _cut(pairs, end)
            if self.state == "down":
                for end in list(pairs):
                    _cut(pairs, end)
        for end in list(pairs):
            _cut(pairs, end)

    def _accept(self, pairs: dict[socket.socket, socket.socket]) -> None:
        near, _ = self._server.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            near.close()
            return
        pairs[near], pairs[far] = far, near

    def _relay(self, source: socket.socket, sink: socket.socket) -> bool:
        try:
            data = source.recv(65536)
            if self.state == "refusing wills" and data[:1] == b"\x10" and data[data.index(b"MQTT") + 5] & 4:
                source.sendall(NOT_AUTHORIZED)
                return False
            sink.sendall(data)
        except OSError:
            return False
        self.bytes_relayed += len(data)
        return bool(data)


def _cut(pairs: dict[socket.socket, socket.socket], end: socket.socket) -> None:
    other = pairs.pop(end, None)
    if other is not None:
        pairs.pop(other, None)
        for side in (end, other):
            with suppress(OSError):
                side.close()


class MuteBroker:
    """Accepts every client with MQTT 3.1.1, answers every ping, and acknowledges nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.connections = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(20)
        self._server.close()

    def _serve(self) -> None:
        self._server.settimeout(0.05)
        while not self._closing.is_set():
            with suppress(OSError):  # nobody came, or the client left
                client, _ = self._server.accept()
                self.connections += 1
                with client:
                    self._serve_client(client)

    def _serve_client(self, client: socket.socket) -> None:
        client.settimeout(0.05)
        client.sendall(b"\x20\x02\x00\x00")
        while not self._closing.is_set():
            try:
                data = client.recv(65536)
            except TimeoutError:
                continue
            if not data:
                return
            if data.endswith(b"\xc0\x00"):
                client.sendall(b"\xd0\x00")
