"""The shipped broker configuration on a real mosquitto: who is let in, and what each may do there."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edged.__main__ import main
from edged.config.load import load
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.errors import BrokerLost
from edged.messages import topics
from edged.messages.bus import Request
from edged.messages.topics import Topic
from edged.mqtt.client import MqttBus
from edged.mqtt.homeassistant_payloads import DISCOVERY
from edged.mqtt.negotiation import ConnectionRefused
from edged.mqtt.request import ResponseTimeout, request
from tests.support.mqtt import Listener
from tests.support.waiting import until
from tools.fleet.brokers import Broker

# paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")

PASSWORDS = {"operator": "o-secret", "reader": "r-secret", "homeassistant": "h-secret"}
CAMERAS = '\n[cameras.stall1]\nsource = "csi:0"\n'

Provisioned = Callable[..., Config]
NewBus = Callable[[Config], MqttBus]


@pytest.fixture
def site(mosquitto_binary: str, certs: Path, tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "edged").mkdir()
    broker = Broker(tmp_path / "edged")
    broker.people(PASSWORDS)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def provisioned(site: Broker, tmp_path: Path) -> Provisioned:
    """A box as it is made: known to the broker, then provisioned from the one file."""

    def make(device: str, *how: str) -> Config:
        root = tmp_path / device
        root.mkdir()
        file = tmp_path / f"{device}.toml"
        file.write_text(site.add(device, *how) + CAMERAS)
        site.reload()
        assert main(["provision", str(file), "--root", str(root)]) == 0
        return load(env={}, etc=root / "etc" / "edged")

    return make


@pytest.fixture
def new_bus(open_bus: Callable[..., MqttBus]) -> NewBus:
    return lambda config: open_bus(config.mqtt.model_copy(update={"reconnect_max_s": 1}), device=config.device.id)


@pytest.fixture
def person(site: Broker, listen: Callable[..., Listener]) -> Callable[..., Listener]:
    def start(name: str, topic: str = "#") -> Listener:
        tls = ssl.create_default_context(cafile=site.ca)
        return listen(site.people_port, topic, tls=tls, login=(name, PASSWORDS[name]))

    return start


def login(site: Broker, name: str, password: str = "") -> MqttConfig:
    """How somebody reaches the people's listener."""
    given = {"username": name, "password": password or PASSWORDS[name]} if name else {}
    tls = {"enabled": True, "ca": site.ca}
    return MqttConfig.model_validate({"port": site.people_port, "tls": tls, "protocol": "5", **given})


@pytest.mark.parametrize("how", [(), ("--password",)], ids=["certificate", "password"])
def test_provisioned_device_connects_and_publishes(
    how: tuple[str, ...], provisioned: Provisioned, new_bus: NewBus, person: Callable[..., Listener]
) -> None:
    reader = person("reader")
    bus = new_bus(provisioned("barn-east", *how))
    bus.publish(topics.ALERT.at(camera="stall1"), {"n": 1})
    until(lambda: reader.bodies("edged/barn-east/cam/stall1/alert"))
    assert reader.states("edged/barn-east/status") == ["online"]


def test_device_may_announce_only_itself(provisioned: Provisioned, new_bus: NewBus) -> None:
    bus = new_bus(provisioned("barn-east"))
    own = DISCOVERY.at(prefix="homeassistant", box="barn-east", device="barn-east_stall1")
    others = DISCOVERY.at(prefix="homeassistant", box="barn-west", device="barn-west_stall1")
    foreign = Topic(path="/edged/barn-west/cam/stall1/alert", spec=topics.RESULT)
    for topic in (own, others, foreign):
        bus.publish(topic, {})
    until(lambda: bus.connected and bus.counts.waiting == 0)
    assert (bus.counts.published, bus.counts.failed) == (2, 2)  # online is one


def test_device_receives_nothing_of_other_devices(
    site: Broker, provisioned: Provisioned, new_bus: NewBus, person: Callable[..., Listener]
) -> None:
    east, west = new_bus(provisioned("barn-east")), new_bus(provisioned("barn-west"))
    requests: list[Request] = []
    for path in ("cmd/+", "/edged/#", "/homeassistant/status"):
        east.subscribe(Topic(path=path, spec=topics.COMMAND), requests.append)
    until(lambda: east.connected and west.connected)
    west.publish(topics.ALERT.at(camera="stall1"), {})
    for device in ("barn-west", "barn-east"):
        with pytest.raises(ResponseTimeout):
            request(login(site, "operator"), device, "diagnose", {}, 1.0)
    paths = {request.path for request in requests}
    assert "cmd/diagnose" in paths
    assert [path for path in paths if path.startswith("/")] == []  # of other devices


@pytest.mark.parametrize("name", ["reader", "homeassistant"])
def test_command_of_an_unauthorized_user_is_refused(
    site: Broker, name: str, provisioned: Provisioned, new_bus: NewBus
) -> None:
    bus = new_bus(provisioned("barn-east"))
    requests: list[Request] = []
    bus.subscribe(topics.COMMAND.at(command="+"), requests.append)
    until(lambda: bus.connected)
    with pytest.raises(BrokerLost) as raised:
        request(login(site, name), "barn-east", "diagnose", {}, 1.0)
    assert isinstance(raised.value, ResponseTimeout) == (name == "homeassistant")
    assert (raised.value.code == "not-authorized") == (name == "reader")
    assert bool(requests) == (name == "homeassistant")


@pytest.mark.parametrize(("name", "password"), [("", ""), ("reader", "wrong"), ("nobody", "r-secret")])
def test_unknown_user_is_refused(site: Broker, name: str, password: str) -> None:
    with pytest.raises(ConnectionRefused) as raised:
        request(login(site, name, password), "barn-east", "diagnose", {}, 1.0)
    assert raised.value.code == "not-authorized"


def test_device_without_a_certificate_fails_the_handshake(site: Broker) -> None:
    broker = login(site, "operator").model_copy(update={"port": site.boxes_port})
    with pytest.raises(BrokerLost):
        request(broker, "barn-east", "diagnose", {}, 1.0)


@pytest.mark.parametrize("how", [(), ("--password",)], ids=["certificate", "password"])
def test_removed_device_is_refused(
    how: tuple[str, ...], site: Broker, provisioned: Provisioned, new_bus: NewBus
) -> None:
    stolen, remaining = new_bus(provisioned("barn-east", *how)), new_bus(provisioned("barn-west", *how))
    until(lambda: stolen.connected and remaining.connected)
    site.remove("barn-east")
    site.stop()
    site.start()
    until(lambda: remaining.connected and not stolen.connected)
    reconnects = remaining.stats["reconnects"]
    site.stop()
    site.start()
    until(lambda: remaining.stats["reconnects"] > reconnects)
    assert not stolen.connected


@pytest.mark.parametrize("name", ["operator", "Barn", "a/b", "+", "$SYS", ""])
def test_device_name_with_rights_of_its_own_or_a_slash_is_refused(site: Broker, name: str) -> None:
    with pytest.raises(RuntimeError, match="boxes: "):
        site.add(name)


def test_authority_is_never_overwritten(site: Broker) -> None:
    before = (site.folder / "authority" / "ca.key").read_text()
    for name in ("ca", "named", "index"):
        site.add(name)
    with pytest.raises(RuntimeError, match="every box trusts it"):
        Broker(site.folder)
    assert (site.folder / "authority" / "ca.key").read_text() == before


def test_private_key_is_not_kept_by_the_authority(site: Broker) -> None:
    _, _, rest = site.add("barn-east").partition("-----BEGIN PRIVATE KEY-----\n")
    given, end, _ = rest.partition("\n-----END PRIVATE KEY-----")
    assert end
    for path in site.folder.rglob("*"):
        assert path.is_dir() or given not in path.read_text(errors="replace")


def test_certificate_of_another_key_is_refused_and_nothing_is_written(
    site: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    east, west = site.add("barn-east"), site.add("barn-west")
    file = tmp_path / "mixed.toml"
    file.write_text(east[: east.index("key = ")] + west[west.index("key = ") :])
    assert main(["provision", str(file), "--root", str(tmp_path / "root")]) == 2
    assert "mixed.toml:11 mqtt.tls.cert" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


def test_script_is_valid_sh() -> None:
    script = Path(__file__).parents[2] / "deploy" / "mosquitto" / "boxes"
    subprocess.run(["sh", "-n", script], check=True, timeout=10)
