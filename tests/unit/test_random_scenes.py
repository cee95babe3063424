"""Random stories before the scene monitor: no state contradicts itself or the schema."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from edged.frame import ImageQuality
from tests.support.scene import CLEAR, Stage
from tests.support.schema import schema_errors
from tests.support.stall import STALL

FAULTS = [CLEAR] * 6 + [
    ImageQuality(brightness=1, contrast=1, sharpness=1, degraded=degraded)
    for degraded in (("dark",), ("blurred",), ("dark", "flat"))
]
PHASES = ["online"] * 12 + ["lost", "connecting"]
LABELS = [(), ("horse",), ("horse", "horse"), ("horse", "person"), ("person",)]


def story(stage: Stage, dice: random.Random) -> None:
    """Stretches of one thing, and things that take turns at every look."""
    for _ in range(30):
        labels, phase = dice.choice(LABELS), dice.choice(PHASES)
        for _ in range(dice.choice([1, 2, 6])):
            seconds, quality = dice.choice([0.5, 0.5, 1, 4]), dice.choice(FAULTS)
            stage.show(seconds, *labels, phase=phase, quality=quality)  # type: ignore[arg-type]
            assert stage.failures == {}


def contradictions(state: dict[str, Any]) -> list[str]:
    known = state["counts"] is not None and state["stall"] is not None
    found = {
        "known or not": known != (state["view"] == "ok"),
        "people counted": "person" in (state["counts"] or {}),
        "faults": bool(state["degraded"]) != (state["view"] == "degraded"),
        "alerts": state["alert_ids"] != [alert["alert_id"] for alert in state["alerts"]],
    }
    return [name for name, wrong in found.items() if wrong]


@pytest.mark.parametrize("seed", range(3))
def test_states_of_a_random_story_contradict_nothing(tmp_path: Path, seed: int) -> None:
    stage = Stage(tmp_path, {"stall": STALL})
    story(stage, random.Random(seed))
    states = stage.published("state")
    assert len(states) > 10
    assert [error for body in states for error in schema_errors("cam/stall/state", body)] == []
    assert [(found, json.dumps(body)) for body in states if (found := contradictions(body))] == []
    assert len({body["id"] for body in states}) == len(states)
