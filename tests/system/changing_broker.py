"""A broker that changes under two devices, one of MQTT 5 and one of 3.1.1: python -m tests.system.changing_broker.

It is restarted, loses its persistence, refuses retained messages, drops `poses` by its rights, and takes no message
over 2 kB, in turn. Checked: what must survive arrives, in order, by one id each; every change is in `problems` of
`health` within 30 s, and gone within 30 s after; retained messages are there again for whoever subscribes later.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.config.tree import Config
from edged.device.supervisor import DeviceSupervisor
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.topics import Topic
from edged.mqtt.client import MqttBus
from edged.mqtt.homeassistant_payloads import DISCOVERY
from edged.runtime.clock import Clock
from tests.support.mqtt import Listener, Mosquitto
from tests.support.waiting import until
from tests.system.tcp_relay import TcpRelay

TOLD_S = 30.0  # until a change is a problem, and until it is none
OPEN = "allow_anonymous true"
EVERYTHING = "topic readwrite #\n"
OTHERS = ("status", "info", "health", "cam/a/alert", "cam/a/state")
NO_POSES = "".join(f"topic readwrite edged/+/{name}\n" for name in OTHERS)
READER = "topic readwrite homeassistant/#\nuser reader\ntopic readwrite #\n"
ALERT, STATE, POSES = (spec.at(camera="a") for spec in (topics.ALERT, topics.STATE, topics.POSES))


@dataclass(frozen=True)
class Phase:
    """One state of the broker. `problem`: the code that tells it; empty: nothing to be told.

    `kept`: it is stopped, and has its persistence when it is back; else it is killed, and begins with nothing.
    """

    name: str
    lines: tuple[str, ...] = ()
    rights: str = EVERYTHING
    problem: str = ""
    kept: bool = False


PHASES = (
    Phase("restarted", kept=True),
    Phase("without its persistence"),
    Phase("without retained messages", ("retain_available false",), problem="broker-no-retain"),
    Phase("without the right to poses", rights=NO_POSES, problem="topics-refused"),
    Phase("with a limit of 2 kB", ("max_packet_size 2000",), problem="message-too-large"),
    Phase("as at first"),
)


class Device:
    """A daemon without cameras: bus, health, and a thread that publishes as one with a camera would."""

    def __init__(self, name: str, protocol: str, port: int, folder: Path) -> None:
        self.name, self.sent = name, 0
        self._headers = HeaderFactory(Clock())
        broker = MqttConfig(port=port, protocol=protocol)
        make_status = partial(build.device_status, self._headers)
        self.bus = MqttBus(broker, name, make_status, PublishConfig(), folder / f"{name}.db")
        models: Callable[[], dict[str, Any]] = dict
        self._supervisor = DeviceSupervisor(
            Config(), self._headers, self.bus, views=dict, models=models, set_max_rate=lambda hz: None
        )
        self._supervisor.start()
        self.bus.publish(topics.INFO.at(), {**self._headers(topics.INFO.at()), "name": name, "cameras": {"a": {}}})
        self.bus.publish(Topic(path=f"/homeassistant/device/{name}/config", spec=DISCOVERY), {"filler": "x" * 3000})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        until(lambda: self.bus.connected and self.bus.counts.waiting == 0, TOLD_S)
        self._supervisor.close()
        self.bus.close()

    def _publish(self) -> None:
        for number in range(10**9):
            self.bus.publish(POSES, {**self._headers(POSES), "subjects": []})
            if number % 5 == 0:
                self.bus.publish(ALERT, {**self._headers(ALERT), "id": build.new_id(), "n": self.sent})
                self.sent += 1
            if number % 25 == 0:
                self.bus.publish(STATE, {**self._headers(STATE), "id": build.new_id(), "n": number})
            if self._stop.wait(0.2):
                return


@dataclass
class Run:
    """The broker, its devices, and what is seen of them."""

    folder: Path
    broker: Mosquitto
    relay: TcpRelay
    reader: Listener
    devices: list[Device] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def change(self, phase: Phase) -> None:
        """Put the broker into this state. The devices come back after the reader, which would miss messages."""
        self.relay.state = "down"
        time.sleep(0.5)
        self._end_broker(phase)
        (self.folder / "acl").write_text(EVERYTHING + READER)
        self.broker.lines = (*lines_of(self.folder), *phase.lines)
        subscribed = self.reader.subscribed
        self.broker.start()
        until(lambda: self.reader.subscribed > subscribed, TOLD_S)
        if phase.kept:
            self._check_retained(phase)
        self.relay.state = "up"
        if phase.rights != EVERYTHING:
            until(lambda: all(device.bus.connected for device in self.devices), TOLD_S)
            (self.folder / "acl").write_text(phase.rights + READER)
            assert self.broker.process is not None
            self.broker.process.send_signal(signal.SIGHUP)

    def _end_broker(self, phase: Phase) -> None:
        if phase.kept and self.broker.process is not None:
            self.broker.process.terminate()
            self.broker.process.wait(TOLD_S)
        self.broker.kill()
        if not phase.kept:
            (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def watch(self, phase: Phase, before: Phase, seconds: float) -> None:
        """Wait until the problem of this phase is there and that of the one before is not; then to its end."""
        started_s = time.monotonic()
        first = {device.name: len(self._health(device)) for device in self.devices}
        told_s, gone_s = dict[str, float](), dict[str, float]()
        while len(told_s) + len(gone_s) < 2 * len(self.devices) and time.monotonic() - started_s < 2 * TOLD_S:
            for device in self.devices:
                now_s, bodies = time.monotonic() - started_s, self._health(device)[first[device.name] :]
                codes = {problem["code"] for problem in bodies[-1]["problems"]} if bodies else set()
                if not phase.problem or phase.problem in codes:
                    told_s.setdefault(device.name, now_s)
                if not before.problem or (bodies and before.problem not in codes):
                    gone_s.setdefault(device.name, now_s)
            time.sleep(0.2)
        for device in self.devices:
            self._judge(phase, before, device, told_s.get(device.name), gone_s.get(device.name))
        if not phase.lines:
            until(lambda: all(device.bus.connected for device in self.devices), TOLD_S)
            time.sleep(2)
            self._check_retained(phase)
        time.sleep(max(0.0, seconds - (time.monotonic() - started_s)))

    def _judge(self, phase: Phase, before: Phase, device: Device, told_s: float | None, gone_s: float | None) -> None:
        late = [seconds for seconds in (told_s, gone_s) if seconds is None or seconds > TOLD_S]
        told, gone = ("never" if seconds is None else f"after {seconds:.0f} s" for seconds in (told_s, gone_s))
        text = f"{phase.name}, {device.name}: {phase.problem or '-'} told {told}; {before.problem or '-'} gone {gone}"
        print(text, flush=True)
        if late:
            self.faults.append(text)

    def _health(self, device: Device) -> list[dict[str, Any]]:
        return self.reader.bodies(f"edged/{device.name}/health")

    def _check_retained(self, phase: Phase) -> None:
        late = Listener(self.broker.port, "edged/#", login=("reader", ""))
        kept = ("status", "info", "health", "cam/a/state")
        wanted = {f"edged/{device.name}/{name}" for device in self.devices for name in kept}
        time.sleep(1)
        missing = wanted - {message.topic for message in late.messages if message.retain}
        late.close()
        if missing:
            self.faults.append(f"{phase.name}: not retained: {', '.join(sorted(missing))}")

    def check_arrivals(self) -> None:
        """Every alert, in order, each by one id."""
        for device in self.devices:
            bodies = self.reader.bodies(f"edged/{device.name}/cam/a/alert")
            numbers = list(dict.fromkeys(body["n"] for body in bodies))
            ids = {(body["n"], body["id"]) for body in bodies}
            repeated = len(bodies) - len(numbers)
            print(f"{device.name}: {device.sent} alerts sent, {len(numbers)} arrived, {repeated} of them twice")
            if numbers != list(range(device.sent)) or len(ids) != len(numbers):
                self.faults.append(f"{device.name}: alerts lost, out of order, or with two ids")


def lines_of(folder: Path) -> tuple[str, ...]:
    """The broker's configuration in every phase."""
    return OPEN, f"acl_file {folder / 'acl'}", "persistence true", f"persistence_location {folder}/"


def main() -> int:
    """0: everything as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="at least 6: each state is to be told and to end")
    seconds = 60 * parser.parse_args().minutes / len(PHASES)
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or "mosquitto"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "acl").write_text(EVERYTHING + READER)
        broker = Mosquitto(folder=folder, binary=binary, lines=lines_of(folder)).start()
        relay, reader = TcpRelay(broker.port), Listener(broker.port, login=("reader", ""))
        run = Run(folder, broker, relay, reader)
        run.devices += [Device(f"box{version}", version, relay.port, folder) for version in ("5", "3.1.1")]
        time.sleep(5)
        before = PHASES[-1]
        for phase in PHASES:
            run.change(phase)
            run.watch(phase, before, seconds)
            before = phase
        for device in run.devices:
            device.close()
        time.sleep(1)
        run.check_arrivals()
        reader.close()
        relay.close()
        broker.kill()
    print("\n".join(run.faults) or "as it should be")
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
