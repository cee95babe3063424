"""What goes on in front of a camera, in words for people. Downstream: the terminal, and captions of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POSTURES = {"standing": "standing", "sternal": "on its chest", "lateral": "on its side"}
HEADS = {"above": "head up", "level": "head level", "below": "head down"}
BEHAVIOURS = {"paw": "pawing", "flank-look": "looking at its flank", "roll": "rolling", "weave": "weaving"}


def describe_scene(state: Mapping[str, Any] | None) -> str:
    """A `state` message as one line; empty where there is nothing to say. Fields that it lacks are passed over."""
    state = state or {}
    stall = state.get("stall") or {}
    horse = ", ".join(_horse(stall))
    person = "a person is there" if stall.get("person_present") else ""
    alerts = [f"ALERT {alert['event_type']}" for alert in state.get("alerts") or ()]
    return "; ".join(filter(None, (f"horse: {horse}" if horse else "", person, *alerts)))


def _horse(stall: Mapping[str, Any]) -> list[str]:
    words = [POSTURES.get(str(stall.get("posture")), ""), HEADS.get(str(stall.get("head_height")), "")]
    words += [BEHAVIOURS.get(str(name), str(name).replace("-", " ")) for name in stall.get("behaviours") or ()]
    words.append(f"at the {zone}" if (zone := stall.get("zone")) else "")
    foal = POSTURES.get(str(stall.get("foal_posture")), "")
    return [word for word in (*words, f"its foal {foal}" if foal else "") if word]
