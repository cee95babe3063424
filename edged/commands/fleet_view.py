"""`edged watch` on a terminal: all devices and cameras of a broker, live: who is there, what a stall's horse does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from edged.behaviour.words import describe_scene
from edged.commands.camera_table import camera_table
from edged.foreign_text import printable
from edged.mqtt.fleet_state import FleetCamera, FleetDevice, FleetState
from edged.units import certainty, plural
from engines.card.schema import SCHEMAS

JsonObject = Mapping[str, Any]

REFRESH_HZ = 4
MB_PER_GB = 1000
MAX_LINE_CHARS = 1000
LINE_FIELDS = ("state", "reason", "uptime_s", "version", "date", "closed")
MAX_POINTS = 5  # keypoints shown per subject, highest score first
COLOURS = {"online": "green", "stopped": "yellow", "offline": "red", "lost": "red", "ended": "dim"}


def _size(megabytes: float) -> str:
    return f"{megabytes:g} MB" if megabytes < MB_PER_GB else f"{megabytes / MB_PER_GB:.3g} GB"


HEALTH_FIELDS: tuple[tuple[str, str, Callable[[float], str]], ...] = (  # section, key, text: 80 characters in all
    ("process", "cpu_percent", lambda percent: f"edged {percent / 100:.1f} cores"),
    ("process", "rss_mb", _size),
    ("device", "cpu_percent", lambda percent: f"device {percent:.0f} %"),
    ("device", "temperature_c", lambda celsius: f"{celsius:.0f} °C"),
    ("device", "memory_available_mb", lambda free: f"{_size(free)} free"),
    ("device", "disk_free_mb", lambda free: f"disk {_size(free)}"),
)


def live_watch(fleet: FleetState, state: Callable[[], str], *, points: bool = False) -> AbstractContextManager[object]:
    """Shows the fleet while the block runs; `state` returns the state of the connection. `points`: keypoints too."""
    return Live(
        get_renderable=lambda: screen(fleet, state(), points=points),
        refresh_per_second=REFRESH_HZ,
        console=Console(),
        screen=False,
    )


def message_line(topic: str, body: JsonObject, *, points: bool = False) -> str:
    """One message on one line, for output that is no terminal. `points`: with boxes and keypoints."""
    kind = topic.rpartition("/")[2]
    if kind == "poses":
        degraded = f"  image {', '.join(body['degraded'])}" if body.get("degraded") else ""
        subjects = "; ".join(_subject(subject, points=points) for subject in body.get("subjects", [])) or "–"
        line = f"{topic}  frame {body.get('frame')}{degraded}  {subjects}"
    elif kind == "state":
        line = f"{topic}  {_scene(body)}"
    elif kind == "alert":
        event, stage, severity, reason = (body.get(key) for key in ("event_type", "stage", "severity", "reason"))
        line = f"{topic}  ALERT {event} {stage}, {severity}: {reason}"
    else:
        fields = [f"{key}={body[key]}" for key in LINE_FIELDS if body.get(key, "") != ""]
        line = f"{topic}  {' '.join(fields)}"
    return printable(line, MAX_LINE_CHARS)


def _scene(state: JsonObject) -> str:
    """The view, how many of each class, and what a stall's horse does."""
    counts = [f"{label} {count}" for label, count in (state.get("counts") or {}).items() if count]
    view = [] if state.get("view") == "ok" else [f"view {state.get('view')}"]
    return "; ".join(filter(None, [*view, ", ".join(counts), describe_scene(state)])) or "nobody"


def screen(fleet: FleetState, state: str, *, points: bool) -> RenderableType:
    parts: list[RenderableType] = [Text(state, style="dim")]
    for device, box in sorted(fleet.devices.items()):
        parts.extend(_device(device, box, points=points))
    if not fleet.devices:
        parts.append(Text("nothing is published here yet", style="dim"))
    return Group(*parts)


def _device(device: str, box: FleetDevice, *, points: bool) -> Iterator[RenderableType]:
    state = str(box.status.get("state", "unknown"))
    yield Text.assemble((f"\n{printable(device)} ", "bold"), (state, COLOURS.get(state, "")))
    if health := _health(box.health):
        yield Text(health, "dim")
    table = camera_table("poses/s")
    for name, camera in sorted(box.cameras.items()):
        gone = state in ("offline", "stopped")
        table.add_row(*(_offline_row(name) if gone else _row(name, camera, points=points)))
    yield table


def _offline_row(name: str) -> tuple[RenderableType, ...]:
    """A camera of a device that is not online: what it sent last says nothing about now."""
    return Text(printable(name)), Text("unknown", style="dim"), "–", "–", Text("nothing since its device went", "dim")


def _row(name: str, camera: FleetCamera, *, points: bool) -> tuple[RenderableType, ...]:
    state, poses = str(camera.status.get("state", "unknown")), camera.poses
    return (
        Text(printable(name)),
        Text(state, style=COLOURS.get(state, "")),
        f"{camera.rate_hz(time.monotonic_ns()):.1f}",
        str(poses.get("latency_ms", "–")),
        Text("\n".join(map(printable, _sees(camera, points=points)))),
    )


def _sees(camera: FleetCamera, *, points: bool) -> list[str]:
    """Subjects, what a stall's horse does, and messages that went missing."""
    missing = [f"{plural(camera.lost, 'poses message')} did not arrive"] if camera.lost else []
    return [*_subjects(camera, points=points), *filter(None, [describe_scene(camera.state)]), *missing]


def _subjects(camera: FleetCamera, *, points: bool) -> list[str]:
    if camera.status.get("state") == "lost":
        return [str(camera.status.get("reason", ""))]
    if camera.poses.get("degraded"):
        return [f"image {', '.join(camera.poses['degraded'])}: not processed"]
    subjects = [_subject(subject, points=points) for subject in camera.poses.get("subjects", [])]
    return subjects if points else [", ".join(subjects) or "none"]


def _subject(subject: JsonObject, *, points: bool) -> str:
    score = subject["score"]
    name = f"{subject['class']} #{subject['id']}" + ("" if score is None else f" {certainty(score)}")
    if not points:
        return name
    box = " ".join(f"{value:.0f}" for value in subject["box"])
    return f"{name}  [{box}]  {_points(subject)}".rstrip()


def _points(subject: JsonObject) -> str:
    """The keypoints with the highest scores, by name."""
    schema = SCHEMAS.get(str(subject.get("schema")))
    found = [(score, i, x, y) for i, (x, y, score) in enumerate(subject["keypoints"]) if x is not None]
    names = schema.keypoints if schema else ()
    best = sorted(found, reverse=True)[:MAX_POINTS]
    return " · ".join(f"{names[i] if i < len(names) else i} {x:.0f},{y:.0f}" for _, i, x, y in best)


def _health(health: JsonObject) -> str:
    found = ((health.get(section, {}).get(key), text) for section, key, text in HEALTH_FIELDS)
    dropped = health.get("mqtt", {}).get("dropped")
    lost = [f"{plural(dropped, 'message')} dropped or replaced by newer ones"] if dropped else []
    return " · ".join([*(text(value) for value, text in found if isinstance(value, int | float)), *lost])
