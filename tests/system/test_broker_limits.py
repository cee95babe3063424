"""Brokers that cannot or will not: what they can do is used, what is lost is told, the rest goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edged.config.tables.mqtt import MqttConfig
from edged.device.problems import broker_problems
from edged.messages import topics
from edged.messages.topics import Topic
from edged.mqtt import delivery, echo_check, held_messages
from edged.mqtt.client import DUPLICATE_ID_MAX_S, MqttBus
from edged.mqtt.homeassistant_payloads import DISCOVERY
from edged.mqtt.request import ResponseTimeout, request
from edged.runtime.backoff import Backoff
from tests.support.mqtt import Listener, Mosquitto, MQTTv311
from tests.support.waiting import until

BOX = "edged/box"
OPEN = "allow_anonymous true"
ALERT, STATE, POSES = (spec.at(camera="a") for spec in (topics.ALERT, topics.STATE, topics.POSES))
CONFIG = Topic(path="/homeassistant/device/box/config", spec=DISCOVERY)

NewMosquitto = Callable[..., Mosquitto]
NewBus = Callable[..., MqttBus]
Listen = Callable[..., Listener]

any_version = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo_check, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(delivery, "PROBE_S", 1.0)
    monkeypatch.setattr(delivery, "FIRST_PROBE_S", 0.2)
    monkeypatch.setattr(delivery, "RETRY_REFUSED_S", 1.0)
    monkeypatch.setattr(held_messages, "RETRY_REFUSED_S", 1.0)


@pytest.fixture
def new_bus(open_bus: NewBus, tmp_path: Path) -> NewBus:
    def start(port: int, **settings: Any) -> MqttBus:
        broker = MqttConfig(port=port, reconnect_max_s=1, keepalive_s=5, **settings)
        return open_bus(broker, store=tmp_path / "outbox.db")

    return start


def problems(bus: MqttBus) -> dict[str, str]:
    return {problem.code: problem.detail for problem in broker_problems(bus.stats)}


def numbered(listener: Listener, topic: Topic) -> list[int]:
    return [body["n"] for body in listener.bodies(f"{BOX}/{topic.path}")]


def filler(size: int) -> dict[str, Any]:
    return {"filler": "x" * size}


@pytest.fixture
def limited_rights(new_mosquitto: NewMosquitto, tmp_path: Path) -> tuple[Mosquitto, Callable[..., None]]:
    """A broker, and how to change the topics that everybody may use there."""
    acl = tmp_path / "acl"

    def allow(*lines: str) -> None:
        acl.write_text("".join(f"topic {line}\n" for line in lines))
        if broker.process is not None:
            broker.process.send_signal(signal.SIGHUP)

    acl.write_text("topic readwrite #\n")
    acl.chmod(0o600)
    broker = new_mosquitto(OPEN, f"acl_file {acl}")
    return broker, allow


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
@pytest.mark.parametrize(
    ("line", "problem"), [("retain_available false", "broker-no-retain"), ("max_qos 0", "broker-qos-0")]
)
def test_broker_without_a_feature_gets_everything_and_the_loss_is_a_problem(
    new_mosquitto: NewMosquitto, new_bus: NewBus, listen: Listen, *, protocol: str, line: str, problem: str
) -> None:
    broker = new_mosquitto(OPEN, line)
    listener = listen(broker.port, f"{BOX}/#")
    bus = new_bus(broker.port, protocol=protocol)
    for number in range(5):
        for topic in (ALERT, STATE, POSES):
            bus.publish(topic, {"n": number})
    until(lambda: all(numbered(listener, topic) == list(range(5)) for topic in (ALERT, POSES)))
    until(lambda: bus.counts.waiting == 0)
    assert list(problems(bus)) == [problem]


def test_broker_that_lacks_both_is_used_with_what_it_has(
    new_mosquitto: NewMosquitto, new_bus: NewBus, listen: Listen
) -> None:
    broker = new_mosquitto(OPEN, "max_qos 0", "retain_available false")
    listener = listen(broker.port, f"{BOX}/#")
    bus = new_bus(broker.port, protocol="3.1.1")
    bus.publish(ALERT, {"n": 0})
    until(lambda: numbered(listener, ALERT) == [0])
    assert set(problems(bus)) == {"broker-no-retain", "broker-qos-0"}


@any_version
@pytest.mark.parametrize("line", ["max_packet_size 2000", "message_size_limit 2000"])
def test_message_over_the_limit_is_set_aside_and_the_small_ones_go_on(
    new_mosquitto: NewMosquitto,
    new_bus: NewBus,
    listen: Listen,
    *,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
    line: str,
) -> None:
    broker = new_mosquitto(OPEN, line)
    listener = listen(broker.port, f"{BOX}/#")
    bus = new_bus(broker.port, protocol=protocol)
    for size in (11_000, 3000):
        bus.publish(Topic(path=f"/homeassistant/device/{size}/config", spec=DISCOVERY), filler(size))
    bus.publish(topics.INFO.at(), filler(1000))
    until(lambda: listener.bodies(f"{BOX}/info"))
    until(lambda: len(bus.stats["too_large"]) == 2)
    reconnects = bus.stats["reconnects"]
    for number in range(5):
        bus.publish(ALERT, {"n": number})
    until(lambda: numbered(listener, ALERT) == list(range(5)))
    time.sleep(2)
    assert bus.stats["reconnects"] == reconnects <= 4
    assert "homeassistant/device/3000/config (3" in problems(bus)["message-too-large"]
    assert "11000/config, 11046 bytes" in caplog.text
    assert "network is bad" not in caplog.text


def test_large_alert_stays_on_disk_and_small_ones_pass_it(
    new_mosquitto: NewMosquitto, new_bus: NewBus, listen: Listen
) -> None:
    broker = new_mosquitto(OPEN, "max_packet_size 2000")
    listener = listen(broker.port, f"{BOX}/#")
    bus = new_bus(broker.port, protocol="3.1.1")
    for number, size in enumerate((10, 3000, 10)):
        bus.publish(ALERT, {"n": number, **filler(size)})
    until(lambda: numbered(listener, ALERT)[-1:] == [2])
    until(lambda: bus.stats["stored"]["messages"] == 1)
    broker.kill()
    broker.lines = (OPEN,)
    broker.start()
    until(lambda: bus.stats["stored"]["messages"] == 0)
    assert "message-too-large" not in problems(bus)


@any_version
def test_alert_without_the_right_stays_on_disk_until_it_is_granted(
    limited_rights: tuple[Mosquitto, Callable[..., None]], new_bus: NewBus, listen: Listen, protocol: str
) -> None:
    broker, allow = limited_rights
    allow(f"readwrite {BOX}/status", f"readwrite {BOX}/cam/a/state")
    listener = listen(broker.port, f"{BOX}/#")
    bus = new_bus(broker.port, protocol=protocol)
    for number in range(3):
        bus.publish(ALERT, {"n": number})
    bus.publish(STATE, {"n": 7})
    until(lambda: numbered(listener, STATE) == [7])
    detail = until(lambda: problems(bus).get("topics-refused"))
    assert f"{BOX}/cam/a/alert" in detail
    assert f"{BOX}/cam/a/state" not in detail
    until(lambda: bus.stats["stored"]["messages"] == 3)
    allow("readwrite #")
    until(lambda: numbered(listener, ALERT) == [0, 1, 2])
    until(lambda: problems(bus) == {} and bus.stats["stored"]["messages"] == 0)


@any_version
def test_poses_without_the_right_are_a_problem_until_it_is_granted(
    limited_rights: tuple[Mosquitto, Callable[..., None]], new_bus: NewBus, protocol: str
) -> None:
    broker, allow = limited_rights
    bus = new_bus(broker.port, protocol=protocol)
    number = count()

    def shown() -> list[str]:
        bus.publish(POSES, {"n": next(number)})
        time.sleep(0.05)
        return list(problems(bus))

    until(lambda: shown() == [] and bus.counts.published > 30)
    allow(f"readwrite {BOX}/status")
    until(lambda: shown() == ["topics-refused"])
    refusals = bus.stats["refused"]

    def refused_twice_more() -> bool:
        assert shown() == ["topics-refused"], "not mended by a granted subscription"
        return bool(bus.stats["refused"] >= refusals + 2)

    until(refused_twice_more)
    allow("readwrite #")
    until(lambda: shown() == [])


@any_version
def test_picture_without_the_right_is_a_problem_until_one_is_taken(
    limited_rights: tuple[Mosquitto, Callable[..., None]], new_bus: NewBus, listen: Listen, protocol: str
) -> None:
    broker, allow = limited_rights
    bus, picture = new_bus(broker.port, protocol=protocol), topics.SNAPSHOT.at(camera="a")
    allow(f"readwrite {BOX}/status", f"readwrite {BOX}/cam/a/state")
    listener = listen(broker.port, f"{BOX}/#")
    bus.publish(STATE, {"n": 7})
    until(lambda: numbered(listener, STATE) == [7])
    bus.publish(picture, b"picture 1")
    detail = until(lambda: problems(bus).get("topics-refused"))
    assert f"{BOX}/cam/a/snapshot" in detail
    allow("readwrite #")

    def taken() -> bool:  # at first the broker may not know yet that it is allowed
        bus.publish(picture, b"picture 2")
        time.sleep(0.05)
        return problems(bus) == {}

    until(taken)
    assert {message.payload for message in listener.messages if message.topic.endswith("snapshot")} == {b"picture 2"}


def test_box_that_may_not_read_keeps_its_alert_sends_it_once_and_again_when_it_may(
    limited_rights: tuple[Mosquitto, Callable[..., None]], new_bus: NewBus, listen: Listen
) -> None:
    broker, allow = limited_rights
    everything = "readwrite #\nuser reader\ntopic readwrite #"  # after `user`, lines are that user's
    allow(f"write {BOX}/#\nuser reader\ntopic readwrite #")
    listener = listen(broker.port, f"{BOX}/#", login=("reader", ""))
    bus = new_bus(broker.port, protocol="3.1.1")
    bus.publish(ALERT, {"n": 0})
    until(lambda: "delivery-unverified" in problems(bus))
    time.sleep(3)  # several retries of what is refused
    assert (bus.stats["stored"]["messages"], numbered(listener, ALERT)) == (1, [0])
    allow(everything)

    def verified() -> bool:
        bus.publish(topics.HEALTH.at(), {"n": time.monotonic()})  # as a daemon does twice a minute
        time.sleep(0.1)
        return bool(bus.stats["stored"]["messages"] == 0)

    until(verified)
    assert (numbered(listener, ALERT), problems(bus)) == ([0, 0], {})


def test_command_over_a_broker_of_qos_0_is_sent(new_mosquitto: NewMosquitto) -> None:
    broker = new_mosquitto(OPEN, "max_qos 0")
    with pytest.raises(ResponseTimeout):  # nobody is there to answer
        request(MqttConfig(port=broker.port, protocol="3.1.1"), "box", "diagnose", {}, 0.5)


def test_two_devices_of_one_id_grow_quiet_and_name_each_other(mosquitto: Mosquitto, new_bus: NewBus) -> None:
    buses = [new_bus(mosquitto.port), new_bus(mosquitto.port)]
    for bus, camera in zip(buses, ("barn", "yard"), strict=True):
        bus.publish(topics.INFO.at(), {"name": "", "cameras": {camera: {}}})
    until(lambda: all("id-in-use" in problems(bus) for bus in buses))
    assert "cameras: yard" in until(
        lambda: "yard" in problems(buses[0])["id-in-use"] and problems(buses[0])["id-in-use"]
    )
    assert "give one of them another device.id" in problems(buses[0])["id-in-use"]


def test_client_that_takes_the_id_again_and_again_is_a_problem(mosquitto: Mosquitto, new_bus: NewBus) -> None:
    twin = Client(CallbackAPIVersion.VERSION2, "box", protocol=MQTTv311)
    twin.reconnect_delay_set(1, 1)
    twin.connect("127.0.0.1", mosquitto.port)
    twin.loop_start()
    bus = new_bus(mosquitto.port)
    until(lambda: "id-in-use" in problems(bus))
    twin.disconnect()
    twin.loop_stop()


def test_duplicate_id_is_tried_less_than_fifty_times_an_hour() -> None:
    backoff, waited_s, attempts = Backoff(DUPLICATE_ID_MAX_S), 0.0, 0
    while waited_s < 3600:
        waited_s += backoff.next_s()
        attempts += 1
    assert attempts < 50
