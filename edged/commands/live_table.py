"""The live table of `edged run` on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from edged.commands.camera_table import camera_table
from edged.commands.views import LiveStatus, busy_note, mqtt_line, what_it_sees
from edged.device.health import CameraOverview

REFRESH_HZ = 4
COLOURS = {"online": "green", "connecting": "yellow", "lost": "red", "ended": "dim"}


def live_table(status: Callable[[], LiveStatus], out: TextIO) -> Live:
    """Show `status` on a terminal while the block runs."""
    console = Console(file=out)
    return Live(console=console, get_renderable=lambda: status_table(status()), refresh_per_second=REFRESH_HZ)


def status_table(status: LiveStatus) -> RenderableType:
    table = camera_table("frames/s")
    for name, view in status.cameras.items():
        table.add_row(*_row(name, view, status.scenes.get(name, "")))
    notes = [Text(note, style="yellow") for note in map(busy_note, status.cameras, status.cameras.values()) if note]
    mqtt = Text(mqtt_line(status.mqtt), style="dim" if status.mqtt.get("connected") else "red")
    return Group(table, *notes, mqtt)


def _row(name: str, view: CameraOverview, scene: str) -> tuple[RenderableType, ...]:
    phase, latency = view.state.phase, view.rates.latency
    sees = [what_it_sees(view), scene] if phase == "online" else [what_it_sees(view)]
    return (
        Text(name),
        Text(phase, style=COLOURS[phase]),
        f"{view.rates.processed_hz:.1f}",
        f"{latency.p50_ms:.0f}" if latency else "–",
        Text("\n".join(filter(None, sees))),
    )
