"""From what a camera shows of a horse in trouble to the message that wakes somebody, and to the answer."""

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
from edged.mqtt.memory_bus import MemoryBus
from edged.units import ns
from tests.unit.test_message_build import result
from tests.unit.test_scene_monitor import CLEAR, SyncedClock
from tools.barn.life import DayBuilder, on_circle
from tools.barn.tracks import View, observations

AT_NS = ns(1_000_000)
MIDNIGHT_MS = 1_800_057_600_000  # some night
ONLINE = CameraState(camera="stall", phase="online", reason="", since_ns=0)
PIXELS = np.zeros((2, 2, 3), np.uint8)


class Night(SyncedClock):
    """Its clock begins at some midnight, so that no feed is near."""

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


class Box:
    """What of the daemon stands between a result and a message."""

    def __init__(self, folder: Path) -> None:
        stamps = HeaderFactory(Night())
        self.bus = MemoryBus(lambda state: build.device_status(stamps, state))
        self.stable = StallMonitors({"stall": StallConfig(enabled=True, feeding_times=("12:00",))}, 0.3, folder)
        self.latest: FrameResult | None = None
        self.scenes = SceneMonitor(
            self.bus,
            stamps,
            lambda: {"stall": (ONLINE, self.latest)},
            {"stall": ("horse", "person")},
            stalls=self.stable,
            state_file=folder / "days.json",
            daily_s=900,
        )
        self.now_ns = AT_NS

    def live(self, person: Walk | None = None) -> None:
        for one in results(person):
            self.latest = one
            self.stable.sink(Frame(camera="stall", seq=0, captured_ns=one.captured_ns, image=PIXELS), one)
            if one.captured_ns - self.now_ns >= ns(0.5):
                self.now_ns = one.captured_ns
                self.scenes.poll(self.now_ns)

    def wait(self, seconds: int) -> None:
        """The horse stands as it stood last."""
        assert self.latest is not None
        for _ in range(seconds):
            self.now_ns += ns(1)
            self.latest = result(*self.latest.subjects, captured_ns=self.now_ns, done_ns=self.now_ns, quality=CLEAR)
            self.scenes.poll(self.now_ns)

    @property
    def colic(self) -> list[Any]:
        return [one for one in self.bus.messages_on("cam/stall/alert") if one["event_type"] == "colic-suspected"]


def test_a_colic_is_told_with_its_evidence_until_somebody_answers(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.live()
    (opened,) = box.colic
    assert (opened["stage"], opened["severity"], opened["reminders"]) == ("open", "critical", 0)
    assert opened["evidence"]["roll"] >= 2
    assert len(opened["evidence"]) >= 2
    assert opened["coverage"] >= 0.6
    assert opened["alert_id"] in box.bus.retained["cam/stall/state"]["alert_ids"]
    box.wait(11 * 60)
    assert [(one["stage"], one["reminders"]) for one in box.colic] == [("open", 0), ("open", 1)]
    assert box.scenes.alerts.acknowledge(opened["alert_id"], box.now_ns)
    box.wait(11 * 60)
    assert [one["stage"] for one in box.colic] == ["open", "open", "acknowledged"]


def test_a_snoozed_alert_comes_back_when_its_time_is_up(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.live()
    assert box.scenes.alerts.snooze(box.colic[0]["alert_id"], 2, box.now_ns)
    box.wait(150)
    assert [one["stage"] for one in box.colic] == ["open", "snoozed", "open"]


def test_while_somebody_is_with_the_horse_nobody_is_called(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.live(groom)
    assert box.colic == []
    assert box.bus.retained["cam/stall/state"]["stall"]["person_present"]


def test_a_bucket_that_is_taken_for_a_person_silences_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.live(bucket)
    assert box.colic
    assert not box.bus.retained["cam/stall/state"]["stall"]["person_present"]
