"""Standing, sternal, lateral or unknown: each observation is labelled, and the last seconds vote.

A standing horse's legs point down, and its belly hangs below the line from neck to tail. On the chest (sternal) they
are folded; on the side (lateral) they are long and lie along the ground; on the back they point up. Without two legs in
view nothing is known: the trunk alone lies as level as it stands.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from edged.behaviour.horse.features import PoseFeatures
from edged.behaviour.horse.ground_plane import GroundProjection
from edged.behaviour.horse.thresholds import Posture as T
from edged.behaviour.types import Posture

PostureLabel = Literal["standing", "sternal", "lateral", "lying", "unknown"]  # lying: sternal or lateral


def classify_posture(features: PoseFeatures, *, was_lying: bool = False) -> PostureLabel:
    """The label of one observation. `was_lying`: in doubt it still lies."""
    if features.ground is not None and features.body_length_known:
        return "lateral" if is_on_back(features) else _classify_on_ground(features.ground)
    if math.isnan(features.leg_reach):
        return "unknown"
    if features.leg_reach < T.folded_leg_reach:
        folded = features.leg_down > T.folded_leg_down or features.leg_reach < T.no_leg_reach
        return "sternal" if folded else "lateral"
    if features.belly_depth > T.standing_belly_depth:
        return "standing" if features.leg_down > T.standing_leg_down else "unknown"
    if features.leg_down < T.lying_leg_down or features.belly_depth < T.lateral_belly_depth:
        return "lateral"
    return "lateral" if was_lying else "unknown"


def _classify_on_ground(ground: GroundProjection) -> PostureLabel:
    """On a floor of known size the trunk's height decides, whichever way the horse is turned."""
    if ground.relative_height > T.standing_height:
        return "standing"
    if not ground.relative_height < T.lying_height:
        return "unknown"
    if math.isnan(ground.leg_spread):
        return "lying"
    return "lateral" if ground.leg_spread > T.lateral_leg_spread else "sternal"


def check_standing(ground: GroundProjection, *, has_walked: bool) -> PostureLabel:
    """The label of a horse of unknown length whose legs point down, as do legs towards the camera of one that lies.

    On its chest it is low for its length. On its side it may look like a pony that stands: then it must have walked.
    """
    if ground.height_per_length <= T.standing_height_per_length:
        return "sternal"
    is_high = ground.height_per_length > T.standing_height_per_length  # not: NaN
    is_sure = has_walked or ground.trunk_height_m > T.surely_standing_m
    return "standing" if is_high and is_sure else "unknown"


def is_on_back(features: PoseFeatures) -> bool:
    return features.leg_reach > T.on_back_leg_reach and features.leg_down < T.on_back_leg_down


class PostureFilter:
    """The posture of the last seconds: a change needs agreement, and too little visible is unknown.

    An observation weighs as long as the time since the one before, a second at most: a burst of frames has one vote.
    """

    def __init__(self) -> None:
        self.posture: Posture = "unknown"
        self._labels: deque[tuple[float, float, PostureLabel]] = deque()  # t_s, weight in s, label

    def update(self, t_s: float, label: PostureLabel) -> None:
        weight_s = min(t_s - self._labels[-1][0], T.max_weight_s) if self._labels else T.max_weight_s
        self._labels.append((t_s, weight_s, label))
        self.expire(t_s)
        if t_s - self._labels[0][0] >= T.min_window_s and len(self._labels) >= T.min_observations:
            self.posture = self._decide()

    def expire(self, t_s: float) -> None:
        """Drop the labels that are too old; without any the posture is unknown."""
        while self._labels and t_s - self._labels[0][0] > T.window_s:
            self._labels.popleft()
        if not self._labels:
            self.posture = "unknown"

    def _decide(self) -> Posture:
        labels: tuple[PostureLabel, ...] = ("standing", "sternal", "lateral", "lying", "unknown")
        votes = dict.fromkeys(labels, 0.0)
        for _, weight_s, label in self._labels:
            votes[label] += weight_s
        known = sum(votes.values()) - votes["unknown"]
        if known < T.min_known * sum(votes.values()):
            return self._hold(known, votes["standing"])
        if votes["standing"] >= T.min_agreement * known:
            return "standing"
        if known - votes["standing"] >= T.min_agreement * known:
            return self._decide_lying(votes["sternal"], votes["lateral"])
        return self.posture

    def _hold(self, known: float, standing: float) -> Posture:
        """Little is known: the posture stays if all known votes agree with it."""
        agrees = standing == known if self.posture == "standing" else standing == 0
        return self.posture if known and agrees else "unknown"

    def _decide_lying(self, sternal: float, lateral: float) -> Posture:
        current = {"sternal": sternal, "lateral": lateral}.get(self.posture)
        if current is not None and current >= (1 - T.min_agreement) * (sternal + lateral):
            return self.posture
        if not sternal and not lateral:
            return "unknown"
        return "lateral" if lateral > sternal else "sternal"
