"""`python -m tools.fleet.capacity`: how many boxes brokers of three kinds hold on this machine, one after the other.

Mosquitto with a bridge, three RabbitMQ nodes, three NATS nodes; the same boxes, messages and TLS, and one reader with
QoS 1 and a session that lasts. A kind is done with the first number of boxes that it does not hold. Run it on a quiet
machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tools.fleet.__main__ import SITE
from tools.fleet.brokers import Broker
from tools.fleet.cluster import READER, Cluster, Outcome, calm, cluster_for, passwords, run
from tools.fleet.devices import load_parser
from tools.fleet.rabbitmq import RabbitCluster

MAX_P99_MS, MAX_LATE_S = 2000.0, 2.0  # of what a broker holds
HEAD = """\
| brokers | boxes | messages/s | poses lost | states lost | twice | states p50, p99, max ms | late | CPU of nodes \
| MB of nodes | held |
|---|---|---|---|---|---|---|---|---|---|---|"""


class BridgedNode:
    """A mosquitto, as boxes or people reach it."""

    def __init__(self, broker: Broker, port: int) -> None:
        self.host, self.mqtt_port, self._broker = "127.0.0.1", port, broker

    @property
    def pid(self) -> int:
        return self._broker.pid


class Bridged:
    """A site's mosquitto, which sends everything to a central one, where the reader is."""

    topic = f"{SITE}/edged/+/cam/#"

    def __init__(self, folder: Path, boxes: dict[str, str]) -> None:
        self.folder = folder
        for name in ("site", "central"):
            (folder / name).mkdir()
        self._site, self._central = Broker(folder / "site"), Broker(folder / "central", "central.acl")
        self._site.boxes(boxes)
        self._central.people(dict([READER]))
        self._site.bridge(self._central, SITE, poses=True)
        self.nodes = [
            BridgedNode(self._site, self._site.passwords_port),
            BridgedNode(self._central, self._central.people_port),
        ]
        self.box_nodes, self.readers = self.nodes[:1], self.nodes[1:]
        self.ca, self.reader_ca = self._site.ca, self._central.ca

    def start(self) -> None:
        self._central.start()
        self._site.start()

    def kill(self) -> None:
        self._site.kill()
        self._central.kill()


@contextmanager
def mosquitto(count: int) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory() as folder:
        bridged = Bridged(Path(folder), passwords(count))
        try:
            bridged.start()
            yield bridged
        finally:
            bridged.kill()


@contextmanager
def rabbitmq(count: int) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory() as folder:
        cluster = RabbitCluster(Path(folder))
        cluster.users({**passwords(count), **dict([READER])})
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()


@contextmanager
def nats(count: int) -> Iterator[Cluster]:
    with cluster_for(count) as cluster:
        yield cluster


KINDS = {"mosquitto + bridge": mosquitto, "RabbitMQ x3": rabbitmq, "NATS x3": nats}


def late_s(outcome: Outcome) -> float:
    """Return how long after its time the last box published."""
    return max(sent.late_s for sent in outcome.sent)


def holds(outcome: Outcome) -> bool:
    """Whether all states arrived, soon enough, and boxes could publish at their rate."""
    if outcome.lost[1] or late_s(outcome) >= MAX_LATE_S:
        return False
    return bool(np.percentile(outcome.late_ms, 99) < MAX_P99_MS)


def row(kind: str, count: int, seconds: float, outcome: Outcome) -> str:
    late = late_s(outcome)
    cpu = ", ".join(f"{share:.0%}" for share in outcome.cpu)
    memory = ", ".join(f"{mb:.0f}" for mb in outcome.memory_mb)
    return (
        f"| {kind} | {count} | {sum(outcome.published) / (seconds + max(0.0, late)):.0f} | {outcome.delivery} "
        f"| {outcome.lateness} | {late:.1f} s | {cpu} | {memory} | {'yes' if holds(outcome) else 'no'} |"
    )


def main() -> None:
    parser = load_parser("tools.fleet.capacity", __doc__, devices=[100, 200, 400], seconds=10, processes=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    args = parser.parse_args()
    print(HEAD)
    for kind in args.kinds:
        for count in args.devices:
            with KINDS[kind](count) as cluster:
                outcome = run(cluster, count, args.rate_hz, args.seconds, calm, processes=args.processes)
            print(row(kind, count, args.seconds, outcome), flush=True)
            if not holds(outcome):
                break


if __name__ == "__main__":
    main()
