"""`edged watch` on a terminal: all devices and cameras of a broker, live; subjects with their best keypoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edged.foreign_text import printable
from edged.mqtt.fleet_state import FleetCamera, FleetDevice, FleetState
from engines.card.schema import SCHEMAS

JsonObject = Mapping[str, Any]

REFRESH_HZ = 4
MAX_LINE_CHARS = 1000
MAX_POINTS = 5  # keypoints shown per subject, highest score first
COLOURS = {"online": "green", "stopped": "yellow", "offline": "red", "lost": "red", "ended": "dim"}
HEALTH_FIELDS = (  # section, key, text
    ("process", "cpu_percent", "edged {:.0f} % of a core"),
    ("process", "rss_mb", "{} MB"),
    ("device", "cpu_percent", "device {:.0f} %"),
    ("device", "temperature_c", "{} °C"),
    ("device", "memory_free_mb", "{} MB free"),
    ("device", "disk_free_mb", "{} MB disk free"),
    ("mqtt", "dropped", "{} messages dropped"),
)


def live_watch(fleet: FleetState, state: Callable[[], str]) -> AbstractContextManager[object]:
    """Shows the fleet while the block runs; `state` returns the state of the connection."""
    return Live(
        get_renderable=lambda: _screen(fleet, state()), refresh_per_second=REFRESH_HZ, console=Console(), screen=False
    )


def message_line(topic: str, body: JsonObject) -> str:
    """One message on one line, for output that is no terminal."""
    if topic.endswith("/poses"):
        degraded = f"  image {', '.join(body['degraded'])}" if body.get("degraded") else ""
        subjects = "; ".join(map(_subject, body.get("subjects", []))) or "–"
        line = f"{topic}  frame {body.get('frame')}{degraded}  {subjects}"
    else:
        fields = [f"{key}={value}" for key, value in body.items() if key in ("state", "reason", "uptime_s")]
        line = f"{topic}  {' '.join(fields)}"
    return printable(line, MAX_LINE_CHARS)


def _screen(fleet: FleetState, state: str) -> RenderableType:
    parts: list[RenderableType] = [Text(state, style="dim")]
    for device, box in list(fleet.devices.items()):
        parts.extend(_device(device, box))
    if not fleet.devices:
        parts.append(Text("nothing is published here yet", style="dim"))
    return Group(*parts)


def _device(device: str, box: FleetDevice) -> Iterator[RenderableType]:
    state = str(box.status.get("state", "unknown"))
    yield Text.assemble(
        (f"\n{printable(device)} ", "bold"), (state, COLOURS.get(state, "")), "  ", (_health(box.health), "dim")
    )
    table = Table(expand=True, box=None, pad_edge=False, header_style="bold")
    for name in ("camera", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("poses/s", "ms", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("subjects", ratio=1, overflow="ellipsis")
    for name, camera in list(box.cameras.items()):
        table.add_row(*_row(name, camera))
    yield table


def _row(name: str, camera: FleetCamera) -> tuple[RenderableType, ...]:
    state, poses = str(camera.status.get("state", "unknown")), camera.poses
    return (
        Text(printable(name)),
        Text(state, style=COLOURS.get(state, "")),
        f"{camera.rate_hz(time.monotonic_ns()):.1f}",
        str(poses.get("latency_ms", "–")),
        str(camera.lost),
        Text("\n".join(map(printable, _subjects(camera)))),
    )


def _subjects(camera: FleetCamera) -> list[str]:
    if camera.status.get("state") == "lost":
        return [str(camera.status.get("reason", ""))]
    if camera.poses.get("degraded"):
        return [f"image {', '.join(camera.poses['degraded'])}: not processed"]
    return [_subject(subject) for subject in camera.poses.get("subjects", [])] or ["none"]


def _subject(subject: JsonObject) -> str:
    box = " ".join(f"{value:.0f}" for value in subject["box"])
    return f"{subject['class']} {subject['id']}  {subject['score']:.2f}  [{box}]  {_points(subject)}".rstrip()


def _points(subject: JsonObject) -> str:
    """The keypoints with the highest scores, by name."""
    schema = SCHEMAS.get(str(subject.get("schema")))
    found = [(score, i, x, y) for i, (x, y, score) in enumerate(subject["keypoints"]) if x is not None]
    names = schema.keypoints if schema else ()
    best = sorted(found, reverse=True)[:MAX_POINTS]
    return " · ".join(f"{names[i] if i < len(names) else i} {x:.0f},{y:.0f}" for _, i, x, y in best)


def _health(health: JsonObject) -> str:
    found = ((health.get(section, {}).get(key), text) for section, key, text in HEALTH_FIELDS)
    return " · ".join(text.format(value) for value, text in found if value is not None)
