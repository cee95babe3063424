"""`python -m tools.mqtt_bench`: CPU time of publishing, and latency to a subscriber, on this machine.

Uses the bus of the daemon, a mosquitto on loopback, and a subscriber in another process. Both ends read
CLOCK_MONOTONIC, so the time from `publish` to subscriber is one subtraction.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edged.config.tables.mqtt import MqttConfig, PublishConfig
from edged.frame import FrameResult, ImageQuality, TrackedSubject
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.mqtt.incoming import IncomingMessage
from edged.mqtt.subscribe import subscribe
from edged.runtime.clock import Clock
from edged.units import ms

FIRST = b'{"sent_ns":'  # prefix of every message of this benchmark
HORSE_POINTS = 17
LISTEN_LIMIT_S = 10.0  # for a listener to connect, and to end


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.mqtt_bench", description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--rate-hz", type=float, default=30)
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    with mosquitto() as port, tempfile.TemporaryDirectory() as folder, subscriber(port) as arrivals:
        headers = HeaderFactory(Clock())
        bus = MqttBus(
            MqttConfig(port=port),
            "bench",
            lambda state: build.device_status(headers, state),
            PublishConfig(),
            Path(folder) / "outbox.db",
        )
        bodies = [build.poses(headers, result(f"cam{i}", args.subjects)) for i in range(args.cameras)]
        time.sleep(1)
        idle = cpu_share(lambda: None, args.rate_hz, args.seconds / 4)
        one = cpu_share(lambda: publish(bus, bodies[:1]), args.rate_hz, args.seconds)
        time.sleep(1)
        arrivals()  # discards those of the first run
        every = cpu_share(lambda: publish(bus, bodies), args.rate_hz, args.seconds)
        time.sleep(1)
        late_ms = arrivals()
        bus.close()
    print_figures(args, late_ms, {"1 camera": one - idle, f"{args.cameras} cameras": every - idle})


def print_figures(args: argparse.Namespace, late_ms: list[float], shares: dict[str, float]) -> None:
    p50, p95, p99, worst = np.percentile(late_ms, [50, 95, 99, 100])
    sent = round(args.seconds * args.rate_hz) * args.cameras
    print(f"{args.cameras} cameras x {args.rate_hz:g} Hz, {args.subjects} subjects: {len(late_ms)} of {sent} arrived")
    print(f"publish to subscriber: p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms, max {worst:.2f} ms")
    for what, share in shares.items():
        print(f"encoding and sending, {what}: {100 * share:.2f} % of a core")


def publish(bus: MqttBus, bodies: Sequence[Mapping[str, Any]]) -> None:
    for body in bodies:
        bus.publish(topics.POSES.at(camera=body["camera"]), {"sent_ns": time.monotonic_ns(), **body})


def cpu_share(act: Callable[[], None], rate_hz: float, seconds: float) -> float:
    """Return process time per wall time while calling `act` at a rate."""
    start_s, cpu_s = time.monotonic(), time.process_time()
    for turn in range(round(seconds * rate_hz)):
        time.sleep(max(0.0, start_s + turn / rate_hz - time.monotonic()))
        act()
    return (time.process_time() - cpu_s) / (time.monotonic() - start_s)


def result(camera: str, subjects: int) -> FrameResult:
    rng = np.random.default_rng(1)
    now_ns = time.monotonic_ns()
    subjects_found = tuple(
        TrackedSubject(
            id=number,
            label="horse",
            score=0.9,
            xyxy=np.array([10, 20, 300, 400], np.float32),
            keypoints=(rng.random((HORSE_POINTS, 3)) * [640, 480, 1]).astype(np.float32),
            smoothed=None,
            schema="ap10k-17",
            box_source="detected",
        )
        for number in range(subjects)
    )
    return FrameResult(
        camera=camera,
        seq=0,
        captured_ns=now_ns,
        done_ns=now_ns,
        size_wh=(640, 480),
        subjects=subjects_found,
        quality=ImageQuality(brightness=100, contrast=50, sharpness=0.1),
        stage_ns={},
    )


@contextmanager
def mosquitto() -> Iterator[int]:
    """Run mosquitto and yield its port. Without `set_tcp_nodelay` it delays every second small message by 40 ms."""
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        sys.exit("mosquitto is not installed (apt-get install mosquitto)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        conf.flush()
        broker = subprocess.Popen([binary, "-c", conf.name], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        try:
            yield port
        finally:
            broker.terminate()
            broker.wait(10)


@contextmanager
def listening(port: int, topic: str, on_message: Callable[[IncomingMessage], None]) -> Iterator[None]:
    """Inside, a thread of its own calls `on_message` for what arrives; it has connected, if the broker answers."""
    stop, connected = threading.Event(), threading.Event()
    arguments = (MqttConfig(port=port), topic, on_message, lambda *_: connected.set(), stop)
    thread = threading.Thread(target=subscribe, args=arguments, daemon=True)
    thread.start()
    connected.wait(LISTEN_LIMIT_S)
    try:
        yield
    finally:
        stop.set()
        thread.join(LISTEN_LIMIT_S)


@contextmanager
def subscriber(port: int) -> Iterator[Callable[[], list[float]]]:
    """Run a subscriber process; yields a function that returns the latencies, ms, of messages since its last call."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_listen, args=(port, theirs), daemon=True)
    process.start()
    ours.recv()

    def arrivals() -> list[float]:
        ours.send(None)
        late_ms: list[float] = ours.recv()
        return late_ms

    yield arrivals
    process.terminate()
    process.join(10)


def _listen(port: int, parent: Connection) -> None:
    late_ms: list[float] = []

    def on_message(arrived: IncomingMessage) -> None:
        if arrived.payload.startswith(FIRST):
            sent_ns = int(arrived.payload[len(FIRST) : arrived.payload.index(b",")])
            late_ms.append(ms(time.monotonic_ns() - sent_ns))

    def answer() -> None:
        while True:
            parent.recv()
            parent.send(late_ms.copy())
            late_ms.clear()

    threading.Thread(target=answer, daemon=True).start()
    subscribe(MqttConfig(port=port), "edged/bench/cam/#", on_message, parent.send, threading.Event())


if __name__ == "__main__":
    main()
