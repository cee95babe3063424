"""`python -m tools.fleet.rollout`: roll-outs to many simulated devices, good ones and one that must stop by itself.

The real mosquitto of deploy/mosquitto, the daemon's own bus and follower, real signatures, `edged rollout` itself. Not
real: the cameras, and the installation of a release, which is a number here; some devices fail at it.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from edged.commands.rollout import BrokerView, Rollout
from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.control import fleet
from edged.errors import CommandRejected
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.messages.topics import HEALTH
from edged.mqtt.client import MqttBus
from edged.provisioning.desired import Desired, unseal
from edged.provisioning.fleet_settings import FleetSettings
from edged.provisioning.signature import signer_lines
from edged.runtime.clock import Clock
from tools.fleet.__main__ import OPERATOR, passwords
from tools.fleet.brokers import Broker

GROUP = "barns"
SITE = '[device]\nid = "{0}"\n[cameras.a]\nsource = "0"\n'
READY_S = 300.0  # for all devices to be connected
UPDATES = 16  # at a time
WAIT_S = 600.0  # of a stage
OLD, NEW = "1.0", "2.0"

Broken = Callable[[str, str], str]  # device and configuration or version; why that fails, or nothing


class SimulatedBox:
    """One device: its own files, bus and follower. `broken` says what it cannot run with."""

    def __init__(self, folder: Path, broker: MqttConfig, keys: Sequence[str], broken: Broken) -> None:
        self.name, self._folder, self._broken, self._keys = folder.name, folder, broken, keys
        folder.mkdir()
        (folder / "edged.toml").write_text(SITE.format(self.name))
        (folder / "run").mkdir()
        self._login, self._headers = broker, HeaderFactory(Clock())
        self.version = OLD
        self._start()

    def close(self) -> None:
        self.member.close()
        self.bus.close()

    @property
    def settings(self) -> str:
        return FleetSettings(self._folder).text

    def _start(self) -> None:
        self.bus = MqttBus(self._login, self.name, partial(build.device_status, self._headers), PublishConfig())
        self.bus.publish(HEALTH.at(), {**self._headers(HEALTH.at()), "problems": []})
        site = fleet.FleetSite(
            group=GROUP,
            device=self.name,
            base="edged",
            state_file=self._folder / "fleet.json",
            settings=FleetSettings(self._folder),
            runtime_dir=self._folder / "run",
            keys=lambda: self._keys,
            clock_synced=lambda: True,
            version=self.version,
            result=self._folder / "result.json",
        )
        self.member = fleet.FleetMember(site, self.bus, self._headers, reload=self._reload, in_effect=lambda: True)
        self.member.start()

    def _reload(self) -> Mapping[str, Any]:
        """As the daemon's, which has its own reasons to reject what is valid."""
        if reason := self._broken(self.name, self.settings):
            raise CommandRejected("daemon", got=reason, wanted="what it can run with", do="see its log")
        return {"restarted": []}

    def update(self) -> None:
        """As root's unit: the request is checked again, and the daemon starts again with another version, or not."""
        request = self._folder / "run" / fleet.REQUEST
        if not request.exists():
            return
        desired = unseal(request.read_bytes(), self._keys)
        request.unlink()
        if reason := self._broken(self.name, str(desired.version)):
            result = {"number": desired.number, "error": reason}
            (self._folder / "result.json").write_text(json.dumps(result))
            return
        self.version = str(desired.version)
        self.close()
        self._start()


class Boxes:
    """Many devices, and what updates them."""

    def __init__(self, folder: Path, broker: Broker, count: int, keys: Sequence[str], broken: Broken) -> None:
        logging.disable(logging.WARNING)  # hundreds would log the same
        tls = {"enabled": True, "ca": broker.ca}
        self.all = []
        for name, password in passwords(count).items():
            login = {"port": broker.passwords_port, "tls": tls, "protocol": "5", "username": name, "password": password}
            self.all.append(SimulatedBox(folder / name, MqttConfig.model_validate(login), keys, broken))
        end_s = time.monotonic() + READY_S
        while not all(box.bus.connected for box in self.all):
            if time.monotonic() > end_s:
                sys.exit(f"{sum(not box.bus.connected for box in self.all)} devices are not connected")
            time.sleep(0.1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._update)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for box in self.all:
            box.close()

    def having(self) -> Counter[tuple[str, str]]:
        """How many have each version and settings."""
        return Counter((box.version, box.settings) for box in self.all)

    def _update(self) -> None:
        with ThreadPoolExecutor(UPDATES) as pool:
            while not self._stop.wait(0.2):
                list(pool.map(SimulatedBox.update, self.all))


@contextmanager
def site(count: int, broken: Broken) -> Iterator[tuple[Boxes, Broker, Path]]:
    """A broker, so many connected devices, and the key that they trust."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        key, etc = top / "site.key", top / "broker"
        etc.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
        broker = Broker(etc)
        broker.people(OPERATOR)
        broker.boxes(passwords(count))
        broker.start()
        (top / "boxes").mkdir()
        keys = signer_lines(key.with_name("site.key.pub").read_bytes(), "site.pub")
        boxes = Boxes(top / "boxes", broker, count, keys, broken)
        try:
            yield boxes, broker, key
        finally:
            boxes.close()
            broker.kill()


def roll_out(broker: Broker, key: Path, wanted: Desired, stages: list[float], *, stop_at: float) -> tuple[bool, float]:
    """Whether all stages were done, and the seconds that it took."""
    login = {"port": broker.people_port, "tls": {"enabled": True, "ca": broker.ca}, "username": "operator"}
    view = BrokerView(MqttConfig.model_validate({**login, "password": OPERATOR["operator"]}), GROUP)
    begin_s = time.monotonic()
    try:
        view.open()
        done = Rollout(view, wanted, key, stop_at=stop_at, wait_s=WAIT_S, watch_s=1).run(stages, print)
    finally:
        view.close()
    return done, time.monotonic() - begin_s


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.fleet.rollout", description=__doc__)
    parser.add_argument("--devices", type=int, default=200, metavar="N")
    parser.add_argument(
        "--broken", type=int, default=4, metavar="N", help="one device in so many fails with the bad ones"
    )
    args = parser.parse_args()
    bad_text, bad_version = "publish.max_rate_hz = 4.0\n", "3.0"

    def broken(device: str, what: str) -> str:
        return "simulated" if what in (bad_text, bad_version) and int(device[-4:]) % args.broken == 0 else ""

    wishes = {
        "good settings": {"configuration": "publish.max_rate_hz = 2.0\n"},
        "settings that one device in 4 rejects": {"configuration": bad_text},
        "a good version and settings": {"version": NEW, "configuration": "publish.max_rate_hz = 3.0\n"},
        "a version that does not start on one in 4": {"version": bad_version},
        "settings that no device takes": {"configuration": "publish.max_rate_hz = -1.0\n"},
    }
    with site(args.devices, broken) as (boxes, broker, key):
        for what, wish in wishes.items():
            print(f"\n## {what}")
            wanted = Desired(group=GROUP, number=1, **wish)
            done, took_s = roll_out(broker, key, wanted, [2, 10, 100], stop_at=5)
            having = ", ".join(
                f"{count} x {version} {text.strip()!r}" for (version, text), count in boxes.having().items()
            )
            print(f"{'done' if done else 'stopped'} after {took_s:.1f} s; devices have: {having}", flush=True)
        print(f"\nCPU of everything: {sum(resource.getrusage(resource.RUSAGE_SELF)[:2]):.0f} s")


if __name__ == "__main__":
    main()
