"""Packets that are too large do not take their size in memory, and cost no connection."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edged.config.tables.mqtt import MqttConfig
from edged.errors import BrokerLost
from edged.mqtt.connection import MqttConnection, Refusal
from edged.mqtt.incoming import IncomingMessage
from tests.support.waiting import until

LIMIT_BYTES = 1 << 16
CONNACK = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}


def packet(first: int, size: int) -> bytes:
    """The fixed header of a packet of this size."""
    digits = []
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (128 if size else 0))
        if not size:
            return bytes([first, *digits])


def publish(payload: bytes, *, version: str = "3.1.1", properties: bytes = b"", topic: bytes = b"a") -> bytes:
    """A message with QoS 1 and id 7."""
    table = bytes([len(properties)]) + properties if version == "5" else b""
    body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", 7) + table + payload
    return packet(0x32, len(body)) + body


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that answers one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                answer(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_message_over_the_limit_arrives_cut_and_is_acknowledged(version: str) -> None:
    received: list[IncomingMessage] = []
    asked, answers = bytearray(), bytearray()

    def answer(client: socket.socket) -> None:
        asked.extend(client.recv(4096))
        large, small = publish(b"x" * 40 * LIMIT_BYTES, version=version), publish(b"small", version=version)
        client.sendall(CONNACK[version] + large + small)
        while data := client.recv(100):
            answers.extend(data)

    with served(answer) as port:
        connection = MqttConnection(
            MqttConfig(port=port), version, client_id="a", max_packet_bytes=LIMIT_BYTES, on_message=received.append
        )
        connection.open()

        def polled() -> bool:
            connection.poll(0.05)
            return len(received) == 2 and answers.count(b"\x40") == 2

        until(polled)
        connection.abandon()
    assert len(received[0].payload) < 2 * LIMIT_BYTES
    assert received[1].payload == b"small"
    announced = b"\x27" + struct.pack("!I", LIMIT_BYTES)  # MQTT 5, 3.1.2.11.4
    assert (announced in asked) == (version == "5")


def test_other_packet_over_the_limit_ends_the_connection() -> None:
    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(CONNACK["3.1.1"] + packet(0x90, 100_000_000) + b"\0" * 1000)

    with served(answer) as port:
        connection = MqttConnection(MqttConfig(port=port), "3.1.1", client_id="a", max_packet_bytes=LIMIT_BYTES)
        connection.open()

        def ended() -> bool:
            try:
                connection.poll(0.05)
            except BrokerLost:
                return True
            return False

        until(ended)
        connection.abandon()


RESPONSE_TOPIC, USER_PROPERTY = b"\x08", b"\x26"


@pytest.mark.parametrize(
    "properties",
    [
        RESPONSE_TOPIC + b"\x00\x03\xef\xbb\xbf",
        USER_PROPERTY + b"\x00\x01k\x00\x03\xef\xbb\xbf",
        RESPONSE_TOPIC + b"\x00\x02\xc3\x28",
        2 * (RESPONSE_TOPIC + b"\x00\x01r"),
    ],
    ids=["byte order mark", "of a user", "not UTF-8", "twice"],
)
def test_message_whose_properties_are_refused_arrives_without_them(properties: bytes) -> None:
    received: list[IncomingMessage] = []
    answers = bytearray()

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(CONNACK["5"] + publish(b"{}", version="5", properties=properties))
        while data := client.recv(4):  # until the client leaves: who hangs up first ends its reading
            answers.extend(data)

    with served(answer) as port:
        connection = MqttConnection(MqttConfig(port=port), "5", client_id="a", on_message=received.append)
        connection.open()
        until(lambda: connection.poll(0.05) or received)  # type: ignore[func-returns-value]
        assert (received[0].payload, received[0].response_topic) == (b"{}", None)
        until(lambda: answers or connection.poll(0.05))  # type: ignore[func-returns-value]
        connection.abandon()
    assert answers == b"\x40\x02\x00\x07"


def test_error_of_a_reader_takes_nothing_away_where_messages_have_no_properties() -> None:
    received: list[bytes] = []

    def read(message: IncomingMessage) -> None:
        received.append(message.payload)
        message.payload.decode()

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(CONNACK["3.1.1"] + publish(b"\x01a\xff"))
        while client.recv(4):
            pass

    with served(answer) as port:
        connection = MqttConnection(MqttConfig(port=port), "3.1.1", client_id="a", on_message=read)
        connection.open()
        with pytest.raises(UnicodeDecodeError):
            until(lambda: connection.poll(0.05))
        connection.abandon()
    assert received == [b"\x01a\xff"]


def test_message_whose_topic_is_no_text_is_acknowledged_and_left_out() -> None:
    received: list[IncomingMessage] = []
    answers = bytearray()

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(CONNACK["3.1.1"] + publish(b"1", topic=b"\xff") + publish(b"2"))
        while data := client.recv(100):
            answers.extend(data)

    with served(answer) as port:
        connection = MqttConnection(MqttConfig(port=port), "3.1.1", client_id="a", on_message=received.append)
        connection.open()
        until(lambda: len(answers) == 8 or connection.poll(0.05))  # type: ignore[func-returns-value]
        connection.abandon()
    assert [message.payload for message in received] == [b"2"]


def test_answer_to_a_subscription_without_a_result_is_a_refusal() -> None:
    refused: list[str] = []

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(CONNACK["3.1.1"])
        asked = client.recv(4096)
        client.sendall(b"\x90\x02" + asked[2:4])
        client.recv(4096)

    def told(topic: str, refusal: Refusal | None) -> None:
        refused.append(refusal.reason if refusal else "")

    with served(answer) as port:
        connection = MqttConnection(MqttConfig(port=port), "3.1.1", client_id="a", on_subscribed=told)
        connection.open()
        connection.subscribe("a")
        until(lambda: refused or connection.poll(0.05))  # type: ignore[func-returns-value]
        connection.abandon()
    assert refused == ["Malformed packet"]
