"""Standing, on the chest, on the side, or unknown: each sighting has its say, and the last seconds decide together.

The legs tell. A standing horse's point down, and its belly hangs below the line from neck to tail; lying on the chest
they are folded, lying on the side they are long and lie along the ground, on the back they point up. Without two legs
in view nothing is said: the trunk alone lies as level as it stands.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from edged.barn.measures import Measures
from edged.barn.plan import Plan

Posture = Literal["standing", "sternal", "lateral", "unknown"]
Said = Literal["standing", "sternal", "lateral", "lying", "unknown"]  # lying: on its chest or on its side

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


def glimpse(seen: Measures, *, lay: bool = False) -> Said:
    """What one sighting says; of a horse that `lay` before, what does not hang still lies."""
    if seen.plan is not None and seen.sized:
        return "lateral" if on_its_back(seen) else _from_above(seen.plan)
    if math.isnan(seen.reach):
        return "unknown"
    if seen.reach < FOLDED:
        return "sternal" if seen.down > RAISED or seen.reach < GONE else "lateral"
    if seen.depth > HANGS:
        return "standing" if seen.down > DOWNWARD else "unknown"
    if seen.down < ALONG or seen.depth < FLAT:
        return "lateral"
    return "lateral" if lay else "unknown"


def _from_above(seen: Plan) -> Said:
    """On a ground of known size the trunk's height tells, whichever way the horse is turned."""
    if seen.upright > STANDS:
        return "standing"
    if not seen.upright < LIES:
        return "unknown"
    if math.isnan(seen.spread):
        return "lying"
    return "lateral" if seen.spread > STRETCHED else "sternal"


def on_its_back(seen: Measures) -> bool:
    return not math.isnan(seen.reach) and seen.reach > FOLDED - 0.05 and seen.down < UP


class Deciding:
    """Sightings in, the posture that holds out: changes need agreement, and too little seen is unknown.

    Each sighting speaks for the time since the one before, a second at most: a burst of frames is not many horses.
    """

    def __init__(self) -> None:
        self.now: Posture = "unknown"
        self._said: deque[tuple[float, float, Said]] = deque()  # when, for how long, what

    def see(self, t_s: float, said: Said) -> Posture:
        lasted_s = min(t_s - self._said[-1][0], SPEAKS_S) if self._said else SPEAKS_S
        self._said.append((t_s, lasted_s, said))
        self.forget(t_s)
        if t_s - self._said[0][0] >= LEAST_S and len(self._said) >= LEAST_SEEN:
            self.now = self._decided()
        return self.now

    def forget(self, t_s: float) -> None:
        """Time has passed; what nobody saw lately is unknown."""
        while self._said and t_s - self._said[0][0] > WINDOW_S:
            self._said.popleft()
        if not self._said:
            self.now = "unknown"

    def _decided(self) -> Posture:
        votes: dict[Said, float] = {"standing": 0.0, "sternal": 0.0, "lateral": 0.0, "lying": 0.0, "unknown": 0.0}
        for _, lasted_s, said in self._said:
            votes[said] += lasted_s
        known = sum(votes.values()) - votes["unknown"]
        if known < KNOWN * sum(votes.values()):
            return self._held(known, votes["standing"])
        if votes["standing"] >= AGREED * known:
            return "standing"
        if known - votes["standing"] >= AGREED * known:
            return self._lying(votes["sternal"], votes["lateral"])
        return self.now

    def _held(self, known: float, standing: float) -> Posture:
        """Little was seen: it is as before when all of that says so."""
        same = standing == known if self.now == "standing" else standing == 0
        return self.now if known and same else "unknown"

    def _lying(self, sternal: float, lateral: float) -> Posture:
        now = {"sternal": sternal, "lateral": lateral}.get(self.now)
        if now is not None and now >= (1 - AGREED) * (sternal + lateral):
            return self.now
        if not sternal and not lateral:
            return "unknown"
        return "lateral" if lateral > sternal else "sternal"
