"""What fails in a cluster while devices publish: one node, all of them, its link, its disk."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

from edged.units import BYTES_PER_MB
from tools.fleet.kinds import DISK_FULL, PARTITION, Cluster

FAULT_AT, FAULT_FOR = 1 / 4, 1 / 3  # of a run

Fault = Callable[[Cluster, float], float]  # with the length of the run in s; returns the s until all was well


def calm(cluster: Cluster, seconds: float) -> float:
    time.sleep(seconds)
    return 0.0


def killed(cluster: Cluster, seconds: float) -> float:
    """One node ends as by a power cut, and returns after a third of the run."""
    time.sleep(seconds * FAULT_AT)
    cluster.nodes[0].kill()
    time.sleep(seconds * FAULT_FOR)
    cluster.nodes[0].start()
    return cluster.wait()


def all_killed(cluster: Cluster, seconds: float) -> float:
    """All nodes end as by a power cut, and return after a third of the run."""
    time.sleep(seconds * FAULT_AT)
    for node in cluster.nodes:
        node.kill()
    time.sleep(seconds * FAULT_FOR)
    for node in cluster.nodes:
        node.start()
    return cluster.wait()


def frozen(cluster: Cluster, seconds: float) -> float:
    """One node answers nobody for a third of the run, and keeps its connections."""
    time.sleep(seconds * FAULT_AT)
    cluster.nodes[0].signal(signal.SIGSTOP)
    time.sleep(seconds * FAULT_FOR)
    cluster.nodes[0].signal(signal.SIGCONT)
    return cluster.wait()


def partitioned(cluster: Cluster, seconds: float) -> float:
    """Nobody hears one node for a third of the run, and it hears nobody; no connection is closed. See `island`."""
    island = cluster.nodes[0].island
    if island is None:
        raise RuntimeError("the first node is on no island")
    time.sleep(seconds * FAULT_AT)
    island.cut()
    time.sleep(seconds * FAULT_FOR)
    island.mend()
    return cluster.wait()


def rolling(cluster: Cluster, seconds: float) -> float:
    """Each node is stopped, and started again, when the one before has caught up."""
    took_s = 0.0
    for node in cluster.nodes:
        time.sleep(seconds * FAULT_AT if node is cluster.nodes[0] else seconds / 5)
        node.kill(signal.SIGTERM)
        node.start()
        took_s = max(took_s, cluster.wait())
    return took_s


def disk_full(cluster: Cluster, seconds: float) -> float:
    """The file system of one node is filled for a third of the run; see `cluster_for`."""
    time.sleep(seconds * FAULT_AT)
    filler = cluster.nodes[0].store / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"x" * BYTES_PER_MB)
            file.flush()
    time.sleep(seconds * FAULT_FOR)
    filler.unlink()
    if cluster.ends_when_full:
        cluster.nodes[0].kill()
        cluster.nodes[0].start()
    return cluster.wait()


FAULTS: dict[str, Fault] = {
    "none": calm,
    "killed": killed,
    "all killed": all_killed,
    "frozen": frozen,
    PARTITION: partitioned,
    DISK_FULL: disk_full,
    "rolling restart": rolling,
}
