"""Prometheus metrics over HTTP: every number of the latest health message, named by its path in it.

Upstream: the latest `health` body of the supervisor. Downstream: any client that scrapes the port.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from edged.errors import ConfigError
from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

POLL_S = 0.5  # between checks whether to stop
IDLE_S = 5.0  # a client that sends nothing is disconnected after this

LABELS = {  # tables whose keys are names: the label that carries them
    "cameras": "camera",
    "engines": "model",
    "stage_ms": "stage",
    "temperatures_c": "zone",
    "power_w": "rail",
    "pressure_percent": "resource",
}
COUNTERS = frozenset(  # all other metrics are gauges
    [f"edged_camera_frames_{name}" for name in ("captured", "processed", "dropped", "failed")]
    + [
        f"edged_mqtt_{name}"
        for name in ("reconnects", "accepted", "published", "acknowledged", "expired", "dropped", "failed", "refused")
    ]
)

Sample = tuple[str, dict[str, str], float]


class HealthCollector(Collector):
    """Reads the health body at each scrape. What is unknown (null) has no sample."""

    def __init__(self, health: Callable[[], Mapping[str, Any]]) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for name, labels, value in _samples(self._health(), "edged", {}):
            if name not in families:
                family = CounterMetricFamily if name in COUNTERS else GaugeMetricFamily
                families[name] = family(name, "See `health` in MQTT.md.", labels=list(labels))
            families[name].add_metric(list(labels.values()), value)
        return families.values()


def _samples(node: Mapping[str, Any], prefix: str, labels: dict[str, str]) -> Iterator[Sample]:
    for key, value in node.items():
        name = f"{prefix}_{key}"
        if key == "problems":
            for problem in value:
                yield "edged_problem", {"code": problem["code"], "source": problem["source"]}, 1.0
        elif key == "state":
            yield name, {**labels, "state": value}, 1.0
        elif key in LABELS and isinstance(value, Mapping):
            yield from _labelled(value, "edged_camera" if key == "cameras" else name, labels, LABELS[key])
        elif isinstance(value, Mapping):
            yield from _samples(value, name, labels)
        elif isinstance(value, int | float):
            yield name, labels, float(value)


def _labelled(table: Mapping[str, Any], name: str, labels: dict[str, str], label: str) -> Iterator[Sample]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _samples(value, name, {**labels, label: key})
        else:
            yield name, {**labels, label: key}, float(value)


class MetricsServer:
    """Serves the metrics, in a thread of its own."""

    def __init__(self, host: str, port: int, health: Callable[[], Mapping[str, Any]]) -> None:
        """Raises ConfigError when it cannot listen there."""
        registry = CollectorRegistry()
        registry.register(HealthCollector(health))
        try:
            self._server = make_server(host, port, make_wsgi_app(registry), ThreadingWSGIServer, _Handler)
        except (OSError, OverflowError) as exc:
            raise ConfigError(
                f"prometheus.port = {port}: cannot listen on {host}: {exc}; choose a free port, or switch it off",
                code="port-unavailable",
            ) from exc
        self._server.timeout = POLL_S
        self._thread = SupervisedThread("prometheus", self._step)
        self._thread.start()
        log.info("metrics for Prometheus at http://%s:%d/metrics", host, self.port)

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._thread.stop()
        self._thread.join(2 * POLL_S)
        self._server.server_close()

    def _step(self) -> float:
        self._server.handle_request()
        return 0.0


class _Handler(WSGIRequestHandler):
    timeout = IDLE_S

    def log_message(self, *_: object) -> None:
        """Requests are not logged: there is one every few seconds."""
