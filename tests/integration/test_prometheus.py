"""Health as Prometheus reads it."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest, parser

from edged.behaviour.horse.day_log import StallDay
from edged.device.prometheus import MAX_CLIENTS, HealthCollector, MetricsServer
from edged.device.scene_metrics import BEHAVIOURS, POSTURES, SceneCollector
from edged.errors import ConfigError
from edged.messages.examples import example
from edged.messages.schema import State
from edged.secret_address import redact
from tests.support.health import SPREAD, health, view
from tests.support.waiting import until

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
MQTT = {"connected": True, "protocol": "5", "published": 7, "waiting": 2, "stored": {"messages": 3, "oldest_s": None}}
BUILD = {"rtmpose-m": {"phase": "building", "progress": 0.25}}

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
    pose = (("camera", "a"), ("quantile", "0.95"), ("stage", "pose"))
    assert samples["edged_camera_stage_seconds", pose] == pytest.approx(0.02)
    slowest = (("camera", "a"), ("quantile", "1"))
    assert samples["edged_camera_latency_seconds", slowest] == pytest.approx(0.04)


def test_units_are_those_of_prometheus() -> None:
    assert scrape({"uptime_s": 3, "rss_mb": 2, "cpu_percent": 50.0, "since_ts": 1500}) == {
        ("edged_uptime_seconds", ()): 3,
        ("edged_rss_bytes", ()): 2e6,
        ("edged_cpu_ratio", ()): 0.5,
        ("edged_since_timestamp_seconds", ()): 1.5,
    }
    assert scrape({"gpu_mhz": 900, "new_per_min": 30.0, "losses_per_h": 9, "degraded_share": 0.5}) == {
        ("edged_gpu_frequency_hertz", ()): 9e8,
        ("edged_new_per_second", ()): 0.5,
        ("edged_losses_per_second", ()): 0.0025,
        ("edged_degraded_ratio", ()): 0.5,
    }


def test_header_is_not_measured_but_for_its_time() -> None:
    assert scrape({"v": 1, "ts": 1500, "time_synced": True, "seq": 3}) == {("edged_health_timestamp_seconds", ()): 1.5}


def test_topic_of_a_message_that_is_too_large_is_a_label() -> None:
    of = (("topic", "edged/box/cam/a/poses"),)
    assert scrape({"mqtt": {"too_large": {"edged/box/cam/a/poses": 300}}}) == {("edged_mqtt_too_large_bytes", of): 300}


def test_help_is_the_text_of_the_contract(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(HealthCollector(lambda: {"cameras": {"a": {"fps_in": 3.0}}}))
    assert "# HELP edged_camera_fps_in Frames captured per second.\n" in generate_latest(registry).decode()


def test_help_has_the_unit_of_its_metric() -> None:
    registry = CollectorRegistry()
    registry.register(HealthCollector(lambda: example("health")))
    text = generate_latest(registry).decode()
    assert "# HELP edged_process_cpu_ratio 1: one core.\n" in text
    assert "# HELP edged_camera_since_timestamp_seconds UTC, seconds since 1970.\n" in text
    assert (
        "# HELP edged_camera_tracks_median_life_seconds Median life of tracks that ended; no sample when none did.\n"
        in text
    )
    assert (
        "# HELP edged_camera_reconnects_per_second Times that it came online again per second, over the last hour."
        in text
    )
    assert re.findall("# HELP .*(?:null|of the health message|per minute).*", text) == []
    assert re.findall(r"# HELP edged_\w+_(?:seconds|ratio) [^`\n]*(?: ms\b|milliseconds|100:).*", text) == []


def test_number_that_only_grows_is_a_counter(samples: Samples) -> None:
    assert samples["edged_camera_frames_captured_total", (("camera", "a"),)] == 9
    assert samples["edged_mqtt_published_total", ()] == 7
    found = scrape(example("health"))
    assert found["edged_mqtt_stored_corrupt_files_total", ()] == 0
    assert found["edged_device_hardware_throttling_over_current_total", ()] == 3
    assert found["edged_device_hardware_throttling_over_current_events", ()] == 0


def test_number_of_waiting_messages_is_a_gauge(samples: Samples) -> None:
    assert samples["edged_mqtt_waiting", ()] == 2
    assert samples["edged_mqtt_stored_messages", ()] == 3


def test_each_state_is_a_sample_and_the_present_one_is_1(samples: Samples) -> None:
    states = {dict(labels)["state"]: value for (name, labels), value in samples.items() if name == "edged_camera_state"}
    assert states == {"connecting": 0, "online": 1, "lost": 0, "ended": 0, "off": 0}


def test_problem_is_a_sample(samples: Samples) -> None:
    assert samples["edged_problem", (("code", "clock-not-set"), ("source", "device"))] == 1


def test_model_with_a_hyphen_is_a_label(samples: Samples) -> None:
    assert samples["edged_models_engines_progress_ratio", (("model", "rtmpose-m"),)] == 0.25


def test_unknown_figures_have_no_sample(samples: Samples) -> None:
    assert not [name for name, _ in samples if "oldest" in name or name.endswith("gpu_memory_bytes")]


def test_label_may_contain_any_character() -> None:
    assert scrape({"temperatures_c": {'a "b"\\\n': 1.0}}) == {
        ("edged_temperatures_celsius", (("zone", 'a "b"\\\n'),)): 1
    }


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer("127.0.0.1", 0, HealthCollector(lambda: {"uptime_s": 3}))
    yield server
    server.close()


def test_log_says_where_the_metrics_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server = MetricsServer("127.0.0.1", 0)
    server.close()
    assert f"127.0.0.1:{server.port}, path /metrics" in redact(caplog.text)


def test_metrics_are_served(server: MetricsServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert (response.status, read(text)) == (200, {("edged_uptime_seconds", ()): 3})


def test_clients_that_say_nothing_keep_no_more_than_their_places(server: MetricsServer) -> None:
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(MAX_CLIENTS)]
    for client in held:
        client.sendall(b"GET /me")
    try:
        until(lambda: _is_refused(server.port))
        for client in held[1:]:
            client.close()
        until(lambda: not _is_refused(server.port))
    finally:
        for client in held:
            client.close()


def _is_refused(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().status != 200
    except (http.client.HTTPException, OSError):
        return True
    finally:
        connection.close()


def test_port_in_use_raises_config_error(server: MetricsServer) -> None:
    with pytest.raises(ConfigError) as raised:
        MetricsServer("127.0.0.1", server.port)
    assert raised.value.code == "port-unavailable"


def scene_samples(*days: StallDay, **changes: Any) -> Samples:
    registry = CollectorRegistry()
    state = cast("State", {**example("state"), **changes})
    registry.register(SceneCollector(lambda: {"stall-1": state}, lambda camera: days))
    return read(generate_latest(registry).decode())


def test_horse_of_a_stall_is_measured() -> None:
    samples = scene_samples()
    postures = {p: samples["edged_stall_posture", (("camera", "stall-1"), ("posture", p))] for p in POSTURES}
    assert postures == {"standing": 0, "sternal": 1, "lateral": 0, "unknown": 0}
    behaviours = {
        dict(labels)["behaviour"]: on for (name, labels), on in samples.items() if name == "edged_stall_behaviour"
    }
    assert behaviours.keys() == BEHAVIOURS
    assert [one for one, on in behaviours.items() if on] == example("state")["stall"]["behaviours"]
    assert samples["edged_stall_horses", (("camera", "stall-1"),)] == 1
    assert samples["edged_stall_person_present", (("camera", "stall-1"),)] == 0
    assert samples["edged_subjects", (("camera", "stall-1"), ("class", "horse"))] == 1
    assert samples["edged_view", (("camera", "stall-1"), ("view", "ok"))] == 1


def test_open_alert_is_counted_with_its_kind() -> None:
    of = (("camera", "stall-1"), ("event_type", "colic-suspected"), ("severity", "critical"))
    assert scene_samples()["edged_alerts_open", of] == 1


def test_lost_view_has_no_horse() -> None:
    names = {name for name, _ in scene_samples(view="lost", counts=None, stall=None, alerts=[])}
    assert names == {"edged_view"}


def test_day_of_a_stall_is_in_seconds_and_events() -> None:
    day = StallDay("2026-03-01")
    day.add(7, {"sternal-s": 90.0, "lie-down": 1.0})
    day.add(8, {"sternal-s": 30.0})
    samples = scene_samples(StallDay("2026-02-28"), day)
    assert samples["edged_stall_today_seconds", (("activity", "sternal"), ("camera", "stall-1"))] == 120
    assert samples["edged_stall_today_events", (("camera", "stall-1"), ("event", "lie-down"))] == 1


def dashboard_queries() -> list[tuple[str, str]]:
    """Each query of Grafana's dashboard, and the legend of its curves."""
    panels = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))["panels"]
    return [(query["expr"], query["legendFormat"]) for panel in panels for query in panel.get("targets", ())]


@pytest.mark.parametrize(("query", "legend"), dashboard_queries())
def test_query_of_the_dashboard_names_metrics_and_labels_that_there_are(query: str, legend: str) -> None:
    day = StallDay("2027-01-15")
    day.add(2, {"lateral-s": 60.0})
    state = cast(State, example("state"))
    registry = CollectorRegistry()
    registry.register(HealthCollector(lambda: example("health")))
    registry.register(SceneCollector(lambda: {"stall-1": state}, lambda _: [day]))
    labels: dict[str, set[str]] = {}
    for name, of in read(generate_latest(registry).decode()):
        labels.setdefault(name, {"instance"}).update(key for key, _ in of)
    labels["edged_problem"] = {"instance", "code", "source"}  # the example's device has none
    for metric, selector in re.findall(r"(edged_\w+)\{([^}]*)\}", query):
        assert set(re.findall(r"(\w+)=", selector)) <= labels[metric]
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= labels[metric] | {"instance"}
    assert 'instance=~"$instance"' in query
