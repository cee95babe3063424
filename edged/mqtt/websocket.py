"""How a server answers where a WebSocket was asked for, in words: paho says no more than that the handshake failed.

Downstream: `connection`, `connect_errors`. The request is made once more, and nothing of MQTT is sent.
"""

from __future__ import annotations

import io
import socket
import time
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from secrets import token_bytes

from edged.config.tables.mqtt import MqttConfig
from edged.foreign_text import printable
from edged.mqtt.tls import tls_context
from edged.secret_address import SecretAddress

TIMEOUT_S = 3.0  # to connect, and for all of the answer
MAX_HEAD_BYTES = 16_384  # of an answer that are read
MAX_REASON_CHARS = 60  # of a server's words
SWITCHING, NOT_FOUND, LOGIN = 101, 404, (401, 403, 407)  # HTTP status


class NoAnswer(Exception):
    """Connected, and nothing came."""


def path_of(broker: MqttConfig) -> str:
    return broker.websocket_path.get_secret_value() or "/mqtt"


def headers_of(broker: MqttConfig) -> dict[str, str]:
    """Where the certificate's name is not the address, servers choose the site by it."""
    return {"Host": broker.tls.server_name} if broker.tls.server_name else {}


def handshake_fault(broker: MqttConfig) -> tuple[str, int]:
    """What the server answers instead of a WebSocket and what to do, and the HTTP status; 0: none came.

    Raises OSError when it cannot be asked.
    """
    port = f"is {broker.port} its port for WebSockets?"
    try:
        answer = _ask(broker)
    except NoAnswer:
        return f"it accepts the connection and does not answer the WebSocket's request; {port}", 0
    except HTTPException:
        return f"it does not speak HTTP; {port}", 0
    reason = printable(answer.reason, MAX_REASON_CHARS)
    return f"it answers {answer.status} {reason} to the WebSocket; {_cure(answer)}", answer.status


def _ask(broker: MqttConfig) -> HTTPResponse:
    key = b64encode(token_bytes(16)).decode()
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    fields |= {"Sec-WebSocket-Protocol": "mqtt"} | headers_of(broker)
    if broker.tls.enabled:
        context = tls_context(broker.tls)
        connection: HTTPConnection = HTTPSConnection(broker.host, broker.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = HTTPConnection(broker.host, broker.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path_of(broker), headers=fields)
        answer = HTTPResponse(_Head(connection.sock))  # type: ignore[arg-type]  # it only makes a file of it
        answer.begin()
        return answer
    finally:
        connection.close()


class _Head:
    """The beginning of an answer, read until one deadline: a byte now and then does not prolong it."""

    def __init__(self, connection: socket.socket) -> None:
        """Raises NoAnswer when nothing comes in time."""
        self._read, end_s = b"", time.monotonic() + TIMEOUT_S
        while b"\r\n\r\n" not in self._read and len(self._read) < MAX_HEAD_BYTES:
            connection.settimeout(max(0.001, end_s - time.monotonic()))
            try:
                part = connection.recv(4096)
            except TimeoutError:
                if not self._read:
                    raise NoAnswer from None
                break
            if not part:
                break
            self._read += part

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._read)


def _cure(answer: HTTPResponse) -> str:
    status = answer.status
    if status == SWITCHING:
        return "it takes this one, and not what paho asks for; see its log"
    if status == NOT_FOUND:
        return "set mqtt.websocket_path to where the broker's is"
    if 300 <= status < 400:
        place = printable(str(SecretAddress(answer.headers.get("Location", ""))), 2 * MAX_REASON_CHARS)
        return f"set mqtt.host, port and websocket_path to where it refers to: {place or 'it does not say'}"
    if status in LOGIN:
        return "let this device through at the server in front of the broker"
    if status >= 500:
        return "the server in front of the broker does not reach it; start the broker"
    return "check mqtt.port and mqtt.websocket_path"
