"""`python -m tools.fleet`: many devices on the shipped broker configuration and bridge: losses and latency.

Real mosquitto, TLS, passwords, rights by name. Devices, brokers and reader share this machine and slow each other
down: the figures are a worst case.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from edged.config.tables.mqtt import MqttConfig
from edged.units import ns
from tools.fleet.bridged import SITE
from tools.fleet.brokers import Broker
from tools.fleet.cluster import busy_s
from tools.fleet.devices import DeviceProcess, Load, Sent, load_parser
from tools.fleet.reader import Arrivals, Reader

OPERATOR = {"operator": "operator"}
LEAD_S = 1.0  # from the command to publish until it begins
SETTLE_S = 3.0  # longest wait for messages in flight
HEAD = """\
| devices | through | messages/s | lost: poses, states | p50, p99, max ms: poses | states | site | central | reader \
| a device | others | all back |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run."""

    sent: Sequence[Sent]
    arrivals: dict[str, Arrivals]
    shares: Sequence[float]  # of a core: site broker, central broker, reader
    busy: float  # of a core, by every process of this machine
    seconds: float
    reconnect_s: float  # from the restart of the site's broker until all devices were online


def main() -> None:
    parser = load_parser("tools.fleet", __doc__, devices=[10, 100, 500], seconds=20, processes=2)
    parser.add_argument("--through", choices=["broker", "bridge"], nargs="+", default=["broker", "bridge"])
    args = parser.parse_args()
    print(HEAD)
    for through in args.through:
        with brokers(max(args.devices), bridged=through == "bridge") as (site, central):
            for count in args.devices:
                figures = run(site, central, args, count)
                print(row(count, through, figures), flush=True)


@contextmanager
def brokers(most: int, *, bridged: bool) -> Iterator[tuple[Broker, Broker | None]]:
    """A site's broker, and the central one to which it sends everything, poses too."""
    with tempfile.TemporaryDirectory() as folder:
        site = _broker(Path(folder) / "site", "acl")
        site.people(OPERATOR)
        site.boxes(passwords(most))
        central = _broker(Path(folder) / "central", "central.acl") if bridged else None
        if central is not None:
            central.people(OPERATOR)
            site.bridge(central, SITE, poses=True)
            central.start()
        site.start()
        try:
            yield site, central
        finally:
            for broker in filter(None, (site, central)):
                broker.kill()


def _broker(folder: Path, acl: str) -> Broker:
    folder.mkdir()
    return Broker(folder, acl)


def passwords(count: int) -> dict[str, str]:
    return {f"box-{number:04d}": f"secret-{number}" for number in range(count)}


def run(site: Broker, central: Broker | None, args: argparse.Namespace, count: int) -> Figures:
    top, below = (central, f"{SITE}/edged") if central else (site, "edged")
    reader = Reader(_login(top, "operator"), f"{below}/+/cam/#")
    devices = [DeviceProcess(load) for load in _loads(site, args, count)]
    for device_process in devices:
        device_process.connected()
    start_s = time.monotonic() + LEAD_S
    for device_process in devices:
        device_process.publish(start_s)
    processes = [psutil.Process(pid) for pid in (site.pid, central.pid if central else site.pid, reader.pid)]
    time.sleep(start_s - time.monotonic())
    before_s, before_busy_s = [_cpu_s(process) for process in processes], busy_s()
    sent = [device_process.sent() for device_process in devices]
    took_s = time.monotonic() - start_s
    shares = [(_cpu_s(process) - cpu_s) / took_s for process, cpu_s in zip(processes, before_s, strict=True)]
    busy = (busy_s() - before_busy_s) / took_s
    arrivals = _arrived(reader, ns(start_s), sum(sum(one.published.values()) for one in sent))
    reconnect_s = _restart_broker(site, devices)
    for device_process in devices:
        device_process.close()
    reader.close()
    return Figures(
        sent=sent, arrivals=arrivals, shares=shares, busy=busy, seconds=args.seconds, reconnect_s=reconnect_s
    )


def _arrived(reader: Reader, since_ns: int, published: int) -> dict[str, Arrivals]:
    """Return the arrivals, once all have arrived or `SETTLE_S` are over."""
    end_s = time.monotonic() + SETTLE_S
    while True:
        found = reader.arrivals(since_ns)
        if sum(kind.count for kind in found.values()) >= published or time.monotonic() > end_s:
            return found
        time.sleep(0.1)


def _restart_broker(site: Broker, devices: Sequence[DeviceProcess]) -> float:
    site.kill()
    site.start()
    started_s = time.monotonic()
    for device_process in devices:
        device_process.reconnected()
    return time.monotonic() - started_s


def _loads(site: Broker, args: argparse.Namespace, count: int) -> list[Load]:
    devices = list(passwords(count).items())
    shares = [dict(devices[first :: args.processes]) for first in range(min(args.processes, count))]
    broker = _login(site, "")
    return [Load(broker=broker, passwords=share, rate_hz=args.rate_hz, seconds=args.seconds) for share in shares]


def _login(broker: Broker, name: str) -> MqttConfig:
    credentials = {"username": name, "password": OPERATOR[name]} if name else {}
    tls = {"enabled": True, "ca": broker.ca}
    port = broker.people_port if name else broker.passwords_port
    return MqttConfig.model_validate({"port": port, "tls": tls, "protocol": "5", **credentials})


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def row(count: int, through: str, figures: Figures) -> str:
    published = {kind: sum(sent.published[kind] for sent in figures.sent) for kind in figures.sent[0].published}
    arrived = {kind: figures.arrivals[kind].count if kind in figures.arrivals else 0 for kind in published}
    lost = ", ".join(f"{published[kind] - arrived[kind]} of {published[kind]}" for kind in published)
    late = " | ".join(_late(figures.arrivals[kind]) if arrived[kind] else "" for kind in published)
    rate = sum(published.values()) / (figures.seconds + max(sent.late_s for sent in figures.sent))
    site, central, reader = (f"{share:.1%}" for share in figures.shares)
    cpu = sum(sent.cpu_s for sent in figures.sent) / figures.seconds
    ours = cpu + figures.shares[0] + figures.shares[2] + (figures.shares[1] if through == "bridge" else 0)
    return (
        f"| {count} | {through} | {rate:.0f} | {lost} | {late} "
        f"| {site} | {central if through == 'bridge' else ''} | {reader} | {cpu / count:.2%} "
        f"| {figures.busy - ours:.0%} | {figures.reconnect_s:.1f} s |"
    )


def _late(arrivals: Arrivals) -> str:
    p50, p99, worst = np.percentile(arrivals.late_ms, [50, 99, 100])
    return f"{p50:.1f}, {p99:.1f}, {worst:.0f}"


if __name__ == "__main__":
    main()
