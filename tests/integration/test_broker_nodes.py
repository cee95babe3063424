"""Devices, readers and requests go to a node that is there."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.errors import BrokerLost
from edged.mqtt import request as mqtt_request
from edged.mqtt.client import MqttBus
from edged.mqtt.request import online_devices
from edged.mqtt.subscribe import subscribe
from tests.support.tcp_server import tcp_server
from tests.support.waiting import LIMIT_S, until

CONNACK_V5 = b"\x20\x03\x00\x00\x00"
REFUSED_V5 = b"\x20\x03\x00\x87\x00"  # not authorized


class Node:
    """Lets every client in, and cuts it off when told."""

    def __init__(self, answer: bytes = CONNACK_V5) -> None:
        self.answer = answer
        self.connects = 0
        self.cut: queue.Queue[None] = queue.Queue()
        self.port = 0

    def serve(self, connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(self.answer)
        self.connects += 1
        if self.answer == CONNACK_V5:
            self.cut.get(timeout=LIMIT_S)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.mqtt.nodes.INITIAL_WAIT_S", 0.01)


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    with ExitStack() as stack:
        found = [Node(), Node()]
        for node in found:
            node.port = stack.enter_context(tcp_server(node.serve))
        yield found
        for node in found:
            node.cut.put(None)


def broker(*ports: int) -> MqttConfig:
    return MqttConfig(port=ports[0], hosts=tuple(f"127.0.0.1:{port}" for port in ports[1:]), protocol="5")


def nobody() -> int:
    """A port of nobody."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_device_goes_to_the_other_node_and_back(nodes: list[Node]) -> None:
    bus = MqttBus(broker(*(node.port for node in nodes)), "box", lambda state: {"state": state}, PublishConfig())
    try:
        until(lambda: sum(node.connects for node in nodes) == 1 and bus.connected)
        first, second = sorted(nodes, key=lambda node: -node.connects)
        first.cut.put(None)
        until(lambda: second.connects == 1)
        second.cut.put(None)
        until(lambda: first.connects == 2)
    finally:
        bus.close()


def test_node_that_refuses_does_not_keep_a_device_from_the_others(nodes: list[Node]) -> None:
    nodes[0].answer = REFUSED_V5
    bus = MqttBus(broker(*(node.port for node in nodes)), "box", lambda state: {"state": state}, PublishConfig())
    try:
        until(lambda: bus.connected)
        assert nodes[1].connects == 1
    finally:
        bus.close()


def test_reader_goes_to_a_node_that_is_there(nodes: list[Node]) -> None:
    stop, states = threading.Event(), list[str]()
    on_state = states.append
    reader = threading.Thread(target=subscribe, args=(broker(nobody(), nodes[0].port), "#", print, on_state, stop))
    reader.start()
    try:
        until(lambda: f"connected to 127.0.0.1:{nodes[0].port} with MQTT 5" in states)
    finally:
        stop.set()
        reader.join(LIMIT_S)


def test_request_that_no_node_takes_names_them_all() -> None:
    ports = [nobody(), nobody()]
    with pytest.raises(BrokerLost) as caught:
        online_devices(broker(*ports))
    assert caught.value.code == "unreachable"
    assert all(f"broker 127.0.0.1:{port}: Connection refused" in str(caught.value) for port in ports)


def test_request_goes_to_a_node_that_is_there(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_request, "STATUS_WAIT_S", 0.05)
    assert online_devices(broker(nobody(), nodes[0].port)) == []
    assert nodes[0].connects == 1
