"""The bus against a real broker that dies, freezes, refuses and comes back."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.bus import Request
from edged.messages.cbor import unpack
from edged.messages.health_schema import MqttHealth, StoreHealth
from edged.messages.topics import Topic
from edged.mqtt.client import MqttBus
from edged.mqtt.embedded_broker import EmbeddedBroker
from edged.mqtt.retained_cameras import RetainedCameras
from edged.runtime.clock import Clock
from tests.support.memory_bus import MemoryBus
from tests.support.messages import result, subject
from tests.support.mqtt import Listener, Mosquitto, MQTTv311
from tests.support.tcp_server import tcp_server
from tests.support.waiting import LIMIT_S, until

BOX = "edged/box"
HEALTH, INFO = topics.HEALTH.at(), topics.INFO.at()
POSES, ALERT, STATE, CAMERA_STATUS, SNAPSHOT = (
    channel.at(camera="a")
    for channel in (topics.POSES, topics.ALERT, topics.STATE, topics.CAMERA_STATUS, topics.SNAPSHOT)
)

NewBus = Callable[..., MqttBus]
Listen = Callable[..., Listener]


def status_maker() -> Any:
    return partial(build.device_status, HeaderFactory(Clock()))


@pytest.fixture
def new_bus(open_bus: NewBus) -> NewBus:
    def start(
        port: int, *, device: str = "box", queue: int = 256, store_path: Path | None = None, **settings: Any
    ) -> MqttBus:
        broker = MqttConfig(port=port, **({"reconnect_max_s": 1, "keepalive_s": 5} | settings))
        return open_bus(broker, device=device, queue_size=queue, store=store_path)

    return start


def topics_of(reader: Listener) -> list[str]:
    return [message.topic for message in reader.messages]


def settled(bus: MqttBus) -> bool:
    return bus.connected and bus.counts.waiting == 0


@pytest.fixture(params=["memory", "mosquitto", "embedded"])
def bus(request: pytest.FixtureRequest) -> Iterator[MemoryBus | MqttBus]:
    """Every bus there is: what follows holds for each."""
    if request.param == "memory":
        yield MemoryBus(status_maker())
        return
    new_bus = request.getfixturevalue("new_bus")
    if request.param == "mosquitto":
        yield new_bus(request.getfixturevalue("mosquitto").port)
        return
    with EmbeddedBroker(0) as broker:
        bus = new_bus(broker.port, protocol="3.1.1")
        yield bus
        bus.close()


def test_counts_of_a_bus_balance(bus: MemoryBus | MqttBus) -> None:
    for topic in (POSES, ALERT):
        bus.publish(topic, {})
    until(lambda: bus.counts.published == 3)  # two and `status`
    assert bus.counts.balanced


def test_message_published_after_close_is_dropped(bus: MemoryBus | MqttBus) -> None:
    bus.close()
    before = bus.counts
    bus.publish(HEALTH, {})
    assert (bus.counts.dropped - before.dropped, bus.counts.waiting) == (1, 0)


@pytest.mark.parametrize("bad", [{"x": float("nan")}, {"x": float("inf")}])
def test_publish_of_nan_raises_value_error(bus: MemoryBus | MqttBus, bad: dict[str, float]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  of json itself
        bus.publish(HEALTH, bad)


def test_every_bus_has_the_same_stats(bus: MemoryBus | MqttBus) -> None:
    figures = bus.stats
    assert figures.keys() == MqttHealth.__annotations__.keys()
    assert figures["stored"].keys() == StoreHealth.__annotations__.keys()


def test_second_close_does_nothing(bus: MemoryBus | MqttBus) -> None:
    bus.close()
    bus.close()
    assert bus.stats["connected"] is False


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_device_with_another_id_sends_what_waited_as_the_old_one_and_leaves_nothing_retained_there(
    mosquitto: Mosquitto, new_bus: NewBus, listen: Listen, tmp_path: Path, protocol: str
) -> None:
    store, cameras = tmp_path / "outbox.db", tmp_path / "cameras.json"
    bus = new_bus(mosquitto.port, store_path=store, protocol=protocol)
    RetainedCameras(bus, cameras, BOX).keep(["a"])
    for topic in (INFO, HEALTH, CAMERA_STATUS, STATE):
        bus.publish(topic, {"id": topic.path})
    until(lambda: settled(bus))
    bus.close()
    bus = new_bus(1, store_path=store)  # an outage
    for topic in (ALERT, STATE):
        bus.publish(topic, {"id": f"late {topic.path}"})
    bus.close()
    reader = listen(mosquitto.port)
    until(lambda: f"{BOX}/status" in topics_of(reader))
    bus = new_bus(mosquitto.port, device="other", store_path=store, protocol=protocol)
    RetainedCameras(bus, cameras, "edged/other").keep(["a"])
    bus.publish(STATE, {"id": "new"})
    until(lambda: json.loads(cameras.read_text())["former"] == {} and settled(bus))
    late = {message.topic for message in reader.messages if b'"late ' in message.payload}
    assert late == {f"{BOX}/{topic.path}" for topic in (ALERT, STATE)}
    assert bus.stats["refused_topics"] == {}
    after = listen(mosquitto.port)
    until(lambda: f"edged/other/{STATE.path}" in topics_of(after))
    assert not [topic for topic in topics_of(after) if topic.startswith(f"{BOX}/")]


def test_optional_subscription_that_ends_the_connection_is_not_made_again(new_bus: NewBus) -> None:
    asked: list[bytes] = []

    def serve(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(b"\x20\x02\x00\x00")
        asked.append(b"")
        while b"other/status" not in asked[-1] and (data := client.recv(1000)):
            asked[-1] += data

    with tcp_server(serve) as port:
        bus = new_bus(port, protocol="3.1.1")
        bus.subscribe(Topic(path="/edged/other/status", spec=topics.STATUS), lambda request: None, optional=True)
        until(lambda: len(asked) > 1 and b"edged/box/status" in asked[-1])
        bus.close()
    assert [b"other/status" in one for one in asked] == [True, False]


def test_callback_gets_its_requests_and_may_raise(
    mosquitto: Mosquitto, new_bus: NewBus, caplog: pytest.LogCaptureFixture
) -> None:
    requests: list[Request] = []

    def callback(request: Request) -> None:
        requests.append(request)
        raise RuntimeError("a bug")

    bus = new_bus(mosquitto.port)
    until(lambda: settled(bus))
    bus.subscribe(topics.COMMAND.at(command="+"), callback)
    send = ("mosquitto_pub", "-p", str(mosquitto.port), "-V", "5", "-q", "1", "-t", f"{BOX}/cmd/snapshot", "-m", "{}")
    asked = ("-D", "publish", "response-topic", "answers", "-D", "publish", "correlation-data", "7")

    def ask() -> bool:
        subprocess.run([*send, *asked], check=True, timeout=LIMIT_S)
        return len(requests) > 1

    until(ask)
    assert requests[0] == Request(
        path="cmd/snapshot", payload=b"{}", retain=False, response_topic="answers", correlation=b"7"
    )
    assert bus.stats["reconnects"] == 0
    assert "RuntimeError: a bug" in caplog.text


def test_full_topic_and_correlation_data_are_sent_unchanged(
    mosquitto: Mosquitto, new_bus: NewBus, listen: Listen
) -> None:
    listener = listen(mosquitto.port, "answers/#")
    topic = Topic(path="/answers/1", spec=topics.SNAPSHOT)
    new_bus(mosquitto.port).publish(topic, b"\xff\xd8", correlation=b"7")
    answer: Any = until(lambda: listener.messages)[0]
    assert (answer.topic, answer.payload) == ("answers/1", b"\xff\xd8")
    properties = answer.properties
    assert (properties.CorrelationData, properties.ContentType, properties.UserProperty) == (
        b"7",
        "image/jpeg",
        [("schema", "snapshot/1")],
    )


def test_subscriber_gets_the_json_unchanged(mosquitto: Mosquitto, new_bus: NewBus, listen: Listen) -> None:
    listener = listen(mosquitto.port)
    body = {"v": 1, "subjects": [{"box": [0, 0.1, 2.5, 3], "keypoints": [[1.5, None, 0.25]]}], "name": "Süd"}
    new_bus(mosquitto.port).publish(POSES, body)
    until(lambda: listener.bodies(f"{BOX}/cam/a/poses"))
    received = next(m for m in listener.messages if m.topic.endswith("poses"))
    assert received.payload == build.encode(body)
    assert (received.qos, received.retain) == (0, False)


def test_poses_have_an_expiry_and_a_content_type(mosquitto: Mosquitto, new_bus: NewBus, listen: Listen) -> None:
    listener = listen(mosquitto.port, f"{BOX}/cam/#")
    new_bus(mosquitto.port).publish(POSES, {})
    properties: Any = until(lambda: listener.messages)[0].properties
    assert (properties.MessageExpiryInterval, properties.ContentType) == (5, "application/json")


def test_status_is_online_then_stopped_both_retained(mosquitto: Mosquitto, new_bus: NewBus, listen: Listen) -> None:
    bus = new_bus(mosquitto.port)
    until(lambda: settled(bus))
    early = listen(mosquitto.port)
    until(lambda: early.states(f"{BOX}/status") == ["online"])
    bus.close()
    late = listen(mosquitto.port)
    until(lambda: late.states(f"{BOX}/status") == ["stopped"])
    assert late.messages[0].retain


def test_close_sends_waiting_messages_before_the_status_stopped(
    mosquitto: Mosquitto, new_bus: NewBus, listen: Listen
) -> None:
    listener = listen(mosquitto.port)
    bus = new_bus(mosquitto.port)
    until(lambda: settled(bus))
    for number in range(20):
        bus.publish(ALERT, {"n": number})
    bus.close()
    until(lambda: "stopped" in listener.states(f"{BOX}/status"))
    assert [body["n"] for body in listener.bodies(f"{BOX}/cam/a/alert")] == list(range(20))
    assert listener.messages[-1].topic == f"{BOX}/status"


CHILD = """
import sys, time
from functools import partial
from edged.messages import build
from edged.mqtt.client import MqttBus
from edged.runtime.clock import Clock
from edged.config.tables.mqtt import MqttConfig, PublishConfig
make_status = partial(build.device_status, build.HeaderFactory(Clock()))
bus = MqttBus(MqttConfig(port=int(sys.argv[1])), "box", make_status, PublishConfig())
time.sleep(60)
"""


def test_killed_daemon_is_offline_by_its_last_will(mosquitto: Mosquitto, listen: Listen) -> None:
    listener = listen(mosquitto.port)
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(mosquitto.port)])
    try:
        until(lambda: listener.states(f"{BOX}/status") == ["online"])
    finally:
        child.kill()
        child.wait(LIMIT_S)
    until(lambda: listener.states(f"{BOX}/status") == ["online", "offline"])
    late = listen(mosquitto.port)
    until(lambda: late.bodies(f"{BOX}/status"))
    assert late.bodies(f"{BOX}/status")[0]["ts"] is None


def test_what_follows_a_published_message_may_wait_for_the_disk(mosquitto: Mosquitto, new_bus: NewBus) -> None:
    bus, threads = new_bus(mosquitto.port), list[str]()
    bus.publish(topics.INFO.at(), b"", on_published=lambda: threads.append(threading.current_thread().name))
    until(lambda: threads)
    assert threads == ["store"]


def test_restarted_broker_gets_every_retained_message_again(
    mosquitto: Mosquitto, new_bus: NewBus, listen: Listen
) -> None:
    bus = new_bus(mosquitto.port)
    bus.publish(INFO, {"versions": {}})
    bus.publish(CAMERA_STATUS, {"state": "lost"})
    until(lambda: settled(bus))
    mosquitto.kill()
    until(lambda: not bus.connected)
    bus.publish(CAMERA_STATUS, {"state": "online"})
    mosquitto.start()
    until(lambda: settled(bus))
    listener = listen(mosquitto.port)
    until(lambda: len(listener.messages) == 3)
    assert listener.states(f"{BOX}/status") == ["online"]
    assert listener.states(f"{BOX}/cam/a/status") == ["online"]
    assert bus.stats["reconnects"] == 1
    assert bus.counts.balanced


def test_status_online_is_sent_after_the_retained_messages(
    mosquitto: Mosquitto, new_bus: NewBus, listen: Listen
) -> None:
    mosquitto.kill()
    bus = new_bus(mosquitto.port)
    bus.publish(INFO, {})
    bus.publish(HEALTH, {})
    mosquitto.start()
    listener = listen(mosquitto.port)
    until(lambda: len(listener.messages) == 3)
    assert listener.messages[-1].topic == f"{BOX}/status"


def test_publish_without_a_broker_never_blocks_and_drops_are_counted(mosquitto: Mosquitto, new_bus: NewBus) -> None:
    bus = new_bus(mosquitto.port, queue=50)
    until(lambda: settled(bus))
    longest_s = 0.0
    for number in range(600):
        if number == 100:
            mosquitto.kill()
        if number == 400:
            mosquitto.start()
        before_s = time.monotonic()
        bus.publish(POSES, {"n": number})
        longest_s = max(longest_s, time.monotonic() - before_s)
        time.sleep(0.002)
    assert longest_s < 3  # generous: the machine may be busy; a blocked publisher would wait for seconds
    assert bus.counts.dropped > 0
    until(lambda: settled(bus))
    assert bus.counts.balanced


def test_alert_published_without_a_broker_arrives_later(mosquitto: Mosquitto, new_bus: NewBus, listen: Listen) -> None:
    bus = new_bus(mosquitto.port)
    until(lambda: settled(bus))
    mosquitto.kill()
    until(lambda: not bus.connected)
    bus.publish(ALERT, {"n": 1})
    mosquitto.start()
    listener = listen(mosquitto.port)
    until(lambda: listener.bodies(f"{BOX}/cam/a/alert"))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_state_cleared_while_the_broker_was_away_is_not_retained_by_what_was_stored_before(
    mosquitto: Mosquitto, new_bus: NewBus, listen: Listen, protocol: str
) -> None:
    mosquitto.kill()
    bus = new_bus(mosquitto.port, protocol=protocol)
    bus.publish(STATE, {"n": 1})
    bus.publish(STATE, b"")
    mosquitto.start()
    until(lambda: settled(bus))
    late = listen(mosquitto.port)
    until(lambda: late.bodies("edged/box/status"))
    assert "edged/box/cam/a/state" not in [message.topic for message in late.messages]


def test_publish_to_a_frozen_broker_never_blocks_and_it_is_detected(
    mosquitto: Mosquitto, new_bus: NewBus, caplog: pytest.LogCaptureFixture
) -> None:
    bus = new_bus(mosquitto.port, queue=20)
    until(lambda: settled(bus))
    assert mosquitto.process is not None
    mosquitto.process.send_signal(signal.SIGSTOP)
    before_s = time.monotonic()
    for _ in range(200):
        bus.publish(POSES, {"filler": "x" * 100_000})
    assert time.monotonic() - before_s < 5
    assert bus.counts.dropped > 0
    until(lambda: not bus.connected)
    mosquitto.process.send_signal(signal.SIGCONT)
    until(lambda: settled(bus))
    assert bus.counts.balanced
    assert "Keep alive timeout" in caplog.text


def test_wrong_credentials_are_logged_once(
    new_mosquitto: Callable[..., Mosquitto], new_bus: NewBus, caplog: pytest.LogCaptureFixture
) -> None:
    broker = new_mosquitto("allow_anonymous false")
    bus = new_bus(broker.port, username="barn", password=SecretStr("hunter2"))
    until(lambda: "refused: Not authorized; check mqtt.username" in caplog.text)
    time.sleep(1.5)  # more refusals come in this time
    assert len(caplog.records) == 1
    assert "hunter2" not in caplog.text
    assert not bus.connected


def test_refused_topic_is_counted_and_logged_once(
    new_mosquitto: Callable[..., Mosquitto], new_bus: NewBus, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    (tmp_path / "acl").write_text(f"topic write {BOX}/status\n")
    broker = new_mosquitto("allow_anonymous true", f"acl_file {tmp_path / 'acl'}")
    bus = new_bus(broker.port)
    for _ in range(3):
        bus.publish(ALERT, {})
        bus.publish(SNAPSHOT, b"")
    until(lambda: bus.stats["refused"] == 6)
    tally = bus.counts
    assert (tally.failed, tally.waiting) == (3, 3)  # an alert waits until we may
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"broker: {BOX}/cam/a/{what} was refused: Not authorized; give client box the right to {BOX}/#"
        for what in ("alert", "snapshot")
    ]


def test_lost_broker_is_logged_once_and_its_return_once(
    mosquitto: Mosquitto, new_bus: NewBus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mosquitto.kill()
    bus = new_bus(mosquitto.port)
    time.sleep(1.5)  # several attempts
    mosquitto.start()
    until(lambda: settled(bus))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "Connection refused" in lines[0]
    assert "connected" in lines[1]


def test_unresolvable_host_is_logged(new_bus: NewBus, caplog: pytest.LogCaptureFixture) -> None:
    new_bus(1883, host="no-such-broker.invalid")
    until(lambda: "no-such-broker.invalid:1883: " in caplog.text)


def test_broker_of_mqtt_3_is_connected_with_mqtt_3(new_bus: NewBus, listen: Listen) -> None:
    with EmbeddedBroker(0) as broker:
        listener = listen(broker.port, version=MQTTv311)
        bus = new_bus(broker.port)
        until(lambda: settled(bus))
        assert bus.stats["protocol"] == "3.1.1"
        bus.publish(POSES, {"n": 1})
        until(lambda: listener.bodies(f"{BOX}/cam/a/poses"))
        bus.close()
        until(lambda: listener.states(f"{BOX}/status") == ["online", "stopped"])
        listener.close()


def test_version_that_worked_is_used_again_after_a_restart(mosquitto: Mosquitto, new_bus: NewBus) -> None:
    bus = new_bus(mosquitto.port)
    until(lambda: settled(bus))
    for _ in range(2):
        mosquitto.kill()
        until(lambda: not bus.connected)
        mosquitto.start()
        until(lambda: settled(bus))
    assert bus.stats["protocol"] == "5"


def test_close_without_a_broker_does_not_wait_for_it(mosquitto: Mosquitto, new_bus: NewBus) -> None:
    mosquitto.kill()
    bus = new_bus(mosquitto.port)
    bus.publish(ALERT, {})
    before_s = time.monotonic()
    bus.close()
    assert time.monotonic() - before_s < 3
    assert bus.counts.balanced
    assert bus.counts.waiting == 0


def test_encoding_cbor_applies_to_poses_only(mosquitto: Mosquitto, listen: Listen) -> None:
    pytest.importorskip("cbor2", reason="needs cbor2; install edged[cbor]")
    listener = listen(mosquitto.port)
    body = build.poses(HeaderFactory(Clock()), result(subject()))
    made = MqttBus(MqttConfig(port=mosquitto.port), "box", status_maker(), PublishConfig(encoding="cbor"))
    until(lambda: made.connected)
    made.publish(topics.POSES.at(camera="a"), body)
    until(lambda: [m for m in listener.messages if m.topic.endswith("/poses")])
    made.close()
    sent = {m.topic.split("/")[-1]: m for m in listener.messages}
    assert unpack(bytes(sent["poses"].payload)) == json.loads(build.encode(body))
    assert [getattr(sent[name].properties, "ContentType", None) for name in ("poses", "status")] == [
        "application/cbor",
        "application/json",
    ]
