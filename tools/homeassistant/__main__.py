"""Print the discovery payloads of an example appliance: `python -m tools.homeassistant | python check.py`."""

from __future__ import annotations

import json

from edged.alerts import RULES
from edged.discovery import Appliance

EXAMPLE = Appliance(
    id="edged-0123abcd",
    base="site/edged",
    name="Barn box",
    version="1.0.0",
    health_s=30,
    cameras={"stall-1": ("horse", "person"), "yard": ("person",)},
    pictures=frozenset({"yard"}),
    kinds=tuple(rule.kind for rule in RULES),
    commands=frozenset({"snapshot", "restart-camera"}),
)

if __name__ == "__main__":
    announcements = {topic.path.lstrip("/"): body for topic, body in EXAMPLE.announcements().items()}
    print(json.dumps({"announcements": announcements, "messages": {}}))
