"""TLS on a port without it, no TLS on a port that wants it, or no answer: the error names which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.errors import BrokerLost
from edged.mqtt.connect_errors import unanswered
from edged.mqtt.connection import MqttConnection
from tests.support.tcp_server import tcp_server

WITH_CERTIFICATE = TlsConfig(enabled=True, cert=Path("c"), key=Path("k"))

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def closing_port() -> Iterator[int]:
    """The port of a server that closes the connection after the first bytes."""
    with tcp_server(lambda client: client.recv(4096)) as port:
        yield port


def error_code(config: MqttConfig) -> str:
    """Of the error at connecting, which is not kept: it holds the socket."""
    try:
        MqttConnection(config, "5", client_id="a").open()
    except BrokerLost as error:
        return error.code
    return ""


def test_tls_on_a_port_without_tls_is_named(closing_port: int) -> None:
    assert error_code(MqttConfig(port=closing_port, tls=TlsConfig(enabled=True))) == "not-a-tls-port"


def test_plain_connection_on_a_tls_port_is_named(closing_port: int) -> None:
    assert error_code(MqttConfig(port=closing_port)) == "tls-wanted"


@pytest.mark.parametrize(
    ("closed", "tls", "hint"),
    [
        (True, TlsConfig(), "want TLS, see mqtt.tls, or take no packets of this size, with the last will"),
        (True, WITH_CERTIFICATE, "take no packets of this size, with the last will"),
        (False, TlsConfig(), "want TLS, see mqtt.tls"),
    ],
    ids=["hung up", "hung up with TLS", "silent"],
)
def test_broker_that_does_not_greet_back_may_have_a_small_limit(closed: bool, tls: TlsConfig, hint: str) -> None:
    error = unanswered(MqttConfig(tls=tls), "5", 5.0, closed=closed)
    assert str(error).endswith(f" our MQTT 5 CONNECT; it may {hint}")
