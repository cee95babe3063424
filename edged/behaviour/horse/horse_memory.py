"""What is known of a stall's horse and foal, kept through a restart: since when each lies, and how large it is.

Upstream: the stall monitor. Downstream: a state file, and the next stall monitor. Times are CLOCK_MONOTONIC in seconds,
which another boot begins anew: of that the sizes alone are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edged.behaviour.local_day import Amount
from edged.runtime.boot import boot_id

MAX_SAMPLES = 60  # of a body size that are kept: their distribution decides, not their order


@with_config(ConfigDict(extra="forbid"))
class HorseMemory(TypedDict):
    """One horse."""

    lying_since_s: Amount | None
    was_upright: bool | None  # at the last known posture
    posture_known_s: Amount
    last_standing_s: Amount | None
    lengths: Annotated[list[Amount], Field(max_length=MAX_SAMPLES)]  # px; m on a floor of known size
    heights_m: Annotated[list[Amount], Field(max_length=MAX_SAMPLES)]


@with_config(ConfigDict(extra="forbid"))
class MeasuredWith(TypedDict):
    """What the sizes of horses hold for: images of this size, with the floor drawn and measured so."""

    size_wh: tuple[int, int]
    floor: list[tuple[float, float]] | None
    floor_m: tuple[float, float] | None


@with_config(ConfigDict(extra="forbid"))
class StallMemory(TypedDict):
    """One stall."""

    measured_with: MeasuredWith
    horse: HorseMemory
    foal: HorseMemory


@with_config(ConfigDict(extra="forbid"))
class _Document(TypedDict):
    boot_id: str
    stalls: dict[str, StallMemory]


_DOCUMENT = TypeAdapter(_Document)


def document(stalls: Mapping[str, StallMemory]) -> dict[str, Any]:
    """The state file of these stalls."""
    return {"boot_id": boot_id(), "stalls": dict(stalls)}


def parse(saved: Any) -> dict[str, StallMemory]:
    """The stalls of a state file. Raises ValueError for what is none."""
    checked = _DOCUMENT.validate_python(saved)
    stalls = checked["stalls"]
    if not (this_boot := boot_id()) or checked["boot_id"] != this_boot:
        for stall in stalls.values():
            stall["horse"], stall["foal"] = _without_times(stall["horse"]), _without_times(stall["foal"])
    return stalls


def _without_times(horse: HorseMemory) -> HorseMemory:
    return {**horse, "lying_since_s": None, "was_upright": None, "posture_known_s": 0.0, "last_standing_s": None}
