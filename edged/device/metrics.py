"""The health message as Prometheus text: every number of it, named by its path. Pure.

Source: Prometheus text exposition format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BY_NAME = {  # mappings whose keys are no fields but names: the label that carries them
    "cameras": "camera",
    "stage_ms": "stage",
    "temperatures_c": "zone",
    "power_w": "rail",
    "pressure_percent": "resource",
}
COUNTERS = {"frames", "mqtt"}  # tables whose whole numbers only grow

Sample = tuple[str, dict[str, str], float]


def exposition(health: Mapping[str, Any]) -> str:
    """All samples, grouped by metric as the format demands."""
    grouped: dict[str, list[Sample]] = {}
    for sample in _samples(health, ("edged",), {}):
        grouped.setdefault(sample[0], []).append(sample)
    lines = []
    for name, samples in grouped.items():
        lines.append(f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}")
        lines += [_line(*sample) for sample in samples]
    return "\n".join(lines) + "\n"


def _samples(node: Mapping[str, Any], path: tuple[str, ...], labels: dict[str, str]) -> Iterator[Sample]:
    """Depth first. What is unknown is left out; states become 1 with their name as a label."""
    for key, value in node.items():
        if isinstance(value, Mapping) and key in BY_NAME:
            place = (*path, BY_NAME[key]) if key == "cameras" else (*path, key)
            for name, inner in value.items():
                inside = inner if isinstance(inner, Mapping) else {"": inner}
                yield from _samples(inside, place, {**labels, BY_NAME[key]: name})
        elif isinstance(value, Mapping):
            yield from _samples(value, (*path, key), labels)
        elif isinstance(value, (int, float)):
            counts = path[-1] in COUNTERS and type(value) is int and key not in ("waiting", "rows")
            yield "_".join(filter(None, (*path, key, "total" if counts else ""))), labels, float(value)
        elif key == "state":
            yield "_".join((*path, key)), {**labels, "state": value}, 1.0
        elif key == "problems":
            for problem in value:
                yield "edged_problem", {"code": problem["code"], "source": problem["source"]}, 1.0


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
    return f"{name}{{{text}}} {value:.15g}" if text else f"{name} {value:.15g}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
