"""Standing, on the chest, on the side, or unknown: each sighting has its say, and the last seconds decide together.

The legs tell. A standing horse's point down, and its belly hangs below the line from neck to tail; lying on the chest
they are folded, lying on the side they are long and lie along the ground, on the back they point up. Without two legs
in view nothing is said: the trunk alone lies as level as it stands.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from edged.behaviour.horse.features import PoseFeatures
from edged.behaviour.horse.ground_projection import GroundProjection

Posture = Literal["standing", "sternal", "lateral", "unknown"]
PostureLabel = Literal["standing", "sternal", "lateral", "lying", "unknown"]  # lying: on its chest or on its side

FOLDED, GONE = 0.3, 0.15  # reach of a leg that is folded; of one that cannot be told from none
DOWNWARD, ALONG, RAISED = 0.65, 0.55, 0.2  # share of a leg that points down: upright; lying; not under the body
HANGS, FLAT = 0.27, 0.2  # depth of the belly: upright from, lying on the side whatever the legs do
UP = -0.3  # legs point up: on the back
STANDS, LIES = 0.5, 0.42  # height of the trunk in heights of the standing horse: from, up to
STRETCHED = 0.34  # legs along the ground: on the side

WINDOW_S = 6.0  # that decides
SPEAKS_S = 1.0  # one sighting, at most
LEAST_S, LEAST_SEEN = 3.0, 3  # of it, before anything is decided
KNOWN = 0.4  # of the sightings that must say something
AGREED = 0.7  # of those that do, to change to what they say


def classify_posture(features: PoseFeatures, *, was_lying: bool = False) -> PostureLabel:
    """What one sighting says; of a horse that `was_lying` before, what does not hang still lies."""
    if features.ground is not None and features.body_length_known:
        return "lateral" if is_on_back(features) else _classify_on_ground(features.ground)
    if math.isnan(features.leg_reach):
        return "unknown"
    if features.leg_reach < FOLDED:
        return "sternal" if features.leg_down > RAISED or features.leg_reach < GONE else "lateral"
    if features.belly_depth > HANGS:
        return "standing" if features.leg_down > DOWNWARD else "unknown"
    if features.leg_down < ALONG or features.belly_depth < FLAT:
        return "lateral"
    return "lateral" if was_lying else "unknown"


def _classify_on_ground(ground: GroundProjection) -> PostureLabel:
    """On a ground of known size the trunk's height tells, whichever way the horse is turned."""
    if ground.relative_height > STANDS:
        return "standing"
    if not ground.relative_height < LIES:
        return "unknown"
    if math.isnan(ground.leg_spread):
        return "lying"
    return "lateral" if ground.leg_spread > STRETCHED else "sternal"


def is_on_back(features: PoseFeatures) -> bool:
    return not math.isnan(features.leg_reach) and features.leg_reach > FOLDED - 0.05 and features.leg_down < UP


class PostureFilter:
    """Sightings in, the posture that holds out: changes need agreement, and too little seen is unknown.

    Each sighting speaks for the time since the one before, a second at most: a burst of frames is not many horses.
    """

    def __init__(self) -> None:
        self.posture: Posture = "unknown"
        self._labels: deque[tuple[float, float, PostureLabel]] = deque()  # when, for how long, what

    def update(self, t_s: float, label: PostureLabel) -> Posture:
        lasted_s = min(t_s - self._labels[-1][0], SPEAKS_S) if self._labels else SPEAKS_S
        self._labels.append((t_s, lasted_s, label))
        self.expire(t_s)
        if t_s - self._labels[0][0] >= LEAST_S and len(self._labels) >= LEAST_SEEN:
            self.posture = self._decide()
        return self.posture

    def expire(self, t_s: float) -> None:
        """Time has passed; what nobody saw lately is unknown."""
        while self._labels and t_s - self._labels[0][0] > WINDOW_S:
            self._labels.popleft()
        if not self._labels:
            self.posture = "unknown"

    def _decide(self) -> Posture:
        votes: dict[PostureLabel, float] = {
            "standing": 0.0,
            "sternal": 0.0,
            "lateral": 0.0,
            "lying": 0.0,
            "unknown": 0.0,
        }
        for _, lasted_s, said in self._labels:
            votes[said] += lasted_s
        known = sum(votes.values()) - votes["unknown"]
        if known < KNOWN * sum(votes.values()):
            return self._hold(known, votes["standing"])
        if votes["standing"] >= AGREED * known:
            return "standing"
        if known - votes["standing"] >= AGREED * known:
            return self._decide_lying(votes["sternal"], votes["lateral"])
        return self.posture

    def _hold(self, known: float, standing: float) -> Posture:
        """Little was seen: it is as before when all of that says so."""
        same = standing == known if self.posture == "standing" else standing == 0
        return self.posture if known and same else "unknown"

    def _decide_lying(self, sternal: float, lateral: float) -> Posture:
        now = {"sternal": sternal, "lateral": lateral}.get(self.posture)
        if now is not None and now >= (1 - AGREED) * (sternal + lateral):
            return self.posture
        if not sternal and not lateral:
            return "unknown"
        return "lateral" if lateral > sternal else "sternal"
