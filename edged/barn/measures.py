"""What one sighting shows, in body lengths: nothing here depends on pixels, on the frame rate, or on the side in view.

Source: the definitions in edged/barn/README.md. Pure; plain numbers, since seventeen points are too few for arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.barn import plan
from edged.barn.motion import mean, median
from edged.barn.plan import Known
from edged.barn.points import BESIDE, HOOVES, LEFT_HIP, NECK, NOSE, RIGHT_HIP, ROOTS, TAIL, Sighting

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
class Measures:
    """Lengths are in body lengths; NaN where too little was seen."""

    t_s: float
    length_px: float  # of the body, as far as it can be seen here
    trunk_px: float  # neck to root of the tail, as seen
    reach: float  # of a leg, from trunk to hoof; the median leg
    down: float  # share of that which points down: 1 straight down, 0 along the ground, -1 up
    depth: float  # of the belly below the trunk's line
    head: float  # of the nose above the trunk's line at the neck
    flank: float  # 1: the nose is at the flank; 0: it is not
    centre: XY  # of the trunk's line
    nose: XY
    hooves: Sequence[XY]  # left fore, right fore, left hind, right hind
    hips: float  # height difference of the two hips
    legs: XY  # height of each shoulder and hip above its hoof
    sized: bool = True  # the body's length is known
    plan: plan.Plan | None = None  # where the ground is known


def measure(sighting: Sighting, known: Known | None = None) -> Measures:
    """Legs of a horse that shows its end, while its length is not known, are not measured: by what?"""
    xy: list[list[float]] = sighting.xy.tolist()
    neck, tail, nose = xy[NECK], xy[TAIL], xy[NOSE]
    roots = [xy[beside if _lost(xy[root]) else root] for root, beside in zip(ROOTS, BESIDE, strict=True)]
    hooves = [xy[hoof] for hoof in HOOVES]
    trunk_px = math.dist(neck, tail)
    above = None if known is None or known.ground is None else plan.plan(sighting.xy, known.ground, known)
    length_px = _length(sighting.box, trunk_px, known, above)
    legs = [(hoof[0] - root[0], hoof[1] - root[1]) for hoof, root in zip(hooves, roots, strict=True)]
    sized = known is not None and known.sized
    seen = [leg for leg in legs if not _lost(leg)] if sized or trunk_px > SHOWN * length_px else []
    reach = drop = math.nan
    if len(seen) >= LEAST_LEGS:
        reach = median(math.hypot(*leg) for leg in seen) / length_px
        drop = median(leg[1] for leg in seen) / length_px
    head = (neck[1] - nose[1]) / length_px
    at_flank = above.flank if above else _flank(neck, tail, nose, length_px)
    return Measures(
        t_s=sighting.t_s,
        length_px=length_px,
        trunk_px=trunk_px,
        reach=reach,
        down=drop / max(reach, 0.05),
        depth=mean(root[1] - xy[end][1] for root, end in zip(roots, ENDS, strict=True)) / length_px,
        head=head,
        flank=0.0 if head < RAISED or (above and above.upright < UPRIGHT) else at_flank,
        centre=[(a + b) / 2 / length_px for a, b in zip(neck, tail, strict=True)],
        nose=[one / length_px for one in nose],
        hooves=[[one / length_px for one in hoof] for hoof in hooves],
        hips=(xy[LEFT_HIP][1] - xy[RIGHT_HIP][1]) / length_px,
        legs=[(xy[h][1] - xy[r][1]) / length_px for r, h in zip(ROOTS, HOOVES, strict=True)],
        sized=sized,
        plan=above,
    )


def _length(
    box: tuple[float, float, float, float], trunk_px: float, known: Known | None, above: plan.Plan | None
) -> float:
    if above is not None and above.length_px > 0:
        return above.length_px
    x0, y0, x1, y1 = box
    least = BOX_PER_LENGTH * max(x1 - x0, y1 - y0)
    if known is not None and known.length_px is not None:
        least = 0.75 * known.length_px
    return max(0.0 if math.isnan(trunk_px) else trunk_px, least, 1.0)


def _flank(neck: XY, tail: XY, nose: XY, length_px: float) -> float:
    """Whether the nose is over the trunk, on the trunk's own axis."""
    trunk, to = (tail[0] - neck[0], tail[1] - neck[1]), (nose[0] - neck[0], nose[1] - neck[1])
    trunk_px = math.hypot(*trunk)
    if not trunk_px > BROADSIDE * length_px or _lost(to):
        return math.nan
    along = (trunk[0] * to[0] + trunk[1] * to[1]) / trunk_px**2
    aside = abs(trunk[0] * to[1] - trunk[1] * to[0]) / trunk_px / length_px
    return float(FLANK[0] < along < FLANK[1] and aside < CLOSE)


def _lost(point: XY) -> bool:
    return math.isnan(point[0])
