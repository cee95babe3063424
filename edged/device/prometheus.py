"""Prometheus metrics over HTTP: the numbers of the latest health message, named by their path in it, in base units.

Upstream: the latest `health` body of the supervisor; `scene_metrics`. Downstream: any client that scrapes the port.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, get_args
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from edged.errors import ConfigError
from edged.messages.documents import field_texts
from edged.messages.schema import CameraPhase
from edged.runtime.threads import SupervisedThread
from edged.units import BYTES_PER_MB, HZ_PER_MHZ, MS_PER_S, S_PER_H, S_PER_MIN

log = logging.getLogger(__name__)

POLL_S = 0.5  # between checks whether to stop
IDLE_S, REQUEST_S = 5.0, 10.0  # a client that sends nothing is disconnected after the first, any after the second
MAX_CLIENTS = 8  # at a time; more are disconnected at once

LABELS = {  # tables whose keys are names: the label that carries them
    "cameras": "camera",
    "engines": "model",
    "stage_ms": "stage",
    "temperatures_c": "zone",
    "certificates_end_ts": "certificate",
    "power_w": "rail",
    "pressure_percent": "resource",
    "too_large": "topic",
}
LEFT_OUT = frozenset(("edged_v", "edged_seq", "edged_time_synced"))  # the message's own; the last is edged_clock_synced
COUNTERS = frozenset(  # all other metrics are gauges
    [f"edged_camera_frames_{name}" for name in ("captured", "processed", "dropped", "failed", "held")]
    + [
        f"edged_mqtt_{name}"
        for name in ("reconnects", "accepted", "published", "acknowledged", "expired", "dropped", "failed", "refused")
    ]
    + ["edged_mqtt_stored_corrupt_files", "edged_device_hardware_throttling_over_current_total"]
)

UNITS = (  # of the health message -> those of Prometheus, and the factor
    ("edged_ts", "edged_health_timestamp_seconds", 1 / MS_PER_S),
    ("_ms", "_seconds", 1 / MS_PER_S),
    ("_ts", "_timestamp_seconds", 1 / MS_PER_S),
    ("_s", "_seconds", 1.0),
    ("_mb", "_bytes", float(BYTES_PER_MB)),
    ("_percent", "_ratio", 0.01),
    ("_c", "_celsius", 1.0),
    ("_w", "_watts", 1.0),
    ("_gpu_mhz", "_gpu_frequency_hertz", float(HZ_PER_MHZ)),
    ("_per_min", "_per_second", 1 / S_PER_MIN),
    ("_per_h", "_per_second", 1 / S_PER_H),
    ("_share", "_ratio", 1.0),
    ("_progress", "_progress_ratio", 1.0),
    ("_too_large", "_too_large_bytes", 1.0),
)
UNIT_WORDS = (  # in their meanings
    ("milliseconds", "seconds"),
    (" in ms", " in s"),
    ("100: ", "1: "),
    ("per minute", "per second"),
    (" in the last hour", " per second, over the last hour"),
)
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99", "max": "1"}


class Sample(NamedTuple):
    """One number of the health message."""

    name: str
    labels: dict[str, str]
    value: float
    path: str  # in the message, for the help text


class HealthCollector(Collector):
    """Reads the health body at each scrape. What is unknown (null) has no sample."""

    def __init__(self, health: Callable[[], Mapping[str, Any]]) -> None:
        self._health = health
        self._texts = {**field_texts("health"), "ts": "Time of these figures, UTC in ms."}

    def collect(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for sample in _samples(self._health(), "edged", {}, ""):
            name, factor = _in_base_units(sample.name)
            if name not in families:
                family = CounterMetricFamily if name in COUNTERS else GaugeMetricFamily
                families[name] = family(name, self._meaning(sample.path, factor), labels=list(sample.labels))
            families[name].add_metric(list(sample.labels.values()), sample.value * factor)
        return families.values()

    def _meaning(self, path: str, factor: float) -> str:
        text = self._texts.get(path) or f"`{path}` of the health message."
        for theirs, ours in UNIT_WORDS if factor != 1 else ():
            text = text.replace(theirs, ours)
        return re.sub(r"\bnull\b", "no sample", text)


def _in_base_units(name: str) -> tuple[str, float]:
    """The metric's name with Prometheus' unit, and the factor of its values."""
    for suffix, unit, factor in UNITS:
        if name.endswith(suffix):
            return name.removesuffix(suffix) + unit, factor
    return name, 1.0


def _samples(node: Mapping[str, Any], prefix: str, labels: dict[str, str], above: str) -> Iterator[Sample]:
    for key, value in node.items():
        name, path = f"{prefix}_{key}", f"{above}{key}"
        if name in LEFT_OUT:
            continue
        if key == "problems":
            for problem in value:
                of = {"code": problem["code"], "source": problem["source"]}
                yield Sample("edged_problem", of, 1.0, path)
        elif key == "state":  # a state set: every state has a sample, so that one that has ended is 0, not gone
            yield from (Sample(name, {**labels, key: one}, float(one == value), path) for one in get_args(CameraPhase))
        elif key in LABELS and isinstance(value, Mapping):
            family = "edged_camera" if key == "cameras" else name
            for own, one in value.items():
                yield from _values(one, family, {**labels, LABELS[key]: own}, path, f"{path}.*.")
        else:
            yield from _values(value, name, labels, path, f"{path}.")


def _values(value: object, name: str, labels: dict[str, str], path: str, above: str) -> Iterator[Sample]:
    """Of a number, of the quantiles of one, or of a table."""
    if isinstance(value, Mapping) and value.keys() <= QUANTILES.keys():
        yield from (Sample(name, {**labels, "quantile": QUANTILES[q]}, float(value[q]), path) for q in value)
    elif isinstance(value, Mapping):
        yield from _samples(value, name, labels, above)
    elif isinstance(value, int | float):
        yield Sample(name, labels, float(value), path)


class MetricsServer:
    """Serves the metrics, in a thread of its own."""

    def __init__(self, host: str, port: int, *collectors: Collector) -> None:
        """Raises ConfigError when it cannot listen there."""
        registry = CollectorRegistry()
        for collector in collectors:
            registry.register(collector)
        try:
            self._server = make_server(host, port, make_wsgi_app(registry), _Server, _Handler)
        except (OSError, OverflowError) as exc:
            raise ConfigError(
                f"prometheus.port = {port}: cannot listen on {host}: {exc}; choose a free port, or switch it off",
                code="port-unavailable",
            ) from exc
        self._server.timeout = POLL_S
        self._thread = SupervisedThread("prometheus", self._step)
        self._thread.start()
        log.info("metrics for Prometheus at %s:%d, path /metrics", host, self.port)  # the log shortens addresses

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


class _Server(ThreadingWSGIServer):
    """A thread per client, of few."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._free = threading.BoundedSemaphore(MAX_CLIENTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault of ours."""
        log.debug("prometheus: a client went away", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = IDLE_S

    def handle(self) -> None:
        limit = threading.Timer(REQUEST_S, self._disconnect)
        limit.daemon = True
        limit.start()
        try:
            super().handle()
        finally:
            limit.cancel()

    def _disconnect(self) -> None:
        with suppress(OSError):  # it is closed already
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Requests are not logged: there is one every few seconds."""
