"""The live table on a terminal, and lines without one. Both write on a thread of their own."""

from __future__ import annotations

import io
import json
import re
import threading
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edged.capture.camera import CameraState
from edged.commands import watch
from edged.commands.fleet_view import live_watch
from edged.commands.live_status import live
from edged.commands.views import LineWriter, LiveStatus
from edged.config.tables.mqtt import MqttConfig
from edged.device.health import CameraOverview
from edged.device.rates import TimePercentiles
from edged.messages.examples import example
from edged.mqtt.fleet_state import FleetState
from tests.support.health import view
from tests.support.messages import POSES, STATE, result, subject

BUS = {"connected": True, "protocol": "5", "published": 12, "waiting": 0, "dropped": 3}
SCENES = {"barn": "on its chest, head level; ALERT colic-suspected"}


def camera(phase: Any = "online", reason: str = "") -> CameraOverview:
    seen = view(TimePercentiles(p50_ms=21, p95_ms=35, p99_ms=50, max_ms=60))
    return replace(
        seen, state=CameraState(camera="barn", phase=phase, reason=reason, since_ns=0), latest=result(subject())
    )


def test_without_terminal_one_line_per_camera_and_one_for_mqtt() -> None:
    out = io.StringIO()
    with live(lambda: LiveStatus(cameras={"barn": camera()}, mqtt=BUS, scenes=SCENES), out):
        pass
    assert out.getvalue().splitlines() == [
        "barn: online, 15.0 of 30.0 frames/s, 21 ms; horse #7 88 % (2/2 keypoints); "
        "on its chest, head level; ALERT colic-suspected",
        "barn: 15.0 of 30.0 frames/s: this machine is busy or too slow for more; the newest frames are used",
        "MQTT 5 · 12 messages sent · 0 waiting · 3 dropped or replaced by newer ones",
    ]


def test_subject_that_goes_on_by_what_was_seen_before_has_words_for_a_figure() -> None:
    out = io.StringIO()
    unsure = replace(camera(), latest=result(replace(subject(), score=0.06)))
    with live(lambda: LiveStatus(cameras={"barn": unsure}, mqtt=BUS, scenes={}), out):
        pass
    assert "horse #7 hardly seen now (2/2 keypoints)" in out.getvalue()


def test_without_terminal_what_a_busy_machine_means_is_said_once() -> None:
    out = io.StringIO()
    lines = LineWriter(lambda: LiveStatus(cameras={"barn": camera()}, mqtt=BUS, scenes=SCENES), out)
    lines._step()
    lines._step()
    assert (out.getvalue().count("barn: online"), out.getvalue().count("this machine is busy")) == (2, 1)


def test_without_terminal_a_lost_camera_has_its_reason_and_no_rates() -> None:
    out = io.StringIO()
    lost = camera("lost", "no frame for 5 s")
    with live(lambda: LiveStatus(cameras={"barn": lost}, mqtt=BUS, scenes=SCENES), out):
        pass
    assert out.getvalue().splitlines()[0] == "barn: lost; no frame for 5 s"


def table(monkeypatch: pytest.MonkeyPatch, seen: CameraOverview, scene: str = "", columns: int = 80) -> str:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    with live(
        lambda: LiveStatus(cameras={"barn": seen}, mqtt={**BUS, "connected": False}, scenes={"barn": scene}), out
    ):
        pass
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


@pytest.mark.parametrize(
    ("seen", "shown"), [(camera(), "horse #7"), (camera("lost", "no frame for 5 s"), "no frame for 5 s")]
)
def test_terminal_shows_a_table(monkeypatch: pytest.MonkeyPatch, seen: CameraOverview, shown: str) -> None:
    text = table(monkeypatch, seen)
    assert shown in text
    assert "broker away" in text


def test_80_columns_show_every_subject_and_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = replace(camera(), latest=result(*[replace(subject(), id=number) for number in (11, 12, 13)]))
    text = table(monkeypatch, crowd, "on its chest, head level")
    assert [word for word in ("#11", "#12", "#13", "on its chest, head level") if word not in text] == []
    assert max(map(len, text.splitlines())) <= 80


def test_table_says_what_dropped_frames_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "barn: 15.0 of 30.0 frames/s: this machine is busy" in table(monkeypatch, camera(), columns=140)
    fast = replace(camera(), rates=replace(camera().rates, processed_hz=29.0))
    assert "busy" not in table(monkeypatch, fast, columns=140)


def test_watch_without_terminal_tells_a_state_of_the_connection_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def subscribe(
        broker: object, topic: str, on_message: object, on_state: Callable[[str], None], stop: object
    ) -> bool:
        for state in ("refused", "refused", "connected", "refused"):
            on_state(state)
        return True

    monkeypatch.setattr(watch, "subscribe", subscribe)
    assert watch._print(MqttConfig(), Namespace(device="+"), FleetState("edged", lambda: 0), threading.Event())
    told = [f"edged watch: {state}" for state in ("refused", "connected", "refused")]
    assert capsys.readouterr().err.splitlines() == told


@pytest.mark.parametrize("points", [False, True])
def test_watch_in_80_columns_shows_subjects_states_and_alerts(
    points: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    fleet = FleetState("edged", lambda: 0)
    fleet.update("edged/box/status", b'{"state": "online"}')
    for kind, body in (("status", {"state": "online"}), ("poses", POSES), ("state", STATE)):
        assert fleet.update(f"edged/box/cam/barn/{kind}", json.dumps(body).encode()) is not None
    with live_watch(fleet, lambda: "connected", points=points):
        pass
    out = capsys.readouterr().out
    assert "person #1 50 %" in out
    assert "on its side, rolling; ALERT cast" in out
    assert ("right_knee" in out) == points


def test_health_of_a_device_is_one_line_of_80_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    health = example("health")
    health["process"] |= {"cpu_percent": 161.3, "rss_mb": 1412}
    health["device"] |= {"cpu_percent": 100.0, "memory_available_mb": 24105, "disk_free_mb": 941200}
    fleet = FleetState("edged", lambda: 0)
    fleet.update("edged/barn-east/status", b'{"state": "online"}')
    fleet.update("edged/barn-east/health", json.dumps(health).encode())
    with live_watch(fleet, lambda: "connected"):
        pass
    line = "edged 1.6 cores · 1.41 GB · device 100 % · 52 °C · 24.1 GB free · disk 941 GB"
    assert line in map(str.rstrip, capsys.readouterr().out.split("\n"))


def test_watch_does_not_show_what_a_device_sent_before_it_went_offline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    fleet = FleetState("edged", lambda: 0)
    fleet.update("edged/box/status", b'{"state": "offline"}')
    fleet.update("edged/box/cam/barn/status", b'{"state": "online"}')
    fleet.update("edged/box/cam/barn/state", json.dumps(STATE).encode())
    with live_watch(fleet, lambda: "connected"):
        pass
    out = capsys.readouterr().out
    assert "barn" in out
    assert "nothing since its device went" in out
    assert "on its side" not in out
