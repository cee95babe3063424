"""Parts of a running daemon are reconfigured in place: kept parts continue, removed ones leave nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns

import numpy as np
import pytest

from edged.behaviour.alerts import Alert, AlertMonitors
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import CameraReading, SceneMonitor
from edged.behaviour.types import CameraObservation
from edged.capture.camera import CameraState
from edged.capture.hub import CameraHub
from edged.capture.sources.scripted import ScriptedCamera, Step
from edged.config.tables.camera import TrackConfig
from edged.frame import Boxes
from edged.messages import build
from edged.messages.build import HeaderFactory
from edged.tracking.tracker import Tracker
from edged.units import ns
from tests.support.capture import FILE, image, settings
from tests.support.clock import SyncedClock
from tests.support.lease import leased
from tests.support.memory_bus import MemoryBus
from tests.support.scene import CLEAR, detected, monitored
from tests.support.waiting import until

LOST = CameraObservation(t_ns=0, view="lost", reason="unplugged")


# Camera hub


class RunningHub:
    """A hub of one camera, and its reported states."""

    def __init__(self, *sessions: Sequence[Step]) -> None:
        self.states: list[CameraState] = []
        self.first = ScriptedCamera(*sessions)
        self.hub = CameraHub({"barn": (settings(), self.first)}, self.states.append)

    def __enter__(self) -> RunningHub:
        self.hub.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.close(0.2)

    def phases(self, name: str) -> list[str]:
        return [state.phase for state in self.states if state.camera == name]

    def next(self) -> tuple[str, int, int]:
        while True:
            with leased(self.hub, 0.1) as frame:
                if frame is not None:
                    return frame.camera, frame.seq, int(frame.image[0, 0, 0])


def test_changed_camera_is_opened_again_and_its_counts_go_on() -> None:
    go = threading.Event()
    with RunningHub([image(1), go.wait]) as running:
        assert running.next() == ("barn", 0, 1)
        running.hub.set_camera("barn", FILE, ScriptedCamera([image(2), image(3)]))
        go.set()
        assert [running.next(), running.next()] == [("barn", 1, 2), ("barn", 2, 3)]
        assert running.phases("barn")[:4] == ["connecting", "online", "connecting", "online"]


def test_changed_camera_drops_the_frame_of_the_old_one() -> None:
    go = threading.Event()
    with RunningHub([image(1), go.wait]) as running:
        until(lambda: running.hub.counts("barn").waiting == 1)
        running.hub.set_camera("barn", FILE, ScriptedCamera([image(2)]))
        go.set()
        assert running.next() == ("barn", 1, 2)
        assert running.hub.counts("barn").dropped == 1


def test_added_camera_runs_with_the_others() -> None:
    with RunningHub([image(1), threading.Event().wait]) as running:
        running.next()
        running.hub.set_camera("yard", FILE, ScriptedCamera([image(2)]))
        assert running.next() == ("yard", 0, 2)
        until(lambda: running.phases("yard") == ["connecting", "online", "ended"])


def test_removed_camera_is_closed_and_reports_nothing_more() -> None:
    go = threading.Event()
    with RunningHub([image(1), go.wait, image(2)]) as running:
        until(lambda: running.hub.counts("barn").waiting == 1)
        running.hub.remove_camera("barn")
        reported = len(running.states)
        go.set()
        until(lambda: running.first.closed == 1)
        with leased(running.hub, 0.0) as frame:
            assert frame is None
        assert (running.hub.states, len(running.states)) == ({}, reported)
        assert not running.hub.exhausted  # one may be added


# Tracks


def test_track_ids_of_a_new_pipeline_count_on() -> None:
    one = Boxes(xyxy=np.array([[0, 0, 9, 9]], np.float32), score=np.ones(1, np.float32), label=np.zeros(1, np.int64))
    tracks = Tracker(TrackConfig(min_hits=1), last_id=7)
    assert tracks.update(one, 0).tolist() == [8]
    assert tracks.last_id == 8


# Alerts and states


def lose(alerts: AlertMonitors, camera: str, seconds: range) -> None:
    for second in seconds:
        alerts.update(camera, CameraObservation(t_ns=ns(second), view="lost", reason="unplugged"))


def test_alerts_of_a_removed_camera_close_and_others_stay_open() -> None:
    changes: list[Alert] = []
    alerts = AlertMonitors(("barn", "yard"), changes.append)
    for camera in ("barn", "yard"):
        lose(alerts, camera, range(1, 70))
    alerts.reconfigure(("yard", "box"))
    assert [(alert.camera, alert.stage) for alert in changes] == [
        ("barn", "open"),
        ("yard", "open"),
        ("barn", "closed"),
    ]
    assert alerts.open("yard") == (changes[1],)
    assert alerts.open("box") == ()
    assert not alerts.acknowledge(changes[0].id, ns(80))


class Yard:
    """Scenes of cameras that come and go, each with a horse."""

    def __init__(self, folder: Path) -> None:
        headers = HeaderFactory(SyncedClock())
        self.bus = MemoryBus(lambda state: build.device_status(headers, state))
        self.now_ns = monotonic_ns()
        self.cameras = ["barn"]
        self.scenes = SceneMonitor(
            self.bus,
            headers,
            self.readings,
            monitored(self.classes, 60),
            stalls=StallMonitors({}, 0.3, folder),
            state_file=folder / "days.json",
        )

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(self.cameras, ("horse",))

    def readings(self) -> dict[str, CameraReading]:
        state = {n: CameraState(camera=n, phase="online", reason="", since_ns=0) for n in self.cameras}
        return {name: (state[name], detected(self.now_ns, CLEAR, "horse")) for name in self.cameras}

    def show(self, seconds: int) -> None:
        for _ in range(2 * seconds):
            self.now_ns += ns(0.5)
            self.scenes.poll(self.now_ns)

    def adopt(self, *cameras: str, daily_s: float = 60) -> None:
        self.cameras = list(cameras)
        self.scenes.reconfigure(monitored(self.classes, daily_s))


def test_state_of_an_added_camera_is_published_and_of_a_remaining_one_not_again(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.show(10)
    yard.adopt("barn", "box")
    yard.show(10)
    assert [len(yard.bus.messages_on(f"cam/{name}/state")) for name in ("barn", "box")] == [1, 1]


def test_daily_totals_continue_when_a_camera_is_added_again(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    yard.show(600)
    yard.adopt("box")
    yard.show(100)
    yard.adopt("barn", "box")
    yard.show(100)
    assert yard.bus.messages_on("cam/barn/daily")[-1]["presence_minutes"]["horse"] == pytest.approx(11.5, abs=0.5)
