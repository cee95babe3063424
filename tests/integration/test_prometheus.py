"""Health as Prometheus reads it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="needs prometheus_client; install edged[dev]")

from prometheus_client import parser

from edged.device.metrics import exposition
from edged.device.prometheus import MetricsServer
from edged.errors import ConfigError
from tests.unit.test_health import SPREAD, health, view

BUS = {"connected": True, "protocol": "5", "published": 7, "waiting": 2, "stored": {"rows": 3, "oldest_s": None}}


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """As Prometheus' own parser does."""
    families: Any = parser.text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@pytest.fixture
def samples(tmp_path: Path) -> dict[Any, float]:
    return read(exposition(health(tmp_path, synced=False)({"a": view(SPREAD)}, BUS, {"backend": "cpu"})))


def test_a_cameras_figures_carry_its_name(samples: dict[Any, float]) -> None:
    assert samples["edged_camera_fps_in", (("camera", "a"),)] == 30
    assert samples["edged_camera_stage_ms_p95", (("camera", "a"), ("stage", "pose"))] == 20


def test_what_only_grows_is_a_counter(samples: dict[Any, float]) -> None:
    assert samples["edged_camera_frames_captured_total", (("camera", "a"),)] == 9
    assert samples["edged_mqtt_published_total", ()] == 7


def test_what_waits_is_no_counter(samples: dict[Any, float]) -> None:
    assert samples["edged_mqtt_waiting", ()] == 2
    assert samples["edged_mqtt_stored_rows", ()] == 3


def test_a_state_is_a_label(samples: dict[Any, float]) -> None:
    assert samples["edged_camera_state", (("camera", "a"), ("state", "online"))] == 1


def test_a_problem_is_a_sample(samples: dict[Any, float]) -> None:
    assert samples["edged_problem", (("code", "clock-not-set"), ("source", "device"))] == 1


def test_what_is_unknown_is_left_out(samples: dict[Any, float]) -> None:
    assert not [name for name, _ in samples if "oldest" in name or name.endswith("gpu_memory_mb")]


def test_a_label_may_hold_anything() -> None:
    text = exposition({"temperatures_c": {'a "b"\\\n': 1.0}})
    assert read(text) == {("edged_temperatures_c", (("zone", 'a "b"\\\n'),)): 1}


@pytest.fixture
def served() -> Iterator[MetricsServer]:
    metrics = MetricsServer("127.0.0.1", 0, lambda: exposition({"uptime_s": 3}))
    yield metrics
    metrics.close()


def get(metrics: MetricsServer, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", metrics.port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_metrics_are_served(served: MetricsServer) -> None:
    status, text = get(served, "/metrics")
    assert (status, read(text)) == (200, {("edged_uptime_s", ()): 3})


def test_another_path_is_not_found(served: MetricsServer) -> None:
    assert get(served, "/")[0] == 404


def test_a_port_that_is_taken_is_named(served: MetricsServer) -> None:
    with pytest.raises(ConfigError, match=f"prometheus.port = {served.port}"):
        MetricsServer("127.0.0.1", served.port, str)
