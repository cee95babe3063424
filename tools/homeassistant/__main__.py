"""`python -m tools.homeassistant`: publishes examples, and compares what the real Home Assistant makes of them.

With `--record FILE`, what it accepted is written, for the tests of machines without Home Assistant.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.homeassistant_payloads import DiscoveryDevice
from edged.runtime.clock import Clock
from tools.fleet.nats import NatsCluster
from tools.homeassistant.examples import DEVICE, examples, payloads
from tools.mqtt_bench import mosquitto

START_LIMIT_S, STOP_LIMIT_S, SETTLE_S = 300.0, 30.0, 3.0


class Instance:
    """A running Home Assistant: its entities as they are now, and what it logged."""

    def __init__(self, command: list[str], connection: Mapping[str, Any]) -> None:
        source = (Path(__file__).parent / "instance.py").read_text()
        self._process = subprocess.Popen(
            [*command, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None  # noqa: S101  for mypy: it is a pipe
        self._stdin = self._process.stdin
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._stdin.write(f"{json.dumps(connection)}\n{json.dumps(payloads())}\n")
        self._stdin.flush()
        self.entities: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[str, str]] = []  # entity and state, oldest first
        self.logged: list[str] = []
        self.facts: dict[str, Any] = {}
        self._take_until(lambda: "started" in self.facts, START_LIMIT_S)

    def settle(self) -> None:
        """Take in what it does until it does nothing any more."""
        while self._take(SETTLE_S):
            pass

    @property
    def unique_ids(self) -> set[str]:
        """Of the entities that there are."""
        return {entity["unique_id"] for entity in self.entities.values()}

    def wait(self, done: Callable[[], bool]) -> None:
        """Take in what it does until this is so, or START_LIMIT_S are over: a cluster takes its time."""
        end_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end_s and not done():
            self._take(SETTLE_S)

    def close(self) -> None:
        self._stdin.close()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(json.loads(line))

    def _take_until(self, done: Callable[[], bool], limit_s: float) -> None:
        end_s = time.monotonic() + limit_s
        while not done():
            if not self._take(max(0.0, end_s - time.monotonic())):
                raise SystemExit(f"Home Assistant did not start within {limit_s:g} s")

    def _take(self, timeout_s: float) -> bool:
        try:
            facts = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return False
        if "log" in facts:
            self.logged.append(facts["log"])
        elif "entity" not in facts:
            self.facts |= facts
        elif facts["state"] is None:
            self.entities.pop(facts["entity"], None)
        else:
            self.entities[facts["entity"]] = facts
            self.history.append((facts["entity"], facts["state"]))
        return True


class Device:
    """An edged device without cameras and models: its bus and its discovery."""

    def __init__(self, broker: MqttConfig, device: DiscoveryDevice, folder: Path) -> None:
        self._headers = HeaderFactory(Clock())
        self.bus = MqttBus(broker, device.id, lambda state: build.device_status(self._headers, state), PublishConfig())
        self.discovery = DiscoveryPublisher(self.bus, device, folder / f"{device.id}.json", enabled=True)
        self.announce(device)

    def announce(self, device: DiscoveryDevice) -> None:
        self.discovery.reconfigure(device, enabled=True)
        self.discovery.start()
        for topic, body in examples(device).items():
            self.bus.publish(topic, body)

    def lose(self, camera: str) -> None:
        status = build.camera_status(self._headers, camera, state="lost", reason="unplugged", since_ns=0)
        self.bus.publish(topics.CAMERA_STATUS.at(camera=camera), status)


@contextmanager
def opened(broker: MqttConfig, device: DiscoveryDevice, folder: Path) -> Iterator[Device]:
    opened_device = Device(broker, device, folder)
    try:
        yield opened_device
    finally:
        opened_device.discovery.close()
        opened_device.bus.close()


def entities_of(device: DiscoveryDevice) -> set[str]:
    return {key for body in device.payloads().values() for key in body["components"]}


def check_accepted(instance: Instance, device: Device) -> Iterator[str]:
    """Every entity is there, and nothing of it was refused, ignored or warned of."""
    instance.wait(lambda: entities_of(DEVICE) <= instance.unique_ids)
    instance.settle()
    found = instance.unique_ids
    yield from instance.facts["dropped"]
    yield from instance.logged
    yield from (f"{key}: no such entity" for key in sorted(entities_of(DEVICE) - found))


def check_alert_of_a_lost_camera(instance: Instance, device: Device) -> Iterator[str]:
    """The alert is seen while the camera is lost."""
    device.lose("yard")
    instance.settle()
    for name, wanted in (
        ("binary_sensor.barn_box_yard_camera_lost", "on"),
        ("sensor.barn_box_yard_view", "unavailable"),
    ):
        if (state := instance.entities[name]["state"]) != wanted:
            yield f"{name}: {state} while the camera is lost, want {wanted}"
    if (state := instance.entities["event.barn_box_yard_alert"]["state"]) == "unavailable":
        yield f"event.barn_box_yard_alert: {state} while the camera is lost"


def check_stages(instance: Instance, device: Device) -> Iterator[str]:
    """An automation can tell the stages apart, and what was over before it arrived is told as closed alone."""
    alert = examples(DEVICE)[topics.ALERT.at(camera="yard")]
    over = {**alert, "id": build.new_id(), "stored": True, "superseded": True}
    device.bus.publish(topics.ALERT.at(camera="yard"), over)
    state = examples(DEVICE)[topics.STATE.at(camera="stall-1")]
    device.bus.publish(
        topics.STATE.at(camera="stall-1"), {**state, "id": build.new_id(), "alerts": [], "alert_ids": []}
    )
    instance.settle()
    before = len(instance.history)
    late = {"id": build.new_id(), "stored": True}
    device.bus.publish(topics.STATE.at(camera="stall-1"), {**state, **late, "superseded": True})
    device.bus.publish(topics.ALERT.at(camera="yard"), {**alert, **late, "id": build.new_id(), "stage": "closed"})
    instance.settle()
    types = instance.entities["event.barn_box_yard_alert"]["attributes"]["event_type"]
    if types != "camera-lost-closed":
        yield f"event.barn_box_yard_alert: {types}, want camera-lost-closed"
    rung = [one for one in instance.history[before:] if one == ("binary_sensor.barn_box_stall_1_camera_lost", "on")]
    yield from (f"{name}: {value} for an alert that was over" for name, value in rung)


def check_pictures(instance: Instance, device: Device) -> Iterator[str]:
    """A snapshot, and the still of whatever alert, are shown."""
    shown = {
        "image.barn_box_yard_snapshot": topics.SNAPSHOT.at(camera="yard"),
        "image.barn_box_yard_last_alert": topics.ALERT_STILL.at(camera="yard", alert_id=build.new_id()),
    }
    before = {name: instance.entities[name]["state"] for name in shown}
    for topic in shown.values():
        device.bus.publish(topic, b"\xff\xd8\xff\xd9")
    instance.settle()
    yield from (f"{name}: no new picture" for name in shown if instance.entities[name]["state"] == before[name])


def check_switches(instance: Instance, device: Device) -> Iterator[str]:
    """What is on and off, and the profile, are shown as the `switches` message says."""
    wanted = {
        "switch.barn_box_yard_camera": "on",
        "switch.barn_box_yard_alerts": "off",
        "select.barn_box_profile": "auto",
    }
    instance.wait(lambda: all(instance.entities[name]["state"] == value for name, value in wanted.items()))
    for name, value in wanted.items():
        if (state := instance.entities[name]["state"]) != value:
            yield f"{name}: {state}, want {value}"


def check_removed(instance: Instance, device: Device) -> Iterator[str]:
    """A stall, a class and a command that are gone leave no entity behind; a camera that is gone leaves none at all."""
    labels = {"stall-1": ("horse",)}
    fewer = replace(
        DEVICE, cameras=labels, stall_cameras=frozenset(), allowed_commands=frozenset(), evidence=False, profiles=()
    )
    device.announce(fewer)
    instance.settle()
    found = instance.unique_ids
    yield from (f"{key}: it is still there" for key in sorted(found - entities_of(fewer)))
    yield from (f"{key}: it is gone" for key in sorted(entities_of(fewer) - found))


CHECKS = (check_accepted, check_switches, check_pictures, check_alert_of_a_lost_camera, check_stages, check_removed)


@contextmanager
def one_mosquitto() -> Iterator[tuple[MqttConfig, Mapping[str, Any]]]:
    """How the device connects, and how Home Assistant does."""
    with mosquitto() as port:
        yield MqttConfig(port=port, base_topic=DEVICE.base), {"port": port, "protocol": "5"}


@contextmanager
def three_nats() -> Iterator[tuple[MqttConfig, Mapping[str, Any]]]:
    """The same at different nodes of deploy/nats, as shipped."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = NatsCluster(Path(folder))
        try:
            for rights in (cluster.folder / "acl", cluster.folder / "people.acl"):
                rights.write_text(rights.read_text().replace('"edged', f'"{DEVICE.base.replace("/", ".")}'))
            cluster.boxes({DEVICE.id: "secret"})
            cluster.person("homeassistant", "h-secret")
            cluster.start()
            tls = {"enabled": True, "ca": cluster.ca}
            login = {"port": cluster.ports[0], "hosts": cluster.addresses[1:], "protocol": "3.1.1", "tls": tls}
            device = {**login, "username": DEVICE.id, "password": "secret", "base_topic": DEVICE.base}
            ours = {"port": cluster.ports[2], "protocol": "3.1.1", "certificate": cluster.ca.read_text()}
            yield MqttConfig.model_validate(device), {**ours, "username": "homeassistant", "password": "h-secret"}
        finally:
            cluster.kill()


BROKERS = {"mosquitto": one_mosquitto, "nats": three_nats}


def check_all(command: list[str], broker: str) -> tuple[list[str], Mapping[str, Any]]:
    """Problems, and what Home Assistant said of itself."""
    with BROKERS[broker]() as (device_login, connection), tempfile.TemporaryDirectory() as folder:
        instance = Instance(command, connection)
        try:
            with opened(device_login, DEVICE, Path(folder)) as device:
                problems = [f"{check.__name__}: {problem}" for check in CHECKS for problem in check(instance, device)]
            return problems, instance.facts
        finally:
            instance.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.homeassistant", description=__doc__)
    parser.add_argument("--command", required=True, help="that of the Python which has Home Assistant")
    parser.add_argument("--broker", choices=BROKERS, default="mosquitto", help="nats: the cluster of deploy/nats")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write what was accepted")
    args = parser.parse_args()
    problems, facts = check_all(args.command.split(), args.broker)
    print(
        "\n".join(problems)
        or f"homeassistant {facts['version']}: {len(entities_of(DEVICE))} entities as they should be"
    )
    if args.record and not problems:
        accepted = {key: facts[key] for key in ("version", "blocked_attributes")} | {"payloads": payloads()}
        args.record.write_text(json.dumps(accepted, indent=1, sort_keys=True) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
