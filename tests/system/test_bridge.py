"""The shipped bridge from a site's broker to a central one, both real: what goes up, what comes down, what survives."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.errors import BrokerLost
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.bus import Request
from edged.mqtt.client import MqttBus
from edged.mqtt.connection import MqttConnection, Refusal
from edged.mqtt.request import request
from edged.mqtt.send_queue import OutgoingMessage
from edged.runtime.clock import Clock
from tests.support.mqtt import Listener
from tests.support.waiting import until
from tests.system.tcp_relay import TcpRelay
from tools.fleet.brokers import Broker

SITE, DEVICE = "farm", "barn-east"
PASSWORDS = {"operator": "o-secret"}
BURST = 300  # alerts while the link is down
BRIDGE_LIMIT_S = 120.0  # mosquitto waits up to 30 s (restart_timeout) before it tries a link again


@pytest.fixture
def brokers(mosquitto_binary: str, certs: Path, tmp_path: Path) -> Iterator[tuple[Broker, TcpRelay, Broker]]:
    """A site's, the central one that it is bridged to, and the network between them."""
    for name in ("site", "central"):
        (tmp_path / name).mkdir()
    site, central = Broker(tmp_path / "site"), Broker(tmp_path / "central", "central.acl")
    site.people(PASSWORDS)
    site.boxes({DEVICE: "b-secret"})
    central.people(PASSWORDS)
    network = TcpRelay(central.boxes_port)
    site.bridge(central, SITE, port=network.port)
    central.start()
    site.start()
    yield site, network, central
    site.kill()
    network.close()
    central.kill()


@pytest.fixture
def site(brokers: tuple[Broker, TcpRelay, Broker]) -> Broker:
    return brokers[0]


@pytest.fixture
def network(brokers: tuple[Broker, TcpRelay, Broker]) -> TcpRelay:
    return brokers[1]


@pytest.fixture
def central(brokers: tuple[Broker, TcpRelay, Broker]) -> Broker:
    return brokers[2]


@pytest.fixture
def above(central: Broker, listen: Callable[..., Listener]) -> Listener:
    """All that arrives at the central broker, once the link is up."""
    tls = ssl.create_default_context(cafile=central.ca)
    listener = listen(central.people_port, "#", tls=tls, login=("operator", PASSWORDS["operator"]))
    until(lambda: link(listener)[-1:] == ["1"])
    return listener


@pytest.fixture
def bus(site: Broker, tmp_path: Path) -> Iterator[MqttBus]:
    make_status = partial(build.device_status, HeaderFactory(Clock()))
    bus = MqttBus(login(site, DEVICE, "b-secret"), DEVICE, make_status, PublishConfig(), tmp_path / "outbox.db")
    until(lambda: bus.connected)
    yield bus
    bus.close()


def login(broker: Broker, name: str, password: str = "") -> MqttConfig:
    tls = {"enabled": True, "ca": broker.ca}
    given = {"username": name, "password": password or PASSWORDS[name]}
    port = broker.people_port if name in PASSWORDS else broker.passwords_port
    return MqttConfig.model_validate({"port": port, "tls": tls, "protocol": "5", **given})


def link(above: Listener) -> list[str]:
    return [arrived.payload.decode() for arrived in list(above.messages) if arrived.topic == f"{SITE}/link"]


def at(path: str) -> str:
    return f"{SITE}/edged/{DEVICE}/{path}"


def numbers(above: Listener) -> list[int]:
    return [body["n"] for body in above.bodies(at("cam/a/alert"))]


def delivered(bus: MqttBus) -> bool:
    return bus.connected and bus.counts.waiting == 0


def test_states_and_alerts_go_up_and_poses_stay(above: Listener, bus: MqttBus) -> None:
    bus.publish(topics.POSES.at(camera="a"), {"n": 0})
    bus.publish(topics.ALERT.at(camera="a"), {"n": 1})
    until(lambda: numbers(above) == [1])
    assert above.states(at("status")) == ["online"]
    assert not above.bodies(at("cam/a/poses"))


def test_mqtt_5_properties_survive_the_bridge(above: Listener, bus: MqttBus) -> None:
    bus.publish(topics.RESULT.at(command="diagnose"), {}, correlation=b"\1\2")
    until(lambda: above.bodies(at("cmd/diagnose/result")))
    sent = next(vars(m.properties) for m in above.messages if m.topic == at("cmd/diagnose/result"))
    assert (sent["ContentType"], sent["CorrelationData"]) == ("application/json", b"\1\2")
    assert sent["UserProperty"] == [("schema", "result/1")]
    assert 0 < sent["MessageExpiryInterval"] <= 60


def test_command_comes_down_once_and_its_response_goes_up(central: Broker, above: Listener, bus: MqttBus) -> None:
    requests: list[Request] = []

    def obey(request: Request) -> None:
        requests.append(request)
        bus.publish(topics.RESULT.at(command="diagnose"), {"id": json.loads(request.payload)["id"], "ok": True})

    bus.subscribe(topics.COMMAND.at(command="+"), obey)
    operator = login(central, "operator").model_copy(update={"base_topic": f"{SITE}/edged"})
    assert until(lambda: answer(operator))["ok"]
    ids = [json.loads(request.payload)["id"] for request in requests]
    assert len(ids) == len(set(ids)), "a command that was lost on the way is sent again, with another id"


def answer(operator: MqttConfig) -> dict[str, Any] | None:
    try:
        return request(operator, DEVICE, "diagnose", {}, 5.0)
    except BrokerLost:
        return None


def test_alerts_wait_at_the_site_while_the_link_is_down(network: TcpRelay, above: Listener, bus: MqttBus) -> None:
    network.state = "down"
    until(lambda: link(above)[-1] == "0")
    for number in range(BURST):
        bus.publish(topics.ALERT.at(camera="a"), {"n": number})
        if number == BURST // 2:
            bus.publish(topics.STATE.at(camera="a"), {"n": number})
    until(lambda: delivered(bus))
    network.state = "up"
    until(lambda: len(numbers(above)) >= BURST, BRIDGE_LIMIT_S)
    assert list(dict.fromkeys(numbers(above))) == list(range(BURST))
    until(lambda: above.bodies(at("cam/a/state")))


def test_alerts_waiting_at_the_site_survive_a_restart_of_its_broker(
    site: Broker, network: TcpRelay, above: Listener, bus: MqttBus
) -> None:
    network.state = "down"
    until(lambda: link(above)[-1] == "0")
    bus.publish(topics.ALERT.at(camera="a"), {"n": 7})
    until(lambda: delivered(bus))
    site.stop()
    site.start()
    network.state = "up"
    until(lambda: numbers(above) == [7], BRIDGE_LIMIT_S)


def test_site_without_its_broker_is_offline(site: Broker, above: Listener, bus: MqttBus) -> None:
    until(lambda: above.states(at("status")) == ["online"])
    site.kill()
    until(lambda: link(above)[-1] == "0")
    site.start()
    until(lambda: link(above)[-1] == "1")


def test_site_may_publish_only_its_own_topics(site: Broker, central: Broker, above: Listener) -> None:
    """As a user with control of a site could try."""
    refusals: list[Refusal | None] = []
    tls = {"enabled": True, "ca": central.ca, "cert": site.folder / f"{SITE}.pem", "key": site.folder / f"{SITE}.key"}
    broker = MqttConfig.model_validate({"port": central.boxes_port, "tls": tls, "protocol": "5"})
    connection = MqttConnection(
        broker, "5", client_id="other", on_result=lambda message, refusal: refusals.append(refusal)
    )
    connection.open()
    for topic in ("elsewhere/edged/box/status", "elsewhere/link", f"{SITE}/edged/box/cmd/x", at("cam/a/alert")):
        connection.send(OutgoingMessage(topic=topic, payload=b"{}", spec=topics.ALERT, queued_ns=time.monotonic_ns()))
    while len(refusals) < 4:  # `poll` raises when the broker sends nothing
        connection.poll(1.0)
    connection.close()
    assert [bool(refusal) for refusal in refusals] == [True, True, False, False]
