#!/bin/sh
# One reading that is NaN (a score, a temperature, a time that was not measured) in metrics. prometheus_client 0.26.0 refuses
# a negative Counter.inc() and takes NaN: the counter is NaN until the program is restarted, rate() and each alert on it
# with it. A Histogram's sum is NaN for good; its count does not know of the reading, as it is in no bucket, not in +Inf
# either; a Summary counts it. OpenTelemetry 1.45.2 leaves NaN out and logs it, and so a gauge that is set to NaN goes on
# telling the last value, as if it were measured still; a gauge that is observed by a callback is right, it has no sample.
#
# Seen (1, NaN, 1 counted or observed; a gauge set to 38.5, then NaN):
#   prometheus_client: Counter nan, Histogram sum nan of 2, Summary sum nan of 3, Gauge nan
#   OpenTelemetry: Counter 2, Histogram sum 2 of 2, Gauge 38.5, observed Gauge none
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-client==0.26.0 opentelemetry-sdk==1.45.2
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import math

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

logging.disable()
READINGS = 1, math.nan, 1
registry = CollectorRegistry()
counter, gauge = Counter("counter", "", registry=registry), Gauge("gauge", "", registry=registry)
histogram, summary = Histogram("histogram", "", registry=registry), Summary("summary", "", registry=registry)
reader = InMemoryMetricReader()
meter = MeterProvider(metric_readers=[reader]).get_meter("readings")
other_counter, other_histogram = meter.create_counter("counter"), meter.create_histogram("histogram")
other_gauge, temperature = meter.create_gauge("gauge"), 38.5
meter.create_observable_gauge("observed", [lambda options: [Observation(temperature)]])
for reading in READINGS:
    counter.inc(reading)
    histogram.observe(reading)
    summary.observe(reading)
    other_counter.add(reading)
    other_histogram.record(reading)
for temperature in (38.5, math.nan):
    gauge.set(temperature)
    other_gauge.set(temperature)
    collected = reader.get_metrics_data()


def sample(name: str) -> str:
    return f"{registry.get_sample_value(name):g}"


points = {
    metric.name: list(metric.data.data_points)
    for metric in collected.resource_metrics[0].scope_metrics[0].metrics
}
(counted,), (observed,), (last,) = points["counter"], points["histogram"], points["gauge"]
seen = [
    f"Counter {sample('counter_total')}, Histogram sum {sample('histogram_sum')} of {sample('histogram_count')}, "
    f"Summary sum {sample('summary_sum')} of {sample('summary_count')}, Gauge {sample('gauge')}",
    f"Counter {counted.value}, Histogram sum {observed.sum:g} of {observed.count}, Gauge {last.value}, "
    f"observed Gauge {'some' if points.get('observed') else 'none'}",
]
print("prometheus_client:", seen[0])
print("OpenTelemetry:", seen[1])
assert seen == [
    "Counter nan, Histogram sum nan of 2, Summary sum nan of 3, Gauge nan",
    "Counter 2, Histogram sum 2 of 2, Gauge 38.5, observed Gauge none",
], seen
PYTHON
