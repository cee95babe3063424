"""TLS and mutual TLS against a real broker, with certificates made on the spot."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.errors import ConfigError
from edged.messages import topics
from edged.mqtt.client import MqttBus
from edged.mqtt.connection import MqttConnection
from edged.mqtt.incoming import IncomingMessage
from tests.support.certs import sign
from tests.support.mqtt import Mosquitto
from tests.support.tcp_server import tcp_server
from tests.support.waiting import until
from tests.support.websocket_relay import WebSocketRelay

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


NewBus = Callable[[MqttConfig], MqttBus]


def config(port: int, tls: TlsConfig) -> MqttConfig:
    return MqttConfig(port=port, tls=tls, reconnect_max_s=1)


def test_device_with_its_certificate_is_accepted(broker: Mosquitto, open_bus: NewBus, certs: Path) -> None:
    tls = TlsConfig(enabled=True, ca=certs / "ca.pem", cert=certs / "box.pem", key=certs / "box.key")
    bus = open_bus(config(broker.port, tls))
    for number in range(50):
        bus.publish(topics.ALERT.at(camera="a"), {"n": number, "filler": "x" * 20_000})
    until(lambda: bus.connected and bus.counts.waiting == 0)
    assert bus.counts.published == 51


def test_broker_of_another_authority_is_not_trusted(
    broker: Mosquitto, open_bus: NewBus, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = open_bus(config(broker.port, TlsConfig(enabled=True, ca=certs / "other.pem")))
    until(lambda: "its certificate is not accepted" in caplog.text)
    assert not bus.connected


def test_device_without_a_certificate_logs_that_one_is_wanted(
    broker: Mosquitto, open_bus: NewBus, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = open_bus(config(broker.port, TlsConfig(enabled=True, ca=certs / "ca.pem")))
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
def test_unusable_tls_file_raises_config_error(open_bus: NewBus, certs: Path, tls: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_bus(config(1, TlsConfig(enabled=True, **{key: certs / name for key, name in tls.items()})))
    assert raised.value.code == code


def test_broker_is_reached_over_a_websocket_by_the_name_of_its_certificate(
    new_mosquitto: NewMosquitto, open_bus: NewBus, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is not that name, as behind a router that chooses the server by name."""
    sign("broker.example", certs, "subjectAltName=DNS:broker.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / "broker.example.pem", certs / "broker.example.key")
    with WebSocketRelay(new_mosquitto().port, context) as relay:
        tls = {"enabled": True, "ca": certs / "ca.pem"}
        path = "/mqtt?token=t0ken"
        keys = {"port": relay.port, "transport": "websocket", "websocket_path": path, "reconnect_max_s": 1}
        refused = open_bus(MqttConfig.model_validate({**keys, "tls": tls}))
        until(lambda: "set mqtt.tls.server_name (or mqtt.host) to a name that it is for" in caplog.text)
        refused.close()
        bus = open_bus(MqttConfig.model_validate({**keys, "tls": {**tls, "server_name": "broker.example"}}))
        for number in range(50):
            bus.publish(topics.ALERT.at(camera="a"), {"n": number, "filler": "x" * 20_000})
        until(lambda: bus.connected and bus.counts.waiting == 0)
        assert bus.counts.published == 51
        assert relay.asked[-1] == (path, "broker.example")
        assert bus.broker_certificate_end_s is not None
        bus.close()
    assert "t0ken" not in caplog.text


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
