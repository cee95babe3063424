"""`python -m tools.fleet.cluster`: many devices on three NATS nodes, of which one fails: losses, order, recovery.

The shipped configuration, TLS, passwords and rights by name; nodes, devices and reader share this machine.
"""

from __future__ import annotations

import signal
import ssl
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edged.config.tables.mqtt import MqttConfig
from edged.units import BYTES_PER_MB, ms, ns
from tools.fleet.devices import DeviceProcess, Load, Sent, load_parser
from tools.fleet.island import Island
from tools.fleet.nats import NatsCluster
from tools.fleet.reader import FIRST

READER = ("operator", "o-secret")
LEAD_S = 1.0
SETTLE_S = 120.0  # longest wait for messages that must arrive
DISK_MB = 24
HEAD = """\
| devices | fault | messages | poses lost | states lost | twice | out of order | p50, p99, max ms \
| nodes: CPU, MB | back after |
|---|---|---|---|---|---|---|---|---|---|"""


class Node(Protocol):
    """A broker's process, as clients reach it."""

    host: str
    mqtt_port: int

    @property
    def pid(self) -> int: ...


class Cluster(Protocol):
    """Brokers of one kind: where boxes connect, and where one reader finds everything."""

    folder: Path
    topic: str  # of the reader

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


Fault = Callable[[Any, float], float]  # of a cluster, with the length of the run in s; returns the s until all was well


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run."""

    sent: Sequence[Sent]
    poses: int  # distinct messages that arrived
    states: int
    twice: int  # arrivals of a state that had arrived before
    disorder: int  # states that arrived after a later one of their device
    late_ms: np.ndarray
    cpu: Sequence[float]  # of a core, by node
    memory_mb: Sequence[float]
    back_s: float  # from the end of the fault until all nodes had caught up and all devices were connected

    @property
    def published(self) -> tuple[int, int]:
        """Poses and states."""
        return sum(sent.published["poses"] for sent in self.sent), sum(sent.published["state"] for sent in self.sent)

    @property
    def lost(self) -> tuple[int, int]:
        """Poses and states."""
        return self.published[0] - self.poses, self.published[1] - self.states

    @property
    def delivery(self) -> str:
        """Cells of a table: poses and states lost, states that came twice."""
        (poses, states), (of_poses, of_states) = self.lost, self.published
        return f"{poses} of {of_poses} | {states} of {of_states} | {self.twice}"

    @property
    def lateness(self) -> str:
        """A cell of a table: p50, p99 and the longest of states, ms; NaN without one."""
        late_ms = self.late_ms if len(self.late_ms) else [np.nan]
        return ", ".join(f"{at:.0f}" for at in np.percentile(late_ms, [50, 99, 100]))


class QueueReader:
    """Reads with a session that lasts, as who must not miss anything does; goes to the next node when one fails."""

    def __init__(self, cluster: Cluster) -> None:
        self.rows: list[tuple[str, int, int, int]] = []  # topic, number, when sent, when here; both in ns
        self._nodes, self._topic = cycle(cluster.readers), cluster.topic
        self._stop = threading.Event()
        self._ready = threading.Event()
        client = Client(
            CallbackAPIVersion.VERSION2, "fleet-reader", protocol=MQTTProtocolVersion.MQTTv311, clean_session=False
        )
        client.username_pw_set(*READER)
        client.tls_set_context(ssl.create_default_context(cafile=cluster.reader_ca))
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._on_message
        self._client = client
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        if not self._ready.wait(SETTLE_S):
            self.close()
            raise RuntimeError(f"the reader was not let in within {SETTLE_S:g} s; see {cluster.folder}/*.log")

    def close(self) -> None:
        self._stop.set()
        self._client.disconnect()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError):
                node = next(self._nodes)
                self._client.connect(node.host, node.mqtt_port, keepalive=5)
                while self._client.loop(0.2) == 0 and not self._stop.is_set():
                    pass
            self._stop.wait(0.1)

    def _on_connect(self, client: Client, userdata: object, flags: object, reason: object, properties: object) -> None:
        client.subscribe(self._topic, 1)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        if message.payload.startswith(FIRST):
            sent, number, _ = message.payload[len(FIRST) :].split(b",", 2)
            self.rows.append((message.topic, int(number.split(b":")[1]), int(sent), time.monotonic_ns()))

    def states(self, since_ns: int) -> list[tuple[str, int, int, int]]:
        return [row for row in list(self.rows) if row[2] >= since_ns and row[0].endswith("/state")]


def calm(cluster: Cluster, seconds: float) -> float:
    time.sleep(seconds)
    return 0.0


def killed(cluster: NatsCluster, seconds: float) -> float:
    """One node ends as by a power cut, and returns after a third of the run."""
    time.sleep(seconds / 4)
    cluster.nodes[0].kill()
    time.sleep(seconds / 3)
    cluster.nodes[0].start()
    return cluster.wait()


def frozen(cluster: NatsCluster, seconds: float) -> float:
    """One node answers nobody for a third of the run, and keeps its connections."""
    time.sleep(seconds / 4)
    cluster.nodes[0].signal(signal.SIGSTOP)
    time.sleep(seconds / 3)
    cluster.nodes[0].signal(signal.SIGCONT)
    return cluster.wait()


def partitioned(cluster: NatsCluster, seconds: float) -> float:
    """Nobody hears one node for a third of the run, and it hears nobody; no connection is closed. See `island`."""
    island = cluster.nodes[0].island
    if island is None:
        raise RuntimeError("the first node is on no island")
    time.sleep(seconds / 4)
    island.cut()
    time.sleep(seconds / 3)
    island.mend()
    return cluster.wait()


def rolling(cluster: NatsCluster, seconds: float) -> float:
    """Each node is stopped, and started again, when the one before has caught up."""
    took_s = 0.0
    for node in cluster.nodes:
        time.sleep(seconds / 5)
        node.kill(signal.SIGTERM)
        node.start()
        took_s = max(took_s, cluster.wait())
    return took_s


def disk_full(cluster: NatsCluster, seconds: float) -> float:
    """The file system of one node is filled for a third of the run; see `cluster_for`."""
    time.sleep(seconds / 4)
    filler = cluster.nodes[0].store / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"x" * BYTES_PER_MB)
            file.flush()
    time.sleep(seconds / 3)
    filler.unlink()
    cluster.nodes[0].kill()  # it does not end by itself any more
    cluster.nodes[0].start()
    return cluster.wait()


FAULTS: dict[str, Fault] = {
    "none": calm,
    "killed": killed,
    "frozen": frozen,
    "partition": partitioned,
    "disk full": disk_full,
    "rolling restart": rolling,
}


@contextmanager
def cluster_for(devices: int, *, fault: str = "none") -> Iterator[NatsCluster]:
    """A running cluster that knows so many devices. Some faults need root, for a disk or a network of node 1."""
    small_disk = fault == "disk full"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        island = stack.enter_context(closing(Island())) if fault == "partition" else None
        cluster = NatsCluster(Path(folder), island=island)
        cluster.boxes(passwords(devices))
        cluster.person(*READER)
        store = cluster.nodes[0].store
        if small_disk:
            store.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "edged-fleet", store], check=True)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()
            if small_disk:
                subprocess.run(["umount", store], check=True)


def passwords(count: int) -> dict[str, str]:
    return {f"box-{number:05d}": f"secret-{number}" for number in range(count)}


def run(cluster: Cluster, count: int, rate_hz: float, seconds: float, fault: Fault, *, processes: int = 1) -> Outcome:
    """Devices that publish all the time while `fault` happens."""
    reader = QueueReader(cluster)
    first, *others = cluster.box_nodes
    broker = MqttConfig.model_validate(
        {
            "host": first.host,
            "port": first.mqtt_port,
            "hosts": [f"{node.host}:{node.mqtt_port}" for node in others],
            "tls": {"enabled": True, "ca": cluster.ca},
            "protocol": "3.1.1",
            "keepalive_s": 5,
        }
    )
    all_devices = list(passwords(count).items())
    loads = [
        Load(broker=broker, passwords=dict(all_devices[first::processes]), rate_hz=rate_hz, seconds=seconds)
        for first in range(processes)
    ]
    devices = [DeviceProcess(load) for load in loads]
    for device in devices:
        device.connected()
    start_s = time.monotonic() + LEAD_S
    for device in devices:
        device.publish(start_s)
    time.sleep(max(0.0, start_s - time.monotonic()))
    before = [_cpu_s(node.pid) for node in cluster.nodes]
    back_s = fault(cluster, seconds)
    sent = [device.sent() for device in devices]
    took_s = time.monotonic() - start_s
    used = [_cpu_s(node.pid) for node in cluster.nodes]
    published = sum(one.published["state"] for one in sent)
    since_ns = ns(start_s)
    _until(lambda: len({row[:2] for row in reader.states(since_ns)}) >= published)
    for device in devices:
        device.kill()
    reader.close()
    cpu = [max(0.0, after - was if after > was else after) / took_s for was, after in zip(before, used, strict=True)]
    memory = [sum(one.memory_info().rss for one in _processes(node.pid)) / BYTES_PER_MB for node in cluster.nodes]
    return _outcome([row for row in reader.rows if row[2] >= since_ns], sent, cpu, memory, back_s)


def _outcome(
    rows: list[tuple[str, int, int, int]],
    sent: Sequence[Sent],
    cpu: Sequence[float],
    memory: Sequence[float],
    back_s: float,
) -> Outcome:
    newest: defaultdict[str, int] = defaultdict(lambda: -1)
    seen: set[tuple[str, int]] = set()
    twice = disorder = 0
    late_ms = []
    for topic, number, sent_ns, here_ns in rows:
        again = (topic, number) in seen
        seen.add((topic, number))
        if topic.endswith("/state"):
            twice += again
            disorder += not again and number < newest[topic]
            newest[topic] = max(newest[topic], number)
            late_ms.append(ms(here_ns - sent_ns))
    states = sum(topic.endswith("/state") for topic, _ in seen)
    return Outcome(
        sent=sent,
        poses=len(seen) - states,
        states=states,
        twice=twice,
        disorder=disorder,
        late_ms=np.array(late_ms),
        cpu=cpu,
        memory_mb=memory,
        back_s=back_s,
    )


def _until(done: Callable[[], bool]) -> None:
    end_s = time.monotonic() + SETTLE_S
    while not done() and time.monotonic() < end_s:
        time.sleep(0.2)


def _cpu_s(pid: int) -> float:
    times = [process.cpu_times() for process in _processes(pid)]
    return float(sum(one.user + one.system for one in times))


def _processes(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def row(count: int, fault: str, outcome: Outcome) -> str:
    nodes = "; ".join(f"{cpu:.0%}, {mb:.0f}" for cpu, mb in zip(outcome.cpu, outcome.memory_mb, strict=True))
    return (
        f"| {count} | {fault} | {sum(outcome.published)} | {outcome.delivery} | {outcome.disorder} "
        f"| {outcome.lateness} | {nodes} | {outcome.back_s:.1f} s |"
    )


def main() -> None:
    parser = load_parser("tools.fleet.cluster", __doc__, devices=[100], seconds=30, processes=1)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    args = parser.parse_args()
    print(HEAD)
    for count in args.devices:
        for name in args.faults:
            with cluster_for(count, fault=name) as cluster:
                outcome = run(cluster, count, args.rate_hz, args.seconds, FAULTS[name], processes=args.processes)
            print(row(count, name, outcome), flush=True)


if __name__ == "__main__":
    main()
