"""Health of this very machine, and the entry of a camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.capture.camera import CameraState
from edged.capture.frame_buffer import FrameCounts
from edged.device.health import CameraOverview, Health, camera_health, disk_usage
from edged.device.rates import CameraRates, TimePercentiles
from edged.device.trends import CameraTrend

SPREAD = TimePercentiles(p50_ms=10.04, p95_ms=20, p99_ms=30, max_ms=40)


def view(latency: TimePercentiles | None = None, **changes: Any) -> CameraOverview:
    reading = {"in_hz": 30.004, "processed_hz": 15.0, "dropped_hz": 15.0, "mean_processed_hz": 14.0, "subjects": 2}
    return CameraOverview(
        state=CameraState(camera="a", phase="online", reason="640x480", since_ns=0),
        counts=FrameCounts(captured=9, processed=5, dropped=3, failed=0, waiting=1),
        rates=CameraRates(latency=latency, stages={"pose": SPREAD}, **(reading | changes)),
        trend=CameraTrend().read(),
        latest=None,
        losses_per_h=2,
        reconnects_per_h=1,
    )


def utc(monotonic_ns: int) -> int:
    return monotonic_ns // 1_000_000


def health(disk: Path, *, synced: bool = True) -> Health:
    return Health(disk, utc, lambda: synced)


def test_health_is_json_and_has_every_part(tmp_path: Path) -> None:
    body = health(tmp_path)({"a": view()}, {"connected": True}, {"detector": "x"})
    parts = {"uptime_s", "problems", "process", "device", "clock", "cameras", "mqtt", "models"}
    assert set(json.loads(json.dumps(body))) == parts


def test_process_and_device_are_measured(tmp_path: Path) -> None:
    body = health(tmp_path)({}, {}, {})
    assert body["process"]["rss_mb"] > 5
    assert body["process"]["threads"] >= 1
    assert body["device"]["memory_total_mb"] > body["device"]["memory_free_mb"] > 0


def test_camera_health_has_rates_frames_and_times() -> None:
    entry = camera_health(view(SPREAD), utc)
    assert entry["latency_ms"] == entry["stage_ms"]["pose"] == {"p50": 10.04, "p95": 20, "p99": 30, "max": 40}
    assert (entry["state"], entry["fps_in"], entry["losses_per_h"]) == ("online", 30.0, 2)
    assert entry["frames"] == {"captured": 9, "processed": 5, "dropped": 3, "failed": 0, "waiting": 1}


def test_unknown_latency_is_null() -> None:
    assert camera_health(view(), utc)["latency_ms"] is None


def test_disk_usage_of_a_folder_yet_to_be_made_is_known(tmp_path: Path) -> None:
    free = disk_usage(tmp_path)["disk_free_mb"]
    assert disk_usage(tmp_path / "not" / "yet")["disk_free_mb"] == pytest.approx(free, rel=0.1)


def test_unsynchronised_clock_is_a_problem(tmp_path: Path) -> None:
    (problem,) = health(tmp_path, synced=False)({}, {}, {})["problems"]
    assert (problem["code"], problem["source"]) == ("clock-not-set", "device")
