"""MQTT over WebSocket with TLS in front of a plain broker, as on a cloud's port 443: Debian's mosquitto has none."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol


class WebSocketRelay:
    """`with WebSocketRelay(broker_port, tls) as relay: … relay.port`. `asked` has the path and host of each client."""

    def __init__(self, broker_port: int, tls: ssl.SSLContext) -> None:
        self._broker_port = broker_port
        self._tls = tls
        self._server: Server | None = None
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    def __enter__(self) -> WebSocketRelay:
        self._server = serve(self._relay, "127.0.0.1", 0, ssl=self._tls, subprotocols=[Subprotocol("mqtt")])
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
        gc.collect()  # a handshake that failed leaves its socket to the collector

    def _relay(self, client: ServerConnection) -> None:
        if client.request is not None:
            self.asked.append((client.request.path, client.request.headers["Host"]))
        with socket.create_connection(("127.0.0.1", self._broker_port)) as broker:
            threading.Thread(target=self._downwards, args=(broker, client), daemon=True).start()
            with suppress(OSError, ConnectionClosed):
                for data in client:
                    broker.sendall(data if isinstance(data, bytes) else data.encode())

    def _downwards(self, broker: socket.socket, client: ServerConnection) -> None:
        with suppress(OSError, ConnectionClosed):
            while data := broker.recv(4096):
                client.send(data)
            client.close()
