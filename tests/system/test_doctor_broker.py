"""`edged doctor` greets and sends as the daemon does, and its cures fit the cause."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.config.tree import Config
from edged.device import doctor_broker
from edged.device.check_result import CheckResult
from edged.device.doctor_broker import broker_results, trials
from edged.device.info import discovery_device
from edged.errors import BrokerLost
from edged.messages import topics
from edged.messages.build import encode
from edged.mqtt.broker_check import BrokerReport, TopicCheck, check_broker
from tests.support.certs import sign
from tests.support.mqtt import Listener, Mosquitto
from tests.support.waiting import until
from tests.system.tcp_relay import TcpRelay
from tools.fleet.brokers import free_port

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")

OPEN = "allow_anonymous true"
ROOT = "edged/box"

NewMosquitto = Callable[..., Mosquitto]
any_version = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def doctor(folder: Path, mqtt: MqttConfig, *, homeassistant: bool = True) -> dict[str, CheckResult]:
    config = Config.model_validate(
        {
            "device": {"id": "box", "state_dir": folder},
            "mqtt": mqtt,
            "cameras": {"a": {"source": "0"}, "gone": {"source": "1"}},
            "commands": {"allow": []},
        }
    )
    discovery = discovery_device(config, "box", {"a": ("horse",), "gone": ("horse",)}) if homeassistant else None
    return {result.check: result for result in broker_results(config, discovery)}


def test_every_kind_of_message_is_tried() -> None:
    config = Config.model_validate(
        {
            "cameras": {"a": {"source": "0"}},
            "commands": {"allow": ["snapshot", "day", "evidence"]},
            "evidence": {"enabled": True},
            "fleet": {"group": "barns"},
        }
    )
    tried = {check.spec for check in trials(config, "box", None)}
    assert tried == {*topics.TOPIC_SPECS} - {topics.COMMAND}, "commands come from others"


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_broker_that_takes_everything_passes(mosquitto: Mosquitto, tmp_path: Path, protocol: str) -> None:
    results = doctor(tmp_path, MqttConfig(port=mosquitto.port, protocol=protocol))
    assert {check: result.ok for check, result in results.items()} == {
        "broker": True,
        "publishing": True,
        "device id": True,
    }
    versions = {"auto": "MQTT 5 and 3.1.1", "5": "MQTT 5", "3.1.1": "MQTT 3.1.1"}[protocol]
    assert results["broker"].message.endswith(versions)


def test_each_node_is_tried(mosquitto: Mosquitto, tmp_path: Path) -> None:
    gone = free_port()
    mqtt = MqttConfig(port=gone, hosts=(f"127.0.0.1:{mosquitto.port}",), protocol="5")
    config = Config.model_validate({"device": {"id": "box", "state_dir": tmp_path}, "mqtt": mqtt})
    nodes = {result.message: result.ok for result in broker_results(config, None) if result.check == "broker"}
    assert nodes == {
        f"broker 127.0.0.1:{gone}: Connection refused": False,
        f"127.0.0.1:{mosquitto.port} speaks MQTT 5": True,
    }


@any_version
def test_topics_without_a_right_are_named(new_mosquitto: NewMosquitto, tmp_path: Path, protocol: str) -> None:
    allowed = [f"{ROOT}/{name}" for name in ("status", "health", "info", "doctor")]
    (tmp_path / "acl").write_text("".join(f"topic readwrite {topic}\n" for topic in allowed))
    broker = new_mosquitto(OPEN, f"acl_file {tmp_path / 'acl'}")
    publishing = doctor(tmp_path, MqttConfig(port=broker.port, protocol=protocol))["publishing"]
    assert publishing.ok is False
    for topic in ("cam/a/alert", "cam/gone/alert", "cam/a/poses", "cam/a/daily", "cam/a/state"):
        assert f"{ROOT}/{topic}, " in publishing.message
    assert f"{ROOT}/health" not in publishing.message
    assert publishing.do.startswith(f"give client box the right to write and to read {ROOT}/#, and to Home Assistant's")


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
@pytest.mark.parametrize(
    ("line", "check"), [("retain_available false", "retained messages"), ("max_qos 0", "quality of service")]
)
def test_broker_without_a_feature_fails_by_its_name(
    new_mosquitto: NewMosquitto, tmp_path: Path, *, protocol: str, line: str, check: str
) -> None:
    results = doctor(tmp_path, MqttConfig(port=new_mosquitto(OPEN, line).port, protocol=protocol))
    assert line.split(maxsplit=1)[0] in results[check].do
    assert results["publishing"].ok


@any_version
@pytest.mark.parametrize("line", ["max_packet_size 2000", "message_size_limit 2000"])
def test_limit_of_size_is_found_with_the_largest_message(
    new_mosquitto: NewMosquitto, tmp_path: Path, *, protocol: str, line: str
) -> None:
    publishing = doctor(tmp_path, MqttConfig(port=new_mosquitto(OPEN, line).port, protocol=protocol))["publishing"]
    assert publishing.ok is False
    assert f"{ROOT}/health, " in publishing.message
    assert f"{ROOT}/cam/a/alert" not in publishing.message
    assert "max_packet_size" in publishing.do


def test_retained_messages_are_as_before_and_their_readers_see_no_other(
    mosquitto: Mosquitto, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    reader = listen(mosquitto.port, f"{ROOT}/#")
    state = b'{"view":"ok"}' + b" " * 1000
    reader.publish(f"{ROOT}/cam/a/state", state, retain=True)
    until(lambda: reader.messages)
    assert doctor(tmp_path, MqttConfig(port=mosquitto.port))["publishing"].ok
    assert {message.payload for message in reader.messages if message.topic.endswith("a/state")} == {state}
    late = listen(mosquitto.port, f"{ROOT}/#")
    until(lambda: late.messages)
    assert [message.topic for message in late.messages] == [f"{ROOT}/cam/a/state"]


@pytest.mark.parametrize(("cameras", "ok"), [(("yard",), False), (("a", "gone"), False)], ids=["other", "same"])
def test_other_device_under_this_id_is_shown(
    mosquitto: Mosquitto, listen: Callable[..., Listener], tmp_path: Path, cameras: tuple[str, ...], ok: bool
) -> None:
    reader = listen(mosquitto.port, f"{ROOT}/#")
    reader.publish(f"{ROOT}/status", b'{"state":"online"}', retain=True)
    info = {"name": "Yard", "cameras": {camera: {} for camera in cameras}}
    reader.publish(f"{ROOT}/info", encode(info), retain=True)
    until(lambda: len(reader.messages) == 2)
    result = doctor(tmp_path, MqttConfig(port=mosquitto.port))["device id"]
    assert result.ok is ok
    assert f"'Yard', cameras: {', '.join(cameras)}" in result.message
    assert "device.id" in result.do


@pytest.mark.parametrize(
    ("name", "extension", "days", "expected"),
    [
        ("other.example", "subjectAltName=DNS:other.example", 2, "DNS other.example, and not for 127.0.0.1"),
        ("127.0.0.1", "extendedKeyUsage=serverAuth", 2, "its common name 127.0.0.1 does not count"),
        ("expired", "subjectAltName=IP:127.0.0.1", 0, "it expired on "),
        ("client", "extendedKeyUsage=clientAuth", 2, "made anew: for a server"),
    ],
)
def test_refused_certificate_is_quoted_with_a_cure(
    new_mosquitto: NewMosquitto, certs: Path, tmp_path: Path, *, name: str, extension: str, days: int, expected: str
) -> None:
    sign(name, certs, extension, days=days)
    time.sleep(2 * (days == 0))
    lines = (f"cafile {certs}/ca.pem", f"certfile {certs}/{name}.pem", f"keyfile {certs}/{name}.key")
    broker = new_mosquitto(OPEN, *lines)
    result = doctor(tmp_path, MqttConfig(port=broker.port, tls=TlsConfig(enabled=True, ca=certs / "ca.pem")))["broker"]
    assert expected in result.message
    assert "start the broker" not in result.do


def test_certificate_of_an_unknown_authority_names_its_issuer(
    new_mosquitto: NewMosquitto, certs: Path, tmp_path: Path
) -> None:
    lines = (f"cafile {certs}/ca.pem", f"certfile {certs}/server.pem", f"keyfile {certs}/server.key")
    broker = new_mosquitto(OPEN, *lines)
    tls = TlsConfig(enabled=True, ca=certs / "other.pem")
    result = doctor(tmp_path, MqttConfig(port=broker.port, tls=tls))["broker"]
    assert f"it is signed by ca, which is not in mqtt.tls.ca = {certs}/other.pem" in result.message
    assert "intermediate" in result.message


def test_broker_that_lets_only_the_device_id_in_is_tried_with_it(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(broker: MqttConfig, device: str, trials: Sequence[TopicCheck], client_id: str) -> BrokerReport:
        if client_id != device:
            raise BrokerLost("refused: Client identifier not valid", "client-identifier-not-valid")
        return check_broker(broker, device, trials, client_id)

    monkeypatch.setattr(doctor_broker, "check_broker", strict)
    assert doctor(tmp_path, MqttConfig(port=mosquitto.port))["publishing"].ok
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as daemon:
        daemon.execute("PRAGMA locking_mode = EXCLUSIVE")
        daemon.execute("CREATE TABLE message (id)")
        result = doctor(tmp_path, MqttConfig(port=mosquitto.port))["broker"]
    assert (result.ok, "box-doctor" in result.do) == (False, True)


def test_broker_that_refuses_the_will_of_the_visit_is_tried_without(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with closing(TcpRelay(mosquitto.port)) as relay:
        relay.state = "refusing wills"
        results = doctor(tmp_path, MqttConfig(port=relay.port, protocol="3.1.1"))
    assert results["broker"].ok
    assert results["publishing"].ok


def test_broker_that_is_down_and_one_that_refuses_get_different_cures(
    new_mosquitto: NewMosquitto, tmp_path: Path
) -> None:
    broker = new_mosquitto("allow_anonymous false")
    assert "password" in doctor(tmp_path, MqttConfig(port=broker.port))["broker"].do
    broker.kill()
    assert "start the broker" in doctor(tmp_path, MqttConfig(port=broker.port))["broker"].do
