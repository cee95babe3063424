"""Alerts through every kind of outage, with TLS and access rights: once, in order, with their own timestamps."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from edged.config.tables.mqtt import MqttConfig, PublishConfig, TlsConfig
from edged.messages import build, topics
from edged.messages.build import Body, DeviceStatus, HeaderFactory, new_id
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from tests.support.mqtt import Listener, Mosquitto
from tests.support.tcp_server import tcp_server
from tests.support.waiting import until
from tests.system.tcp_relay import MuteBroker, TcpRelay

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")

ALERT, POSES = topics.ALERT.at(camera="a"), topics.POSES.at(camera="a")
HEADERS = HeaderFactory(Clock())
ACL = "user box\ntopic readwrite edged/box/#\nuser reader\ntopic read edged/box/#\n"
LIMIT_S = 40.0

NewBus = Callable[..., MqttBus]


class Load:
    """What a camera publishes, faster: poses all the time, and numbered alerts."""

    def __init__(self, bus: MqttBus, first: int = 0) -> None:
        self.alerts: list[Body] = []
        self._bus = bus
        self._first = first
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> list[Body]:
        self._over.set()
        self._thread.join(20)
        return self.alerts

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self._bus.publish(POSES, {**HEADERS(POSES), "subjects": [[0.5] * 51] * 4})
            alert = {**HEADERS(ALERT), "id": new_id(), "n": self._first + len(self.alerts)}
            self._bus.publish(ALERT, alert)
            self.alerts.append(alert)


@pytest.fixture
def broker(new_mosquitto: Callable[..., Mosquitto], certs: Path, tmp_path: Path) -> Mosquitto:
    (tmp_path / "acl").write_text(ACL)
    return new_mosquitto(
        f"cafile {certs}/ca.pem",
        f"certfile {certs}/server.pem",
        f"keyfile {certs}/server.key",
        f"acl_file {tmp_path}/acl",
        "require_certificate true",
        "use_identity_as_username true",
    )


@pytest.fixture
def wire(broker: Mosquitto) -> Iterator[TcpRelay]:
    wire = TcpRelay(broker.port)
    yield wire
    wire.close()


@pytest.fixture
def new_bus(wire: TcpRelay, certs: Path, tmp_path: Path, open_bus: NewBus) -> NewBus:
    tls = TlsConfig(enabled=True, ca=certs / "ca.pem", cert=certs / "box.pem", key=certs / "box.key")
    return partial(open_bus, MqttConfig(port=wire.port, tls=tls, keepalive_s=5), store=tmp_path / "outbox.db")


@pytest.fixture
def new_reader(broker: Mosquitto, listen: Callable[..., Listener], certs: Path) -> Callable[[], Listener]:
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    context.load_cert_chain(certs / "reader.pem", certs / "reader.key")
    return partial(listen, broker.port, "edged/box/#", tls=context)


@pytest.fixture
def reader(new_reader: Callable[[], Listener]) -> Listener:
    return new_reader()


def make_status(state: DeviceStatus) -> Mapping[str, Any]:
    return build.device_status(HEADERS, state)


def offline(bus: MqttBus) -> bool:
    return not bus.connected


def delivered(bus: MqttBus) -> bool:
    return bus.connected and bus.counts.waiting == 0


def received(reader: Listener) -> list[Body]:
    return reader.bodies("edged/box/cam/a/alert")


def check(reader: Listener, sent: list[Body]) -> None:
    """Every alert is there, in order and unchanged; one that is there twice is the same one."""
    until(lambda: {body["id"] for body in received(reader)} >= {body["id"] for body in sent})
    first = {body["id"]: body for body in reversed(received(reader))}
    assert [
        {k: v for k, v in body.items() if k not in ("stored", "superseded")} for body in reversed(first.values())
    ] == sent
    assert all("n" in body for body in sent)


def statuses(reader: Listener) -> list[str]:
    return reader.states("edged/box/status")


def test_killed_broker_loses_no_alert(broker: Mosquitto, wire: TcpRelay, new_bus: NewBus, reader: Listener) -> None:
    bus = new_bus()
    until(lambda: bus.connected)
    load = Load(bus)
    until(lambda: len(received(reader)) > 20)
    broker.kill()
    until(lambda: offline(bus))
    wire.state = "down"
    before = len(load.alerts)
    until(lambda: len(load.alerts) > before + 50)
    broker.start()
    until(lambda: reader.subscribed == 2)  # what is published before is not for it
    wire.state = "up"
    until(lambda: bus.connected)
    until(lambda: len(received(reader)) > before and not received(reader)[-1].get("stored"), LIMIT_S)  # live again
    sent = load.stop()
    until(lambda: delivered(bus), LIMIT_S)
    check(reader, sent)
    assert any(body.get("stored") for body in received(reader))
    assert not received(reader)[-1].get("stored")
    assert statuses(reader)[-1] == "online"
    assert bus.counts.balanced


def test_network_that_drops_everything_loses_no_alert(wire: TcpRelay, new_bus: NewBus, reader: Listener) -> None:
    bus = new_bus()
    until(lambda: bus.connected)
    load = Load(bus)
    until(lambda: len(received(reader)) > 20)
    wire.state = "swallowing"
    until(lambda: offline(bus), LIMIT_S)
    wire.state = "down"  # the broker sees that the connection is dead, and publishes our last will
    until(lambda: statuses(reader)[-1] == "offline")
    wire.state = "up"
    until(lambda: bus.connected)
    sent = load.stop()
    until(lambda: delivered(bus), LIMIT_S)
    check(reader, sent)
    assert statuses(reader) == ["online", "offline", "online"]
    will = [message.topic for message in reader.messages].index("edged/box/status", 1)
    since = [message.payload for message in reader.messages[will:] if message.topic == "edged/box/cam/a/alert"]
    assert len({json.loads(alert)["id"] for alert in since}) == len(since)


def test_daemon_restarted_without_a_broker_loses_no_alert(wire: TcpRelay, new_bus: NewBus, reader: Listener) -> None:
    wire.state = "down"
    first = new_bus()
    for number in range(30):
        first.publish(ALERT, {**HEADERS(ALERT), "id": new_id(), "n": number})
    first.close()
    second = new_bus()
    assert second.stats["stored"]["messages"] == 30
    assert received(reader) == []
    wire.state = "up"
    until(lambda: delivered(second), LIMIT_S)
    assert [body["n"] for body in until(lambda: len(received(reader)) == 30 and received(reader))] == list(range(30))
    assert all(body["stored"] for body in received(reader))


def test_live_messages_are_sent_between_stored_ones(wire: TcpRelay, new_bus: NewBus, reader: Listener) -> None:
    wire.state = "down"
    bus = new_bus()
    for number in range(100):
        bus.publish(ALERT, {**HEADERS(ALERT), "id": new_id(), "n": number})
    until(lambda: bus.stats["stored"]["unwritten"] == 0)
    wire.state = "up"
    until(lambda: bus.connected)
    while len(received(reader)) < 100:
        bus.publish(POSES, {})
        time.sleep(0.01)
    kinds = [sent.topic.rsplit("/")[-1] for sent in reader.messages if sent.topic.startswith("edged/box/cam/a/")]
    assert "poses" in kinds[kinds.index("alert") : kinds.index("alert") + 60]


def test_state_is_sent_again_to_a_restarted_broker_and_never_an_older_one(
    broker: Mosquitto, wire: TcpRelay, new_bus: NewBus, reader: Listener, new_reader: Callable[[], Listener]
) -> None:
    bus, state = new_bus(), topics.STATE.at(camera="a")
    until(lambda: bus.connected)
    for number in range(60):  # so many that the broker does not take all at once
        bus.publish(topics.CAMERA_STATUS.at(camera=f"c{number}"), {})
    bus.publish(state, {"view": "day"})
    until(lambda: delivered(bus))
    broker.kill()
    until(lambda: offline(bus))
    wire.state = "down"
    broker.start()
    until(lambda: reader.subscribed == 2)
    wire.state = "up"
    views = partial(reader.bodies, "edged/box/cam/a/state")
    until(lambda: [body["view"] for body in views()] == ["day", "day"])
    wire.state = "down"
    until(lambda: offline(bus))
    bus.publish(state, {"view": "night"})
    until(lambda: bus.stats["stored"]["unwritten"] == 0)
    wire.state = "up"
    until(lambda: delivered(bus))
    late = new_reader()
    assert until(lambda: late.bodies("edged/box/cam/a/state"))[0]["view"] == "night"


@pytest.fixture
def mute() -> Iterator[MuteBroker]:
    broker = MuteBroker()
    yield broker
    broker.close()


def test_broker_that_acknowledges_nothing_is_disconnected(mute: MuteBroker, caplog: pytest.LogCaptureFixture) -> None:
    bus = MqttBus(MqttConfig(port=mute.port, protocol="3.1.1", keepalive_s=5), "box", make_status, PublishConfig())
    until(lambda: mute.connections > 1)
    bus.close()
    assert "nothing acknowledged for" in caplog.text


def test_bus_closed_while_it_connects_leaves_no_socket(caplog: pytest.LogCaptureFixture) -> None:
    process, gone = psutil.Process(), threading.Event()
    with tcp_server(lambda client: gone.wait(LIMIT_S)) as port:
        before = process.num_fds()
        MqttBus(MqttConfig(port=port), "box", make_status, PublishConfig()).close()
        assert "its thread is abandoned" in caplog.text
        gone.set()
        until(lambda: process.num_fds() == before)


def test_broker_that_no_longer_refuses_is_connected(new_mosquitto: Callable[..., Mosquitto]) -> None:
    broker = new_mosquitto("allow_anonymous false")
    bus = MqttBus(MqttConfig(port=broker.port), "box", make_status, PublishConfig())
    bus.publish(ALERT, {"id": "1"})
    time.sleep(1)  # some refusals
    broker.kill()
    broker.lines = ("allow_anonymous true",)
    broker.start()
    until(lambda: delivered(bus), LIMIT_S)
    bus.close()


def test_bus_connects_again_after_an_exception(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def buggy(state: DeviceStatus) -> Mapping[str, Any]:
        calls.append(state)
        if calls.count("online") == 1 and state == "online":
            raise RuntimeError("a bug")
        return make_status(state)

    bus = MqttBus(MqttConfig(port=mosquitto.port), "box", buggy, PublishConfig())
    until(lambda: delivered(bus))
    bus.close()
    assert "RuntimeError: a bug" in caplog.text


def test_password_in_the_clear_is_logged_unless_the_broker_is_local(caplog: pytest.LogCaptureFixture) -> None:
    warned: list[Any] = []
    for host in ("127.0.0.1", "localhost", "::1", "broker.invalid"):
        MqttBus(MqttConfig(host=host, username="barn"), "box", make_status, PublishConfig()).close()
        warned.append("in the clear" in caplog.text)
    assert warned == [False, False, False, True]
