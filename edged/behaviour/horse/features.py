"""One observation as features in body lengths, and the features of the last seconds as arrays.

Nothing here depends on pixels, on the frame rate or on the side in view. Source of the definitions: README.md.
Upstream: keypoints. Downstream: posture, behaviours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.behaviour.horse.ground_plane import BodySize, GroundProjection, project_to_ground
from edged.behaviour.horse.keypoints import (
    HOOVES,
    LEFT_HIP,
    NECK,
    NOSE,
    OPPOSITE_ROOTS,
    RIGHT_HIP,
    ROOTS,
    TAIL,
    Box,
    KeypointObservation,
)
from edged.behaviour.horse.nan_stats import nan_mean, nan_median
from edged.behaviour.horse.thresholds import Features as T
from edged.frame import F64

TRUNK_ENDS = (NECK, NECK, TAIL, TAIL)  # of the trunk line, nearest to each leg
HISTORY_S = 12.0  # of observations that are kept at least
MAX_ROWS = 512  # 12 s at 40 Hz
ROW = np.dtype(
    [
        ("t_s", np.float64),
        ("body_length_px", np.float64),
        ("head_height", np.float64),
        ("trunk_length", np.float64),
        ("nose_at_flank", np.float64),
        ("hip_tilt", np.float64),
        ("leg_heights", np.float64, 4),
        ("trunk_centre", np.float64, 2),
        ("nose", np.float64, 2),
        ("hooves", np.float64, (4, 2)),
    ]
)

XY = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseFeatures:
    """Plain numbers: seventeen keypoints are too few for arrays. In body lengths; NaN: too little was visible."""

    t_s: float  # CLOCK_MONOTONIC
    body_length_px: float  # as it appears here
    trunk_length_px: float  # neck to root of the tail, as visible
    leg_reach: float  # trunk to hoof; the median leg
    leg_down: float  # share of the reach that points down: 1 straight down, 0 along the ground, -1 up
    belly_depth: float  # of shoulders and hips below the trunk line
    head_height: float  # of the nose above the neck
    nose_at_flank: float  # 1: the nose is at the flank; 0: it is not
    trunk_centre: XY  # x, y
    nose: XY  # x, y
    hooves: Sequence[XY]  # left fore, right fore, left hind, right hind
    hip_tilt: float  # height difference of the two hips
    leg_heights: XY  # of each shoulder and hip above its hoof; order of `hooves`
    body_length_known: bool = True
    ground: GroundProjection | None = None  # None: the floor's size is not known


def extract_features(observation: KeypointObservation, body_size: BodySize | None = None) -> PoseFeatures:
    """The features of one observation. Without a known body length the legs of a horse seen end-on stay NaN."""
    xy: list[list[float]] = observation.xy.tolist()
    neck, tail, nose = xy[NECK], xy[TAIL], xy[NOSE]
    roots = [xy[other if _is_missing(xy[root]) else root] for root, other in zip(ROOTS, OPPOSITE_ROOTS, strict=True)]
    hooves = [xy[hoof] for hoof in HOOVES]
    trunk_px = math.dist(neck, tail)
    plane = None if body_size is None else body_size.ground
    ground = None if plane is None or body_size is None else project_to_ground(observation.xy, plane, body_size)
    length_px = _body_length_px(observation.box, trunk_px, body_size, ground)
    length_known = body_size is not None and body_size.is_known
    broadside = length_known or trunk_px > T.broadside_trunk * length_px
    reach, drop = _legs(roots, hooves, length_px) if broadside else (math.nan, math.nan)
    return PoseFeatures(
        t_s=observation.t_s,
        body_length_px=length_px,
        trunk_length_px=trunk_px,
        leg_reach=reach,
        leg_down=drop / max(reach, T.min_reach),
        belly_depth=nan_mean(root[1] - xy[end][1] for root, end in zip(roots, TRUNK_ENDS, strict=True)) / length_px,
        head_height=(neck[1] - nose[1]) / length_px,
        nose_at_flank=_flank(neck, tail, nose, length_px, ground),
        trunk_centre=[(a + b) / 2 / length_px for a, b in zip(neck, tail, strict=True)],
        nose=[one / length_px for one in nose],
        hooves=[[one / length_px for one in hoof] for hoof in hooves],
        hip_tilt=(xy[LEFT_HIP][1] - xy[RIGHT_HIP][1]) / length_px,
        leg_heights=[(xy[hoof][1] - xy[root][1]) / length_px for root, hoof in zip(ROOTS, HOOVES, strict=True)],
        body_length_known=length_known,
        ground=ground,
    )


def _legs(roots: Sequence[XY], hooves: Sequence[XY], length_px: float) -> tuple[float, float]:
    """Reach and drop of the median leg; NaN where too few legs are visible."""
    legs = [(hoof[0] - root[0], hoof[1] - root[1]) for hoof, root in zip(hooves, roots, strict=True)]
    known = [leg for leg in legs if not _is_missing(leg)]
    if len(known) < T.min_legs:
        return math.nan, math.nan
    return nan_median(math.hypot(*leg) for leg in known) / length_px, nan_median(leg[1] for leg in known) / length_px


def _body_length_px(box: Box, trunk_px: float, body_size: BodySize | None, ground: GroundProjection | None) -> float:
    if ground is not None and ground.body_length_px > 0:
        return ground.body_length_px
    x0, y0, x1, y1 = box
    least = T.length_per_box * max(x1 - x0, y1 - y0)
    if body_size is not None and body_size.length_px is not None:
        least = T.length_per_known * body_size.length_px
    return max(0.0 if math.isnan(trunk_px) else trunk_px, least, 1.0)


def _flank(neck: XY, tail: XY, nose: XY, length_px: float, ground: GroundProjection | None) -> float:
    """1: the nose is at the flank of a standing horse; 0: it is not; NaN: unknown."""
    if (neck[1] - nose[1]) / length_px < T.flank_head_height:
        return 0.0
    if ground is not None and ground.relative_height < T.flank_relative_height:
        return 0.0
    return _nose_at_flank(neck, tail, nose, length_px) if ground is None else ground.nose_at_flank


def _nose_at_flank(neck: XY, tail: XY, nose: XY, length_px: float) -> float:
    """Whether the nose lies over the trunk in the image, measured along the trunk's own axis."""
    trunk, to_nose = (tail[0] - neck[0], tail[1] - neck[1]), (nose[0] - neck[0], nose[1] - neck[1])
    trunk_px = math.hypot(*trunk)
    if not trunk_px > T.flank_trunk * length_px or _is_missing(to_nose):
        return math.nan
    along = (trunk[0] * to_nose[0] + trunk[1] * to_nose[1]) / trunk_px**2
    aside = abs(trunk[0] * to_nose[1] - trunk[1] * to_nose[0]) / trunk_px / length_px
    return float(T.flank_along[0] < along < T.flank_along[1] and aside < T.flank_aside)


def _is_missing(point: XY) -> bool:
    return math.isnan(point[0])


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWindow:
    """N observations, oldest first. Float64, in body lengths of the whole window; NaN: not visible."""

    t_s: F64  # (N,) CLOCK_MONOTONIC
    body_length_px: float  # median of the window
    head_height: F64  # (N,)
    trunk_length: F64  # (N,) as visible
    nose_at_flank: F64  # (N,) 1 or 0
    hip_tilt: F64  # (N,)
    leg_heights: F64  # (N, 4)
    trunk_centre: F64  # (N, 2)
    nose: F64  # (N, 2)
    hooves: F64  # (N, 4, 2)


class FeatureHistory:
    """The features of the last `HISTORY_S` or more. One thread."""

    def __init__(self) -> None:
        self._rows = np.full(MAX_ROWS, np.nan, ROW)
        self._count = 0

    def add(self, features: PoseFeatures) -> None:
        if self._count == MAX_ROWS:
            self._drop(MAX_ROWS // 4)
        self._rows[self._count] = (
            features.t_s,
            features.body_length_px,
            features.head_height,
            features.trunk_length_px / features.body_length_px,
            features.nose_at_flank,
            features.hip_tilt,
            features.leg_heights,
            features.trunk_centre,
            features.nose,
            features.hooves,
        )
        self._count += 1

    def last(self, seconds: float, now_s: float) -> FeatureWindow:
        """The observations of the last `seconds`."""
        if self._count and now_s - self._rows["t_s"][0] > 2 * HISTORY_S:
            self._drop(int(np.searchsorted(self._rows["t_s"][: self._count], now_s - HISTORY_S)))
        rows = self._rows[: self._count]
        rows = rows[np.searchsorted(rows["t_s"], now_s - seconds) :]
        length_px = nan_median(rows["body_length_px"])
        scale = rows["body_length_px"] / length_px
        return FeatureWindow(
            t_s=rows["t_s"],
            body_length_px=length_px,
            head_height=rows["head_height"],
            trunk_length=rows["trunk_length"] * scale,
            nose_at_flank=rows["nose_at_flank"],
            hip_tilt=rows["hip_tilt"],
            leg_heights=rows["leg_heights"] * scale[:, None],
            trunk_centre=rows["trunk_centre"] * scale[:, None],
            nose=rows["nose"] * scale[:, None],
            hooves=rows["hooves"] * scale[:, None, None],
        )

    def _drop(self, count: int) -> None:
        left = self._count - count
        self._rows[:left] = self._rows[count : self._count].copy()
        self._count = left
