"""The live table on a terminal, and lines without one. Both write on a thread of their own."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from edged.capture.camera import CameraState
from edged.commands.views import LiveStatus, live
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
