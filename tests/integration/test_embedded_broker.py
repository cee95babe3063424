"""The embedded broker answers every client at once, and sends what was asked for, once."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from shutil import which

import pytest

pytest.importorskip("amqtt", reason="needs amqtt; install edged[broker]")

from edged.config.tables.mqtt import MqttConfig
from edged.mqtt import embedded_broker
from edged.mqtt.connection import MqttConnection
from edged.mqtt.embedded_broker import EmbeddedBroker
from edged.mqtt.negotiation import UnsupportedProtocol
from edged.mqtt.subscribe import subscribe
from tests.support.mqtt import Listener, MQTTv311
from tests.support.waiting import until

AT_ONCE_S = 3.0  # milliseconds on an idle machine; a silent broker is given up after 5 s


@pytest.fixture
def retained(broker: EmbeddedBroker) -> Listener:
    listener = Listener(broker.port, version=MQTTv311)
    for topic in ("edged/demo/status", "edged/demo/health", "edged/demo/cam/a/state"):
        listener.publish(topic, b"{}", retain=True)
    until(lambda: len(listener.messages) == 3)
    return listener


def test_client_of_mqtt_5_is_refused_at_once(broker: EmbeddedBroker) -> None:
    link = MqttConnection(MqttConfig(port=broker.port), "5", client_id="a")
    before_s = time.monotonic()
    with pytest.raises(UnsupportedProtocol):
        link.open()
    assert time.monotonic() - before_s < AT_ONCE_S
    link.abandon()


@pytest.mark.skipif(which("mosquitto_sub") is None, reason="needs mosquitto-clients")
def test_mosquitto_sub_of_mqtt_5_ends_with_a_word(broker: EmbeddedBroker) -> None:
    command = ("mosquitto_sub", "-V", "5", "-p", str(broker.port), "-t", "#", "-W", "10")
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode not in (0, 27)  # 27: the time of -W was over
    assert "rotocol" in done.stderr


def test_subscriber_gets_only_what_it_asked_for_and_each_once(broker: EmbeddedBroker, retained: Listener) -> None:
    reader = Listener(broker.port, "edged/demo/health", version=MQTTv311)
    until(lambda: reader.messages)
    retained.publish("edged/demo/health", b"[]")
    until(lambda: len(reader.messages) == 2)
    assert [(message.topic, message.payload) for message in reader.messages] == [
        ("edged/demo/health", b"{}"),
        ("edged/demo/health", b"[]"),
    ]
    for listener in (reader, retained):
        listener.close()


def test_client_that_sends_no_connect_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(embedded_broker, "CONNECT_TIMEOUT_S", 0.2)
    broker: EmbeddedBroker = request.getfixturevalue("broker")
    with socket.create_connection(("127.0.0.1", broker.port), 5) as silent:
        assert silent.recv(10) == b""


def test_connect_in_single_bytes_is_accepted(broker: EmbeddedBroker) -> None:
    connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
    with socket.create_connection(("127.0.0.1", broker.port), 5) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in connect:
            slow.sendall(bytes([byte]))
            time.sleep(0.005)
        assert slow.recv(10) == b"\x20\x02\x00\x00"


def test_watching_falls_back_at_once(broker: EmbeddedBroker) -> None:
    stop, said = threading.Event(), list[str]()

    def on_state(text: str) -> None:
        said.append(text)
        stop.set()

    before_s = time.monotonic()
    assert subscribe(MqttConfig(port=broker.port), "#", lambda message: None, on_state, stop)
    assert time.monotonic() - before_s < AT_ONCE_S
    assert said == [f"connected to 127.0.0.1:{broker.port} with MQTT 3.1.1"]
