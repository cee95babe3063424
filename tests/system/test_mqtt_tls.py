"""TLS and mutual TLS against a real broker, with certificates made on the spot."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from edged.config.tables.mqtt import MqttConfig, PublishConfig, TlsConfig
from edged.errors import ConfigError
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.mqtt.connection import IncomingMessage, MqttConnection
from edged.runtime.clock import Clock
from tests.support.mqtt import Mosquitto
from tests.support.tcp_server import tcp_server
from tests.support.waiting import until

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")

NewMosquitto = Callable[..., Mosquitto]


@pytest.fixture
def broker(new_mosquitto: NewMosquitto, certs: Path) -> Mosquitto:
    return new_mosquitto(
        f"cafile {certs}/ca.pem",
        f"certfile {certs}/server.pem",
        f"keyfile {certs}/server.key",
        "require_certificate true",
        "use_identity_as_username true",
    )


@pytest.fixture
def new_bus() -> Iterator[Callable[[int, TlsConfig], MqttBus]]:
    buses: list[MqttBus] = []

    def start(port: int, tls: TlsConfig) -> MqttBus:
        broker = MqttConfig(port=port, tls=tls, reconnect_max_s=1)
        buses.append(MqttBus(broker, "box", partial(build.device_status, HeaderFactory(Clock())), PublishConfig()))
        return buses[-1]

    yield start
    for bus in buses:
        bus.close()


NewBus = Callable[[int, TlsConfig], MqttBus]


def test_device_with_its_certificate_is_accepted(broker: Mosquitto, new_bus: NewBus, certs: Path) -> None:
    bus = new_bus(
        broker.port, TlsConfig(enabled=True, ca=certs / "ca.pem", cert=certs / "box.pem", key=certs / "box.key")
    )
    for number in range(50):
        bus.publish(topics.ALERT.at(camera="a"), {"n": number, "filler": "x" * 20_000})
    until(lambda: bus.connected and bus.counts.waiting == 0)
    assert bus.counts.published == 51


def test_broker_of_another_authority_is_not_trusted(
    broker: Mosquitto, new_bus: NewBus, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = new_bus(broker.port, TlsConfig(enabled=True, ca=certs / "other.pem"))
    until(lambda: "its certificate is not accepted" in caplog.text)
    assert not bus.connected


def test_device_without_a_certificate_logs_that_one_is_wanted(
    broker: Mosquitto, new_bus: NewBus, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = new_bus(broker.port, TlsConfig(enabled=True, ca=certs / "ca.pem"))
    until(lambda: "it may want a certificate, see mqtt.tls.cert" in caplog.text)
    assert not bus.connected


@pytest.mark.parametrize(
    ("tls", "code"),
    [
        ({"ca": "nowhere.pem"}, "tls-ca"),
        ({"ca": "ca.key"}, "tls-ca"),
        ({"cert": "box.pem", "key": "server.key"}, "tls-key-pair"),
    ],
    ids=["absent", "not a certificate", "another's key"],
)
def test_unusable_tls_file_raises_config_error(new_bus: NewBus, certs: Path, tls: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigError) as raised:
        new_bus(1, TlsConfig(enabled=True, **{key: certs / name for key, name in tls.items()}))
    assert raised.value.code == code


@pytest.fixture
def burst(certs: Path) -> Iterator[int]:
    """The port of a server that answers the greeting and sends 50 messages, all in one TLS record."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "server.pem", certs / "server.key")
    welcome, build = b"\x20\x02\x00\x00", b"\x30\x05\x00\x01a{}"

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as client:
            client.recv(1000)
            client.sendall(welcome + 50 * build)
            client.recv(1000)  # until it leaves

    with tcp_server(serve) as port:
        yield port


def test_messages_in_one_tls_record_are_all_read(burst: int, certs: Path) -> None:
    received: list[IncomingMessage] = []
    tls = TlsConfig(enabled=True, ca=certs / "ca.pem")
    link = MqttConnection(MqttConfig(port=burst, tls=tls), "3.1.1", client_id="box", on_message=received.append)
    link.open()
    while len(received) < 50:
        link.poll(1)
    link.abandon()
    assert len(received) == 50
