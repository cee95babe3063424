"""`python -m tools.barn.cost`: what ten watched stalls take of a core beside inference, at ten frames a second each."""

from __future__ import annotations

import time

import numpy as np

from edged.barn.ledger import Ledger
from edged.barn.settings import Stall
from edged.barn.watch import StallWatch
from tools.barn.life import day
from tools.barn.tracks import View, sightings
from tools.barn.trial import DATE

STALLS, SECONDS = 10, 600.0


def main() -> None:
    rng = np.random.default_rng(1)
    acts = [act for act in day(rng, "colic") if act.begin_s < SECONDS]
    seen = [one for one in sightings(acts, View(rest_hz=10), rng) if one.t_s < SECONDS]
    watches = [StallWatch(Stall(enabled=True), 0.3, Ledger([])) for _ in range(STALLS)]
    began_s, next_s = time.process_time(), 0.0
    for one in seen:
        for watch in watches:
            watch.saw(one)
        if one.t_s >= next_s:
            next_s = one.t_s + 1
            for watch in watches:
                watch.tick(one.t_s, DATE)
    share = (time.process_time() - began_s) / SECONDS
    print(f"{STALLS} stalls at 10 frames/s: {share:.1%} of a core")


if __name__ == "__main__":
    main()
