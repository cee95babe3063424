"""The pulse of this very machine, and what is made of a camera's figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.channel import CameraState
from edged.health import CameraView, Health, disk_free_mb, hottest_c, of_camera
from edged.meter import Latency, Reading
from edged.ring import Ledger


def view(latency: Latency | None = None, **changes: Any) -> CameraView:
    reading = {"in_hz": 30.004, "processed_hz": 15.0, "dropped_hz": 15.0, "mean_processed_hz": 14.0, "subjects": 2}
    return CameraView(
        state=CameraState(camera="a", phase="online", reason="640x480", since_ns=0),
        ledger=Ledger(captured=9, processed=5, dropped=3, failed=0, waiting=1),
        reading=Reading(latency=latency, stage_ms={"pose": 4.256}, **(reading | changes)),
        latest=None,
    )


def zone(at: Path, number: int, written: str) -> None:
    (at / f"thermal_zone{number}").mkdir()
    (at / f"thermal_zone{number}" / "temp").write_text(written)


def test_health_is_json_and_has_every_part(tmp_path: Path) -> None:
    body = Health(tmp_path)({"a": view()}, {"connected": True}, {"detector": "x"})
    assert set(json.loads(json.dumps(body))) == {"uptime_s", "process", "box", "cameras", "bus", "models"}


def test_process_and_box_are_measured(tmp_path: Path) -> None:
    body = Health(tmp_path)({}, {}, {})
    assert body["process"]["rss_mb"] > 5
    assert body["process"]["threads"] >= 1
    assert body["box"]["memory_total_mb"] > body["box"]["memory_free_mb"] > 0


def test_a_camera_reports_rates_frames_and_times() -> None:
    entry = of_camera(view(Latency(p50_ms=10.04, p95_ms=20, p99_ms=30, max_ms=40)))
    assert entry["latency_ms"] == {"p50": 10.0, "p95": 20, "p99": 30, "max": 40}
    assert (entry["state"], entry["fps_in"], entry["stage_ms"]) == ("online", 30.0, {"pose": 4.26})
    assert entry["frames"] == {"captured": 9, "processed": 5, "dropped": 3, "failed": 0, "waiting": 1}


def test_a_latency_that_is_not_known_is_null() -> None:
    assert of_camera(view())["latency_ms"] is None


@pytest.mark.parametrize(
    ("zones", "hottest"),
    [((), None), (("41500", "63250"), 63.2), (("not a number", "50000"), 50.0)],
    ids=["none", "two", "one broken"],
)
def test_the_hottest_zone_is_the_temperature(tmp_path: Path, zones: tuple[str, ...], hottest: float | None) -> None:
    for number, written in enumerate(zones):
        zone(tmp_path, number, written)
    assert hottest_c(tmp_path) == hottest


def test_disk_space_is_known_before_the_folder_is_made(tmp_path: Path) -> None:
    assert disk_free_mb(tmp_path / "not" / "yet") == pytest.approx(disk_free_mb(tmp_path), rel=0.1)
