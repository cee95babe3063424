"""`python -m tools.fleet.cluster`: many devices on three NATS nodes, of which one fails: losses, order, recovery.

The shipped configuration, TLS, passwords and rights by name; nodes, devices and reader share this machine.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import psutil
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edged.config.tables.mqtt import MqttConfig
from edged.units import BYTES_PER_MB, NS_PER_S, ms, ns
from tools.fleet.devices import READER, TIMEOUT_S, DeviceProcess, Load, Sent, load_parser, passwords
from tools.fleet.faults import FAULT_AT, FAULTS, Fault, calm
from tools.fleet.kinds import Cluster, Node, cluster_for
from tools.fleet.reader import FIRST

LEAD_S = 1.0
SETTLE_S = 120.0  # longest wait for messages that must arrive
LATE_MS = 1000.0  # of a state that arrived late
HEAD = """\
| devices | fault | messages | poses lost | states lost | twice | out of order | p50, p99, max ms \
| nodes: CPU, MB | back after |
|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What devices do in a run, and how long it may take."""

    rate_hz: float  # messages per device
    seconds: float
    processes: int = 1
    keepalive_s: int = 5
    limit_s: float = TIMEOUT_S  # until all are connected, or have sent everything
    late_s: float = TIMEOUT_S  # behind schedule, from which on nothing more is published
    settle_s: float = SETTLE_S
    all_back: bool = False  # at the end all nodes are killed, and all devices come back to them at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares of a core while devices published."""

    nodes: Sequence[float]
    devices: Sequence[float]  # by process
    reader: float
    machine: float  # by every process, also foreign ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run."""

    sent: Sequence[Sent]
    poses: int  # distinct messages that arrived
    states: int
    twice: int  # arrivals of a state that had arrived before
    disorder: int  # states that arrived after a later one of their device
    late_ms: np.ndarray
    shares: Shares
    memory_mb: Sequence[float]
    took_s: float  # to publish
    connect_s: float  # from the start of all devices' processes until all were connected
    back_s: float  # from the end of the fault until all nodes had caught up and all devices were connected
    recovered_s: float  # from the begin of the fault until no state came later than `LATE_MS` any more
    all_back_s: float | None  # from the start of all killed nodes until all devices were connected; None: not tried

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


def run(cluster: Cluster, count: int, pace: Pace, fault: Fault = calm) -> Outcome:
    """Devices that publish all the time while `fault` happens. Raises RuntimeError when they do not get through."""
    reader = QueueReader(cluster)
    began_s = time.monotonic()
    devices = [DeviceProcess(load) for load in _loads(cluster, count, pace)]
    try:
        for device in devices:
            device.connected()
        return _measure(cluster, reader, devices, pace, fault, connect_s=time.monotonic() - began_s)
    finally:
        for device in devices:
            device.kill()
        reader.close()


def _measure(
    cluster: Cluster,
    reader: QueueReader,
    devices: Sequence[DeviceProcess],
    pace: Pace,
    fault: Fault,
    *,
    connect_s: float,
) -> Outcome:
    start_s = time.monotonic() + LEAD_S
    for device in devices:
        device.publish(start_s)
    time.sleep(max(0.0, start_s - time.monotonic()))
    before, before_own_s, before_all_s = [cpu_s(node) for node in cluster.nodes], time.process_time(), busy_s()
    back_s = fault(cluster, pace.seconds)
    sent = [device.sent() for device in devices]
    gone_s = pace.seconds + max(one.late_s for one in sent)  # less than a fault takes, when boxes gave up
    took_s = min(time.monotonic() - start_s, gone_s)
    used = [cpu_s(node) for node in cluster.nodes]
    shares = Shares(
        nodes=[(after - was if after > was else after) / took_s for was, after in zip(before, used, strict=True)],
        devices=[one.cpu_s / (pace.seconds + one.late_s) for one in sent],
        reader=(time.process_time() - before_own_s) / took_s,
        machine=(busy_s() - before_all_s) / took_s,
    )
    since_ns, published = ns(start_s), sum(one.published["state"] for one in sent)
    _until(lambda: len({row[:2] for row in reader.states(since_ns)}) >= published, pace.settle_s)
    memory_mb = [sum(one.memory_info().rss for one in processes(node)) / BYTES_PER_MB for node in cluster.nodes]
    rows = [row for row in reader.rows if row[2] >= since_ns]
    return Outcome(
        sent=sent,
        **arrived(rows, ns(start_s + pace.seconds * FAULT_AT)),
        shares=shares,
        memory_mb=memory_mb,
        took_s=took_s,
        connect_s=connect_s,
        back_s=back_s,
        all_back_s=_all_back(cluster, devices) if pace.all_back else None,
    )


def _loads(cluster: Cluster, count: int, pace: Pace) -> list[Load]:
    """What each process of devices does."""
    first, *others = cluster.box_nodes
    broker = MqttConfig.model_validate(
        {
            "host": first.host,
            "port": first.mqtt_port,
            "hosts": [f"{node.host}:{node.mqtt_port}" for node in others],
            "tls": {"enabled": True, "ca": cluster.ca},
            "protocol": "3.1.1",
            "keepalive_s": pace.keepalive_s,
        }
    )
    devices = list(passwords(count).items())
    return [
        Load(
            broker=broker,
            passwords=dict(devices[at :: pace.processes]),
            rate_hz=pace.rate_hz,
            seconds=pace.seconds,
            limit_s=pace.limit_s,
            late_s=pace.late_s,
        )
        for at in range(min(pace.processes, count))
    ]


def _all_back(cluster: Cluster, devices: Sequence[DeviceProcess]) -> float:
    """Kill all nodes and start them. Returns the s until all devices are connected; infinite: they were not."""
    for node in cluster.nodes:
        node.kill()
    begin_s = time.monotonic()
    for node in cluster.nodes:
        node.start()
    try:
        for device in devices:
            device.reconnected()
    except RuntimeError:
        return math.inf
    return time.monotonic() - begin_s


def arrived(rows: list[tuple[str, int, int, int]], fault_ns: int) -> dict[str, Any]:
    """What the reader's rows say: fields of `Outcome`."""
    newest: defaultdict[str, int] = defaultdict(lambda: -1)
    seen: set[tuple[str, int]] = set()
    twice = disorder = 0
    recovered_ns = fault_ns
    late_ms = []
    for topic, number, sent_ns, here_ns in rows:
        again = (topic, number) in seen
        seen.add((topic, number))
        if not topic.endswith("/state"):
            continue
        twice += again
        disorder += not again and number < newest[topic]
        newest[topic] = max(newest[topic], number)
        late_ms.append(ms(here_ns - sent_ns))
        if not again and late_ms[-1] > LATE_MS:
            recovered_ns = max(recovered_ns, here_ns)
    states = sum(topic.endswith("/state") for topic, _ in seen)
    return {
        "poses": len(seen) - states,
        "states": states,
        "twice": twice,
        "disorder": disorder,
        "late_ms": np.array(late_ms),
        "recovered_s": (recovered_ns - fault_ns) / NS_PER_S,
    }


def _until(done: Callable[[], bool], limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not done() and time.monotonic() < end_s:
        time.sleep(0.2)


def cpu_s(node: Node) -> float:
    """Return what a node has used since it was started, in s."""
    times = [process.cpu_times() for process in processes(node)]
    return float(sum(one.user + one.system for one in times))


def busy_s() -> float:
    """Return what all processes of this machine have used, in s."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait)


def processes(node: Node) -> list[psutil.Process]:
    """Return a node's processes; one that does not run has none."""
    if not node.pid:
        return []
    process = psutil.Process(node.pid)
    return [process, *process.children(recursive=True)]


def row(count: int, fault: str, outcome: Outcome) -> str:
    nodes = "; ".join(f"{cpu:.0%}, {mb:.0f}" for cpu, mb in zip(outcome.shares.nodes, outcome.memory_mb, strict=True))
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
                pace = Pace(rate_hz=args.rate_hz, seconds=args.seconds, processes=args.processes)
                outcome = run(cluster, count, pace, FAULTS[name])
            print(row(count, name, outcome), flush=True)


if __name__ == "__main__":
    main()
