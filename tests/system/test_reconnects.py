"""Every way in which a network camera fails, again and again: lost with its reason, back by itself, and nothing leaks.

`RECONNECTS=200 pytest -s tests/system/test_reconnects.py` is the long run; it prints how long each return took.
"""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from statistics import median
from typing import Any

import psutil
import pytest

pytest.importorskip("av", reason="PyAV encodes the clip; install edged[dev]")
pytest.importorskip("cv2", reason="needs OpenCV; install edged[cpu]")

from tests.support.waiting import LIMIT_S, until
from tools.rtsp_server import Clip, RtspServer, encode, serving

RECONNECTS = int(os.environ.get("RECONNECTS", "3"))
MOST_MB = 12.0  # that memory may differ between two instants; what leaks per reconnect would show in the long run


Act = Callable[[RtspServer], None]


@dataclass(frozen=True)
class Fault:
    name: str
    begin: tuple[Act, ...]
    end: tuple[Act, ...]
    reason: str  # part of the reason that is reported


def put(**values: Any) -> Act:
    return lambda server: server.__dict__.update(values)


def noise(clip: Clip) -> Clip:
    """The right headers, and then anything, but always the same."""
    anything = random.Random(7)
    return replace(clip, frames=[[nal[:1] + anything.randbytes(len(nal)) for nal in frame] for frame in clip.frames])


def reset(server: RtspServer) -> None:
    server.drop(reset=True)


def resize(server: RtspServer) -> None:
    server.clip = LARGE if server.clip is SMALL else SMALL


SMALL, LARGE = encode(), encode((480, 270))
stop, start, drop = RtspServer.stop, RtspServer.start, RtspServer.drop
FAULTS = (
    Fault("stalls", (put(stalled=True),), (put(stalled=False),), "no frame for 1 s"),
    Fault("hangs up", (drop,), (), "broke off"),
    Fault("resets", (reset,), (), "broke off"),
    Fault("goes away and returns", (stop,), (start,), "connection refused"),
    Fault("returns with another resolution", (stop, resize), (start,), "connection refused"),
    Fault("accepts connections and sends nothing", (put(mute=True), drop), (put(mute=False),), "no answer within"),
    Fault(
        "announces a wrong format",
        (put(codec="H265"), drop),
        (put(codec="H264"), drop),
        "no first frame for 3 s; the attempt before: rtsp://127.0.0.1",
    ),
    Fault("sends noise", (put(clip=noise(SMALL)), drop), (put(clip=SMALL),), "nothing of it can be decoded"),
)


class Reader:
    """The camera in a process of its own, and the states it prints."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.system.rtsp_reader", url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.measured = psutil.Process(self.process.pid)
        self._printed: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.states: list[dict[str, Any]] = []

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self._printed.put(json.loads(line))

    def until(self, phase: str, reason: str = "") -> float:
        """When this phase was printed, with this text in its reason."""
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s:
            try:
                state = self._printed.get(timeout=0.2)
            except queue.Empty:
                assert self.process.poll() is None, self.process.communicate()
                continue
            self.states.append(state)
            if state["phase"] == phase and reason in state["reason"]:
                return float(state["at_s"])
        raise AssertionError(f"never {phase} {reason}; states: {self.states[-6:]}")

    def figures(self) -> dict[str, float]:
        with self.measured.oneshot():
            return {
                "files": self.measured.num_fds(),
                "threads": self.measured.num_threads(),
                "rss_mb": self.measured.memory_info().rss / 1e6,
            }


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with serving(SMALL) as server:
        yield server


@pytest.fixture
def reader(server: RtspServer) -> Iterator[Reader]:
    reader = Reader(server.url)
    try:
        reader.until("online")
        yield reader
    finally:
        reader.process.kill()
        reader.process.communicate()


def fail(server: RtspServer, reader: Reader, fault: Fault) -> tuple[float, float]:
    """Seconds until it was noticed, and from the end of the fault until frames came again."""
    begun_s = time.monotonic()
    for act in fault.begin:
        act(server)
    noticed_s = reader.until("lost", fault.reason) - begun_s
    mended_s = time.monotonic()
    for act in fault.end:
        act(server)
    return noticed_s, reader.until("online") - mended_s


def test_camera_returns_from_every_failure_without_leaks(server: RtspServer, reader: Reader) -> None:
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for fault in FAULTS:  # once each: libraries load what they need
        times[fault.name].append(fail(server, reader, fault))
    before = reader.figures()
    for fault in islice(cycle(FAULTS), RECONNECTS):
        times[fault.name].append(fail(server, reader, fault))
    until(lambda: reader.figures()["threads"] <= before["threads"])  # abandoned ones end in time
    after = reader.figures()
    for name, taken in times.items():
        noticed, back = zip(*taken, strict=True)
        print(f"{name}: noticed {median(noticed):.1f} s, back {median(back):.1f} s, at most {max(back):.1f} s")
    print(f"{sum(map(len, times.values()))} failures; before {before}, after {after}")
    assert after["files"] <= before["files"]
    assert after["rss_mb"] < before["rss_mb"] + MOST_MB
