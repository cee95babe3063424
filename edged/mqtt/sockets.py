"""What is asked of the broker connection's socket itself: readiness, certificate, TCP options."""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING

from paho.mqtt.client import Client

from edged.units import MS_PER_S

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike  # exists for type checkers only


def poll_sockets(sock: SocketLike, writing: bool, wake: socket.socket | None, timeout_s: float) -> dict[int, int]:
    """The events of each socket, by descriptor, as `select.poll` has them; waits `timeout_s` at most."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))
    if wake is not None:
        poll.register(wake.fileno(), select.POLLIN)
    return dict(poll.poll(timeout_s * MS_PER_S))


def _inner(sock: object) -> object:
    """The socket itself, in paho's WebSocket too."""
    return getattr(sock, "_socket", sock)


def certificate_end_s(sock: object) -> float | None:
    """When the broker's certificate ends, UTC in s; None without TLS."""
    inner = _inner(sock)
    end = (inner.getpeercert() or {}).get("notAfter") if isinstance(inner, ssl.SSLSocket) else None
    return ssl.cert_time_to_seconds(end) if isinstance(end, str) else None


def set_nodelay(client: Client, userdata: object, sock: SocketLike) -> None:
    """Send small messages at once."""
    inner = _inner(sock)
    if isinstance(inner, socket.socket):
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
