"""`python -m tools.fleet.capacity`: what mosquitto with a bridge, three RabbitMQ and three NATS nodes hold and lose.

The same boxes, messages, TLS and rights by name, and one reader with QoS 1 and a session that lasts. First each kind
with more and more boxes, which at the end of each run all come back at once; then each fault. Every run is written when
it is over (`capacity.json`, and the page), and not run again: the command goes on where it ended. As root, on a quiet
machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tools.fleet.capacity_report import Run, fault_key, growth_key, held, outcome_line, page, tools_limit
from tools.fleet.cluster import Outcome, Pace, run
from tools.fleet.faults import FAULTS, Fault, calm
from tools.fleet.kinds import DISK_FULL, KINDS, PARTITION, Cluster, cluster_for
from tools.reports.writer import environment, strict, write

OUT = Path(__file__).parents[1] / "reports" / "capacity"
SIZES = (100, 500, 1000, 2000)
RATE_HZ = 5.0  # messages per box, every fifth a state with QoS 1
LOW_HZ = 1000.0  # of all boxes, where these tools cannot send more
GROWTH_S, FAULT_S = 8.0, 15.0  # how long boxes publish
GROWTH_KEEPALIVE_S, FAULT_KEEPALIVE_S = 30, 5
LATE_S = 3.0  # behind schedule, then a run ends
LIMIT_S, SETTLE_S = 90.0, 30.0  # for boxes to connect, or to come back; for what is on its way
RESERVE_S = 60.0  # no run begins with less time left
APART = (PARTITION, DISK_FULL)  # faults that need a disk or a network of their own
# Of a run, or of brokers that do not start.
FAILURES = (RuntimeError, OSError, EOFError, psutil.Error, subprocess.SubprocessError)


class Measurement:
    """All runs, those before too; each is written when it is over."""

    def __init__(self, out: Path, minutes: float, processes: int) -> None:
        self._out, self._processes = out, processes
        self._end_s = time.monotonic() + 60 * minutes
        self.runs: dict[str, Run] = {}
        with suppress(FileNotFoundError):
            self.runs = json.loads((out / "capacity.json").read_text())["runs"]

    def in_time(self, what: str) -> bool:
        """Whether there is time for one more run; if not, that is told."""
        if self._end_s - time.monotonic() > RESERVE_S:
            return True
        print(f"{what}: not run, the time is over; the same command goes on there", flush=True)
        return False

    def take(self, run_key: str, measure: Callable[[], Outcome], **what: Any) -> None:
        """Measure and write one run. One that fails says why, and is written too."""
        try:
            found: Run = {**what, **figures(measure())}
        except FAILURES as error:
            found = {**what, "error": str(error) or type(error).__name__}
        self.runs[run_key] = found = strict(found)
        self.write()
        print(f"{run_key}: {outcome_line(found)}", flush=True)

    def write(self) -> None:
        """The page and the figures, of what there is."""
        write(self._out, page(self.runs, environment([])), {"runs": self.runs}, name="capacity")

    def pace(self, rate_hz: float, seconds: float, keepalive_s: int, *, all_back: bool) -> Pace:
        return Pace(
            rate_hz=rate_hz,
            seconds=seconds,
            processes=self._processes,
            keepalive_s=keepalive_s,
            limit_s=LIMIT_S,
            late_s=LATE_S,
            settle_s=SETTLE_S,
            all_back=all_back,
        )


def figures(outcome: Outcome) -> Run:
    """One run as JSON."""
    late_ms = outcome.late_ms if len(outcome.late_ms) else np.array([np.nan])
    return {
        "published": list(outcome.published),
        "lost": list(outcome.lost),
        "twice": outcome.twice,
        "disorder": outcome.disorder,
        "ms": [float(at) for at in np.percentile(late_ms, [50, 99, 100])],
        "late_s": max(sent.late_s for sent in outcome.sent),
        "nodes": list(outcome.shares.nodes),
        "boxes_cpu": list(outcome.shares.devices),
        "reader_cpu": outcome.shares.reader,
        "machine": outcome.shares.machine / (os.cpu_count() or 1),
        "memory_mb": list(outcome.memory_mb),
        "took_s": outcome.took_s,
        "connect_s": outcome.connect_s,
        "recovered_s": outcome.recovered_s,
        "back_s": outcome.back_s,
        "all_back_s": outcome.all_back_s,
    }


def grow(measurement: Measurement, kind: str, sizes: list[int]) -> None:
    """More and more boxes, until the brokers do not hold them; slower from where on it is these tools that do not."""
    if next_step(measurement.runs, kind, sizes) is None:
        return
    if not measurement.in_time(f"{kind}, growth"):
        return
    with cluster_for(max(sizes), kind=kind) as cluster:
        while (step := next_step(measurement.runs, kind, sizes)) and measurement.in_time(f"{kind}, {step[0]} boxes"):
            size, slow = step
            rate_hz = min(RATE_HZ, LOW_HZ / size) if slow else RATE_HZ
            pace = measurement.pace(rate_hz, GROWTH_S, GROWTH_KEEPALIVE_S, all_back=True)
            planned = round(rate_hz * GROWTH_S) * size
            what = {"kind": kind, "boxes": size, "rate_hz": rate_hz, "slow": slow, "planned": planned}
            measurement.take(growth_key(kind, size, slow=slow), partial(_settled, cluster, size, pace, calm), **what)


def _settled(cluster: Cluster, count: int, pace: Pace, fault: Fault) -> Outcome:
    """One run; nodes may have been killed at the end of the one before."""
    cluster.wait()
    return run(cluster, count, pace, fault)


def next_step(runs: Mapping[str, Run], kind: str, sizes: Sequence[int]) -> tuple[int, bool] | None:
    """The next number of boxes, and whether they publish slowly; None when this kind is done."""
    slow = False
    for size in sizes:
        for slowly in (False, True):
            if slowly is not slow:
                continue
            found = runs.get(growth_key(kind, size, slow=slowly))
            if found is None:
                return size, slowly
            if not held(found) and (slow or not tools_limit(found)):
                return None
            slow = slow or not held(found)
    return None


def fail(measurement: Measurement, kind: str, count: int, faults: Sequence[str]) -> None:
    """Each fault, with few boxes; those that need no disk or network of their own at the same nodes."""
    for first in faults:
        run_key = fault_key(kind, first)
        if run_key in measurement.runs or not measurement.in_time(run_key):
            continue
        with cluster_for(count, fault=first, kind=kind) as cluster:
            for fault in [first] if first in APART else [fault for fault in faults if fault not in APART]:
                if not _failed(measurement, cluster, kind, count, fault):
                    break


def _failed(measurement: Measurement, cluster: Cluster, kind: str, count: int, fault: str) -> bool:
    """Measure one fault, unless it is known. Returns whether the nodes will do for the next."""
    run_key = fault_key(kind, fault)
    if run_key in measurement.runs:
        return True
    if not measurement.in_time(run_key):
        return False
    pace = measurement.pace(RATE_HZ, FAULT_S, FAULT_KEEPALIVE_S, all_back=False)
    what = {"kind": kind, "boxes": count, "rate_hz": RATE_HZ, "fault": fault}
    measurement.take(run_key, partial(_settled, cluster, count, pace, FAULTS[fault]), **what)
    return "error" not in measurement.runs[run_key]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.fleet.capacity", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=OUT, help="folder of page and figures")
    parser.add_argument("--boxes", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--fault-boxes", type=int, default=100, metavar="N")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=[name for name in FAULTS if name != "none"])
    parser.add_argument("--processes", type=int, default=2, help="processes for the boxes")
    parser.add_argument("--minutes", type=float, default=19, help="no run begins later than a minute before that")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # three files for each box
    measurement = Measurement(args.out, args.minutes, args.processes)
    for kind in args.kinds:
        attempt(kind, partial(grow, measurement, kind, sorted(args.boxes)))
    for kind in args.kinds:
        attempt(kind, partial(fail, measurement, kind, args.fault_boxes, args.faults))
    measurement.write()


def attempt(kind: str, step: Callable[[], None]) -> None:
    """One part of the work; where its brokers do not start, or end badly, that is told, and the other parts follow."""
    try:
        step()
    except FAILURES as error:
        print(f"{kind}: {str(error) or type(error).__name__}; the same command tries it again", flush=True)


if __name__ == "__main__":
    main()
