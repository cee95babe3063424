"""The discovery payloads of an example device, and a message of every kind."""

from __future__ import annotations

from pathlib import Path
from time import monotonic_ns
from typing import Any

from edged.behaviour.alert_rules import CAMERA_RULES, DOWN_RULE, STALL_RULES
from edged.behaviour.alerts import Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.horse.day_log import StallDay
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.types import SceneState, StallState
from edged.capture.camera import CameraState
from edged.capture.frame_buffer import FrameCounts
from edged.config.tables.profiles import profile_choices
from edged.device.health import CameraOverview, Health
from edged.device.rates import RateMeter
from edged.device.trends import CameraTrend
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.homeassistant_controls import BUTTONS
from edged.mqtt.homeassistant_payloads import DiscoveryDevice
from edged.runtime.clock import Clock

CAMERAS = {"stall-1": ("horse", "person"), "yard": ("person",)}
DEVICE = DiscoveryDevice(
    id="edged-0123abcd",
    base="site/edged",
    name="Barn box",
    version="1.0.0",
    health_s=30,
    cameras=CAMERAS,
    snapshot_cameras=frozenset({"yard"}),
    stall_cameras=frozenset({"stall-1"}),
    alert_kinds={
        "stall-1": tuple(rule.kind for rule in (*CAMERA_RULES, *STALL_RULES)),
        "yard": tuple(rule.kind for rule in (*CAMERA_RULES, DOWN_RULE)),
    },
    evidence=True,
    allowed_commands=frozenset({*BUTTONS, "switch", "profile"}),
    profiles=("night",),
)
FRAME_COUNTS = FrameCounts(captured=9, processed=9, dropped=0, failed=0, waiting=0)


def camera_view(name: str) -> CameraOverview:
    """A camera that has just come online."""
    return CameraOverview(
        state=CameraState(camera=name, phase="online", reason="", since_ns=monotonic_ns()),
        counts=FRAME_COUNTS,
        rates=RateMeter().read(FRAME_COUNTS),
        trend=CameraTrend().read(),
        latest=None,
        losses_per_h=0,
        reconnects_per_h=0,
    )


def payloads() -> dict[str, Any]:
    """The discovery payloads of the device, by full topic."""
    return {topic.path.lstrip("/"): body for topic, body in DEVICE.payloads().items()}


def examples(device: DiscoveryDevice) -> dict[topics.Topic, Any]:
    """A message of every kind, by topic. Thread: any, one at a time."""
    headers = HeaderFactory(Clock())
    views = {name: camera_view(name) for name in device.cameras}
    health = Health(Path("/"), headers.utc_ms, lambda: headers.synced)(views, {}, {})
    found: dict[topics.Topic, Any] = {
        topics.HEALTH.at(): build.health(headers, health),
        topics.SWITCHES.at(): switches_example(headers, device),
    }
    for name, labels in device.cameras.items():
        found |= camera_examples(headers, name, labels, in_stall=name in device.stall_cameras)
    return found


def switches_example(headers: HeaderFactory, device: DiscoveryDevice) -> dict[str, Any]:
    """Night, with the alerts of the cameras off."""
    on, off = {"on": True, "until_ts": None}, {"on": False, "until_ts": None}
    profile = {"selected": "auto", "active": "night", "until_ts": None, "choices": profile_choices(device.profiles)}
    cameras = {name: {"camera": on, "alerts": off, "images": on} for name in device.cameras}
    return dict(build.switches(headers, {"profile": profile, "cameras": cameras}))


def camera_examples(
    headers: HeaderFactory, name: str, labels: tuple[str, ...], *, in_stall: bool
) -> dict[topics.Topic, Any]:
    now_ns = monotonic_ns()
    stall = StallState(posture="standing", horses=1) if in_stall else None
    scene = SceneState(view="ok", degraded=(), counts=dict.fromkeys(labels, 1), since_ns=now_ns, stall=stall)
    totals = DailyTotals(date="2026-03-01", present_s=dict.fromkeys(labels, 60.0))
    day = StallDay(totals.date) if in_stall else None
    alert = Alert(id="1", camera=name, rule=CAMERA_RULES[0], stage="open", since_ns=now_ns, reason="unplugged")
    status = build.camera_status(headers, name, state="online", reason="640x480", since_ns=now_ns)
    return {
        topics.CAMERA_STATUS.at(camera=name): status,
        topics.STATE.at(camera=name): state_message(headers, name, scene, (alert,), scene.since_ns),
        topics.DAILY.at(camera=name): daily_message(headers, name, totals, stall=day, closed=False),
        topics.ALERT.at(camera=name): alert_message(headers, alert),
    }
