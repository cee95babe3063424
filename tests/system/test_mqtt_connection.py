"""One connection, and which MQTT version to try next."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from paho.mqtt.client import WebsocketConnectionError

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.messages import topics
from edged.mqtt import websocket
from edged.mqtt.connect_errors import unreachable
from edged.mqtt.connection import MqttConnection, Refusal
from edged.mqtt.negotiation import ConnectionRefused, Negotiator, NoConnack, UnsupportedProtocol
from edged.mqtt.send_queue import OutgoingMessage
from edged.mqtt.v5 import RECEIVE_MAX, TopicAliases
from tests.support.mqtt import Listener, Mosquitto
from tests.support.tcp_server import tcp_server
from tests.support.waiting import until
from tests.system.tcp_relay import TcpRelay

NewMosquitto = Callable[..., Mosquitto]


def test_messages_unacknowledged_by_a_frozen_broker_stay_in_flight(mosquitto: Mosquitto) -> None:
    link = MqttConnection(MqttConfig(port=mosquitto.port), "5", client_id="box")
    link.open()
    assert mosquitto.process is not None
    mosquitto.process.send_signal(signal.SIGSTOP)
    sent = 0
    while link.ready and sent < 10 * RECEIVE_MAX:
        link.send(OutgoingMessage(topic="alert", payload=b"{}", spec=topics.ALERT))
        sent += 1
    link.abandon()
    assert sent == len(link.in_flight) == RECEIVE_MAX


def test_in_flight_messages_stay_within_the_receive_maximum(new_mosquitto: NewMosquitto) -> None:
    broker = new_mosquitto("allow_anonymous true", "max_inflight_messages 3")
    link = MqttConnection(MqttConfig(port=broker.port), "5", client_id="box")
    link.open()
    while link.ready:
        link.send(OutgoingMessage(topic="alert", payload=b"{}", spec=topics.ALERT))
    assert len(link.in_flight) == 3
    link.abandon()


def test_message_over_the_packet_size_limit_is_refused_locally(new_mosquitto: NewMosquitto) -> None:
    broker = new_mosquitto("allow_anonymous true", "max_packet_size 2000")
    refused: list[Refusal | None] = []
    link = MqttConnection(
        MqttConfig(port=broker.port), "5", client_id="box", on_result=lambda message, refusal: refused.append(refusal)
    )
    link.open()
    for size in (3000, 1000):
        link.send(OutgoingMessage(topic="poses", payload=b"x" * size, spec=topics.POSES))
    link.close()
    assert refused == [Refusal(reason="Packet too large", permanent=True), None]


def test_messages_larger_than_the_device_takes_do_not_keep_later_ones_away(
    mosquitto: Mosquitto, listen: Callable[..., Listener]
) -> None:
    """Mosquitto 2.0.11 counts what it leaves out among the 20 messages of QoS 1 that may be under way."""
    received: list[bytes] = []
    granted: list[str] = []
    link = MqttConnection(
        MqttConfig(port=mosquitto.port),
        "5",
        client_id="box",
        max_packet_bytes=2000,
        on_message=lambda message: received.append(message.payload),
        on_subscribed=lambda topic, refusal: granted.append(topic),
    )
    link.open()
    link.subscribe("cmd")

    def polled(result: list[Any]) -> bool:
        link.poll(0.05)
        return bool(result)

    until(lambda: polled(granted))
    sender = listen(mosquitto.port)
    for payload in (*[b"x" * 3000] * 20, b"small"):
        sender.publish("cmd", payload)
    until(lambda: polled(received))
    link.close()
    assert received == [b"small"]


@pytest.fixture
def unwilling() -> Iterator[int]:
    """The port of a broker that welcomes a client and grants it no subscription; mosquitto grants every one."""

    def serve(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(b"\x20\x02\x00\x00")
        asked = client.recv(1000)
        client.sendall(b"\x90\x03" + asked[2:4] + b"\x80")

    with tcp_server(serve) as port:
        yield port


def test_refused_subscription_calls_its_callback(unwilling: int) -> None:
    deaf: list[str] = []
    link = MqttConnection(
        MqttConfig(port=unwilling),
        "3.1.1",
        client_id="box",
        on_subscribed=lambda topic, refusal: deaf.append(topic) if refusal else None,
    )
    link.open()
    link.subscribe("cmd/+")
    with pytest.raises(BrokerLost):  # the test's broker leaves
        until(lambda: link.poll(0.05))
    link.abandon()
    assert deaf == ["cmd/+"]


@pytest.mark.parametrize(
    ("reason", "explained", "words"),
    [
        pytest.param(0x96, True, "Message rate too high; lower fps", id="rate"),
        pytest.param(0x8E, False, "Session taken over", id="taken over"),
        pytest.param(None, False, "connection lost", id="no word"),
    ],
)
def test_reason_with_which_a_broker_leaves_is_told(reason: int | None, explained: bool, words: str) -> None:
    def serve(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(b"\x20\x03\x00\x00\x00" + (b"" if reason is None else bytes([0xE0, 1, reason])))

    with tcp_server(serve) as port:
        link = MqttConnection(MqttConfig(port=port), "5", client_id="box")
        link.open()
        with pytest.raises(BrokerLost, match=words):
            until(lambda: link.poll(0.05))
        link.abandon()
    assert link.explained == explained


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(
            "404 Not Found", ConnectionRefused, "404 Not Found to the WebSocket; set mqtt.websocket_path", id="404"
        ),
        pytest.param(
            "301 Moved\r\nLocation: https://new.example/secret",
            ConnectionRefused,
            "to: https://new.example/…$",
            id="301",
        ),
        pytest.param("502 Bad Gateway", BrokerLost, "does not reach it; start the broker", id="502"),
        pytest.param("", BrokerLost, "its port for WebSockets", id="no HTTP"),
        pytest.param("404 Slow\r\nno end", ConnectionRefused, "404 Slow to the WebSocket", id="does not end"),
    ],
)
def test_answer_that_is_no_websocket_is_told(
    answer: str, error: type[BrokerLost], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "TIMEOUT_S", 1.0)

    def serve(client: socket.socket) -> None:
        client.recv(4096)
        ends = not answer.endswith("no end")
        end = "\r\nContent-Length: 0\r\n\r\n" if ends else ""
        client.sendall(f"HTTP/1.1 {answer}{end}".encode() if answer else b"SSH-2.0-x\r\n")
        if not ends:
            client.recv(1)  # the client leaves

    with tcp_server(serve) as port:
        broker = MqttConfig(port=port, transport="websocket")
        found = unreachable(broker, WebsocketConnectionError("WebSocket handshake error"))
    assert type(found) is error
    assert re.search(words, str(found))


@pytest.mark.parametrize(
    ("keys", "error", "code", "words"),
    [
        pytest.param(
            {"transport": "websocket"},
            TimeoutError("timed out"),
            "websocket",
            "does not answer the WebSocket's request; is [0-9]+ its port for WebSockets",
            id="websocket",
        ),
        pytest.param(
            {"tls": {"enabled": True}},
            TimeoutError("_ssl.c:989: The handshake operation timed out"),
            "not-a-tls-port",
            "answers no TLS handshake; is [0-9]+ its port for TLS",
            id="tls",
        ),
    ],
)
def test_server_that_never_answers_is_asked_for_its_port(
    keys: dict[str, Any], error: TimeoutError, code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "TIMEOUT_S", 0.1)
    with tcp_server(lambda client: client.recv(4096) and client.recv(4096)) as port:  # until the client leaves
        found = unreachable(MqttConfig.model_validate({"port": port, **keys}), error)
    assert found.code == code
    assert re.search(words, str(found))


def pose(topic: str) -> OutgoingMessage:
    return OutgoingMessage(topic=topic, payload=b"", spec=topics.POSES, queued_ns=time.monotonic_ns())


def arrived(reader: Listener, count: int) -> bool:
    return len(reader.messages) == count


def test_topic_gets_an_alias_while_there_are_some() -> None:
    aliases = TopicAliases(2)
    sent = [aliases.shorten(pose(topic)) for topic in ("a", "b", "c", "a", "c", "b")]
    assert sent == [("a", 1), ("b", 2), ("c", None), ("", 1), ("c", None), ("", 2)]


def test_qos_1_message_gets_no_alias() -> None:
    alert = OutgoingMessage(topic="a", payload=b"", spec=topics.ALERT)
    aliases = TopicAliases(2)
    assert [aliases.shorten(alert) for _ in range(2)] == [("a", None), ("a", None)]


def test_topics_with_aliases_arrive_by_name_on_every_connection(
    new_mosquitto: NewMosquitto, listen: Callable[..., Listener]
) -> None:
    broker = new_mosquitto("allow_anonymous true", "max_topic_alias 2")
    reader = listen(broker.port)
    for sent in (9, 18):
        link = MqttConnection(MqttConfig(port=broker.port), "5", client_id="box")
        link.open()
        for topic in 3 * "abc":
            link.send(pose(topic))
        until(partial(arrived, reader, sent))
        link.close()
    assert "".join(message.topic for message in reader.messages) == 6 * "abc"


def test_topic_with_a_known_alias_is_not_sent_again(mosquitto: Mosquitto) -> None:
    wire = TcpRelay(mosquitto.port)
    link = MqttConnection(MqttConfig(port=wire.port), "5", client_id="box")
    link.open()
    for _ in range(100):
        link.send(pose("a" * 1000))
    link.close()
    wire.close()
    assert 1000 < wire.bytes_relayed < 20_000


def test_version_5_is_tried_first_then_the_other() -> None:
    versions = Negotiator("auto")
    assert versions.current == "5"
    assert versions.try_next(UnsupportedProtocol())
    assert versions.current == "3.1.1"


def test_broker_that_answers_no_version_is_reported() -> None:
    versions = Negotiator("auto")
    assert [versions.try_next(NoConnack()) for _ in range(4)] == [True, False, False, False]


def test_confirmed_version_is_kept_without_an_answer() -> None:
    versions = Negotiator("auto")
    versions.confirm()
    assert not versions.try_next(NoConnack())
    assert versions.current == "5"


def test_broker_replaced_by_another_version_is_followed() -> None:
    versions = Negotiator("auto")
    versions.confirm()
    assert versions.try_next(UnsupportedProtocol())
    assert versions.current == "3.1.1"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_configured_version_is_the_only_one_tried(protocol: str) -> None:
    versions = Negotiator(protocol)
    assert not versions.try_next(UnsupportedProtocol())
    assert versions.current == protocol


def test_unreachable_broker_keeps_the_version() -> None:
    versions = Negotiator("auto")
    assert not versions.try_next(BrokerLost())
    assert versions.current == "5"
