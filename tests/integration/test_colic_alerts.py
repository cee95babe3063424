"""From the keypoints of a horse with colic to the alert message, its reminder and its acknowledgement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed: pip install 'edged[synth]'")

from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import SceneMonitor
from edged.capture.camera import CameraState
from edged.config.tables.stall import StallConfig
from edged.frame import Frame, FrameResult, TrackedSubject
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.units import ns
from tests.support.clock import SyncedClock
from tests.support.memory_bus import MemoryBus
from tests.support.messages import result
from tests.support.scene import CLEAR, monitored
from tools.barn.life import DayBuilder, on_circle
from tools.barn.tracks import View, observations

AT_NS = ns(1_000_000)
MIDNIGHT_MS = 1_800_057_600_000  # some night
ONLINE = CameraState(camera="stall", phase="online", reason="", since_ns=0)
PIXELS = np.zeros((2, 2, 3), np.uint8)
STALL = StallConfig(enabled=True, feeding_times=("12:00",))


class Night(SyncedClock):
    """A clock that begins at a midnight, so that no feeding time is near."""

    def utc_ms(self, monotonic_ns: int) -> int:
        return MIDNIGHT_MS + (monotonic_ns - AT_NS) // 1_000_000


def trouble() -> DayBuilder:
    """A horse that rolls, paws and looks back, again and again."""
    life = DayBuilder(np.random.default_rng(3), position=on_circle(0.0))
    life.do("standing", 60)
    for _ in range(4):
        life.paw(8)
        life.look_back()
        life.roll(2)
        life.do("standing", 60)
    return life


Walk = Callable[[float], float]  # from seconds to px: where a person stands


def bucket(t_s: float) -> float:
    """It stays where it is, and its box trembles."""
    return 40 + 3 * math.sin(7 * t_s)


def groom(t_s: float) -> float:
    return 40 + 60 * math.sin(t_s / 5)


def results(person: Walk | None = None) -> Iterator[FrameResult]:
    for seen in observations(trouble().acts, View(), np.random.default_rng(1)):
        points = np.concatenate([np.nan_to_num(seen.xy), np.isfinite(seen.xy[:, :1])], axis=1).astype(np.float32)
        horse = TrackedSubject(
            id=1,
            label="horse",
            score=0.9,
            xyxy=np.array(seen.box, np.float32),
            keypoints=points,
            smoothed=None,
            schema="ap10k-17",
            box_source="detected",
        )
        t_ns = AT_NS + ns(seen.t_s)
        people = [] if person is None else [_person(horse, person(seen.t_s))]
        yield result(horse, *people, camera="stall", captured_ns=t_ns, done_ns=t_ns, quality=CLEAR)


def _person(horse: TrackedSubject, x: float) -> TrackedSubject:
    return replace(horse, id=2, label="person", keypoints=None, xyxy=np.array([x, 50, x + 40, 170], np.float32))


class Device:
    """The part of the daemon between a result and a message."""

    def __init__(self, folder: Path) -> None:
        headers = HeaderFactory(Night())
        self.bus = MemoryBus(lambda state: build.device_status(headers, state))
        self.stalls = StallMonitors({}, 0.3, folder)
        self.latest: FrameResult | None = None
        self.monitor = SceneMonitor(
            self.bus,
            headers,
            lambda: {"stall": (ONLINE, self.latest)},
            monitored({"stall": ("horse", "person")}, stalls={"stall": STALL}),
            stalls=self.stalls,
            state_file=folder / "days.json",
        )
        self.now_ns = AT_NS

    def live(self, person: Walk | None = None) -> None:
        for one in results(person):
            self.latest = one
            self.stalls.sink(Frame(camera="stall", seq=0, captured_ns=one.captured_ns, image=PIXELS), one)
            if one.captured_ns - self.now_ns >= ns(0.5):
                self.now_ns = one.captured_ns
                self.monitor.poll(self.now_ns)

    def wait(self, seconds: int) -> None:
        """The horse stands as it stood last."""
        assert self.latest is not None
        for _ in range(seconds):
            self.now_ns += ns(1)
            self.latest = result(*self.latest.subjects, captured_ns=self.now_ns, done_ns=self.now_ns, quality=CLEAR)
            self.monitor.poll(self.now_ns)

    @property
    def colic(self) -> list[Any]:
        return [one for one in self.bus.messages_on("cam/stall/alert") if one["event_type"] == "colic-suspected"]


def test_colic_opens_an_alert_with_evidence_and_reminds_until_acknowledged(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.live()
    (opened,) = device.colic
    assert (opened["stage"], opened["severity"], opened["reminders"]) == ("open", "critical", 0)
    assert opened["evidence"]["roll"] >= 2
    assert len(opened["evidence"]) >= 2
    assert opened["coverage"] >= 0.6
    assert opened["alert_id"] in device.bus.retained["cam/stall/state"]["alert_ids"]
    device.wait(11 * 60)
    assert [(one["stage"], one["reminders"]) for one in device.colic] == [("open", 0), ("open", 1)]
    assert device.monitor.alerts.acknowledge(opened["alert_id"], device.now_ns)
    device.wait(11 * 60)
    assert [one["stage"] for one in device.colic] == ["open", "open", "acknowledged"]


def test_snoozed_alert_opens_again_after_its_time(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.live()
    assert device.monitor.alerts.snooze(device.colic[0]["alert_id"], 2, device.now_ns)
    device.wait(150)
    assert [one["stage"] for one in device.colic] == ["open", "snoozed", "open"]


def test_colic_while_a_person_is_in_the_stall_opens_no_alert(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.live(groom)
    assert device.colic == []
    assert device.bus.retained["cam/stall/state"]["stall"]["person_present"]


def test_bucket_detected_as_person_does_not_suppress_a_colic_alert(tmp_path: Path) -> None:
    device = Device(tmp_path)
    device.live(bucket)
    assert device.colic
    assert not device.bus.retained["cam/stall/state"]["stall"]["person_present"]
