"""The thresholds of the stall monitor: complete, typed, each with unit and source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edged.behaviour.horse import thresholds
from edged.behaviour.horse.thresholds import THRESHOLDS, parse_thresholds

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = Path(thresholds.__file__).with_suffix(".toml").read_text()
ENTRIES = [
    (f"{section}.{name}", entry) for section, table in tomllib.loads(TEXT).items() for name, entry in table.items()
]


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=[name for name, _ in ENTRIES])
def test_threshold_has_value_unit_and_source(name: str, entry: dict[str, Any]) -> None:
    assert set(entry) == {"value", "unit", "source"}
    assert entry["unit"]
    assert entry["source"]


def test_thresholds_are_read_by_name_and_type() -> None:
    assert THRESHOLDS.posture.folded_leg_reach == 0.3
    assert THRESHOLDS.behaviours.paw_hz == (0.7, 3.0)
    assert THRESHOLDS.bouts["flank-look"].max_s == 20.0


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("folded_leg_reach", "folded_leg_reech"),
        TEXT.replace("[gait]", "[gate]"),
        TEXT.replace("folded_leg_reach = { value", "folded_leg_reach = { valeu"),
    ],
    ids=["unknown name", "unknown section", "no value"],
)
def test_incomplete_thresholds_are_rejected(text: str) -> None:
    with pytest.raises((TypeError, KeyError)):
        parse_thresholds(text)
