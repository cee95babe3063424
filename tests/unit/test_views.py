"""The live table, lines without a terminal, and the hint how to subscribe."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edged.capture.camera import CameraState
from edged.commands.fleet_view import message_line
from edged.commands.views import LiveStatus, StderrHandler, describe_subjects, how_to_subscribe, live
from edged.config.tables.mqtt import MqttConfig, TlsConfig
from edged.device.health import CameraOverview
from edged.device.rates import TimePercentiles
from tests.support.health import view
from tests.support.messages import result, subject

BUS = {"connected": True, "protocol": "5", "published": 12, "waiting": 0, "dropped": 3}


def camera(phase: Any = "online", reason: str = "") -> CameraOverview:
    seen = view(TimePercentiles(p50_ms=21, p95_ms=35, p99_ms=50, max_ms=60))
    return replace(
        seen, state=CameraState(camera="barn", phase=phase, reason=reason, since_ns=0), latest=result(subject())
    )


def test_without_terminal_one_line_per_camera_and_one_for_mqtt() -> None:
    out = io.StringIO()
    with live(lambda: LiveStatus(cameras={"barn": camera()}, mqtt=BUS), out):
        pass
    assert out.getvalue().splitlines() == [
        "barn: online, in 30.0/s, out 15.0/s, dropped 3, p50 21 ms, p95 35 ms; horse 7 (0.88, 2/2 points)",
        "MQTT 5 · 12 messages sent · 0 waiting · 3 dropped",
    ]


@pytest.mark.parametrize(
    ("seen", "shown"), [(camera(), "horse 7"), (camera("lost", "no frame for 5 s"), "no frame for 5 s")]
)
def test_terminal_shows_a_table(monkeypatch: pytest.MonkeyPatch, seen: CameraOverview, shown: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    out = io.StringIO()
    with live(lambda: LiveStatus(cameras={"barn": seen}, mqtt={**BUS, "connected": False}), out):
        pass
    text = Console().render_str(out.getvalue()).plain
    assert shown in text
    assert "broker away" in text


def test_degraded_frame_says_why() -> None:
    dark = replace(result().quality, degraded=("dark", "flat"))
    assert describe_subjects(result(quality=dark)) == "image dark, flat: not processed"
    assert describe_subjects(result()) == "none"


def test_many_subjects_are_counted() -> None:
    assert describe_subjects(result(*[subject()] * 6)).endswith(" and 2 more")


def test_subscribe_hint_names_the_configured_broker() -> None:
    text = how_to_subscribe(MqttConfig(host="10.0.0.2", port=1884, base="farm"), "box")
    assert "edged watch --host 10.0.0.2 --port 1884 --base farm\n" in text
    assert "mosquitto_sub -h 10.0.0.2 -p 1884 -v -t 'farm/box/#'" in text


def test_subscribe_hint_shows_no_password() -> None:
    broker = MqttConfig.model_validate(
        {"username": "me", "password": "hunter2", "tls": TlsConfig(enabled=True, ca=Path("/ca.pem"))}
    )
    text = how_to_subscribe(broker, "box")
    assert "hunter2" not in text
    assert "--tls --ca /ca.pem" in text
    assert "--cafile /ca.pem" in text


def test_a_poses_message_fits_on_one_line() -> None:
    keypoints = [[1, 2, 0.5], [3, 4, 0.9], [None, None, 0.0]]
    body = {"frame": 4, "subjects": [{"id": 1, "class": "person", "score": 0.5, "box": [0, 1, 2, 3]}]}
    body["subjects"][0] |= {"keypoints": keypoints, "schema": "lsp-14"}  # type: ignore[index]
    assert message_line("e/b/cam/a/poses", body) == (
        "e/b/cam/a/poses  frame 4  person 1  0.50  [0 1 2 3]  right_knee 3,4 · right_ankle 1,2"
    )


def test_log_lines_go_to_the_current_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    StderrHandler().emit(logging.LogRecord("edged", logging.WARNING, "", 0, "camera %s: lost", ("barn",), None))
    assert capsys.readouterr().err == "camera barn: lost\n"
