"""A site's mosquitto, bridged to a central one, as the tools for clusters see them: `deploy/mosquitto`, as shipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tools.fleet.brokers import Broker
from tools.fleet.devices import READER
from tools.fleet.island import INSIDE, OUTSIDE, Island

SITE = "site42"


class BridgedNode:
    """A mosquitto, as boxes or people reach it."""

    def __init__(self, broker: Broker, port: int) -> None:
        self.host, self.mqtt_port, self._broker = broker.host, port, broker

    @property
    def pid(self) -> int:
        return self._broker.pid

    @property
    def store(self) -> Path:
        return self._broker.store

    @property
    def island(self) -> Island | None:
        return self._broker.island

    def start(self) -> None:
        self._broker.start()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if number == signal.SIGTERM:
            self._broker.stop()
        else:
            self._broker.kill()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


class Bridged:
    """The site sends everything to the centre, where the reader is; the centre is on the `island`, if there is one."""

    topic = f"{SITE}/edged/+/cam/#"
    disk_mb = 24
    ends_when_full = False

    def __init__(self, folder: Path, boxes: Mapping[str, str], island: Island | None = None) -> None:
        self.folder = folder
        for name in ("site", "central", "store"):
            (folder / name).mkdir()
        here, there = (OUTSIDE, INSIDE) if island else ("127.0.0.1", "127.0.0.1")
        self._site = Broker(folder / "site", host=here)
        self._site.store = folder / "store"
        self._central = Broker(folder / "central", "central.acl", host=there, island=island)
        self._site.boxes(dict(boxes))
        self._central.people(dict([READER]))
        self._site.bridge(self._central, SITE, poses=True)
        site = BridgedNode(self._site, self._site.passwords_port)
        central = BridgedNode(self._central, self._central.people_port)
        self.nodes = [central, site] if island else [site, central]  # the first one fails
        self.box_nodes, self.readers = [site], [central]
        self.ca, self.reader_ca = self._site.ca, self._central.ca

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def wait(self) -> float:
        """Nothing to wait for: each serves when it has started."""
        return 0.0

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()
