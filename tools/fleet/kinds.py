"""The three kinds of brokers that are compared, each started for so many devices, and for one kind of fault."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from tools.fleet.bridged import Bridged
from tools.fleet.devices import READER, passwords
from tools.fleet.island import Island
from tools.fleet.nats import NatsCluster
from tools.fleet.rabbitmq import RabbitCluster

PARTITION, DISK_FULL = "partition", "disk full"  # faults that need a network or a disk of their own


class Node(Protocol):
    """A broker's process, as clients reach it."""

    host: str
    mqtt_port: int

    @property
    def pid(self) -> int: ...
    @property
    def store(self) -> Path: ...
    @property
    def island(self) -> Island | None: ...
    def start(self) -> None: ...
    def kill(self, number: signal.Signals = signal.SIGKILL) -> None: ...
    def signal(self, number: signal.Signals) -> None: ...


class Cluster(Protocol):
    """Brokers of one kind: where boxes connect, and where one reader finds everything."""

    folder: Path
    topic: str  # of the reader
    disk_mb: int  # of the disk that is filled
    ends_when_full: bool  # whether a node whose disk was full must be started again

    @property
    def ca(self) -> Path: ...
    @property
    def reader_ca(self) -> Path: ...
    @property
    def nodes(self) -> Sequence[Node]: ...
    @property
    def box_nodes(self) -> Sequence[Node]: ...
    @property
    def readers(self) -> Sequence[Node]: ...
    def start(self) -> None: ...
    def wait(self) -> float: ...
    def kill(self) -> None: ...


def nats(folder: Path, boxes: Mapping[str, str], island: Island | None) -> Cluster:
    cluster = NatsCluster(folder, island=island)
    cluster.boxes(dict(boxes))
    cluster.person(*READER)
    return cluster


KINDS: dict[str, Callable[[Path, Mapping[str, str], Island | None], Cluster]] = {
    "mosquitto + bridge": Bridged,
    "NATS x3": nats,
    "RabbitMQ x3": RabbitCluster,
}


@contextmanager
def cluster_for(devices: int, *, fault: str = "none", kind: str = "NATS x3") -> Iterator[Cluster]:
    """Running brokers that know so many devices. Some faults need root, for a disk or a network of the first node."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        island = stack.enter_context(closing(Island())) if fault == PARTITION else None
        cluster = KINDS[kind](Path(folder), passwords(devices), island)
        if fault == DISK_FULL:
            stack.enter_context(_small_disk(cluster.nodes[0].store, cluster.disk_mb))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "edged-fleet", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
