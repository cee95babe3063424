"""`python -m tools.barn.cost`: the share of a core that ten stalls take at ten frames a second each."""

from __future__ import annotations

import time

import numpy as np

from tools.barn.life import day
from tools.barn.tracks import View, observations
from tools.barn.trial import DATE, make_monitor

STALLS, SECONDS = 10, 600.0


def main() -> None:
    rng = np.random.default_rng(1)
    acts = [act for act in day(rng, "colic") if act.begin_s < SECONDS]
    view = View(idle_hz=10)
    observed = [one for one in observations(acts, view, rng) if one.t_s < SECONDS]
    monitors = [make_monitor(view) for _ in range(STALLS)]
    began_s, next_s = time.process_time(), 0.0
    for one in observed:
        for monitor in monitors:
            monitor.update_horse(one)
        if one.t_s >= next_s:
            next_s = one.t_s + 1
            for monitor in monitors:
                monitor.tick(one.t_s, DATE)
    share = (time.process_time() - began_s) / SECONDS
    print(f"{STALLS} stalls at 10 frames/s, {len(observed)} observations of each: {share:.1%} of a core")


if __name__ == "__main__":
    main()
