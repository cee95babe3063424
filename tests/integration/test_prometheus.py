"""Health as Prometheus reads it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest, parser

from edged.device.prometheus import HealthCollector, MetricsServer
from edged.errors import ConfigError
from tests.support.health import SPREAD, health, view

MQTT = {"connected": True, "protocol": "5", "published": 7, "waiting": 2, "stored": {"rows": 3, "oldest_s": None}}
BUILD = {"rtmpose-m": {"phase": "building", "share": 0.25}}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Samples:
    """As Prometheus' own parser does."""
    families: Any = parser.text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def scrape(body: Any) -> Samples:
    registry = CollectorRegistry()
    registry.register(HealthCollector(lambda: body))
    return read(generate_latest(registry).decode())


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    models = {"backend": "cpu", "engines": BUILD}
    return scrape(health(tmp_path, synced=False)({"a": view(SPREAD)}, MQTT, models))


def test_figures_of_a_camera_carry_its_name(samples: Samples) -> None:
    assert samples["edged_camera_fps_in", (("camera", "a"),)] == 30
    assert samples["edged_camera_stage_ms_p95", (("camera", "a"), ("stage", "pose"))] == 20


def test_number_that_only_grows_is_a_counter(samples: Samples) -> None:
    assert samples["edged_camera_frames_captured_total", (("camera", "a"),)] == 9
    assert samples["edged_mqtt_published_total", ()] == 7


def test_number_of_waiting_messages_is_a_gauge(samples: Samples) -> None:
    assert samples["edged_mqtt_waiting", ()] == 2
    assert samples["edged_mqtt_stored_rows", ()] == 3


def test_state_is_a_label(samples: Samples) -> None:
    assert samples["edged_camera_state", (("camera", "a"), ("state", "online"))] == 1


def test_problem_is_a_sample(samples: Samples) -> None:
    assert samples["edged_problem", (("code", "clock-not-set"), ("source", "device"))] == 1


def test_model_with_a_hyphen_is_a_label(samples: Samples) -> None:
    assert samples["edged_models_engines_share", (("model", "rtmpose-m"),)] == 0.25


def test_unknown_figures_have_no_sample(samples: Samples) -> None:
    assert not [name for name, _ in samples if "oldest" in name or name.endswith("gpu_memory_mb")]


def test_label_may_contain_any_character() -> None:
    assert scrape({"temperatures_c": {'a "b"\\\n': 1.0}}) == {("edged_temperatures_c", (("zone", 'a "b"\\\n'),)): 1}


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer("127.0.0.1", 0, lambda: {"uptime_s": 3})
    yield server
    server.close()


def test_metrics_are_served(server: MetricsServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert (response.status, read(text)) == (200, {("edged_uptime_s", ()): 3})


def test_port_in_use_raises_config_error(server: MetricsServer) -> None:
    with pytest.raises(ConfigError) as raised:
        MetricsServer("127.0.0.1", server.port, dict)
    assert raised.value.code == "port-unavailable"
