"""Print what an example appliance announces, and a message of every kind, for check.py."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic_ns
from typing import Any

from edged.behaviour.alerts import CAMERA_RULES, Alert
from edged.behaviour.daily import DailyTotals
from edged.behaviour.messages import alert_message, daily_message, state_message
from edged.behaviour.presence import SceneState
from edged.capture.frame_buffer import FrameCounts
from edged.capture.worker import CameraState
from edged.device.health import CameraOverview, Health
from edged.device.rates import RateMeter
from edged.device.trends import CameraTrend
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.homeassistant_entities import DiscoveryDevice
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
    alert_kinds=tuple(rule.kind for rule in CAMERA_RULES),
    allowed_commands=frozenset({"snapshot", "restart-camera"}),
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


def messages() -> dict[topics.Topic, Any]:
    stamps = HeaderFactory(Clock())
    health = Health(Path("/"), stamps.utc_ms, lambda: stamps.synced)(
        {name: camera_view(name) for name in CAMERAS}, {}, {}
    )
    said: dict[topics.Topic, Any] = {
        topics.STATUS.at(): build.device_status(stamps, "online"),
        topics.HEALTH.at(): build.health(stamps, health),
    }
    for name, labels in CAMERAS.items():
        situation = SceneState(view="ok", degraded=(), counts=dict.fromkeys(labels, 1), since_ns=monotonic_ns())
        day = DailyTotals(date="2026-03-01", present_s=dict.fromkeys(labels, 60.0))
        episode = Alert(
            id="1", camera=name, rule=CAMERA_RULES[0], stage="open", since_ns=monotonic_ns(), reason="unplugged"
        )
        said |= {
            topics.CAMERA_STATUS.at(camera=name): build.camera_status(
                stamps, name, state="online", reason="640x480", since_ns=monotonic_ns()
            ),
            topics.STATE.at(camera=name): state_message(stamps, name, situation, ()),
            topics.DAILY.at(camera=name): daily_message(stamps, name, day, closed=False),
            topics.ALERT.at(camera=name): alert_message(stamps, episode),
        }
    return said


if __name__ == "__main__":
    root = f"{DEVICE.base}/{DEVICE.id}/"
    announcements = {topic.path.lstrip("/"): body for topic, body in DEVICE.payloads().items()}
    print(json.dumps({"announcements": announcements, "messages": {root + t.path: b for t, b in messages().items()}}))
