"""Health of this machine, and the entry of a camera."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edged.device.health import camera_health, disk_usage, shortened
from edged.messages.build import encode
from tests.support.health import SPREAD, health, utc, view


def test_health_is_json_and_has_every_part(tmp_path: Path) -> None:
    body = health(tmp_path)({"a": view()}, {"connected": True}, {"detector": "x"})
    parts = {"uptime_s", "problems", "process", "device", "clock", "cameras", "mqtt", "models"} | {
        "certificates_end_ts"
    }
    assert set(json.loads(json.dumps(body))) == parts


def test_process_and_device_are_measured(tmp_path: Path) -> None:
    body = health(tmp_path)({}, {}, {})
    assert body["process"]["rss_mb"] > 5
    assert body["process"]["threads"] >= 1
    assert body["device"]["memory_total_mb"] > body["device"]["memory_available_mb"] > 0


def test_camera_health_has_rates_frames_and_times() -> None:
    entry = camera_health(view(SPREAD), utc)
    assert entry["latency_ms"] == entry["stage_ms"]["pose"] == {"p50": 10.04, "p95": 20, "p99": 30, "max": 40}
    assert (entry["state"], entry["fps_in"], entry["losses_per_h"]) == ("online", 30.0, 2)
    assert entry["frames"] == {"captured": 9, "processed": 5, "dropped": 3, "failed": 0, "waiting": 1, "held": 0}


def test_unknown_latency_is_null() -> None:
    assert camera_health(view(), utc)["latency_ms"] is None


def test_disk_usage_of_a_folder_yet_to_be_made_is_known(tmp_path: Path) -> None:
    free = disk_usage(tmp_path)["disk_free_mb"]
    assert disk_usage(tmp_path / "not" / "yet")["disk_free_mb"] == pytest.approx(free, rel=0.1)


def test_unsynchronised_clock_is_a_problem(tmp_path: Path) -> None:
    (problem,) = health(tmp_path, synced=False)({}, {}, {})["problems"]
    assert (problem["code"], problem["source"]) == ("clock-not-set", "device")


def test_health_over_the_limit_loses_its_stages_first_and_keeps_its_problems(tmp_path: Path) -> None:
    body = health(tmp_path, synced=False)({name: view(SPREAD) for name in "abc"}, {}, {})
    whole = len(encode(body))
    assert shortened(body, None) == shortened(body, whole + 200) == body
    shorter = shortened(body, whole)
    assert [camera["stage_ms"] for camera in shorter["cameras"].values()] == [{}, {}, {}]
    shortest = shortened(body, 1)
    assert (shortest["cameras"], shortest["problems"][-1]["code"]) == ({}, "clock-not-set")
