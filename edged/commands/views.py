"""What `edged run` shows: cameras, rates, latency, drops, subjects; plain lines where there is no terminal.

Upstream: a function that gives the present views, called from this module's own thread. Downstream: stdout.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from edged.commands.own_command import own_command
from edged.config.tables.mqtt import MqttConfig
from edged.device.health import CameraOverview
from edged.frame import SCORE, FrameResult, TrackedSubject
from edged.runtime.threads import SupervisedThread
from edged.units import MM_PER_M, certainty, plural

LINE_INTERVAL_S = 5.0
JOIN_TIMEOUT_S = 2.0
MIN_KEYPOINT_SCORE = 0.3  # of a keypoint that is counted
MAX_NAMED = 4  # subjects named in a row, the rest counted
KEEPS_UP = 0.8  # share of a camera's frames; where fewer are processed, the machine is too slow for it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveStatus:
    """What the live table shows at one instant."""

    cameras: Mapping[str, CameraOverview]
    mqtt: Mapping[str, Any]  # the stats of the MQTT client
    scenes: Mapping[str, str]  # what goes on in front of each camera, in words


def how_to_subscribe(broker: MqttConfig, device: str) -> str:
    """Commands that show what is published, ready to be pasted; those of programs that are installed."""
    lines = ["To see what is published, in another terminal:", f"  {_watch_command(broker)}"]
    if shutil.which("mosquitto_sub"):
        lines.append(f"  {_mosquitto_command(broker, device)}")
    return "\n".join(lines)


def _watch_command(broker: MqttConfig) -> str:
    user = f" --username {shlex.quote(broker.username)} --password-file FILE" if broker.username else ""
    tls = f" --tls{f' --ca {shlex.quote(str(broker.tls.ca))}' if broker.tls.ca else ''}" if broker.tls.enabled else ""
    base = "" if broker.base_topic == "edged" else f" --base-topic {shlex.quote(broker.base_topic)}"
    return f"{own_command()} watch --host {shlex.quote(broker.host)} --port {broker.port}{base}{user}{tls}"


def _mosquitto_command(broker: MqttConfig, device: str) -> str:
    where = f"-h {shlex.quote(broker.host)} -p {broker.port}"
    login = f" -u {shlex.quote(broker.username)} -P '…'" if broker.username else ""
    ca = f" --cafile {shlex.quote(str(broker.tls.ca or '/etc/ssl/certs/ca-certificates.crt'))}"
    topic = shlex.quote(f"{broker.base_topic}/{device}/#")
    return f"mosquitto_sub {where}{login}{ca if broker.tls.enabled else ''} -v -t {topic}"


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
    text = f"{subject.label} #{subject.id} {certainty(subject.score)}"
    if subject.keypoints is not None:
        seen = int((subject.keypoints[:, SCORE] >= MIN_KEYPOINT_SCORE).sum())
        text += f" ({seen}/{len(subject.keypoints)} keypoints)"
    if subject.pose3d is not None:
        pose = subject.smoothed3d or subject.pose3d
        away_m = pose.distance_mm / MM_PER_M
        error = "" if pose.depth_error is None else f" ± {pose.depth_error * away_m:.1f}"
        text += f", {'' if pose.focal_source == 'given' and error else 'about '}{away_m:.1f}{error} m away"
    return text


def what_it_sees(view: CameraOverview) -> str:
    return describe_subjects(view.latest) if view.state.phase in ("online", "ended") else view.state.reason


def busy_note(name: str, view: CameraOverview) -> str:
    """What it means that frames are dropped; empty while the machine keeps up."""
    rates = view.rates
    if view.state.phase != "online" or not view.counts.dropped or rates.processed_hz >= KEEPS_UP * rates.in_hz:
        return ""
    return (
        f"{name}: {rates.processed_hz:.1f} of {rates.in_hz:.1f} frames/s: this machine is busy or too slow for more; "
        "the newest frames are used"
    )


def mqtt_line(mqtt: Mapping[str, Any]) -> str:
    link = f"MQTT {mqtt.get('protocol')}" if mqtt.get("connected") else "broker away"
    lost = f" · {mqtt['dropped']} dropped or replaced by newer ones" if mqtt["dropped"] else ""
    return f"{link} · {plural(mqtt['published'], 'message')} sent · {mqtt['waiting']} waiting{lost}"


def _camera_line(name: str, view: CameraOverview, scene: str) -> str:
    if view.state.phase in ("connecting", "lost"):
        return f"{name}: {view.state.phase}; {view.state.reason}".rstrip("; ")
    rates, latency = view.rates, view.rates.latency
    times = f", {latency.p50_ms:.0f} ms" if latency else ""
    speed = f"{rates.processed_hz:.1f} of {rates.in_hz:.1f} frames/s"
    sees = "; ".join(filter(None, (describe_subjects(view.latest), scene)))
    return f"{name}: {view.state.phase}, {speed}{times}; {sees}"


class LineWriter:
    """A line per camera every five seconds, and once more at the end; once what a busy machine means."""

    def __init__(self, status: Callable[[], LiveStatus], out: TextIO) -> None:
        self._status = status
        self._out = out
        self._told_busy: set[str] = set()  # cameras
        self._thread = SupervisedThread("terminal", self._step, first_s=LINE_INTERVAL_S)

    def __enter__(self) -> LineWriter:
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
        lines = [_camera_line(name, view, status.scenes.get(name, "")) for name, view in status.cameras.items()]
        busy = {name: text for name, view in status.cameras.items() if (text := busy_note(name, view))}
        lines += [text for name, text in busy.items() if name not in self._told_busy]
        self._told_busy |= busy.keys()
        self._out.write("\n".join((*lines, mqtt_line(status.mqtt), "")))
        self._out.flush()
