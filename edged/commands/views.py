"""The live table of `edged run`: cameras, rates, latency, drops, subjects; plain lines where there is no terminal.

Upstream: a function that gives the present views, called from this module's own thread. Downstream: stdout.
"""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edged.config.tables.mqtt import MqttConfig
from edged.device.health import CameraOverview
from edged.frame import SCORE, FrameResult, TrackedSubject
from edged.runtime.threads import SupervisedThread
from edged.units import MM_PER_M

REFRESH_HZ = 4
LINE_INTERVAL_S = 5.0
JOIN_TIMEOUT_S = 2.0
MIN_KEYPOINT_SCORE = 0.3  # of a keypoint that is counted
MAX_NAMED = 4  # subjects named in a row, the rest counted
COLOURS = {"online": "green", "connecting": "yellow", "lost": "red", "ended": "dim"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveStatus:
    """What the live table shows at one instant."""

    cameras: Mapping[str, CameraOverview]
    mqtt: Mapping[str, Any]  # the stats of the MQTT client


def live(status: Callable[[], LiveStatus], out: TextIO | None = None) -> AbstractContextManager[object]:
    """Show `status` while the block runs: a table on a terminal, a line per camera every five seconds elsewhere."""
    out = out or sys.stdout
    console = Console(file=out)
    if console.is_terminal:
        return Live(console=console, get_renderable=lambda: _table(status()), refresh_per_second=REFRESH_HZ)
    return _LineWriter(status, out)


def how_to_subscribe(broker: MqttConfig, device: str) -> str:
    """Commands that show what is published, ready to be pasted."""
    where = f"-h {shlex.quote(broker.host)} -p {broker.port}"
    login = f" -u {shlex.quote(broker.username)} -P '…'" if broker.username else ""
    ca = f" --cafile {shlex.quote(str(broker.tls.ca or '/etc/ssl/certs/ca-certificates.crt'))}"
    topic = shlex.quote(f"{broker.base}/{device}/#")
    user = f" --username {shlex.quote(broker.username)} --password-file FILE" if broker.username else ""
    tls = f" --tls{f' --ca {shlex.quote(str(broker.tls.ca))}' if broker.tls.ca else ''}" if broker.tls.enabled else ""
    base = "" if broker.base == "edged" else f" --base {shlex.quote(broker.base)}"
    return (
        "To see what is published, in another terminal:\n"
        f"  edged watch --host {shlex.quote(broker.host)} --port {broker.port}{base}{user}{tls}\n"
        f"  mosquitto_sub {where}{login}{ca if broker.tls.enabled else ''} -v -t {topic}"
    )


class StderrHandler(logging.Handler):
    """Writes to whatever stderr is now, so that lines appear above a live table instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


def describe_subjects(result: FrameResult | None) -> str:
    """The subjects of a frame in words, best seen first."""
    if result is None:
        return ""
    if result.quality.degraded:
        return f"image {', '.join(result.quality.degraded)}: not processed"
    named = ", ".join(_subject(subject) for subject in result.subjects[:MAX_NAMED])
    more = len(result.subjects) - MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named or "none"


def _subject(subject: TrackedSubject) -> str:
    text = f"{subject.label} {subject.id} ({subject.score:.2f}"
    if subject.keypoints is not None:
        seen = int((subject.keypoints[:, SCORE] >= MIN_KEYPOINT_SCORE).sum())
        text += f", {seen}/{len(subject.keypoints)} points"
    if subject.pose3d is not None:
        sure = subject.pose3d.focal_source == "given" and subject.pose3d.depth_source == "rootnet"
        away_m = float(np.linalg.norm(subject.pose3d.root_mm)) / MM_PER_M
        text += f", {'' if sure else 'about '}{away_m:.1f} m away"
    return f"{text})"


def _table(status: LiveStatus) -> RenderableType:
    table = Table(expand=True, pad_edge=False, box=None, header_style="bold")
    for name in ("camera", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("in/s", "out/s", "p50 ms", "p95 ms", "dropped"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("sees", ratio=1, no_wrap=True, overflow="ellipsis")
    for name, view in status.cameras.items():
        table.add_row(*_row(name, view))
    return Group(table, Text(_mqtt_line(status.mqtt), style="dim" if status.mqtt.get("connected") else "red"))


def _row(name: str, view: CameraOverview) -> tuple[RenderableType, ...]:
    phase, reading = view.state.phase, view.rates
    latency = reading.latency
    return (
        Text(name),
        Text(phase, style=COLOURS[phase]),
        f"{reading.in_hz:.1f}",
        f"{reading.processed_hz:.1f}",
        f"{latency.p50_ms:.0f}" if latency else "–",
        f"{latency.p95_ms:.0f}" if latency else "–",
        str(view.counts.dropped),
        Text(describe_subjects(view.latest) if phase in ("online", "ended") else view.state.reason),
    )


def _mqtt_line(mqtt: Mapping[str, Any]) -> str:
    link = f"MQTT {mqtt.get('protocol')}" if mqtt.get("connected") else "broker away"
    return f"{link} · {mqtt['published']} messages sent · {mqtt['waiting']} waiting · {mqtt['dropped']} dropped"


def _camera_line(name: str, view: CameraOverview) -> str:
    reading, latency = view.rates, view.rates.latency
    rates = f"in {reading.in_hz:.1f}/s, out {reading.processed_hz:.1f}/s, dropped {view.counts.dropped}"
    times = f", p50 {latency.p50_ms:.0f} ms, p95 {latency.p95_ms:.0f} ms" if latency else ""
    return f"{name}: {view.state.phase}, {rates}{times}; {describe_subjects(view.latest) or view.state.reason}"


class _LineWriter:
    """A line per camera every five seconds, and once more at the end."""

    def __init__(self, status: Callable[[], LiveStatus], out: TextIO) -> None:
        self._status = status
        self._out = out
        self._thread = SupervisedThread("terminal", self._step, first_s=LINE_INTERVAL_S)

    def __enter__(self) -> _LineWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._thread.stop()
        self._thread.join(JOIN_TIMEOUT_S)
        self._print()

    def _step(self) -> float:
        self._print()
        return LINE_INTERVAL_S

    def _print(self) -> None:
        status = self._status()
        lines = [_camera_line(name, view) for name, view in status.cameras.items()]
        self._out.write("\n".join((*lines, _mqtt_line(status.mqtt), "")))
        self._out.flush()
