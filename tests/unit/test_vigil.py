"""Who is told to be alive, and what a technician reads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from edged.capture.hub import CaptureStats
from edged.capture.worker import CameraPhase, CameraState
from edged.config import tree
from edged.device.recovery import FIRST_ACTION_S, CameraRecovery
from edged.device.watchdog import Watchdog, WatchdogSnapshot, stall_reason, status_line
from edged.inference.engine_builds import BuildStatus
from edged.units import ns
from tests.unit.conftest import Hand


def state(name: str, phase: CameraPhase, reason: str = "") -> CameraState:
    return CameraState(camera=name, phase=phase, reason=reason, since_ns=0)


START = WatchdogSnapshot(
    cameras=CaptureStats(
        processed=10, dropped=5, rounds=7, states={"barn": state("barn", "online", "640x480")}, offline={}, online={}
    ),
    health_alive=True,
    connected=True,
    builds={},
)


def later(told: bool = True, **changes: Any) -> WatchdogSnapshot:
    return replace(START, health_alive=told, cameras=replace(START.cameras, **changes))


NO_RESCUE = CameraRecovery(lambda source: None)


class Systemd:
    def __init__(self, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s
        self.beats = 0
        self.said: list[str] = []
        self.asked: list[str] = []

    def feed_watchdog(self) -> None:
        self.beats += 1

    def status(self, text: str) -> None:
        self.said.append(text)

    def request_unit(self, unit: str) -> None:
        self.asked.append(unit)

    @contextmanager
    def extend_timeout(self, what: str, limit_s: float) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("now", "why"),
    [
        pytest.param(later(processed=11, dropped=9, rounds=8), "", id="frames are worked off"),
        pytest.param(later(rounds=8), "", id="no camera gives anything, and they are minded"),
        pytest.param(
            later(dropped=6, rounds=8), "frames are dropped, and none is worked off", id="nobody takes frames"
        ),
        pytest.param(later(processed=11), "nobody minds the cameras", id="the minder stands still"),
        pytest.param(later(processed=11, rounds=8, told=False), "nobody publishes health", id="health has died"),
    ],
)
def test_progress_is(now: WatchdogSnapshot, why: str) -> None:
    assert stall_reason(START, now) == why


def test_a_beat_is_given_four_times_per_watchdog_time(hand: Hand) -> None:
    systemd, looks = Systemd(watchdog_s=8), iter(later(rounds=8 + n) for n in range(100))
    vigil = Watchdog(systemd, lambda: next(looks), NO_RESCUE, hand)
    for _ in range(80):  # 8 s
        vigil.poll()
        hand.now_ns += ns(0.1)
    assert systemd.beats == 4


def test_without_progress_there_is_no_beat_and_the_reason_is_said(hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edged.device.watchdog")
    systemd, looks = Systemd(8), iter([START, START, START, later(rounds=8), later(rounds=9)])
    vigil = Watchdog(systemd, lambda: next(looks), NO_RESCUE, hand)
    for _ in range(5):
        vigil.poll()
        hand.now_ns += ns(2)
    assert systemd.beats == 3
    assert systemd.said[1] == "nobody minds the cameras"
    assert caplog.messages == ["no progress: nobody minds the cameras", "progress again"]


def test_a_camera_that_stays_away_is_helped_by_systemd(hand: Hand) -> None:
    away = {"barn": tree.CameraConfig.model_validate({"source": "csi:0"})}
    systemd, looks = Systemd(8), iter(later(rounds=8 + n, away=away) for n in range(100))
    vigil = Watchdog(systemd, lambda: next(looks), CameraRecovery(lambda source: None, hand), hand)
    vigil.poll()
    hand.now_ns += ns(FIRST_ACTION_S)
    vigil.poll()
    assert systemd.asked == ["reset-argus"]


WORKS = {
    "det": BuildStatus(phase="building", share=0.43, left_s=250),
    "again": BuildStatus(phase="building", because="JetPack has changed: 36.4.3, now 36.5.0", last_s=400),
    "done": BuildStatus(phase="ready"),
    "pose": BuildStatus(phase="failed", reason="it ran out of memory"),
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, "1 of 1 cameras online; broker connected", id="all is well"),
        pytest.param({"connected": False}, "1 of 1 cameras online; no broker", id="no broker"),
        pytest.param(
            {
                "cameras": replace(
                    START.cameras,
                    states={"barn": state("barn", "lost", "unplugged"), "yard": state("yard", "connecting")},
                )
            },
            "0 of 2 cameras online; barn lost: unplugged; yard connecting; broker connected",
            id="cameras away",
        ),
        pytest.param(
            {"works": WORKS},
            "1 of 1 cameras online; engine det building 43%, about 4 min left; "
            "engine again building: JetPack has changed: 36.4.3, now 36.5.0; it took 7 min last time; "
            "engine pose failed: it ran out of memory; broker connected",
            id="engines in the making",
        ),
    ],
)
def test_a_technician_reads(changes: dict[str, Any], said: str) -> None:
    assert status_line(replace(START, **changes)) == said
