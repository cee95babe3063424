"""What one sighting shows, in body lengths: nothing here depends on pixels, on the frame rate, or on the side in view.

Source: the definitions in edged/barn/README.md. Pure numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edged.barn.motion import middle
from edged.barn.points import BESIDE, F64, HOOVES, LEFT_HIP, NECK, NOSE, RIGHT_HIP, ROOTS, TAIL, Sighting

ENDS = np.array([NECK, NECK, TAIL, TAIL])  # of the trunk's line, nearest to each leg
SHOWN = 0.75  # of the body length that the box suggests; less: the horse shows its end
LEAST_LEGS = 2  # with root and hoof seen; fewer say nothing of the posture
BOX_PER_LENGTH = 0.45  # least body length, of the box's longer side: a horse seen end-on has a short neck-tail line


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
    along: float  # of the nose along the trunk: 0 at the neck, 1 at the root of the tail, below 0 in front
    aside: float  # of the nose from the trunk's line
    centre: F64  # (2,) of the trunk's line
    nose: F64  # (2,)
    hooves: F64  # (4, 2) left fore, right fore, left hind, right hind
    hips: float  # height difference of the two hips


def measure(sighting: Sighting, usual_px: float | None = None) -> Measures:
    """`usual_px` is the body length known of this horse in this stall.

    Without it the box says how large it is; legs of a horse that then shows its end are not measured: by what?
    """
    xy = sighting.xy
    trunk = xy[TAIL] - xy[NECK]
    trunk_px = math.hypot(*trunk)
    length_px = _length(sighting, trunk_px, usual_px)
    roots = np.where(np.isnan(xy[ROOTS]), xy[BESIDE], xy[ROOTS])
    legs = (xy[HOOVES] - roots) / length_px
    seen = legs[~np.isnan(legs[:, 0])] if usual_px is not None or trunk_px > SHOWN * length_px else legs[:0]
    reach = middle(np.hypot(seen[:, 0], seen[:, 1])) if len(seen) >= LEAST_LEGS else math.nan
    drop = middle(seen[:, 1]) if len(seen) >= LEAST_LEGS else math.nan
    centre = (xy[NECK] + xy[TAIL]) / 2
    nose = xy[NOSE] - xy[NECK]
    along = float(nose @ trunk) / trunk_px**2 if trunk_px > 0 else math.nan
    return Measures(
        t_s=sighting.t_s,
        length_px=length_px,
        trunk_px=trunk_px,
        reach=reach,
        down=drop / max(reach, 0.05),
        depth=_mean((roots - xy[ENDS])[:, 1]) / length_px,
        head=-float(nose[1]) / length_px,
        along=along,
        aside=abs(float(trunk[0] * nose[1] - trunk[1] * nose[0])) / trunk_px / length_px if trunk_px > 0 else math.nan,
        centre=centre / length_px,
        nose=xy[NOSE] / length_px,
        hooves=xy[HOOVES] / length_px,
        hips=float(xy[LEFT_HIP, 1] - xy[RIGHT_HIP, 1]) / length_px,
    )


def _length(sighting: Sighting, trunk_px: float, usual_px: float | None) -> float:
    x0, y0, x1, y1 = sighting.box
    least = BOX_PER_LENGTH * max(x1 - x0, y1 - y0)
    seen = 0.0 if math.isnan(trunk_px) else trunk_px
    return max(seen, least if usual_px is None else 0.75 * usual_px, 1.0)


def _mean(values: F64) -> float:
    """Of what was seen."""
    seen = values[~np.isnan(values)]
    return float(seen.mean()) if len(seen) else math.nan
