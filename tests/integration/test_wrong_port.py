"""TLS spoken to a port without it, and the other way round: what is said helps."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("paho.mqtt", reason="needs paho-mqtt")

from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.errors import BrokerLost
from edged.mqtt.connection import MqttConnection

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server that does not understand the first greeting, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            guest, _ = server.accept()
            guest.recv(4096)
            guest.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_tls_on_a_port_without_it(deaf: int) -> None:
    with pytest.raises(BrokerLost, match=f"is {deaf} its port for TLS"):
        MqttConnection(MqttConfig(port=deaf, tls=TlsConfig(enabled=True)), "5", client_id="a").open()


def test_no_tls_on_a_port_that_wants_it(deaf: int) -> None:
    with pytest.raises(BrokerLost, match=r"hung up on our MQTT 5 greeting; it may want TLS, see mqtt.tls"):
        MqttConnection(MqttConfig(port=deaf), "5", client_id="a").open()
