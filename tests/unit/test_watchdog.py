"""When the watchdog is fed, and the status line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from edged.capture.camera import CameraState
from edged.capture.hub import CaptureStats
from edged.config.tables.camera import CameraConfig
from edged.device.recovery import FIRST_ACTION_S, CameraRecovery
from edged.device.watchdog import Watchdog, WatchdogSnapshot, stall_reason, status_line
from edged.inference.engine_builds import BuildStatus
from edged.messages.schema import CameraPhase
from edged.runtime.threads import Trouble
from edged.units import ns
from tests.support.clock import ManualClock


def state(name: str, phase: CameraPhase, reason: str = "") -> CameraState:
    return CameraState(camera=name, phase=phase, reason=reason, since_ns=0)


START = WatchdogSnapshot(
    cameras=CaptureStats(
        processed=10, dropped=5, states={"barn": state("barn", "online", "640x480")}, offline={}, online={}
    ),
    threads=(),
    connected=True,
    builds={},
)
FAILING = Trouble(thread="behaviour", kind="failing", reason="ValueError: bug")
STUCK = Trouble(thread="capture-watch", kind="stuck", reason="no round for 11 s")
DEAD = Trouble(thread="health", kind="dead", reason="ended")


def later(*threads: Trouble, **changes: Any) -> WatchdogSnapshot:
    return replace(START, threads=threads, cameras=replace(START.cameras, **changes))


NO_RECOVERY = CameraRecovery(lambda source: None)


class Systemd:
    def __init__(self, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s
        self.feeds = 0
        self.texts: list[str] = []
        self.units: list[str] = []

    def feed_watchdog(self) -> None:
        self.feeds += 1

    def status(self, text: str) -> None:
        self.texts.append(text)

    def request_unit(self, unit: str) -> None:
        self.units.append(unit)

    @contextmanager
    def extend_timeout(self, what: str, limit_s: float) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param(later(processed=11, dropped=9), "", id="frames are processed"),
        pytest.param(later(), "", id="no camera gives anything"),
        pytest.param(later(dropped=6), "frames are dropped, and none is processed", id="no frame is processed"),
        pytest.param(later(FAILING), "", id="a thread is begun again"),
        pytest.param(later(FAILING, STUCK), str(STUCK), id="a thread is stuck"),
        pytest.param(later(DEAD, processed=11), str(DEAD), id="a thread is dead"),
    ],
)
def test_stall_reason_names_the_stuck_part(now: WatchdogSnapshot, reason: str) -> None:
    assert stall_reason(START, now) == reason


def test_watchdog_is_fed_four_times_per_timeout(clock: ManualClock) -> None:
    systemd = Systemd(watchdog_s=8)
    watchdog = Watchdog(systemd, later, NO_RECOVERY, clock)
    for _ in range(80):  # 8 s
        watchdog.poll()
        clock.now_ns += ns(0.1)
    assert systemd.feeds == 4


def test_stuck_thread_stops_the_watchdog_and_is_in_the_status(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edged.device.watchdog")
    systemd, snapshots = Systemd(8), iter([START, later(STUCK), later(STUCK), START, START])
    watchdog = Watchdog(systemd, lambda: next(snapshots), NO_RECOVERY, clock)
    for _ in range(5):
        watchdog.poll()
        clock.now_ns += ns(2)
    assert systemd.feeds == 3
    assert systemd.texts[1] == str(STUCK)
    assert caplog.messages == [f"no progress: {STUCK}", "progress again"]


def test_camera_offline_for_long_has_a_unit_requested(clock: ManualClock) -> None:
    away = {"barn": CameraConfig.model_validate({"source": "csi:0"})}
    systemd = Systemd(8)
    watchdog = Watchdog(systemd, lambda: later(offline=away), CameraRecovery(lambda source: None, clock), clock)
    watchdog.poll()
    clock.now_ns += ns(FIRST_ACTION_S)
    watchdog.poll()
    assert systemd.units == ["reset-argus"]


BUILDS = {
    "det": BuildStatus(phase="building", progress=0.43, remaining_s=250),
    "again": BuildStatus(
        phase="building", rebuild_reason="JetPack has changed: 36.4.3, now 36.5.0", previous_build_s=400
    ),
    "done": BuildStatus(phase="ready"),
    "pose": BuildStatus(phase="failed", reason="it ran out of memory"),
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({}, "1 of 1 cameras online; broker connected", id="nothing to say"),
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
            {"builds": BUILDS},
            "1 of 1 cameras online; engine det building 43%, about 4 min left; "
            "engine again building: JetPack has changed: 36.4.3, now 36.5.0; it took 7 min last time; "
            "engine pose failed: it ran out of memory; broker connected",
            id="engines in the making",
        ),
    ],
)
def test_status_line_names_the_current_trouble(changes: dict[str, Any], text: str) -> None:
    assert status_line(replace(START, **changes)) == text
