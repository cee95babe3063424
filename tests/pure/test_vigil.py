"""Who is told to be alive, and what a technician reads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from edged import config
from edged.box.rescue import FIRST_S, Rescue
from edged.box.smithy import Work
from edged.box.vigil import Look, Vigil, hindrance, line
from edged.capture import Standing
from edged.channel import CameraState, Phase
from edged.units import ns
from tests.pure.conftest import Hand


def state(name: str, phase: Phase, reason: str = "") -> CameraState:
    return CameraState(camera=name, phase=phase, reason=reason, since_ns=0)


START = Look(
    cameras=Standing(
        worked=10, dropped=5, rounds=7, states={"barn": state("barn", "online", "640x480")}, away={}, well={}
    ),
    told=True,
    connected=True,
    works={},
)


def later(told: bool = True, **changes: Any) -> Look:
    return replace(START, told=told, cameras=replace(START.cameras, **changes))


NO_RESCUE = Rescue(lambda source: None)


class Systemd:
    def __init__(self, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s
        self.beats = 0
        self.said: list[str] = []
        self.asked: list[str] = []

    def alive(self) -> None:
        self.beats += 1

    def status(self, text: str) -> None:
        self.said.append(text)

    def ask(self, unit: str) -> None:
        self.asked.append(unit)

    @contextmanager
    def patience(self, what: str, limit_s: float) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("now", "why"),
    [
        pytest.param(later(worked=11, dropped=9, rounds=8), "", id="frames are worked off"),
        pytest.param(later(rounds=8), "", id="no camera gives anything, and they are minded"),
        pytest.param(
            later(dropped=6, rounds=8), "frames are dropped, and none is worked off", id="nobody takes frames"
        ),
        pytest.param(later(worked=11), "nobody minds the cameras", id="the minder stands still"),
        pytest.param(later(worked=11, rounds=8, told=False), "nobody publishes health", id="health has died"),
    ],
)
def test_progress_is(now: Look, why: str) -> None:
    assert hindrance(START, now) == why


def test_a_beat_is_given_four_times_per_watchdog_time(hand: Hand) -> None:
    systemd, looks = Systemd(watchdog_s=8), iter(later(rounds=8 + n) for n in range(100))
    vigil = Vigil(systemd, lambda: next(looks), NO_RESCUE, hand)
    for _ in range(80):  # 8 s
        vigil.beat()
        hand.now_ns += ns(0.1)
    assert systemd.beats == 4


def test_without_progress_there_is_no_beat_and_the_reason_is_said(hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edged.box.vigil")
    systemd, looks = Systemd(8), iter([START, START, START, later(rounds=8), later(rounds=9)])
    vigil = Vigil(systemd, lambda: next(looks), NO_RESCUE, hand)
    for _ in range(5):
        vigil.beat()
        hand.now_ns += ns(2)
    assert systemd.beats == 3
    assert systemd.said[1] == "nobody minds the cameras"
    assert caplog.messages == ["no progress: nobody minds the cameras", "progress again"]


def test_a_camera_that_stays_away_is_helped_by_systemd(hand: Hand) -> None:
    away = {"barn": config.Camera.model_validate({"source": "csi:0"})}
    systemd, looks = Systemd(8), iter(later(rounds=8 + n, away=away) for n in range(100))
    vigil = Vigil(systemd, lambda: next(looks), Rescue(lambda source: None, hand), hand)
    vigil.beat()
    hand.now_ns += ns(FIRST_S)
    vigil.beat()
    assert systemd.asked == ["reset-argus"]


WORKS = {
    "det": Work(phase="building", share=0.43, left_s=250),
    "again": Work(phase="building", because="JetPack has changed: 36.4.3, now 36.5.0", last_s=400),
    "done": Work(phase="ready"),
    "pose": Work(phase="failed", reason="it ran out of memory"),
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
    assert line(replace(START, **changes)) == said
