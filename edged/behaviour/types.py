"""What passes between the parts of this folder: observations in, states and findings out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

View = Literal["ok", "degraded", "lost", "unknown"]
ViewChange = Literal["moved", "dirty"]
Posture = Literal["standing", "sternal", "lateral", "unknown"]
HeadHeight = Literal["above", "level", "below", "unknown"]  # of the nose, against the neck


@dataclass(frozen=True, slots=True, kw_only=True)
class StallState:
    """What holds in a stall at one instant."""

    posture: Posture = "unknown"
    head_height: HeadHeight = "unknown"
    behaviours: tuple[str, ...] = ()
    zone: str | None = None  # the zone that the nose is in
    horses: int = 0
    person_present: bool = False
    foal_posture: Posture | None = None  # None: not visible, or no foal is expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule of `rules.toml` that holds, and its evidence."""

    kind: str
    reason: str
    evidence: Mapping[str, float]  # by name: a count, minutes, a gauge or a z score
    coverage: float  # share of the rule's window in which the horse was observed, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraObservation:
    """One camera at one instant."""

    t_ns: int  # CLOCK_MONOTONIC
    view: View  # unknown: connecting, or no recent result
    reason: str = ""  # why the camera is lost
    connecting: bool = False  # the camera has given no frame yet, or not again
    ended: bool = False  # the source has no more frames
    overdue: bool = False  # the view is unknown for longer than its frames are apart
    degraded: tuple[str, ...] = ()  # what is wrong with the image: "dark", "bright", "flat", "blurred"
    counts: Mapping[str, int] | None = None  # subjects per class; None: unknown
    stall: StallState | None = None  # None: no stall is monitored here
    view_change: ViewChange | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)  # by kind


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneState:
    """What holds in front of a camera until something changes."""

    view: View
    degraded: tuple[str, ...]
    counts: Mapping[str, int] | None  # subjects per class, of a stall without people; None: unknown
    since_ns: int  # CLOCK_MONOTONIC
    stall: StallState | None = None
