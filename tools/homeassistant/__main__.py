"""Print what an example appliance announces, and a message of every kind, for check.py."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic_ns
from typing import Any

from edged.box.health import CameraView, Health
from edged.box.meter import Meter
from edged.box.trend import Trend
from edged.bus import message, topics
from edged.bus.discovery import Appliance
from edged.bus.message import Stamps
from edged.channel import CameraState
from edged.clock import Clock
from edged.ring import Ledger
from edged.watching.alerts import RULES, Episode
from edged.watching.daily import Day
from edged.watching.scene import Situation

CAMERAS = {"stall-1": ("horse", "person"), "yard": ("person",)}
APPLIANCE = Appliance(
    id="edged-0123abcd",
    base="site/edged",
    name="Barn box",
    version="1.0.0",
    health_s=30,
    cameras=CAMERAS,
    pictures=frozenset({"yard"}),
    stalls=frozenset({"stall-1"}),
    kinds=tuple(rule.kind for rule in RULES),
    commands=frozenset({"snapshot", "restart-camera"}),
)
LEDGER = Ledger(captured=9, processed=9, dropped=0, failed=0, waiting=0)


def view(name: str) -> CameraView:
    """A camera that has just come online."""
    return CameraView(
        state=CameraState(camera=name, phase="online", reason="", since_ns=monotonic_ns()),
        ledger=LEDGER,
        reading=Meter().read(LEDGER),
        figures=Trend().read(),
        latest=None,
        losses_per_h=0,
        reconnects_per_h=0,
    )


def messages() -> dict[topics.Topic, Any]:
    stamps = Stamps(Clock())
    health = Health(Path("/"), stamps.utc_ms, lambda: stamps.synced)({name: view(name) for name in CAMERAS}, {}, {})
    said: dict[topics.Topic, Any] = {
        topics.STATUS.at(): message.presence(stamps, "online"),
        topics.HEALTH.at(): message.health(stamps, health),
    }
    for name, labels in CAMERAS.items():
        situation = Situation(view="ok", degraded=(), present=dict.fromkeys(labels, 1), since_ns=monotonic_ns())
        day = Day(date="2026-03-01", present_s=dict.fromkeys(labels, 60.0))
        episode = Episode(id="1", camera=name, rule=RULES[0], stage="open", since_ns=monotonic_ns(), reason="unplugged")
        said |= {
            topics.CAMERA_STATUS.at(camera=name): message.camera_status(
                stamps, name, state="online", reason="640x480", since_ns=monotonic_ns()
            ),
            topics.STATE.at(camera=name): message.state(stamps, name, situation, ()),
            topics.DAILY.at(camera=name): message.daily(stamps, name, day, closed=False),
            topics.ALERT.at(camera=name): message.alert(stamps, episode),
        }
    return said


if __name__ == "__main__":
    root = f"{APPLIANCE.base}/{APPLIANCE.id}/"
    announcements = {topic.path.lstrip("/"): body for topic, body in APPLIANCE.announcements().items()}
    print(json.dumps({"announcements": announcements, "messages": {root + t.path: b for t, b in messages().items()}}))
