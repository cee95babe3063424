"""Standing, on the chest, on the side, or unknown: each sighting has its say, and the last seconds decide together.

The legs tell. A standing horse's point down, and its belly hangs below the line from neck to tail; lying on the chest
they are folded, lying on the side they are long and lie along the ground, on the back they point up. Without two legs
in view nothing is said: the trunk alone lies as level as it stands.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Literal

from edged.barn.measures import Measures

Posture = Literal["standing", "sternal", "lateral", "unknown"]

FOLDED, GONE = 0.3, 0.15  # reach of a leg that is folded; of one that cannot be told from none
DOWNWARD, ALONG, RAISED = 0.65, 0.55, 0.2  # share of a leg that points down: upright; lying; not under the body
HANGS, FLAT = 0.27, 0.2  # depth of the belly: upright from, lying on the side whatever the legs do
UP = -0.3  # legs point up: on the back

WINDOW_S = 6.0  # that decides
LEAST_S, LEAST_SEEN = 3.0, 3  # of it, before anything is decided
KNOWN = 0.4  # of the sightings that must say something
AGREED = 0.7  # of those that do, to change to what they say


def glimpse(seen: Measures, *, lay: bool = False) -> Posture:
    """What one sighting says; of a horse that `lay` before, what does not hang still lies."""
    if math.isnan(seen.reach):
        return "unknown"
    if seen.reach < FOLDED:
        return "sternal" if seen.down > RAISED or seen.reach < GONE else "lateral"
    if seen.depth > HANGS:
        return "standing" if seen.down > DOWNWARD else "unknown"
    if seen.down < ALONG or seen.depth < FLAT:
        return "lateral"
    return "lateral" if lay else "unknown"


def on_its_back(seen: Measures) -> bool:
    return not math.isnan(seen.reach) and seen.reach > FOLDED - 0.05 and seen.down < UP


class Deciding:
    """Sightings in, the posture that holds out: changes need agreement, and too little seen is unknown."""

    def __init__(self) -> None:
        self.now: Posture = "unknown"
        self._said: deque[tuple[float, Posture]] = deque()

    def see(self, t_s: float, said: Posture) -> Posture:
        self._said.append((t_s, said))
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
        votes = Counter(said for _, said in self._said)
        known = len(self._said) - votes["unknown"]
        if known < KNOWN * len(self._said):
            return "unknown"
        if votes["standing"] >= AGREED * known:
            return "standing"
        if known - votes["standing"] >= AGREED * known:
            return self._lying(votes)
        return self.now

    def _lying(self, votes: Counter[Posture]) -> Posture:
        lying = votes["sternal"] + votes["lateral"]
        if self.now in ("sternal", "lateral") and votes[self.now] > (1 - AGREED) * lying:
            return self.now
        return "lateral" if votes["lateral"] > votes["sternal"] else "sternal"
