"""What one sighting shows, in body lengths: nothing here depends on pixels, on the frame rate, or on the side in view.

Source: the definitions in edged/behaviour/horse/README.md. Pure; plain numbers, since seventeen points are too few for arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.behaviour.horse import ground_projection
from edged.behaviour.horse.behaviours import mean, median
from edged.behaviour.horse.ground_projection import BodySize
from edged.behaviour.horse.points import (
    HOOVES,
    LEFT_HIP,
    NECK,
    NOSE,
    OPPOSITE_ROOTS,
    RIGHT_HIP,
    ROOTS,
    TAIL,
    KeypointObservation,
)

ENDS = (NECK, NECK, TAIL, TAIL)  # of the trunk's line, nearest to each leg
SHOWN = 0.75  # of the body length that the box suggests; less: the horse shows its end
LEAST_LEGS = 2  # with root and hoof seen; fewer say nothing of the posture
BOX_PER_LENGTH = 0.45  # least body length, of the box's longer side: a horse seen end-on has a short neck-tail line
FLANK, CLOSE = (-0.05, 1.1), 0.6  # where the nose is when it looks back: along the trunk's line, and from it
RAISED = -0.35  # above the neck, or it is at the ground
UPRIGHT = 0.75  # the trunk's height, in heights of the standing horse; or it is on its way down
BROADSIDE = 0.6  # least of the body length that the trunk must show; else there is no flank to look at

XY = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseFeatures:
    """Lengths are in body lengths; NaN where too little was seen."""

    t_s: float
    body_length_px: float  # of the body, as far as it can be seen here
    trunk_length_px: float  # neck to root of the tail, as seen
    leg_reach: float  # of a leg, from trunk to hoof; the median leg
    leg_down: float  # share of that which points down: 1 straight down, 0 along the ground, -1 up
    belly_depth: float  # of the belly below the trunk's line
    head_height: float  # of the nose above the trunk's line at the neck
    nose_at_flank: float  # 1: the nose is at the flank; 0: it is not
    trunk_centre: XY  # of the trunk's line
    nose: XY
    hooves: Sequence[XY]  # left fore, right fore, left hind, right hind
    hip_tilt: float  # height difference of the two hips
    leg_heights: XY  # height of each shoulder and hip above its hoof
    body_length_known: bool = True  # the body's length is known
    ground: ground_projection.GroundProjection | None = None  # where the ground is known


def extract_features(observation: KeypointObservation, body_size: BodySize | None = None) -> PoseFeatures:
    """Legs of a horse that shows its end, while its length is not known, are not measured: by what?"""
    xy: list[list[float]] = observation.xy.tolist()
    neck, tail, nose = xy[NECK], xy[TAIL], xy[NOSE]
    roots = [xy[beside if _is_missing(xy[root]) else root] for root, beside in zip(ROOTS, OPPOSITE_ROOTS, strict=True)]
    hooves = [xy[hoof] for hoof in HOOVES]
    trunk_px = math.dist(neck, tail)
    above = (
        None
        if body_size is None or body_size.ground is None
        else ground_projection.project_to_ground(observation.xy, body_size.ground, body_size)
    )
    length_px = _body_length_px(observation.box, trunk_px, body_size, above)
    legs = [(hoof[0] - root[0], hoof[1] - root[1]) for hoof, root in zip(hooves, roots, strict=True)]
    sized = body_size is not None and body_size.is_known
    seen = [leg for leg in legs if not _is_missing(leg)] if sized or trunk_px > SHOWN * length_px else []
    reach = drop = math.nan
    if len(seen) >= LEAST_LEGS:
        reach = median(math.hypot(*leg) for leg in seen) / length_px
        drop = median(leg[1] for leg in seen) / length_px
    head = (neck[1] - nose[1]) / length_px
    at_flank = above.nose_at_flank if above else _nose_at_flank(neck, tail, nose, length_px)
    return PoseFeatures(
        t_s=observation.t_s,
        body_length_px=length_px,
        trunk_length_px=trunk_px,
        leg_reach=reach,
        leg_down=drop / max(reach, 0.05),
        belly_depth=mean(root[1] - xy[end][1] for root, end in zip(roots, ENDS, strict=True)) / length_px,
        head_height=head,
        nose_at_flank=0.0 if head < RAISED or (above and above.relative_height < UPRIGHT) else at_flank,
        trunk_centre=[(a + b) / 2 / length_px for a, b in zip(neck, tail, strict=True)],
        nose=[one / length_px for one in nose],
        hooves=[[one / length_px for one in hoof] for hoof in hooves],
        hip_tilt=(xy[LEFT_HIP][1] - xy[RIGHT_HIP][1]) / length_px,
        leg_heights=[(xy[h][1] - xy[r][1]) / length_px for r, h in zip(ROOTS, HOOVES, strict=True)],
        body_length_known=sized,
        ground=above,
    )


def _body_length_px(
    box: tuple[float, float, float, float],
    trunk_px: float,
    body_size: BodySize | None,
    ground: ground_projection.GroundProjection | None,
) -> float:
    if ground is not None and ground.body_length_px > 0:
        return ground.body_length_px
    x0, y0, x1, y1 = box
    least = BOX_PER_LENGTH * max(x1 - x0, y1 - y0)
    if body_size is not None and body_size.length_px is not None:
        least = 0.75 * body_size.length_px
    return max(0.0 if math.isnan(trunk_px) else trunk_px, least, 1.0)


def _nose_at_flank(neck: XY, tail: XY, nose: XY, length_px: float) -> float:
    """Whether the nose is over the trunk, on the trunk's own axis."""
    trunk, to = (tail[0] - neck[0], tail[1] - neck[1]), (nose[0] - neck[0], nose[1] - neck[1])
    trunk_px = math.hypot(*trunk)
    if not trunk_px > BROADSIDE * length_px or _is_missing(to):
        return math.nan
    along = (trunk[0] * to[0] + trunk[1] * to[1]) / trunk_px**2
    aside = abs(trunk[0] * to[1] - trunk[1] * to[0]) / trunk_px / length_px
    return float(FLANK[0] < along < FLANK[1] and aside < CLOSE)


def _is_missing(point: XY) -> bool:
    return math.isnan(point[0])
